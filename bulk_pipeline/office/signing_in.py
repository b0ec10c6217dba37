"""Sign in and sign out, with the same limits on attempts as the API's login."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from bulk_pipeline.api.clients import ClientNeed
from bulk_pipeline.api.dependencies import SettingsNeed, StoresNeed
from bulk_pipeline.api.hashing import HashingNeed
from bulk_pipeline.errors import TooManyFailuresError, WrongPasswordError
from bulk_pipeline.ledger.credentials import MOST_ADDRESS_CHARACTERS, MOST_PASSWORD_CHARACTERS
from bulk_pipeline.ledger.sessions import new_session_token
from bulk_pipeline.office.pages import PREFIX, page, see_other, words
from bulk_pipeline.office.visits import (
    SIGN_IN,
    UrlFormNeed,
    Visit,
    VisitNeed,
    check_form,
    set_cookie,
    text_of,
)

router = APIRouter()

_WRONG = "The email address or the password is wrong."
_TOO_MANY = "Too many attempts have failed: wait %(minutes)d minutes, then try again."
_TOO_BUSY = "Too many people are signing in at the moment: try again in a moment."
_OUT_OF_DATE = "The page was open for too long: sign in again."


@router.get("/sign-in")
async def sign_in_page(
    request: Request,
    visit: VisitNeed,
    settings: SettingsNeed,
    then: Annotated[str, Query(alias="next", max_length=2000)] = "",
) -> Response:
    return _form(request, visit, settings, then)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    visit: VisitNeed,
    form: UrlFormNeed,
    stores: StoresNeed,
    client: ClientNeed,
    hashing: HashingNeed,
) -> Response:
    """Start a session under a new token: one that somebody else has put into the browser signs nobody in."""
    then, email = text_of(form, "next"), text_of(form, "email")[:MOST_ADDRESS_CHARACTERS]
    settings = stores.settings
    if not visit.sent(request, form):
        if not visit.is_new and await run_in_threadpool(stores.sessions.account, visit.token):
            return see_other(_own_page(then))  # signed in by another tab
        return _form(request, visit, settings, then, email, _OUT_OF_DATE, 400)
    password = form.get("password")
    if not isinstance(password, str) or len(password) > MOST_PASSWORD_CHARACTERS:
        return _form(request, visit, settings, then, email, _WRONG, 401)
    try:
        account = await hashing.run(client, lambda: stores.accounts.log_in(email, password, client))
    except WrongPasswordError:
        return _form(request, visit, settings, then, email, _WRONG, 401)
    except TooManyFailuresError as error:
        sentence = words(request).gettext(_TOO_MANY) % {"minutes": -(-error.seconds // 60)}
        answer = _form(request, visit, settings, then, email, sentence, 429)
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    except HTTPException as error:  # the queue of hashes is full
        return _form(request, visit, settings, then, email, _TOO_BUSY, error.status_code)
    answer = see_other(_own_page(then))
    set_cookie(answer, request, settings, await run_in_threadpool(stores.sessions.start, account))
    return answer


@router.post("/sign-out")
async def sign_out(
    request: Request, visit: VisitNeed, form: UrlFormNeed, stores: StoresNeed, settings: SettingsNeed
) -> Response:
    """End the session. It needs no session, so that a second click does no harm."""
    check_form(request, visit, form)
    await run_in_threadpool(stores.sessions.end, visit.token)
    answer = see_other(SIGN_IN)
    set_cookie(answer, request, settings, new_session_token())
    return answer


def _form(
    request: Request,
    visit: Visit,
    settings: SettingsNeed,
    then: str,
    email: str = "",
    problem: str | None = None,
    status: int = 200,
) -> Response:
    sentence = words(request).gettext(problem) if problem else None
    answer = page(request, "sign_in.html", status, then=then, email=email, problem=sentence)
    if visit.is_new:
        set_cookie(answer, request, settings, visit.token)
    return answer


def _own_page(path: str) -> str:
    """Return the path if it is a page of ours, else the first page: the address may be anybody's text."""
    is_ours = path.startswith(f"{PREFIX}/") and path.isascii() and path.isprintable() and "\\" not in path
    return quote(path, safe="/%?=&-_.~") if is_ours else PREFIX
