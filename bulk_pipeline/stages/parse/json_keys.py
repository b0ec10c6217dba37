"""Keys of JSON objects to columns, learnt as they turn up."""

from collections.abc import Iterable
from typing import Any

from bulk_pipeline.errors import FileError
from bulk_pipeline.schema import Table
from bulk_pipeline.stages.parse import header
from bulk_pipeline.stages.parse.limits import Limits
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Notes

_REMEMBERED = 1000
_DIFFERENT_KEYS = 1000


class Keys:
    """With a table, keys are matched like the names of a header; without, every key is a column."""

    def __init__(self, table: Table | None, notes: Notes, limits: Limits) -> None:
        self._table = table
        self._notes = notes
        self._limits = limits
        self._names: dict[str, str | None] = {}
        self._unknown: dict[str, None] = {}
        self._widest = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the table, or all keys so far."""
        return self._seen if self._table is None else self._table.column_names

    @property
    def _seen(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in self._names.values() if name is not None))

    def name(self, key: str) -> str | None:
        """The column of a key; None if it has none."""
        if key in self._names:
            return self._names[key]
        if self._table is None:
            name = None if key in IGNORED_COLUMNS else key.encode("utf-8", "backslashreplace").decode("utf-8")
        else:
            name = header.normalized(key)
            name = name if name in self._table.column_names else None
        if name is not None:
            self._names[key] = name
            self._check_number()
        elif len(self._unknown) < _REMEMBERED and key not in IGNORED_COLUMNS:
            self._unknown[key] = None
        return name

    def names(self, keys: Iterable[str]) -> list[str | None]:
        """The columns of the keys of one object."""
        keys = list(keys)
        self._widest = max(self._widest, len(keys))
        return [self.name(key) for key in keys]

    def renamed(self, found: dict[str, Any]) -> dict[str, Any] | str:
        """The object with columns for keys, or what is wrong with it."""
        names = self.names(found)
        renamed = {name: value for name, value in zip(names, found.values(), strict=True) if name is not None}
        if len(renamed) == len(names) - names.count(None):
            return renamed
        repeated = next(name for name in renamed if names.count(name) > 1)
        return f"has the column {repeated} twice, under different spellings of its key"

    def _check_number(self) -> None:
        """Objects that share no keys are no rows: every new column would be one more cell in every row."""
        limit = min(self._limits.columns, max(_DIFFERENT_KEYS, 2 * self._widest))
        if len(self._names) > limit:
            raise FileError(
                "too_large",
                f"the objects have more than {limit:,} different keys: they are no rows of one table",
            )

    def note(self) -> None:
        """Says which columns there were so far."""
        seen = set(self._seen)
        self._notes.columns = tuple(name for name in self.columns if name in seen)

    def refuse_strangers(self) -> None:
        """Objects without one column of the table are no rows of it: one error says so better than a failure each."""
        if self._table is None or self._seen or not self._unknown:
            return
        raise FileError(
            "no_header",
            f"no key is a column: found {header.listed(self._unknown)}; expected columns of {self._table.name}: "
            f"{header.listed(self._table.column_names)}",
        )

    def finish(self) -> None:
        """Says which keys were not used, once for the file."""
        if self._table is not None:
            header.warn_of_unknown(self._unknown, self._table, self._notes)
