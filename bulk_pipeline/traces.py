"""How an exception is told in a log: its kind and the places it came through; its message only if it is harmless.

A driver, a parser or a validator puts the value it met into its message: a row of somebody's, or a password.
"""

import traceback
from collections.abc import Iterator

from bulk_pipeline.errors import BulkPipelineError

_HARMLESS = (BulkPipelineError, OSError, TypeError, AttributeError, NameError, ImportError, RuntimeError)
"""What is in the messages of these comes from us, from the system or from the code."""
_MOST_CAUSES = 10


def told(error: BaseException) -> list[dict[str, object]]:
    """`kind`, `message` if it is harmless, and `stack` (innermost last), of the exception and then of its causes."""
    return [_one(each) for each in _with_causes(error)]


def summary(error: BaseException) -> str:
    """In one line: its kind, its message if it is harmless, and where it was raised."""
    one = _one(error)
    stack = one["stack"]
    where = f" at {stack[-1]}" if isinstance(stack, list) and stack else ""
    what = f"{one['kind']}: {one['message']}" if one.get("message") else one["kind"]
    return f"{what}{where}"


def lines(error: BaseException) -> list[str]:
    """The same as `told`, for people."""
    found: list[str] = []
    for each in told(error):
        found.append(f"{each['kind']}: {each['message']}" if each.get("message") else str(each["kind"]))
        stack = each["stack"]
        assert isinstance(stack, list)
        found += [f"  {place}" for place in stack]
    return found


def _one(error: BaseException) -> dict[str, object]:
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
