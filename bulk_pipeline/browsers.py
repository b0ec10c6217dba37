"""Keeps web pages of others from using a server through the browser of somebody who can reach it.

A page may send requests to any address, also to 127.0.0.1; the headers that the browser adds show that it did. With
DNS rebinding, a name that its owner lets point here, the page would be one of ours: so the Host must be known.
For any ASGI application, without a framework. https://developer.mozilla.org/docs/Web/HTTP/Headers/Sec-Fetch-Site
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]  # ASGI's own types of these
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of every answer, where it has none of that name."""
_READS = {"GET", "HEAD", "OPTIONS"}
_ELSEWHERE = {"cross-site", "same-site"}
"""Of `Sec-Fetch-Site`; another port of the same host is the same site."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Refusal:
    status: int
    sentence: str


def host_of(text: str) -> str | None:
    """The name in `host`, `host:port` or a URL, in lower case; None if there is none."""
    return _place(text if "://" in text else f"//{text}")[0]


def refusal(method: str, headers: Iterable[tuple[bytes, bytes]], hosts: frozenset[str]) -> Refusal | None:
    """Why a request is not carried out, if it is not. `hosts`: the server's names; addresses need none."""
    given = [(name.lower(), value.decode("latin-1").strip()) for name, value in headers]
    named = [value for name, value in given if name == b"host"]
    host = host_of(named[0]) if len(named) == 1 else None
    if host is None or not (host in hosts or _is_address(host)):
        shown = repr(named[0][:100]) if named else "none"
        told = f"this server is not known by the request's Host, which is {shown}: API_HOSTS can name it"
        return Refusal(421, told)
    if method in _READS:
        return None
    of_request = dict(given)
    origin = of_request.get(b"origin")
    if of_request.get(b"sec-fetch-site") in _ELSEWHERE or (
        origin is not None and not _is_same(origin, named[0])
    ):
        return Refusal(
            403, "a page of another site may not do this: its browser says that it comes from elsewhere"
        )
    return None


class Guard:
    """ASGI middleware: refuses what others' pages ask for, and adds `HEADERS`, and `headers`, to every answer.

    `name_of`: the name of the sentence in the JSON of a refusal, by path. `is_write`: whether a read is taken for a
    write all the same.
    """

    def __init__(
        self,
        app: App,
        hosts: frozenset[str],
        headers: Callable[[str], dict[str, str]] = lambda _: {},
        name_of: Callable[[str], str] = lambda _: "error",
        is_write: Callable[[Scope], bool] = lambda _: False,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = headers
        self._name_of = name_of
        self._is_write = is_write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        is_write = scope["type"] == "websocket" or self._is_write(scope)
        refused = refusal("POST" if is_write else scope["method"], scope["headers"], self._hosts)
        if scope["type"] == "websocket":
            await (self._app(scope, receive, send) if refused is None else send({"type": "websocket.close"}))
            return
        added = HEADERS | self._headers(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = list(message.get("headers", ()))
                names = {name.lower() for name, _ in there}
                more = [(name.lower().encode(), value.encode()) for name, value in added.items()]
                message = {**message, "headers": there + [one for one in more if one[0] not in names]}
            await send(message)

        if refused is None:
            await self._app(scope, receive, send_with_headers)
        else:
            await _answer(refused, self._name_of(scope["path"]), send_with_headers)


async def _answer(refused: Refusal, name: str, send: Send) -> None:
    body = json.dumps({name: refused.sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_same(origin: str, host: str) -> bool:
    """Whether a page's origin is this very server, by the name that the request has for it."""
    scheme = origin.partition("://")[0].lower()
    of_page, of_request = _place(origin), _place(f"//{host}")
    default = _DEFAULT_PORTS.get(scheme)
    return (
        default is not None
        and of_page[0] is not None
        and (of_page[0], of_page[1] or default) == (of_request[0], of_request[1] or default)
    )


def _place(url: str) -> tuple[str | None, int | None]:
    try:
        found = urlsplit(url)
        return found.hostname, found.port
    except ValueError:
        return None, None


def _is_address(host: str) -> bool:
    """Nobody's name: no page can make it point elsewhere."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
