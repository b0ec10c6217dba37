"""The application: a parts list, nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi_standalone_docs import StandaloneDocs

import bulk_pipeline
from bulk_pipeline.api import accounts, customers, documented, exports, health, imports, metrics, problems
from bulk_pipeline.api.access import Access
from bulk_pipeline.api.body_limit import BodyLimit
from bulk_pipeline.api.checkup import Checkup
from bulk_pipeline.api.departures import Departures
from bulk_pipeline.api.gathered import Gathered
from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.api.request_ids import RequestIds
from bulk_pipeline.api.streams import Streams
from bulk_pipeline.browsers import Guard
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.orchestration.stores import Stores

_SECRET_BYTES = 32


def create_app(stores: Stores) -> FastAPI:
    """The API on these stores, which it closes at its end. `SettingsError` without a secret worth the name."""
    _check_secret(stores)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # kept; it takes longer than a request should
        yield
        stores.close()

    app = FastAPI(
        title="bulk_pipeline",
        version=bulk_pipeline.__version__,
        summary="Bulk import of files into Postgres, and export of tables to files.",
        redoc_url=None,
        lifespan=lifespan,
    )
    StandaloneDocs(app)
    app.state.stores = stores
    app.state.checkup = Checkup(stores.probes)
    app.state.metrics = Metrics(stores.postgres, app.state.checkup)
    app.state.gathered_imports = Gathered(stores.visible_imports.all_of)
    app.state.hashing = CapacityLimiter(accounts.HASHED_AT_A_TIME)
    app.state.streams = Streams(stores, app.state.metrics)
    problems.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Departures, idle_seconds=stores.settings.api_stream_idle_seconds)
    app.add_middleware(
        Guard,
        hosts=stores.settings.known_hosts,
        headers=problems.headers_of,
        name_of=problems.word_of,
    )
    app.add_middleware(Access, metrics=app.state.metrics)
    app.add_middleware(RequestIds)  # around the line about the request, which names it
    app.include_router(health.router)
    if stores.settings.metrics_port is None:
        app.include_router(metrics.router)
    app.include_router(accounts.router)
    app.include_router(customers.router)
    for prefix in problems.PREFIXES:
        is_first = prefix == problems.PREFIXES[0]  # the second is for clients that know no better
        app.include_router(imports.router, prefix=prefix, include_in_schema=is_first)
        app.include_router(exports.router, prefix=prefix, include_in_schema=is_first)
    documented.tidy(app)
    return app


def _check_secret(stores: Stores) -> None:
    secret = stores.settings.api_jwt_secret
    if secret is None or len(secret.get_secret_value().encode()) < _SECRET_BYTES:
        raise SettingsError(
            f"API_JWT_SECRET: set it to {_SECRET_BYTES} random bytes or more, e.g. from: openssl rand -hex 32"
        )
