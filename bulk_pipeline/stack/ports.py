"""Free ports on the loopback interface."""

import random
import socket

HOST = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), which could take a port before it is bound.
_CANDIDATES = range(20_000, 32_000)


def free_port(preferred: int | None = None) -> int:
    """Return a free port: the preferred one if possible, else a random one.

    Random, so that stacks that start at the same moment do not choose the same port.
    """
    if preferred and is_free(preferred):
        return preferred
    return next(port for port in random.SystemRandom().sample(_CANDIDATES, 1_000) if is_free(port))


def is_open(port: int) -> bool:
    """Return whether a server listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        return client.connect_ex((HOST, port)) == 0


def is_free(port: int) -> bool:
    """Return whether a server can listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # As servers do: a closed connection in TIME_WAIT does not block the port.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True
