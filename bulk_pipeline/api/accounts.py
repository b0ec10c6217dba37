"""Register, and get a token.

A hash takes 64 MB and all cores for a moment: two are made at a time. Whoever waits for that holds none of the threads
that other requests run on, so that a crowd of logins keeps nobody from looking at a job.
"""

import re
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, BaseModel, Field

from bulk_pipeline.api.documented import BAD_REQUEST, CONFLICT, STORE_DOWN, TOO_LARGE, TOO_MANY, UNAUTHORIZED
from bulk_pipeline.api.needs import SettingsNeed, StoresNeed
from bulk_pipeline.api.tokens import new_token
from bulk_pipeline.tables.columns import email as email_column

router = APIRouter(prefix="/auth", tags=["accounts"])

_ADDRESS = email_column()
_PATTERN = re.compile(_ADDRESS.pattern or "")


def _address(text: str) -> str:
    if not _PATTERN.fullmatch(text) or not text.isprintable():
        raise ValueError(f"not {_ADDRESS.pattern_name}")
    return text


Address = Annotated[
    str, Field(max_length=_ADDRESS.max_length, examples=["ann@example.com"]), AfterValidator(_address)
]
_EXAMPLE = ["correct horse battery"]
HASHED_AT_A_TIME = 2


async def _hashing(request: Request) -> CapacityLimiter:
    return request.app.state.hashing


HashingNeed = Annotated[CapacityLimiter, Depends(_hashing)]


class Registration(BaseModel):
    """A password of more than a kilobyte is refused: hashing it would cost more than it protects."""

    email: Address
    password: Annotated[str, Field(min_length=8, max_length=1024, examples=_EXAMPLE, repr=False)]


class Login(BaseModel):
    email: Annotated[str, Field(max_length=_ADDRESS.max_length, examples=["ann@example.com"])]
    password: Annotated[str, Field(max_length=1024, examples=_EXAMPLE, repr=False)]


class Registered(BaseModel):
    """`email` as it is known from now on: in lower case."""

    id: Annotated[str, Field(examples=["01a20f6e-6a39-7c11-9d0c-2f1b9a4c8e55"])]
    email: Annotated[str, Field(examples=["ann@example.com"])]


class Token(BaseModel):
    access_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.…"])]
    token_type: str = "bearer"  # the kind of it, as OAuth 2 calls it


_ALWAYS = BAD_REQUEST | TOO_LARGE | STORE_DOWN


@router.post("/register", summary="Make an account", responses=CONFLICT | _ALWAYS)
async def register(given: Registration, stores: StoresNeed, hashing: HashingNeed) -> Registered:
    account = await to_thread.run_sync(stores.accounts.register, given.email, given.password, limiter=hashing)
    return Registered(id=account.id, email=account.email)


@router.post("/token", summary="Get a bearer token", responses=UNAUTHORIZED | TOO_MANY | _ALWAYS)
async def token(given: Login, stores: StoresNeed, settings: SettingsNeed, hashing: HashingNeed) -> Token:
    email = given.email.replace("\0", "")
    account = await to_thread.run_sync(stores.accounts.log_in, email, given.password, limiter=hashing)
    return Token(access_token=new_token(settings, account))
