"""`python -m bulk_pipeline.orchestration.webserver`: Dagster's webserver, kept from the web pages of others.

Dagster's own has no login and carries out what any page in the same browser sends to it, mutations in a GET included.
The application that its command line makes is wrapped; nothing else of it is changed.
"""

from typing import Any

from dagster_webserver import cli

from bulk_pipeline.browsers import Guard, Scope
from bulk_pipeline.settings import read_settings

_MAKER = "create_app_from_workspace_process_context"
"""What the command line calls for its application; Dagster promises nothing about it, a test asks."""


def is_write(scope: Scope) -> bool:
    """GraphQL in the query of a GET: it may be a mutation, and a link or a picture of another page sends it too."""
    return scope["path"].rstrip("/").endswith("/graphql") and bool(scope["query_string"])


def main() -> None:
    make, hosts = getattr(cli, _MAKER), read_settings().known_hosts

    def guarded(*given: Any, **named: Any) -> Any:  # whatever Dagster passes on, and its application
        app = make(*given, **named)
        app.add_middleware(Guard, hosts=hosts, is_write=is_write)
        return app

    setattr(cli, _MAKER, guarded)
    cli.main()


if __name__ == "__main__":
    main()
