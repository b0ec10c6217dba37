"""Free ports."""

import socket

from bulk_pipeline.stack.ports import HOST, free_port, is_open


def test_the_preferred_port_is_taken_when_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port


def test_another_port_is_used_when_the_preferred_one_is_taken() -> None:
    with socket.create_server((HOST, 0)) as server:
        taken = server.getsockname()[1]
        assert free_port(taken) != taken


def test_a_port_is_open_while_a_process_listens_on_it() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        assert is_open(port)
    assert not is_open(port)
