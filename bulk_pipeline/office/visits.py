"""The session cookie, who is signed in, and the token that every form carries.

A form's token is a hash of the session's token and the form's address. Another site's page cannot know it, and it
fits no other form and no other session.
"""

import hmac
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote
from uuid import uuid4

from fastapi import Depends, HTTPException, Request, Response
from starlette.datastructures import FormData
from starlette.formparsers import FormParser, MultiPartException

from bulk_pipeline.api.dependencies import StoresNeed
from bulk_pipeline.api.middleware import lift_body_limit
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.ledger.sessions import new_session_token
from bulk_pipeline.office.pages import PREFIX
from bulk_pipeline.settings import Settings

SIGN_IN = f"{PREFIX}/sign-in"
TOKEN_FIELD = "form_token"
OUT_OF_DATE = "This form is out of date, and nothing was done: open the page again, and send the form again."
ENDED = "You were signed out, and nothing that you sent was kept: sign in, open the page, and send it again."

TOO_LARGE = "This form is larger than 4 MB, and nothing was done: correct the rows in the downloaded file."

_MOST_FIELDS, _MOST_FORM_BYTES = 5_000, 4_000_000
_COOKIE = "bulk_session"
_LONGEST_TOKEN, _LONGEST_ONCE = 100, 64


@dataclass(frozen=True)
class Visit:
    """The browser's cookie, which need not belong to a session. `is_new`: the browser has not sent it yet."""

    token: str = field(repr=False)
    is_new: bool
    secret: str = field(repr=False)

    def form_token(self, path: str) -> str:
        """Return the token of a form that is sent to the path."""
        return hmac.digest(self.secret.encode(), f"form {self.token} {path}".encode(), "sha256").hex()

    def sent(self, request: Request, form: FormData) -> bool:
        """Return whether the form has the token of this visit and of the request's path."""
        told = form.get(TOKEN_FIELD)
        expected = self.form_token(request.url.path)
        return isinstance(told, str) and hmac.compare_digest(told.encode(), expected.encode())


async def _visit(request: Request, stores: StoresNeed) -> Visit:
    secret = stores.settings.api_jwt_secret
    assert secret is not None, "checked by create_app"
    token = request.cookies.get(_name(request, stores.settings), "")
    is_known = 0 < len(token) <= _LONGEST_TOKEN
    visit = Visit(token if is_known else new_session_token(), not is_known, secret.get_secret_value())
    request.state.form_token = visit.form_token
    return visit


VisitNeed = Annotated[Visit, Depends(_visit)]


def _account(request: Request, visit: VisitNeed, stores: StoresNeed) -> Account:
    account = None if visit.is_new else stores.sessions.account(visit.token)
    if account is None:
        if request.method in ("GET", "HEAD"):
            raise HTTPException(303, headers={"Location": f"{SIGN_IN}?next={quote(request.url.path)}"})
        raise HTTPException(401, ENDED)
    request.state.account = account
    request.state.account_id = account.id  # for the log
    return account


PersonNeed = Annotated[Account, Depends(_account)]
"""The account that is signed in. Without one, a page leads to the sign-in, and a form is refused with 401."""


def check_form(request: Request, visit: Visit, form: FormData) -> None:
    """`HTTPException` 403 unless the form was rendered for this session and this address."""
    if not visit.sent(request, form):
        raise HTTPException(403, OUT_OF_DATE)


async def _form(request: Request) -> FormData:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return FormData()
    return await request.form(max_fields=100)


UrlFormNeed = Annotated[FormData, Depends(_form)]
"""The fields of a form without a file. Declare it after the account, as it reads the body."""


async def _large_form(request: Request) -> FormData:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return FormData()
    lift_body_limit(request)
    try:
        return await FormParser(request.headers, _at_most(request), max_fields=_MOST_FIELDS).parse()
    except MultiPartException as error:
        raise HTTPException(413, TOO_LARGE) from error


async def _at_most(request: Request) -> AsyncGenerator[bytes, None]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > _MOST_FORM_BYTES:
            raise HTTPException(413, TOO_LARGE)
        yield chunk


LargeFormNeed = Annotated[FormData, Depends(_large_form)]
"""The fields of a form with the cells of many rows. Declare it after the account, as it reads the body."""


def set_cookie(response: Response, request: Request, settings: Settings, token: str) -> None:
    """Send the session's cookie: out of reach of scripts, and not with requests of other sites' forms."""
    response.set_cookie(
        _name(request, settings),
        token,
        max_age=settings.office_session_seconds,
        path="/",
        secure=_is_https(request, settings),
        httponly=True,
        samesite="lax",
    )


def text_of(form: FormData, name: str) -> str:
    """Return the text in that field, without blanks around it; empty if there is none."""
    field = form.get(name)
    return field.replace("\0", "").strip() if isinstance(field, str) else ""


def once_token(form: FormData) -> str:
    """Return the token by which a form that is sent twice is known; a new one for a form without it."""
    return text_of(form, "once")[:_LONGEST_ONCE] or uuid4().hex


def _name(request: Request, settings: Settings) -> str:
    """Return the name of the cookie. Browsers take one with this prefix over https only, from no other host."""
    return f"__Host-{_COOKIE}" if _is_https(request, settings) else _COOKIE


def _is_https(request: Request, settings: Settings) -> bool:
    """Return whether the browser reaches us by https; a proxy of `API_TRUSTED_PROXIES` says so for its clients."""
    return request.url.scheme == "https" or (settings.api_url or "").startswith("https://")
