"""Maps the keys of JSON objects to columns, as they occur in the file."""

from collections.abc import Iterable, Mapping
from typing import Any

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.schema import NOTHING_DECLARED, Table, UploadFormat
from bulk_pipeline.stages.parse import header_match
from bulk_pipeline.stages.parse.cells import encodable
from bulk_pipeline.stages.parse.column_names import ColumnNames, is_origin_column
from bulk_pipeline.stages.parse.near_names import near
from bulk_pipeline.stages.parse.parsed import IGNORED_COLUMNS, Notes

_REMEMBERED = 1000
_DIFFERENT_KEYS = 1000


class Keys:
    """The columns of the keys of a file. With a table, keys match like names of a header; without, each is a column.

    An unknown key that is near a column may stand for it: an object with such a key and without the column is rejected.
    """

    def __init__(
        self, table: Table | None, notes: Notes, limits: Limits, declared: UploadFormat = NOTHING_DECLARED
    ) -> None:
        self._table = table
        self._matched = None if table is None else ColumnNames(table, declared)
        self._declared = declared
        self._near: dict[str, str] = {}
        self._notes = notes
        self._limits = limits
        self._names: dict[str, str | None] = {}
        self._unknown: dict[str, bool] = {}  # True if the key needs a warning
        self._widest = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the table, or without a table all keys so far."""
        return self._seen if self._table is None else self._table.column_names

    @property
    def _seen(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in self._names.values() if name is not None))

    def name(self, key: str) -> str | None:
        """Return the column of a key, or None."""
        if key in self._names:
            return self._names[key]
        if key in self._unknown:
            return None
        if self._matched is None:
            name = None if key in IGNORED_COLUMNS else encodable(key)
        else:
            name = self._matched.column(key)
        self._notes.has_origins |= is_origin_column(key)
        if name is not None:
            self._names[key] = name
            self._check_number()
        elif len(self._unknown) < _REMEMBERED:
            needs_warning = self._matched is not None and not self._matched.is_left_out(key)
            self._unknown[key] = needs_warning
            if self._matched is not None and needs_warning:
                self._near |= near([key], self._matched.table.column_names)
        return name

    def names(self, keys: Iterable[str]) -> list[str | None]:
        """Return the columns of the keys of one object."""
        keys = list(keys)
        self._widest = max(self._widest, len(keys))
        return [self.name(key) for key in keys]

    def renamed(self, item: dict[str, Any]) -> dict[str, Any] | str:
        """Return the object with columns as keys, or its problem."""
        names = self.names(item)
        renamed = {name: value for name, value in zip(names, item.values(), strict=True) if name is not None}
        if len(renamed) == len(names) - names.count(None):
            return self._near_key_problem(item, renamed) or renamed
        repeated = next(name for name in renamed if names.count(name) > 1)
        return f"has the column {repeated} twice, under different spellings of its key"

    def near(self, key: str) -> str | None:
        """Return the column that an unknown key is near, or None."""
        return self._near.get(key)

    def _near_key_problem(self, item: Mapping[str, Any], renamed: Mapping[str, Any]) -> str | None:
        if not self._near:
            return None
        meant = {
            key: self._near[key]
            for key, value in item.items()
            if key in self._near and self._near[key] not in renamed and value is not None
        }
        return f"has keys that are not columns: {header_match.did_you_mean(meant)}" if meant else None

    def _check_number(self) -> None:
        """Raise `FileError` for very many different keys, each of which would be one more cell in every row."""
        limit = min(self._limits.columns, max(_DIFFERENT_KEYS, 2 * self._widest))
        if len(self._names) > limit:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the objects have more than {limit:,} different keys: they are not rows of one table",
            )

    def note(self) -> None:
        """Record the columns that have occurred so far."""
        seen = set(self._seen)
        self._notes.columns = tuple(name for name in self.columns if name in seen)

    def refuse_other_table(self) -> None:
        """Raise `FileError` if the first objects have no column of the table, or a key near a column that none has.

        One error for the file is more useful than a failure for each row.
        """
        if self._matched is None:
            return
        table, seen = self._matched.table, self._seen
        keys = [*self._names, *self._unknown]
        if not seen and self._unknown:
            raise FileError(
                FileErrorCode.NO_HEADER,
                f"no key is a column: found {header_match.listed(self._unknown)}; "
                f"expected columns of {table.upload_name}: "
                f"{header_match.listed(table.column_names)}"
                f"{header_match.meant(self._unused_keys(), table.column_names)}",
            )
        header_match.refuse_near(self._unused_keys(), seen, keys, table)
        header_match.refuse_mostly_unknown(self._unused_keys(), seen, keys, table)

    def finish(self) -> None:
        """Warn once of keys that were not used, and of declared names that do not occur."""
        if self._matched is not None:
            header_match.warn_of_unknown(
                self._unused_keys(), self._matched.table, self._notes, self._declared
            )
            seen = [*self._names, *self._unknown]
            header_match.warn_of_unused(seen, self._matched, self._notes)
            header_match.warn_of_read_only(seen, self._matched, self._notes)

    def _unused_keys(self) -> list[str]:
        return [key for key, needs_warning in self._unknown.items() if needs_warning]
