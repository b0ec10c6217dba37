"""Classifies errors of Postgres by their SQLSTATE: whether a retry helps, and whether single rows are the cause.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import re
from enum import Enum, auto

import psycopg


class Meaning(Enum):
    """The meaning of an error for its handling."""

    CONFLICT = auto()
    """The transaction conflicts with another one, and succeeds when it is repeated."""
    OUTAGE = auto()
    """The server is gone, full or stopping: the statement succeeds later."""
    ROWS = auto()
    """Rows are refused by a constraint, a trigger or a column's type: other rows may be stored."""
    REFUSAL = auto()
    """The statement does not fit the table or the rights: it fails until these are changed."""
    UNKNOWN = auto()
    """A bug, of ours or of Postgres."""


OUTAGES = ("08", "40", "53", "57", "58", "25006", "25P03", "25P04", "55006", "55P03", "72")
"""Prefixes of the SQLSTATEs of outages; 25006: the server has become a standby."""

_CONFLICTS = ("40001", "40P01")
_BAD_COPY = ("08P01", "22P03")
"""COPY's binary format does not fit the column's type: "insufficient data left in message"."""
_ROWS = ("09", "21", "22", "23", "27", "38", "39", "44", "54", "P0")
_REFUSALS = ("0A", "28", "2F", "3D", "3F", "42", "55", *_BAD_COPY)
_OTHERS = "00 01 02 03 0B 0F 0L 0P 0Z 20 24 25 26 2B 2D 34 3B F0 HV XX"
_STANDARD = (*OUTAGES, *_ROWS, *_REFUSALS, *_OTHERS.split())
_RAISED = re.compile(r"PL/pgSQL.*\bRAISE$")
"""The first line of an error's context, in every language, if a function raised it on purpose."""


def meaning(error: psycopg.Error) -> Meaning:
    """Return the meaning of an error of the driver."""
    state = error.sqlstate
    if state is None:  # an error of the driver itself
        return Meaning.OUTAGE if isinstance(error, psycopg.OperationalError) else Meaning.UNKNOWN
    if state in _CONFLICTS:
        return Meaning.CONFLICT
    if error.diag.severity_nonlocalized in ("FATAL", "PANIC"):  # pgbouncer's are all 08P01
        return Meaning.OUTAGE
    if is_raised(error) or is_of_policy(error) or not state.startswith(_STANDARD):
        return Meaning.ROWS
    for prefixes, result in (
        (_BAD_COPY, Meaning.REFUSAL),
        (OUTAGES, Meaning.OUTAGE),
        (_ROWS, Meaning.ROWS),
        (_REFUSALS, Meaning.REFUSAL),
    ):
        if state.startswith(prefixes):
            return result
    return Meaning.UNKNOWN


def is_of_policy(error: psycopg.Error) -> bool:
    """Return True if row-level security refused a row; a right that is missing has the same SQLSTATE."""
    return error.sqlstate == "42501" and error.diag.source_function == "ExecWithCheckOptions"


def is_raised(error: psycopg.Error) -> bool:
    """Return True if a function, such as that of a trigger, raised the error on purpose, with its own message."""
    innermost = (error.diag.context or "").partition("\n")[0]
    return error.sqlstate == "P0001" or _RAISED.match(innermost) is not None
