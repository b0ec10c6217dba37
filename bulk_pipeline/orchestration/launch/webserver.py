"""`python -m bulk_pipeline.orchestration.launch.webserver`: Dagster's webserver, protected from other web pages.

Dagster's own webserver has no login, and executes requests of any page in the same browser, including mutations in a
GET. The application that its command line creates is wrapped; nothing else is changed.
"""

from collections.abc import Collection
from typing import Any

from dagster_webserver import cli

from bulk_pipeline.browsers import Guard, Scope
from bulk_pipeline.settings import DagsterChange, read_settings

_MAKER = "create_app_from_workspace_process_context"
"""The function by which the command line creates its application; not a public name, so a test checks for it."""


def is_write(scope: Scope) -> bool:
    """Return True for GraphQL in the query of a GET: it may be a mutation, sent by a link or image of another page."""
    return scope["path"].rstrip("/").endswith("/graphql") and bool(scope["query_string"])


def main() -> None:
    settings = read_settings()
    if settings.changes(DagsterChange.GUARDED_UI):
        _guard_application(settings.known_hosts)
    cli.main()


def _guard_application(hosts: Collection[str]) -> None:
    make = getattr(cli, _MAKER)

    def guarded(*args: Any, **kwargs: Any) -> Any:  # Dagster's arguments, and its application
        app = make(*args, **kwargs)
        app.add_middleware(Guard, hosts=hosts, is_write=is_write)
        return app

    setattr(cli, _MAKER, guarded)


if __name__ == "__main__":
    main()
