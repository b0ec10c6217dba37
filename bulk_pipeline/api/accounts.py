"""Register, and get a token."""

import re
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field

from bulk_pipeline.api.documented import CONFLICT, STORE_DOWN, TOO_MANY, UNAUTHORIZED
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


class Registration(BaseModel):
    """A password of more than a kilobyte is refused: hashing it would cost more than it protects."""

    email: Address
    password: Annotated[str, Field(min_length=8, max_length=1024, examples=_EXAMPLE)]


class Login(BaseModel):
    email: Annotated[str, Field(max_length=1024, examples=["ann@example.com"])]
    password: Annotated[str, Field(max_length=1024, examples=_EXAMPLE)]


class Registered(BaseModel):
    """`email` as it is known from now on: in lower case."""

    id: str
    email: str


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"  # the kind of it, as OAuth 2 calls it


@router.post("/register", summary="Make an account", responses=CONFLICT | STORE_DOWN)
def register(given: Registration, stores: StoresNeed) -> Registered:
    account = stores.accounts.register(given.email, given.password)
    return Registered(id=account.id, email=account.email)


@router.post("/token", summary="Get a bearer token", responses=UNAUTHORIZED | TOO_MANY | STORE_DOWN)
def token(given: Login, stores: StoresNeed, settings: SettingsNeed) -> Token:
    account = stores.accounts.log_in(given.email.replace("\0", ""), given.password)
    return Token(access_token=new_token(settings, account))
