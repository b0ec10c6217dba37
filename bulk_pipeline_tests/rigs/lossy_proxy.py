"""A network between a client and Postgres that can lose the answer to a COMMIT."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import conninfo


class LossyProxy:
    """Forwards bytes. `lose`: numbers of the COMMITs, from 1, whose answers do not arrive and end the connection."""

    def __init__(self, database_url: str, lose: set[int]) -> None:
        self.lose = lose
        self.commits = 0
        self._url = database_url
        parts = conninfo.conninfo_to_dict(database_url)
        self._server = (str(parts["host"]), int(str(parts["port"])))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]

    @property
    def database_url(self) -> str:
        host, port = self._listener.getsockname()
        return conninfo.make_conninfo(
            self._url, host=host, port=port, gssencmode="disable", sslmode="disable"
        )

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                for run in (self._to_server, self._to_client):
                    threading.Thread(target=run, args=(client, server), daemon=True).start()

    def close(self) -> None:
        for one in self._sockets:
            _end(one)

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while sent := client.recv(65_536):
                if b"COMMIT\0" not in sent:
                    server.sendall(sent)
                    continue
                self.commits += 1
                if self.commits in self.lose:
                    _end(client)  # the server's answer finds nobody
                server.sendall(sent)
        _end(server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while answer := server.recv(65_536):
                client.sendall(answer)
        _end(client)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def lossy(database_url: str, *lose: int) -> Iterator[LossyProxy]:
    proxy = LossyProxy(database_url, set(lose))
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
