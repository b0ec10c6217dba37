"""Exceptions as log lines: their type and stack, and the message only if it can hold no user data.

Messages of drivers, parsers and validators quote values: a row, or a password.
"""

import traceback
from collections.abc import Iterator

from bulk_pipeline.errors import BulkPipelineError

_HARMLESS = (BulkPipelineError, OSError, TypeError, AttributeError, NameError, ImportError, RuntimeError)
"""Messages of these are written by this package, the system or the interpreter."""
_MOST_CAUSES = 10


def describe(error: BaseException) -> list[dict[str, object]]:
    """Return `kind`, `stack` (innermost last) and, if harmless, `message` of the exception and of each cause."""
    return [_describe_one(each) for each in _with_causes(error)]


def summary(error: BaseException) -> str:
    """Return one line: the type, the message if it is harmless, and the place where it was raised."""
    facts = _describe_one(error)
    stack = facts["stack"]
    where = f" at {stack[-1]}" if isinstance(stack, list) and stack else ""
    return f"{_title(facts)}{where}"


def lines(error: BaseException) -> list[str]:
    """Return the facts of `describe` as lines for people."""
    text: list[str] = []
    for facts in describe(error):
        stack = facts["stack"]
        assert isinstance(stack, list)
        text += [_title(facts), *(f"  {place}" for place in stack)]
    return text


def _title(facts: dict[str, object]) -> str:
    return f"{facts['kind']}: {facts['message']}" if facts.get("message") else str(facts["kind"])


def _describe_one(error: BaseException) -> dict[str, object]:
    message = {"message": str(error)} if isinstance(error, _HARMLESS) else {}
    frames = traceback.extract_tb(error.__traceback__)
    stack = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"kind": type(error).__name__, **message, "stack": stack}


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_MOST_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
