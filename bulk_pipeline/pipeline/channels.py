"""Sends a notice to a recipient: a signed webhook, or mail and chat by Apprise.

Webhooks follow https://github.com/standard-webhooks/standard-webhooks: receivers verify them with its libraries.
"""

import hmac
import logging
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

import orjson

from bulk_pipeline.errors import DeliveryError
from bulk_pipeline.pipeline.notices import Notice, document
from bulk_pipeline.schema.subscription import UPLOADER, is_address
from bulk_pipeline.settings import NotifySettings, listed, variable
from bulk_pipeline.web.post import post

FROM_SETTINGS = "NOTIFY_URLS"
_SECRET = "whsec_"
_LEAST_SECRET_BYTES = 24


def setting_recipients(settings: NotifySettings) -> dict[str, str]:
    """Return the recipients of NOTIFY_URLS: by the name that the ledger may store, what the setting has.

    A URL may hold a secret, so its name is a fingerprint.
    """
    held = settings.notify_urls.get_secret_value() if settings.notify_urls else ""
    return {
        text if text.startswith("$") or is_address(text) else f"{FROM_SETTINGS}:{_fingerprint(text)}": text
        for text in listed(held)
    }


def send(
    recipient: str,
    notice: Notice,
    settings: NotifySettings,
    *,
    message_id: str,
    now: datetime,
    uploader: Callable[[], str | None],
) -> None:
    """Send the notice. Raises `DeliveryError`. `uploader` returns the address of the account that sent the file."""
    url = _url(recipient, settings, uploader)
    if url.startswith(("http://", "https://")):
        body = orjson.dumps(document(notice))
        headers = signature(_secret(recipient, settings), message_id, now, body)
        post(url, body, headers, seconds=settings.notify_seconds, private_too=settings.notify_private)
    else:
        _notify(url, notice)


def signature(secret: str, message_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a Standard Webhook. Raises `DeliveryError` for a secret that is not one."""
    try:
        key = b64decode(secret.removeprefix(_SECRET), validate=True)
    except (Base64Error, ValueError):
        key = b""
    if not secret.startswith(_SECRET) or len(key) < _LEAST_SECRET_BYTES:
        raise DeliveryError(
            f"the webhook's secret must be {_SECRET} and at least {_LEAST_SECRET_BYTES} bytes in base64: "
            f"make one with: echo {_SECRET}$(openssl rand -base64 32)"
        )
    at = str(int(now.timestamp()))
    signed = hmac.digest(key, b".".join((message_id.encode(), at.encode(), body)), sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{b64encode(signed).decode()}",
    }


def _url(recipient: str, settings: NotifySettings, uploader: Callable[[], str | None]) -> str:
    if recipient.startswith(f"{FROM_SETTINGS}:"):
        found = setting_recipients(settings).get(recipient)
        if found is None:
            raise DeliveryError("NOTIFY_URLS no longer has this recipient")
        return found
    if recipient == UPLOADER:
        address = uploader()
        if address is None:
            raise DeliveryError("the account that sent the file no longer exists", is_final=True)
        return _mail_to(address, settings)
    if recipient.startswith("$"):
        value = variable(recipient[1:])
        if value is None:
            raise DeliveryError(
                f"the environment variable {recipient[1:]} is not set: set it for the code server"
            )
        return _mail_to(value, settings) if is_address(value) else value
    return _mail_to(recipient, settings) if is_address(recipient) else recipient


def _secret(recipient: str, settings: NotifySettings) -> str:
    """Return the secret of a webhook: that of the variable NAME_SECRET for a recipient $NAME, else the common one."""
    own = variable(f"{recipient[1:]}_SECRET") if recipient.startswith("$") else None
    if own is not None:
        return own
    if settings.notify_webhook_secret is not None:
        return settings.notify_webhook_secret.get_secret_value()
    needed = (
        f"{recipient[1:]}_SECRET or NOTIFY_WEBHOOK_SECRET" if recipient[0] == "$" else "NOTIFY_WEBHOOK_SECRET"
    )
    raise DeliveryError(f"webhooks are signed, and there is no secret: set {needed}")


def _mail_to(address: str, settings: NotifySettings) -> str:
    if settings.notify_mail_url is None:
        raise DeliveryError(
            "no mail server is known: set NOTIFY_MAIL_URL, like mailtos://user:password@host?from=address"
        )
    url = settings.notify_mail_url.get_secret_value()
    return f"{url}{'&' if '?' in url else '?'}to={quote(address, safe='@')}"


def _notify(url: str, notice: Notice) -> None:
    try:
        import apprise  # the extra `notify`
    except ImportError as error:
        raise DeliveryError(
            "mail and chat need Apprise, which is not installed: pip install 'bulk-pipeline[notify]'"
        ) from error
    target = apprise.Apprise()
    if not target.add(url):
        scheme = url.partition(":")[0]
        raise DeliveryError(f"Apprise cannot read the {scheme}: URL, see https://appriseit.com/services/")
    reasons = _Reasons()
    log = logging.getLogger("apprise")
    log.addHandler(reasons)
    try:
        is_sent = target.notify(body=notice.text, title=notice.title, body_format=apprise.NotifyFormat.TEXT)
    finally:
        log.removeHandler(reasons)
    if not is_sent:
        raise DeliveryError(f"{url.partition(':')[0]}: {reasons.last or 'Apprise could not send it'}")


class _Reasons(logging.Handler):
    """Keeps Apprise's last warning, which says why a message was not sent. Its details are at DEBUG, and stay there."""

    last = ""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage().strip()


def _fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
