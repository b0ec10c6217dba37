"""A TLS proxy for a server without TLS: for Postgres, whose clients request TLS first, and for other servers."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
"""The first message of a Postgres client that requests TLS (PostgreSQL documentation, "SSLRequest")."""


@contextmanager
def tls_proxy(
    context: ssl.SSLContext, server: tuple[str, int], *, is_postgres: bool = False
) -> Iterator[int]:
    """Yield a port on 127.0.0.1 that forwards TLS connections to the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_sockets = [listener]

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                open_sockets.append(client)
                threading.Thread(target=join, args=(client,), daemon=True).start()

    def join(client: socket.socket) -> None:
        with suppress(OSError):
            if is_postgres:
                if client.recv(8, socket.MSG_WAITALL) != _SSL_REQUEST:
                    client.close()
                    return
                client.sendall(b"S")
            secure = context.wrap_socket(client, server_side=True)
            inside = socket.create_connection(server)
            open_sockets.extend([secure, inside])
            threading.Thread(target=_pass_on, args=(inside, secure), daemon=True).start()
            _pass_on(secure, inside)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for one in open_sockets:
            one.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
