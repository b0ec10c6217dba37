"""Format of the API's log: one JSON object per line for machines, readable lines for people.

It holds no token, password or row: no call logs them, and exceptions are formatted by `traces`.
"""

import logging
import sys
from typing import Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bulk_pipeline import traces

LogFormat = Literal["json", "text"]


def configure(log_format: LogFormat | None = None, stream: TextIO | None = None) -> None:
    """Send everything that this process logs, libraries included, to `stream`. Default: stderr.

    Default format: text on a terminal, JSON elsewhere.
    """
    out = stream or sys.stderr
    is_text = (log_format or ("text" if out.isatty() else "json")) == "text"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor] = _text(out) if is_text else _json()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # at INFO, HTTP clients log whole URLs with their signatures
    logging.getLogger("bulk_pipeline").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_is_not_logged_yet)


def _is_not_logged_yet(record: logging.LogRecord) -> bool:
    """Return False for uvicorn's line about a failed request: `errors` has logged it with the request id."""
    return not record.getMessage().startswith("Exception in ASGI application")


def _json() -> list[Processor]:
    return [
        _exception_as_data,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_dump),
    ]


def _text(out: TextIO) -> list[Processor]:
    return [_exception_as_lines, structlog.dev.ConsoleRenderer(colors=out.isatty())]


def _dump(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def _exception_as_data(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (error := _exception(event)) is not None:
        event["exception"] = traces.describe(error)
    return event


def _exception_as_lines(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (error := _exception(event)) is not None:
        event["exception"] = "\n".join(traces.lines(error))
    return event


def _exception(event: EventDict) -> BaseException | None:
    """Remove the exception from the event and return it, for all forms of `exc_info`."""
    exc_info = event.pop("exc_info", None)
    if isinstance(exc_info, tuple):
        return exc_info[1]
    return sys.exc_info()[1] if exc_info is True else exc_info or None
