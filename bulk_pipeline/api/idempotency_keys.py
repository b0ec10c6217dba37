"""The header Idempotency-Key: a request that comes again with the same one is answered with what the first has made."""

from fastapi import HTTPException

_LONGEST = 128


def required_key(given: str | None) -> str:
    """The key without blanks around it. `HTTPException` 400 without one, and for one that is too long."""
    if given is None or not given.strip():
        raise HTTPException(400, "Idempotency-Key header required")
    key = read_key(given)
    assert key is not None
    return key


def read_key(given: str | None) -> str | None:
    """The key without blanks around it; None without one. `HTTPException` 400 for one that is none."""
    if given is None:
        return None
    key = given.strip()  # a header is Latin-1, so it has no NUL
    if not 0 < len(key) <= _LONGEST:
        raise HTTPException(
            400, f"Idempotency-Key has {len(key)} characters: give it 1 to {_LONGEST}, or leave it out"
        )
    return key
