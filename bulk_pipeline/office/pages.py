"""Renders pages from templates, with the headers that browsers obey. Knows no store: it also renders outages."""

import gettext
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from bulk_pipeline.office import formats

PREFIX = "/office"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    # With no-referrer, browsers would send forms with `Origin: null`, which `browsers.Guard` refuses.
    "Referrer-Policy": "same-origin",
}
"""Headers of every page, besides those of `browsers.Guard`. `no-store`: after "back", a form has a new token."""

STATIC = Path(__file__).parent / "static"

_ENGLISH = gettext.NullTranslations()
_TITLES = {
    400: "This did not work",
    401: "You are signed out",
    403: "This did not work",
    404: "There is no such page",
    405: "There is no such page",
    408: "The file did not arrive",
    409: "This did not work",
    410: "The file has been deleted",
    413: "The file is too large",
    422: "This did not work",
    429: "Too much at once",
    503: "The service is not available at the moment",
}


def is_office(path: str) -> bool:
    """Return whether the path is a page of this package."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def page(request: Request, template: str, status: int = 200, **context: object) -> HTMLResponse:
    """Return a page. The template gets the signed-in account and its form token maker, if the request has them."""
    environment = _environment(words(request))
    state = request.state
    text = environment.get_template(template).render(
        account=getattr(state, "account", None),
        form_token=getattr(state, "form_token", None),
        static=static_address,
        current=partial(_current, request.url.path),
        **context,
    )
    return HTMLResponse(text, status)


def error_page(request: Request, status: int, detail: object, headers: dict[str, str]) -> HTMLResponse:
    """Return the page for a request that failed. `detail` is a sentence, or anything else, which is not shown."""
    translated = words(request).gettext
    title = translated(_TITLES.get(status, "Something went wrong"))
    sentence = translated(detail) if isinstance(detail, str) and status not in (404, 405, 503) else None
    answer = page(request, "error.html", status, title=title, sentence=sentence, code=status)
    answer.headers.update(headers)
    return answer


def see_other(path: str) -> RedirectResponse:
    """Return the answer to a form that was handled: reloading the page it leads to sends nothing again."""
    return RedirectResponse(path, 303)


def words(request: Request) -> gettext.NullTranslations:
    """Return the texts in the language of the request."""
    return _ENGLISH


def _current(path: str, *sections: str) -> Markup:
    """Return the attribute of a link in the navigation: whether the page is the first section, or below one."""
    is_current = path == sections[0] or any(
        path.startswith(f"{section}/") for section in sections if section != PREFIX
    )
    return Markup(' aria-current="page"') if is_current else Markup()


@cache
def static_address(name: str) -> str:
    """Return the address of a file of `static`, which changes with its content, so that browsers may keep it."""
    return f"{PREFIX}/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@cache
def _environment(translations: gettext.NullTranslations) -> Environment:
    environment = Environment(
        loader=PackageLoader("bulk_pipeline.office"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(translations, newstyle=True)  # pyright: ignore[reportAttributeAccessIssue]  # of the extension
    environment.filters |= formats.FILTERS
    return environment
