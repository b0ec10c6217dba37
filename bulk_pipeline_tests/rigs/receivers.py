"""Receivers of messages on this machine: a web server whose answers a test decides, and a mail server."""

import json
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from hashlib import sha256
from hmac import compare_digest, digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

SECRET = "whsec_" + b64encode(b"a secret of thirty-two bytes, yes").decode()
SLOW = -1
"""An answer that never comes to its end."""


@dataclass
class Hook:
    """A webhook's receiver. `answers`: the statuses of the next answers; after them, 200. `location`: of redirects."""

    url: str
    answers: list[int] = field(default_factory=list)
    location: str = ""
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.received]


@contextmanager
def receiving() -> Iterator[Hook]:
    """Run a web server during the block."""
    hook = Hook("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = hook.answers.pop(0) if hook.answers else 200
            with suppress(OSError):  # the sender has gone
                if status == SLOW:
                    self._drip()
                    return
                self.send_response(status)
                if hook.location:
                    self.send_header("Location", hook.location)
                self.end_headers()

        def do_GET(self) -> None:
            raise AssertionError("a redirect was followed")

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            until = time.monotonic() + 30
            while time.monotonic() < until:
                self.wfile.write(b"x")
                time.sleep(0.05)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def is_signed(headers: dict[str, str], body: bytes, secret: str = SECRET) -> bool:
    """Return whether a request is a Standard Webhook that was signed with the secret, as its receivers check it."""
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    wanted = b64encode(digest(b64decode(secret.removeprefix("whsec_")), signed, sha256)).decode()
    return any(
        version == "v1" and compare_digest(signature, wanted)
        for version, _, signature in (part.partition(",") for part in headers["webhook-signature"].split())
    )


@dataclass
class Mailbox:
    """A mail server's mail. `refuses`: the addresses that it does not know."""

    port: int = 0
    refuses: set[str] = field(default_factory=set)
    mails: list[tuple[list[str], str, str]] = field(default_factory=list)
    """Of each mail: addresses, subject, text."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        part = mail.get_body(("plain",))
        assert part is not None
        self.mails.append((envelope.rcpt_tos, str(mail["Subject"]), part.get_content()))
        return "250 OK"


@contextmanager
def mailing(port: int) -> Iterator[Mailbox]:
    """Run a mail server during the block."""
    mailbox = Mailbox(port)
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
