"""Keys of JSON objects to columns, learnt as they turn up."""

from collections.abc import Iterable, Mapping
from typing import Any

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import NOTHING_DECLARED, Table, UploadFormat
from bulk_pipeline.stages.parse import header
from bulk_pipeline.stages.parse.cells import encodable
from bulk_pipeline.stages.parse.column_names import ColumnNames
from bulk_pipeline.stages.parse.near_names import near
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Notes

_REMEMBERED = 1000
_DIFFERENT_KEYS = 1000


class Keys:
    """With a table, keys are matched like the names of a header; without, every key is a column.

    A key whose name is near a column stands for that column, perhaps: an object without the column is no row.
    """

    def __init__(
        self, table: Table | None, notes: Notes, limits: Limits, declared: UploadFormat = NOTHING_DECLARED
    ) -> None:
        self._table = table
        self._matched = None if table is None else ColumnNames(table, declared)
        self._near: dict[str, str] = {}
        self._notes = notes
        self._limits = limits
        self._names: dict[str, str | None] = {}
        self._unknown: dict[str, bool] = {}  # whether it needs a word
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
        if key in self._unknown:
            return None
        if self._matched is None:
            name = None if key in IGNORED_COLUMNS else encodable(key)
        else:
            name = self._matched.column(key)
        if name is not None:
            self._names[key] = name
            self._check_number()
        elif len(self._unknown) < _REMEMBERED:
            needs_word = self._matched is not None and not self._matched.is_left_out(key)
            self._unknown[key] = needs_word
            if self._matched is not None and needs_word:
                self._near |= near([key], self._matched.table.column_names)
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
            return self._lost_to_a_near_key(found, renamed) or renamed
        repeated = next(name for name in renamed if names.count(name) > 1)
        return f"has the column {repeated} twice, under different spellings of its key"

    def near(self, key: str) -> str | None:
        """The column that a key is near, if it is none itself."""
        return self._near.get(key)

    def _lost_to_a_near_key(self, found: Mapping[str, Any], renamed: Mapping[str, Any]) -> str | None:
        if not self._near:
            return None
        meant = {
            key: self._near[key]
            for key, value in found.items()
            if key in self._near and self._near[key] not in renamed and value is not None
        }
        return f"has keys that are no columns: {header.did_you_mean(meant)}" if meant else None

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
        """After the first objects: without one column of the table they are no rows of it, and a key that is near a
        column which none of them has is probably that column. One error says so better than a failure each."""
        if self._matched is None:
            return
        table, seen = self._matched.table, self._seen
        keys = [*self._names, *self._unknown]
        if not seen and self._unknown:
            raise FileError(
                "no_header",
                f"no key is a column: found {header.listed(self._unknown)}; expected columns of {table.name}: "
                f"{header.listed(table.column_names)}{header.meant(self._words(), table.column_names)}",
            )
        header.refuse_near(self._words(), seen, keys, table)
        header.refuse_mostly_unknown(self._words(), seen, keys, table)

    def finish(self) -> None:
        """Says which keys were not used, and which were declared and not there, once for the file."""
        if self._matched is not None:
            header.warn_of_unknown(self._words(), self._matched.table, self._notes)
            header.warn_of_unused([*self._names, *self._unknown], self._matched, self._notes)

    def _words(self) -> list[str]:
        return [key for key, needs_word in self._unknown.items() if needs_word]
