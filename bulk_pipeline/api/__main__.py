"""`python -m bulk_pipeline.api`: serve the API until SIGTERM."""

import sys

import uvicorn

from bulk_pipeline.api import logs
from bulk_pipeline.api.app import create_app
from bulk_pipeline.api.connections import Connection
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import read_settings


def main() -> None:
    """Serve on `API_HOST` and `API_PORT`. What is wrong with the settings is said on stderr, with exit code 1."""
    try:
        settings = read_settings()
        app = create_app(Stores(settings))
    except SettingsError as error:
        sys.exit(f"error: {error}")
    logs.configure(settings.bulk_log_format)
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        access_log=False,
        log_config=None,
        http=Connection,
        ws="none",
        timeout_graceful_shutdown=10,
    )


main()
