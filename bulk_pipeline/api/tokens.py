"""Bearer tokens: JSON Web Tokens (RFC 7519), HS256, that say whose they are and until when."""

import time
from typing import Annotated

import jwt
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bulk_pipeline.api.needs import StoresNeed
from bulk_pipeline.errors import WrongPasswordError
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stores.accounts import Account

_ALGORITHM = "HS256"
_BEARER = HTTPBearer(auto_error=False, description="What POST /auth/token answers.")


def new_token(settings: Settings, account: Account) -> str:
    now = int(time.time())
    claims = {"sub": account.id, "iat": now, "exp": now + settings.api_token_seconds}
    return jwt.encode(claims, _secret(settings), _ALGORITHM)


def _account(
    request: Request,
    stores: StoresNeed,
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Account:
    if sent is None:
        raise WrongPasswordError("a bearer token is needed: get one from POST /auth/token")
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
"""The account of the token; 401 without a good one."""
CallerNeed = Annotated[Account | None, Depends(_caller)]
"""The account of the token, if there is one; 401 without one where the settings ask for it, and for a bad one."""


def _holder(stores: Stores, token: str) -> Account:
    try:
        claims = jwt.decode(
            token,
            _secret(stores.settings),
            algorithms=[_ALGORITHM],
            options={"require": ["sub", "iat", "exp"]},
        )
    except jwt.InvalidTokenError as error:
        raise WrongPasswordError(
            "the token is not good, or no longer: get another from POST /auth/token"
        ) from error
    account = stores.accounts.find(claims["sub"])
    if account is None:
        raise WrongPasswordError("the token's account does not exist any more")
    return account


def _secret(settings: Settings) -> str:
    assert settings.api_jwt_secret is not None, "create_app has seen to it"
    return settings.api_jwt_secret.get_secret_value()
