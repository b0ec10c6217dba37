"""Rights of an account: import into tables, export tables, see jobs. Pure; the API enforces them."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

EVERY_TABLE = "*"
NO_TABLE = "none"


class JobsRight(StrEnum):
    """The jobs that an account may see, read and cancel."""

    OWN = "own"
    ALL = "all"


@dataclass(frozen=True)
class Rights:
    """The rights of an account. `*` stands for every table, also one that is declared later."""

    import_tables: tuple[str, ...] = ()
    export_tables: tuple[str, ...] = ()
    jobs: JobsRight = JobsRight.OWN

    def may_import(self, table: str) -> bool:
        return _names(self.import_tables, table)

    def may_export(self, table: str) -> bool:
        return _names(self.export_tables, table)


@dataclass(frozen=True)
class Viewer:
    """A caller who wants to see jobs. `account_id` is None without an account: then jobs without an owner are visible.

    `sees_all`: all jobs are visible.
    """

    account_id: str | None
    sees_all: bool = False

    def sees(self, owner_id: str | None) -> bool:
        """Return whether a job of this owner is visible."""
        return self.sees_all or owner_id == self.account_id


EVERYBODY = Viewer(None, sees_all=True)
"""Who runs the service: sees the jobs of every owner."""


def read_tables(text: str) -> tuple[str, ...]:
    """Return the tables of a list such as `users,articles`, each once. `*` means every table, `none` no table."""
    names = dict.fromkeys(name for part in text.split(",") if (name := part.strip()))
    names.pop(NO_TABLE, None)
    return (EVERY_TABLE,) if EVERY_TABLE in names else tuple(names)


def shown_tables(tables: Collection[str]) -> str:
    """Return the list in the form that `read_tables` reads."""
    return ",".join(tables) or NO_TABLE


def _names(tables: Collection[str], table: str) -> bool:
    return EVERY_TABLE in tables or table in tables
