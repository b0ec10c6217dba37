"""Checks the address and the password of a new account, for the API and the command line."""

import re

from bulk_pipeline.tables.columns import email

_ADDRESS = email()
_PATTERN = re.compile(_ADDRESS.pattern or "")

MOST_ADDRESS_CHARACTERS = _ADDRESS.max_length
LEAST_PASSWORD_CHARACTERS = 8
MOST_PASSWORD_CHARACTERS = 1024
"""Hashing a longer password would cost more than it protects."""


def checked_address(text: str) -> str:
    """Return the address unchanged. Raises `ValueError` if it is not one."""
    is_long = MOST_ADDRESS_CHARACTERS is not None and len(text) > MOST_ADDRESS_CHARACTERS
    if is_long or not _PATTERN.fullmatch(text) or not text.isprintable():
        raise ValueError(f"not {_ADDRESS.pattern_name}")
    return text


def checked_password(text: str) -> str:
    """Return the password unchanged. Raises `ValueError`, without the password, if it is too short or too long."""
    if not LEAST_PASSWORD_CHARACTERS <= len(text) <= MOST_PASSWORD_CHARACTERS:
        raise ValueError(
            f"a password has {LEAST_PASSWORD_CHARACTERS} to {MOST_PASSWORD_CHARACTERS:,} characters"
        )
    return text
