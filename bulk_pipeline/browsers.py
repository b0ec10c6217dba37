"""Protection against other sites' web pages in the browser of a user who can reach this server.

A page may send requests to any address, also to 127.0.0.1, but the browser adds headers that name its site. With DNS
rebinding, where the page's host name is made to point here, the site looks like ours: so the Host must be known.
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
"""Headers of every answer that does not set them itself."""
_READS = {"GET", "HEAD", "OPTIONS"}
_FOREIGN = {"cross-site", "same-site"}
"""Values of `Sec-Fetch-Site` for pages of another origin; `same-site` includes other ports of this host."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Refusal:
    status: int
    sentence: str


def host_of(text: str) -> str | None:
    """Return the host name of `host`, `host:port` or a URL, in lower case; None if there is none."""
    return _place(text if "://" in text else f"//{text}")[0]


def refusal(method: str, headers: Iterable[tuple[bytes, bytes]], hosts: frozenset[str]) -> Refusal | None:
    """Return why the request is refused; None if it is not. `hosts`: the server's names. IP addresses are allowed."""
    decoded = [(name.lower(), value.decode("latin-1").strip()) for name, value in headers]
    host_headers = [value for name, value in decoded if name == b"host"]
    host = host_of(host_headers[0]) if len(host_headers) == 1 else None
    if host is None or not (host in hosts or _is_address(host)):
        shown = repr(host_headers[0][:100]) if host_headers else "none"
        return Refusal(
            421, f"the request's Host is {shown}, which is not a name of this server: see API_HOSTS"
        )
    if method in _READS:
        return None
    by_name = dict(decoded)
    origin = by_name.get(b"origin")
    if by_name.get(b"sec-fetch-site") in _FOREIGN or (
        origin is not None and not _is_same(origin, host_headers[0])
    ):
        return Refusal(403, "the request comes from a web page of another site, which may not do this")
    return None


class Guard:
    """ASGI middleware: refuses requests of other sites' pages, and adds `HEADERS` and `headers` to every answer.

    `name_of`: the JSON member that holds the sentence of a refusal, by path. `is_write`: whether to treat a read as a
    write.
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
                own = list(message.get("headers", ()))
                names = {name.lower() for name, _ in own}
                more = [(name.lower().encode(), value.encode()) for name, value in added.items()]
                message = {**message, "headers": own + [header for header in more if header[0] not in names]}
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
    """Return whether a page's origin is this server, under the name in the request's Host."""
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
        parts = urlsplit(url)
        return parts.hostname, parts.port
    except ValueError:
        return None, None


def _is_address(host: str) -> bool:
    """Return whether the host is an IP address, which DNS cannot rebind."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
