"""GraphQL queries to Dagster's webserver."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

_SECONDS = 10


def ask(url: str, query: str, variables: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Return the data of the answer, whose shape depends on the query.

    Raises `OSError` or `HTTPException` without an answer, `ValueError` if it is not JSON.
    """
    request = Request(
        f"{url}/graphql",
        data=json.dumps({"query": query, "variables": variables or {}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as response:
            return json.load(response)["data"]
    except HTTPError as error:
        with error:
            raise OSError(f"{url} answers {error.code}: {error.read(500)!r}") from error
