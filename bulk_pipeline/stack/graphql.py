"""Ask a Dagster webserver something."""

import json
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

_SECONDS = 5


def ask(url: str, query: str) -> dict[str, Any]:  # what GraphQL answers depends on the query
    """The data of the answer. Raises `OSError` and `HTTPException` if there is none, `ValueError` if it is no JSON."""
    request = Request(
        f"{url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as response:
        return json.load(response)["data"]
