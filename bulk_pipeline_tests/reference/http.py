"""docs/reference/http.md: the calls of the HTTP API, from its OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.reference.markdown import escaped, table

_TITLE = """# Calls of the HTTP API

Every call, made from the code by `make reference`. `<address of the API>/docs` shows their parameters and bodies, and sends
requests. [http.md](../http.md) explains imports of customers, [http-imports.md](../http-imports.md) imports of other tables,
[http-exports.md](../http-exports.md) exports, and [office.md](../office.md) the pages below `/office`.

Calls below `/api/v1` are also served below `/v1`. The token is required where the table says *yes*; elsewhere below `/api/v1`
it is required if `API_TOKEN_REQUIRED` is true.
"""


def document() -> str:
    """Return the page."""
    parts = [_TITLE]
    calls = list(_calls())
    for tag in dict.fromkeys(call["tags"][0] for _, _, call in calls):
        rows = [
            (
                f"`{method} {path}`",
                f"{call['summary']}. {_details(call)}".strip(),
                _token(call),
                _answers(call),
            )
            for method, path, call in calls
            if call["tags"][0] == tag
        ]
        parts.append(f"\n## {tag.capitalize()}\n\n{table(('call', '', 'token', 'answers'), rows)}")
    return "".join(parts)


def _calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and description of each call. The stores are never connected."""
    settings = Settings(
        database_url=SecretStr("postgresql://localhost/none"), api_jwt_secret=SecretStr("x" * 32)
    )
    stores = Stores(settings)
    try:
        for path, calls in create_app(stores).openapi()["paths"].items():
            yield from ((method.upper(), path, call) for method, call in calls.items())
    finally:
        stores.close()


def _details(call: dict[str, Any]) -> str:
    return escaped(call.get("description", ""))


def _token(call: dict[str, Any]) -> str:
    needs = call.get("security", [{}])
    return "" if needs == [{}] else "optional" if {} in needs else "yes"


def _answers(call: dict[str, Any]) -> str:
    return ", ".join(sorted(call["responses"]))
