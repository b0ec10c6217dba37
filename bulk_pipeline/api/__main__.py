"""`python -m bulk_pipeline.api`: serve the API until SIGTERM."""

import contextlib
import socket
import sys

import uvicorn

from bulk_pipeline.api import logs
from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.connections import Connection
from bulk_pipeline.api.metrics import split_by_port
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings, read_settings


def main() -> None:
    """Serve on `API_HOST` and `API_PORT`, and on `METRICS_PORT` if it is set.

    Wrong settings and ports in use are reported on stderr, with exit code 1.
    """
    try:
        settings = read_settings()
        app = create_app(Stores(settings))
        sockets = _listen(settings)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    logs.configure(settings.bulk_log_format)
    config = uvicorn.Config(
        app if settings.metrics_port is None else split_by_port(app, settings.metrics_port),
        access_log=False,
        proxy_headers=False,  # uvicorn would trust any client on 127.0.0.1; the app handles API_TRUSTED_PROXIES
        log_config=None,
        http=Connection,
        ws="none",
        timeout_graceful_shutdown=10,
    )
    with contextlib.suppress(KeyboardInterrupt):  # as uvicorn.run does
        uvicorn.Server(config).run(sockets)


def _listen(settings: Settings) -> list[socket.socket]:
    """Open the ports. One server has both, so that a signal closes them together."""
    ports = {"API_PORT": settings.api_port, "METRICS_PORT": settings.metrics_port}
    return [_bind(settings.api_host, name, port) for name, port in ports.items() if port is not None]


def _bind(host: str, name: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # create_server repeats the address there
        raise SettingsError(f"{name}: cannot listen on {host}, port {port}: {reason}") from error


main()
