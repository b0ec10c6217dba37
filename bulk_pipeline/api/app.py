"""The application, put together from its parts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_standalone_docs import StandaloneDocs
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import bulk_pipeline
from bulk_pipeline import tables
from bulk_pipeline.api import accounts, customers, errors, exports, health, imports, metrics, openapi
from bulk_pipeline.api.caching import Coalescer
from bulk_pipeline.api.disconnects import CancelOnDisconnect
from bulk_pipeline.api.hashing import Hashing
from bulk_pipeline.api.health import ReadinessCache
from bulk_pipeline.api.metrics import Metrics
from bulk_pipeline.api.middleware import AccessLog, BodyLimit, RequestIds
from bulk_pipeline.api.streams import Streams
from bulk_pipeline.browsers import Guard
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.office import site
from bulk_pipeline.office.checker import Checker
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import EVERY_TABLE, read_tables

_SECRET_BYTES = 32


def create_app(stores: Stores) -> FastAPI:
    """Return the API on these stores, which it closes at shutdown.

    Raises `SettingsError` if `API_JWT_SECRET` is missing or short, or `API_REGISTERED_…` names an unknown table.
    """
    _check_secret(stores)
    _check_registered_rights(stores)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # cached by FastAPI; too slow for the first request
        yield
        await run_in_threadpool(app.state.checker.close)
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
    app.state.readiness = ReadinessCache(stores.probes)
    app.state.metrics = Metrics(stores.postgres, app.state.readiness, stores.disk)
    app.state.imports_by_id = Coalescer(stores.visible_imports.all_of)
    app.state.hashing = Hashing()
    app.state.trusts_proxies = bool(stores.settings.trusted_proxies)
    app.state.has_warned_of_proxy = False
    app.state.checker = Checker(stores)
    app.state.streams = Streams(stores, app.state.metrics)
    errors.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(CancelOnDisconnect, idle_seconds=stores.settings.api_stream_idle_seconds)
    app.add_middleware(
        Guard,
        hosts=stores.settings.known_hosts,
        headers=errors.headers_of,
        name_of=errors.member_of,
    )
    app.add_middleware(AccessLog, metrics=app.state.metrics)
    app.add_middleware(RequestIds)  # outside the access log, which logs the id
    if stores.settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=stores.settings.trusted_proxies)
    app.include_router(health.router)
    if stores.settings.metrics_port is None:
        app.include_router(metrics.router)
    app.include_router(site.router)
    app.include_router(accounts.router)
    app.include_router(customers.router)
    for prefix in errors.PREFIXES:
        is_first = prefix == errors.PREFIXES[0]  # the second is for old clients
        app.include_router(imports.router, prefix=prefix, include_in_schema=is_first)
        app.include_router(exports.router, prefix=prefix, include_in_schema=is_first)
    openapi.correct(app, token_required=stores.settings.api_token_required)
    return app


def _check_secret(stores: Stores) -> None:
    secret = stores.settings.api_jwt_secret
    if secret is None or len(secret.get_secret_value().encode()) < _SECRET_BYTES:
        raise SettingsError(
            f"API_JWT_SECRET: set it to {_SECRET_BYTES} random bytes or more, e.g. from: openssl rand -hex 32"
        )


def _check_registered_rights(stores: Stores) -> None:
    """Refuse unknown tables, except in the defaults: a project may lack some of those."""
    settings = stores.settings
    for name in {"api_registered_import", "api_registered_export"} & settings.model_fields_set:
        known = (EVERY_TABLE, *tables.names())
        unknown = [table for table in read_tables(getattr(settings, name)) if table not in known]
        if unknown:
            raise SettingsError(
                f"{name.upper()}: {unknown[0]!r} is not a table: expected {', '.join(tables.names())} or *"
            )
