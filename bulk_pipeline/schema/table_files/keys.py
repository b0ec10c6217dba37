"""The keys of a table file: the one description that reading, writing and the JSON Schema follow."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.column import Column, Generated, Identity
from bulk_pipeline.schema.column_type import ColumnType
from bulk_pipeline.schema.keys import DEFAULT_SCHEMA, ForeignKey
from bulk_pipeline.schema.keys import Key as UniqueKey
from bulk_pipeline.schema.mode import Mode
from bulk_pipeline.schema.subscription import Event, Subscription
from bulk_pipeline.schema.table import Rule, Table
from bulk_pipeline.schema.table_files.shapes import (
    Check,
    ColumnName,
    ColumnOr,
    Deadline,
    Flag,
    Key,
    Limit,
    ListOr,
    Many,
    Named,
    OneOf,
    OneOrMany,
    Pairs,
    Record,
    Shape,
    Text,
    Type,
    Value,
    Whole,
    Words,
)
from bulk_pipeline.schema.upload_format import FORMAT_PARTS, LEFT_OUT, Declaration, Kind, UploadFormat

_COLUMN_NAMES = Many(ColumnName())


def _declared(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that differ from their defaults."""
    declared = {}
    for field in fields(value):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if (found := getattr(value, field.name)) != default:
            declared[field.name] = found
    return declared


def _column(*, default: bool | str | None = None, **given: Any) -> Column:
    type_ = given.get("type", ColumnType.TEXT)
    if isinstance(default, bool) and bool not in type_.facts.default:
        raise DeclarationError(
            f"column {given['name']}: default {str(default).lower()} is not of type {type_}: "
            "put a text in quotes"
        )
    column = Column(default=default, **given)
    if column.pattern is not None:
        from bulk_pipeline.schema import patterns  # Arrow, which files without patterns do not need

        patterns.check_column(column)
    if column.bounds:
        from bulk_pipeline.schema.types import bounds

        bounds.check_column(column)
    return column


def _fields_of_column(column: Column) -> dict[str, Any]:
    return {"type": column.type} | _declared(column)


def _rule(*, check: Any, name: str | None = None, **given: Any) -> Rule:
    return Rule(name=name or check.__name__, passes=check, **given)


def _fields_of_rule(rule: Rule) -> dict[str, Any]:
    return {"name": rule.name, "check": rule.passes, "columns": rule.columns, "message": rule.message}


def _upload_format(**values: Any) -> UploadFormat:
    fields_ = {}
    for part in FORMAT_PARTS:
        if (value := values.get(part.name)) is not None:
            fields_[part.attribute] = part.value(value) if isinstance(value, str) else value
            part.check(fields_[part.attribute])
    return UploadFormat(**fields_)


def _fields_of_upload_format(upload_format: UploadFormat) -> dict[str, Any]:
    declared = upload_format.declared
    return {
        part.name: part.text(value) if part.kind in (Kind.TEXT, Kind.CHARACTER) else value
        for part in FORMAT_PARTS
        if (value := declared.get(part.attribute)) is not None
    }


def _unique_key(*, columns: tuple[str, ...], nulls_distinct: bool = True) -> UniqueKey:
    return UniqueKey(columns, nulls_distinct)


def _fields_of_table(table: Table) -> Mapping[str, Any]:
    declared = _declared(table)
    if table.upload_name == str(table.qualified_name):
        del declared["upload_name"]
    return declared | ({"unique_keys": table.further_keys} if table.further_keys else {})


COLUMN = Record(
    keys=(
        Key("type", Type(), "The type of the column, as Postgres writes it. Without one: text."),
        Key("required", Flag(), "Whether every row needs a value that is neither NULL nor empty."),
        Key("blank", Flag(), "Whether a required text may be empty or blank: only NULL is refused."),
        Key("max_length", Whole(), "The most characters of a text."),
        Key("max_words", Whole(), "The most words of a text."),
        Key("choices", Many(Text()), "The texts that are allowed."),
        Key("pattern", Text(), "A regular expression (RE2) that the whole text must match."),
        Key("pattern_name", Text(), "The pattern in words, for messages: `an order number like A-1234`."),
        Key("minimum", Limit(), "The least number, date or timestamp."),
        Key("above", Limit(), "A limit that values are greater than."),
        Key("maximum", Limit(), "The largest number, date or timestamp."),
        Key("below", Limit(), "A limit that values are less than."),
        Key("default", Value(), "What an empty cell of a new row becomes."),
        Key("required_in", Many(OneOf(Mode)), "The modes in which every row needs a value."),
        Key(
            "generated",
            OneOf(Generated),
            "`uuid`: a new row without a value gets a new UUID. `default`: it gets the default of the table. `always`: "
            "the database computes the value; that of a file is ignored.",
        ),
        Key(
            "identity",
            OneOf(Identity),
            "How the table numbers its rows: `always`, `by default` (as identity), or `serial`. A new row without a "
            "value gets the next number.",
        ),
        Key("read_only", Flag(), "Whether the values of files are ignored, with a warning."),
        Key("round", Flag(), "Whether a number with too many decimals is rounded, and not a failure."),
        Key("not_finite", Flag(), "Whether NaN and the infinities are values."),
        Key("null_elements", Flag(), "Whether elements of an array may be NULL."),
        Key("base64", Flag(), "Whether files hold bytes in base64, and not in hexadecimal."),
        Key("prefix", Text(), "A text that may stand before an id in files and is not stored: `cm_`."),
    ),
    make=_column,
    fields_of=_fields_of_column,
)

UNIQUE_KEY = Record(
    keys=(
        Key("columns", _COLUMN_NAMES, "The columns of the key.", required=True),
        Key("nulls_distinct", Flag(), "`false`: NULL is a value like others (NULLS NOT DISTINCT)."),
    ),
    make=_unique_key,
    fields_of=_declared,
)

FOREIGN_KEY = Record(
    keys=(
        Key("columns", _COLUMN_NAMES, "The columns of this table.", required=True),
        Key("table", Text(), "The table they refer to.", required=True),
        Key("references", Many(Text()), "The columns there, which are one of its keys.", required=True),
    ),
    make=ForeignKey,
    fields_of=_declared,
)

RULE = Record(
    keys=(
        Key("name", Text(), "The name of the rule. Without one: that of the function."),
        Key(
            "check",
            Check(),
            "`module:function`: it gets a data frame of the columns and returns a boolean series, "
            "true for each row that keeps the rule.",
            required=True,
        ),
        Key("columns", _COLUMN_NAMES, "The columns that the rule looks at.", required=True),
        Key("message", Text(), "The sentence for a row that breaks the rule.", required=True),
    ),
    make=_rule,
    fields_of=_fields_of_rule,
)

SUBSCRIPTION = Record(
    keys=(
        Key(
            "to",
            Text(),
            "`uploader`, an e-mail address, the URL of a webhook, or `$NAME`: the environment variable with a URL that "
            "holds secrets.",
            required=True,
        ),
        Key(
            "on",
            Many(OneOf(Event)),
            "The events about which it gets messages. Without it: rejected, failed and late.",
        ),
    ),
    make=Subscription,
    fields_of=lambda subscription: {"to": subscription.to, "on": subscription.on},
)

_SHAPES: dict[Kind, Shape[Any]] = {
    Kind.TEXT: Text(),
    Kind.CHARACTER: Text(),
    Kind.NUMBER: Whole(),
    Kind.LIST: OneOrMany(Text()),
    Kind.FLAG: Flag(),
    Kind.PAIRS: Pairs(ColumnOr(LEFT_OUT)),
}


def _key(part: Declaration) -> Key:
    shape = Words(part.words) if part.kind is Kind.TEXT and part.words else _SHAPES[part.kind]
    is_open = part.kind is Kind.CHARACTER or (not part.words and part.kind is not Kind.PAIRS)
    return Key(part.name, shape, f"{part.help} Example: `{part.example}`." if is_open else part.help)


UPLOAD_FORMAT = Record(
    keys=tuple(map(_key, FORMAT_PARTS)),
    make=_upload_format,
    fields_of=_fields_of_upload_format,
)

TABLE = Record(
    keys=(
        Key("schema", Text(), f"The schema of the table. Without one: {DEFAULT_SCHEMA}."),
        Key("name", Text(), "The name of the table.", required=True),
        Key(
            "upload_name",
            Text(),
            "The name in uploads and in the API. Default: `name`, or `schema.name` if the schema is not `public`.",
        ),
        Key("description", Text(), "What a row is, for people."),
        Key(
            "columns",
            Named(COLUMN, lambda column: column.name),
            "The columns by name, in the order of exports.",
            required=True,
        ),
        Key("primary_key", _COLUMN_NAMES, "The columns of the primary key."),
        Key(
            "unique_keys",
            Many(ListOr(_COLUMN_NAMES, UNIQUE_KEY)),
            "Further keys that identify a row: a list of columns for each key.",
        ),
        Key("foreign_keys", Many(FOREIGN_KEY), "The columns that refer to rows of other tables."),
        Key("after", Many(Text()), "Further tables whose files are loaded before those of this one."),
        Key("rules", Many(RULE), "Rules about several cells of a row, as functions."),
        Key("default_mode", OneOf(Mode), "What to do with rows that exist, if an upload does not say it."),
        Key(
            "touch",
            _COLUMN_NAMES,
            "Columns that an update sets to the current time, such as `updated_at`. A row that differs only in them is "
            "unchanged.",
        ),
        Key("upload_format", UPLOAD_FORMAT, "How files are read, if an upload does not say it."),
        Key(
            "profiles",
            Pairs(UPLOAD_FORMAT),
            "Variations of `upload_format` by name, such as a supplier's, which an upload may choose.",
        ),
        Key(
            "expects",
            Deadline(),
            "When a file is expected: `daily by 08:00 Europe/Rome`, `weekdays by 18:30 UTC`, `mon,thu by 07:00 UTC`.",
        ),
        Key("notify", Many(SUBSCRIPTION), "Who gets messages about the files of the table."),
        Key(
            "export_visible_rows",
            Flag(),
            "Export the rows that row-level security shows to the login. Without it, an export that may lack rows is "
            "refused.",
        ),
    ),
    make=Table,
    fields_of=_fields_of_table,
)
