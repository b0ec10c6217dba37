"""A table: columns, keys, foreign keys and the rules that hold for one row.

A table file in `bulk_pipeline.tables` holds one `Table` and nothing else.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.code_pages import known_code_page, unknown_code_page
from bulk_pipeline.schema.column import Column, Generated
from bulk_pipeline.schema.expectation import Expectation
from bulk_pipeline.schema.keys import DEFAULT_SCHEMA, ForeignKey, Key, TableName
from bulk_pipeline.schema.mode import Mode
from bulk_pipeline.schema.subscription import Subscription
from bulk_pipeline.schema.upload_format import EXPORT_PROFILE, LEFT_OUT, NOTHING_DECLARED, UploadFormat

_PROFILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,49}")
_UPLOAD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

if TYPE_CHECKING:  # importing pandas takes a second, and most readers of a declaration never need it
    import pandas as pd
    import pyarrow as pa

KeyForm: TypeAlias = "Callable[[pa.Array], pa.Array]"
"""Gives for each cell of a key column a text, the same for cells that the database holds for equal."""
NO_FORMS: Mapping[str, KeyForm] = {}


@dataclass(frozen=True)
class Rule:
    """A rule about several cells of one row.

    `passes` gets a frame of `columns` (Arrow-backed, absent columns all NULL) and returns a boolean series
    with the frame's index: true where the row keeps the rule; unknown (NULL) counts as kept, as in SQL.
    `message` is the sentence for a row that does not.
    """

    name: str
    columns: tuple[str, ...]
    passes: "Callable[[pd.DataFrame], pd.Series]"
    message: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """The declaration from which validation, loading, the header match, help and docs follow.

    `schema`, `name`: of the table in the database. `upload_name`: how uploads, the API and people call it; `name`, or
    `schema.name` where the schema is not `public`, if nothing else is declared.
    `primary_key`: its columns; empty if the table has none. `unique_keys`: the columns of each further key, or a `Key`.
    `after`: further tables whose files go before those of this one, as if it referred to them.
    `touch`: columns that an update sets to the current time, unless the row has a value for them. A row that differs
    only in them is unchanged. `upload_format` holds for every upload, where the upload itself declares nothing else.
    `profiles`: variations of it by name, such as those of suppliers, which an upload may choose.
    `expects`: when a file of the table is expected, on which days.
    `export_visible_rows`: exports may lack the rows that row-level security hides from the login; else it refuses them.
    `notify`: who is told about its files, besides the recipients of the settings.
    `key_forms`: for columns whose equality only the database knows; not declared, but asked while rows are imported.
    """

    name: str
    columns: tuple[Column, ...]
    schema: str = DEFAULT_SCHEMA
    upload_name: str = ""
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...] | Key, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    after: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    default_mode: Mode = Mode.INSERT_ONLY
    touch: tuple[str, ...] = ()
    description: str = ""
    upload_format: UploadFormat = NOTHING_DECLARED
    profiles: tuple[tuple[str, UploadFormat], ...] = ()
    expects: Expectation | None = None
    export_visible_rows: bool = False
    notify: tuple[Subscription, ...] = ()
    key_forms: Mapping[str, KeyForm] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.upload_name:
            object.__setattr__(self, "upload_name", str(self.qualified_name))
        title = f"table {self.upload_name}"
        if not _UPLOAD_NAME.fullmatch(self.upload_name):
            raise DeclarationError(
                f"{title}: uploads cannot be in a folder of this name: declare an upload_name of at most 100 ASCII "
                "letters, digits, dots, hyphens and underscores"
            )
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DeclarationError(f"{title}: column {repeated[0]} is declared twice")
        used = [(name, "the primary key") for name in self.primary_key]
        used += [(name, f"unique key ({key})") for key in self.keys for name in key.columns]
        used += [(name, "a foreign key") for key in self.foreign_keys for name in key.columns]
        used += [(name, f"rule {rule.name}") for rule in self.rules for name in rule.columns]
        used += [(name, "touch") for name in self.touch]
        for name, where in used:
            if name not in names:
                raise DeclarationError(f"{title}: {where} names {name}, which is not a column")
        for other in self.after:
            TableName.parse(other)
        for key in self.keys:
            if not key.columns or len(set(key.columns)) < len(key.columns):
                raise DeclarationError(f"{title}: key ({key}) must name at least one column, and each once")
        if repeated := sorted(str(key) for key in set(self.keys) if self.keys.count(key) > 1):
            raise DeclarationError(f"{title}: key ({repeated[0]}) is declared twice")
        self._check_format(title, self.upload_format)
        for name, _ in self.profiles:
            if not _PROFILE_NAME.fullmatch(name) or name == EXPORT_PROFILE:
                raise DeclarationError(
                    f"{title}: a profile cannot be called {name!r}: use at most 50 ASCII letters, digits, dots, "
                    f"hyphens and underscores, and not {EXPORT_PROFILE}, which every table has"
                )
            self._check_format(f"{title}: profile {name}", self.profile_format(name))
        rules = [rule.name for rule in self.rules]
        if len(set(rules)) < len(rules):
            raise DeclarationError(f"{title}: two rules have the same name: {', '.join(rules)}")

    def _check_format(self, title: str, format_: UploadFormat) -> None:
        for name, column in format_.columns:
            if column not in (*self.column_names, LEFT_OUT):
                raise DeclarationError(f"{title}: {name!r} stands for {column}, which is not a column")
        match, keys = format_.match, [*map(str, self.keys)]
        if match and not any(set(key.columns) == {*match} for key in self.keys):
            known = f"its keys are {'; '.join(keys)}" if keys else "it has none"
            raise DeclarationError(f"{title}: match {', '.join(match)} is not a key of the table: {known}")
        if format_.encoding is not None and known_code_page(format_.encoding) is None:
            raise DeclarationError(f"{title}: {unknown_code_page(format_.encoding)}")
        try:
            format_.check()
        except DeclarationError as error:
            raise DeclarationError(f"{title}: {error}") from None

    def profile_format(self, profile: str | None) -> UploadFormat:
        """Return the format that the table declares for uploads of a profile, or without one.

        Raises `DeclarationError` for an unknown profile.
        """
        if profile is None:
            return self.upload_format
        if profile == EXPORT_PROFILE:
            return UploadFormat(match=self.upload_format.match)
        profiles = dict(self.profiles)
        if profile not in profiles:
            known = ", ".join([*profiles, EXPORT_PROFILE])
            raise DeclarationError(f"{self.upload_name} has no profile {profile!r}: expected one of {known}")
        return profiles[profile].over(self.upload_format)

    def format_of(self, declared: UploadFormat) -> UploadFormat:
        """Return what an upload declares, over what its profile and the table do.

        Raises `DeclarationError` for an unknown profile, and for declarations that contradict each other.
        """
        together = declared.over(self.profile_format(declared.profile))
        together.check()
        self.matching(together)
        return together

    @cached_property
    def qualified_name(self) -> TableName:
        return TableName(self.schema, self.name)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The keys in the order in which they identify a row: the one that the upload format names with `match`, the
        primary key, if there is one, and the unique keys in order of declaration."""
        keys = (*([Key(tuple(self.primary_key))] if self.primary_key else []), *self.further_keys)
        return tuple(sorted(keys, key=lambda key: not self._is_matched(key)))

    @cached_property
    def identifying_keys(self) -> tuple[Key, ...]:
        """The keys by which a row may mean a stored one."""
        return tuple(key for key in self.keys if self._is_matched(key)) or self.keys

    @cached_property
    def further_keys(self) -> tuple[Key, ...]:
        """The unique keys besides the primary key."""
        return tuple(key if isinstance(key, Key) else Key(tuple(key)) for key in self.unique_keys)

    @cached_property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of all keys, each once."""
        return tuple(dict.fromkeys(name for key in self.keys for name in key.columns))

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """The tables this one refers to, declared or not, without itself, in order of declaration: `shop.customers`."""
        parents = dict.fromkeys(key.parent for key in self.foreign_keys)
        return tuple(str(parent) for parent in parents if parent != self.qualified_name)

    @cached_property
    def predecessors(self) -> tuple[str, ...]:
        """The tables whose files go before those of this one: its parents, and those that are declared besides."""
        after = (TableName.parse(name) for name in self.after)
        further = (str(name) for name in after if name != self.qualified_name)
        return tuple(dict.fromkeys((*self.parents, *further)))

    @cached_property
    def may_hold_empty_rows(self) -> bool:
        """Return whether the table may hold rows of which no cell has a value."""
        return not any(
            column.required
            or column.required_in
            or column.name in self.primary_key
            or (column.null_keeps_stored and column.generated is not Generated.ALWAYS)
            for column in self.columns
        )

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def required_columns(self, mode: Mode) -> tuple[str, ...]:
        """The columns a file must have, and whose cells must have a value."""
        return tuple(
            column.name
            for column in self.columns
            if column.is_writable
            and (
                column.required
                or mode in column.required_in
                or (column.name in self.primary_key and not column.null_keeps_stored)
                or (mode.rules.updates_rows and column.name in self.upload_format.match)
            )
        )

    def matching(self, declared: UploadFormat) -> "Table":
        """Return the table for an upload, whose rows mean stored rows by the key that `declared` names, if it does.

        Raises `DeclarationError` if that is not a key of the table.
        """
        if not declared.match or declared.match == self.upload_format.match:
            return self
        return replace(self, upload_format=replace(self.upload_format, match=declared.match))

    def _is_matched(self, key: Key) -> bool:
        return {*key.columns} == {*self.upload_format.match}

    def refers_to_itself(self, columns: Sequence[str]) -> bool:
        """Return whether rows with these columns may refer to other rows of the table."""
        own = (key for key in self.foreign_keys if key.parent == self.qualified_name)
        return any(key.is_in(columns) for key in own)
