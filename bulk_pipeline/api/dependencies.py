"""FastAPI dependencies of handlers. All are async, because each synchronous one would cost a thread."""

from typing import Annotated

from fastapi import Depends, Request

from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings


async def _stores(request: Request) -> Stores:
    return request.app.state.stores


async def _settings(request: Request) -> Settings:
    return request.app.state.stores.settings


async def _request_id(request: Request) -> str:
    return request.state.request_id


StoresNeed = Annotated[Stores, Depends(_stores)]
SettingsNeed = Annotated[Settings, Depends(_settings)]
RequestIdNeed = Annotated[str, Depends(_request_id)]
