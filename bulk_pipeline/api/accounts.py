"""Registration and login."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field

from bulk_pipeline.api.clients import ClientNeed
from bulk_pipeline.api.dependencies import SettingsNeed, StoresNeed
from bulk_pipeline.api.hashing import HashingNeed
from bulk_pipeline.api.openapi import (
    BAD_REQUEST,
    CLOSED,
    CONFLICT,
    STORE_DOWN,
    TOO_LARGE,
    TOO_MANY,
    UNAUTHORIZED,
)
from bulk_pipeline.api.tokens import new_token
from bulk_pipeline.errors import RegistrationClosedError
from bulk_pipeline.ledger.credentials import (
    LEAST_PASSWORD_CHARACTERS,
    MOST_ADDRESS_CHARACTERS,
    MOST_PASSWORD_CHARACTERS,
    checked_address,
)

router = APIRouter(prefix="/auth", tags=["accounts"])

Address = Annotated[
    str,
    Field(max_length=MOST_ADDRESS_CHARACTERS, examples=["ann@example.com"]),
    AfterValidator(checked_address),
]
_EXAMPLE = ["correct horse battery"]


async def _registration_is_open(settings: SettingsNeed) -> None:
    if settings.api_registration == "closed":
        raise RegistrationClosedError(
            "registration is closed: ask the operator of this service to create an account with "
            "`bulk-pipeline account add`"
        )


class Registration(BaseModel):
    """A password of more than a kilobyte is refused, because hashing it costs too much."""

    email: Address
    password: Annotated[
        str,
        Field(
            min_length=LEAST_PASSWORD_CHARACTERS,
            max_length=MOST_PASSWORD_CHARACTERS,
            examples=_EXAMPLE,
            repr=False,
        ),
    ]


class Login(BaseModel):
    email: Annotated[str, Field(max_length=MOST_ADDRESS_CHARACTERS, examples=["ann@example.com"])]
    password: Annotated[str, Field(max_length=MOST_PASSWORD_CHARACTERS, examples=_EXAMPLE, repr=False)]


class RegisteredAccount(BaseModel):
    """`email` is in lower case, as it is stored."""

    id: Annotated[str, Field(examples=["01a20f6e-6a39-7c11-9d0c-2f1b9a4c8e55"])]
    email: Annotated[str, Field(examples=["ann@example.com"])]


class Token(BaseModel):
    access_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.…"])]
    token_type: str = "bearer"  # as OAuth 2 names it


_ALWAYS = BAD_REQUEST | TOO_LARGE | STORE_DOWN


@router.post(
    "/register",
    summary="Create an account",
    dependencies=[Depends(_registration_is_open)],
    responses=CLOSED | CONFLICT | TOO_MANY | _ALWAYS,
)
async def register(
    body: Registration, stores: StoresNeed, settings: SettingsNeed, client: ClientNeed, hashing: HashingNeed
) -> RegisteredAccount:
    """It has the rights of `API_REGISTERED_IMPORT`, `API_REGISTERED_EXPORT` and `API_REGISTERED_JOBS`."""
    account = await hashing.run(
        client, lambda: stores.accounts.register(body.email, body.password, settings.registered_rights)
    )
    return RegisteredAccount(id=account.id, email=account.email)


@router.post("/token", summary="Get a bearer token", responses=UNAUTHORIZED | TOO_MANY | _ALWAYS)
async def token(
    body: Login, stores: StoresNeed, settings: SettingsNeed, client: ClientNeed, hashing: HashingNeed
) -> Token:
    email = body.email.replace("\0", "")
    account = await hashing.run(client, lambda: stores.accounts.log_in(email, body.password, client))
    return Token(access_token=new_token(settings, account))
