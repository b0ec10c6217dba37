"""The modes of an import: what to do when a row's key already exists."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True, kw_only=True)
class ModeRules:
    """The rules of one mode. How its rows are written is not here: that differs by mode in `match` statements
    (`stages/load`).

    `updates_rows`: an import may change stored rows.
    `needs_key`: rows are compared with stored ones, so that a table without a key cannot be loaded.
    `rejects_repeated_keys`: a key belongs to the first row of the file that claims it; later rows are rejected.
    `keeps_absent_cells`: a cell that the file lacks is left as it is in a stored row, so that only a new row needs it.
    """

    updates_rows: bool
    needs_key: bool
    rejects_repeated_keys: bool
    keeps_absent_cells: bool


class Mode(StrEnum):
    """The treatment of a row whose key already exists: reject the row, or update the stored one."""

    rules: ModeRules

    INSERT_ONLY = (
        "insert_only",
        ModeRules(
            updates_rows=False,
            needs_key=False,
            rejects_repeated_keys=True,
            keeps_absent_cells=False,
        ),
    )
    UPSERT = (
        "upsert",
        ModeRules(
            updates_rows=True,
            needs_key=True,
            rejects_repeated_keys=False,
            keeps_absent_cells=True,
        ),
    )

    def __new__(cls, value: str, rules: ModeRules) -> Self:
        mode = str.__new__(cls, value)
        mode._value_, mode.rules = value, rules
        return mode
