"""The HTTP API as a service of the stack."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from bulk_pipeline.stack.ports import HOST
from bulk_pipeline.stack.process import Service

_SECONDS = 5
_MEMORY = {"MALLOC_ARENA_MAX": "2"}
"""For glibc: with an arena per thread the process keeps 183 MB after an upload of 1 GB, with two arenas 122 MB."""


@dataclass(frozen=True)
class Api:
    """Folder and port of the API. `secret` signs tokens, unless the environment has another secret."""

    folder: Path
    port: int
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def service(api: Api, environment: Mapping[str, str], log: Path) -> Service:
    """Return the service. Only its process gets the secret."""
    own = {"API_HOST": HOST, "API_PORT": str(api.port), "API_JWT_SECRET": api.secret}
    return Service(
        name="api",
        command=[sys.executable, "-m", "bulk_pipeline.api"],
        environment={**_MEMORY, **environment, **own, **_chosen(environment)},
        folder=api.folder,
        log=log,
        answers=lambda: answers(api.url),
        stop_seconds=15,
    )


def answers(url: str | None) -> bool:
    """Return whether the process answers /live. /ready would also check the servers that it needs."""
    if url is None:
        return False
    try:
        with build_opener(ProxyHandler({})).open(f"{url}/live", timeout=_SECONDS):
            return True
    except OSError:
        return False


def _chosen(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in ("API_JWT_SECRET",) if environment.get(name)}
