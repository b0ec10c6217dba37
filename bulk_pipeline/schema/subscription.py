"""Subscriptions to messages about the files of a table."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bulk_pipeline.errors import DeclarationError

UPLOADER = "uploader"
"""The recipient that stands for the account which sent the file."""

_VARIABLE = re.compile(r"\$[A-Z][A-Z0-9_]*")
_ADDRESS = re.compile(r"[^@\s:/?#,;]+@[^@\s:/?#,;]+\.[^@\s:/?#,;]+")
_WEBHOOK = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")


class Event(StrEnum):
    """The events about which messages are sent. The ledger stores the values."""

    FINISHED = "finished"
    """Every row of a file is in the table."""
    REJECTED = "rejected"
    """Some rows of a file were rejected, and the others are in the table."""
    FAILED = "failed"
    """A file failed as a whole."""
    CANCELLED = "cancelled"
    """The import of a file was cancelled."""
    LATE = "late"
    """An expected file has not arrived."""


DEFAULT_EVENTS = (Event.REJECTED, Event.FAILED, Event.LATE)


@dataclass(frozen=True)
class Subscription:
    """A recipient, and the events of which it is told.

    `to`: `uploader`, an e-mail address, the URL of a webhook that holds no secret, or `$NAME`, an environment variable
    that holds a URL. Raises `DeclarationError` for anything else, so that no secret is written into a table file.
    """

    to: str
    on: tuple[Event, ...] = DEFAULT_EVENTS

    def __post_init__(self) -> None:
        if not is_recipient(self.to):
            raise DeclarationError(
                "notify: `to` is none of: uploader, an e-mail address, the http(s) URL of a webhook without a "
                "password or a query, or $NAME, the environment variable that holds a URL with secrets"
            )


def is_recipient(text: str) -> bool:
    """Return whether a table file may name this recipient."""
    return text == UPLOADER or any(form.fullmatch(text) for form in (_VARIABLE, _ADDRESS, _WEBHOOK))


def is_address(text: str) -> bool:
    """Return whether the recipient is an e-mail address."""
    return _ADDRESS.fullmatch(text) is not None
