"""Bearer tokens: JSON Web Tokens (RFC 7519), HS256, with the account's id and an expiry.

The header holds the account's token generation. Disabling an account or resetting its password starts a new
generation, which invalidates all earlier tokens.
"""

import time
from typing import Annotated

import jwt
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bulk_pipeline.api.dependencies import StoresNeed
from bulk_pipeline.errors import WrongPasswordError
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings

_ALGORITHM = "HS256"
_GENERATION = "gen"
"""A private header parameter (RFC 7515, 4.3). Old tokens without it belong to generation 0."""
_BEARER = HTTPBearer(auto_error=False, description="A token from POST /auth/token.")


def new_token(settings: Settings, account: Account) -> str:
    now = int(time.time())
    claims = {"sub": account.id, "iat": now, "exp": now + settings.api_token_seconds}
    return jwt.encode(claims, _secret(settings), _ALGORITHM, headers={_GENERATION: account.token_generation})


def _account(
    request: Request,
    stores: StoresNeed,
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Account:
    if sent is None:
        raise WrongPasswordError("a bearer token is required: get one from POST /auth/token")
    account = _holder(stores, sent.credentials)
    request.state.account_id = account.id  # for the log
    return account


async def _caller(
    request: Request,
    stores: StoresNeed,
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Account | None:
    if sent is None and not stores.settings.api_token_required:
        return None
    return await run_in_threadpool(_account, request, stores, sent)


AccountNeed = Annotated[Account, Depends(_account)]
"""The account of the token; 401 without a valid token."""
CallerNeed = Annotated[Account | None, Depends(_caller)]
"""The account of the token, or None without a token; 401 if it is invalid, or missing with `API_TOKEN_REQUIRED`."""


def _holder(stores: Stores, token: str) -> Account:
    try:
        decoded = jwt.decode_complete(
            token,
            _secret(stores.settings),
            algorithms=[_ALGORITHM],
            options={"require": ["sub", "iat", "exp"]},
        )
    except jwt.InvalidTokenError as error:
        raise WrongPasswordError(
            "the token is invalid or has expired: get a new one from POST /auth/token"
        ) from error
    account = stores.accounts.find(decoded["payload"]["sub"])
    if account is None:
        raise WrongPasswordError("the token's account no longer exists")
    if account.disabled_at is not None:
        raise WrongPasswordError("the token's account is disabled: ask the operator of this service")
    if decoded["header"].get(_GENERATION, 0) != account.token_generation:
        raise WrongPasswordError("the token has been revoked: get a new one from POST /auth/token")
    return account


def _secret(settings: Settings) -> str:
    assert settings.api_jwt_secret is not None, "checked by create_app"
    return settings.api_jwt_secret.get_secret_value()
