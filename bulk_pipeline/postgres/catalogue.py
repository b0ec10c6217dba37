"""Tables as Postgres has them: columns, keys, checks, triggers and rights. A few queries read all tables at once.

The functions set the search path of the transaction they are called in.
Says nothing about declarations: `pipeline.adoption` decides what becomes of a table.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from bulk_pipeline.errors import UnknownTableError

RIGHTS = ("SELECT", "INSERT", "UPDATE")
"""The table privileges that a login needs to import in every mode and to export."""


class RelationKind(StrEnum):
    """The kind of a relation; the value is that of pg_class.relkind."""

    TABLE = "r"
    PARTITIONED = "p"
    FOREIGN = "f"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"


class TypeKind(StrEnum):
    """The kind of a type without its domains and arrays; the value is that of pg_type.typtype."""

    BASE = "b"
    COMPOSITE = "c"
    DOMAIN = "d"
    """The kind of an array's elements only: a domain itself has the kind of its base type."""
    ENUM = "e"
    PSEUDO = "p"
    RANGE = "r"
    MULTIRANGE = "m"


@dataclass(frozen=True)
class CatalogueColumn:
    """A column. Types and functions have their schema, unless that is pg_catalog.

    `base_type`: the type below all domains. `kind`: what that type, or the type of an array's elements, is.
    `labels`: those of an enum. `default`: the expression, also of a domain. `generated`: the expression of a column
    that the database computes. `identity`: `always` or `by default`. `is_required`: NULL is refused, also by a domain.
    `sequence`: the sequence of an identity or serial column. `lacks`: those of `RIGHTS` that the role does not have on
    this column. `may_set_sequence`: the role may move the sequence. `dimensions`: those of an array as it was created,
    which Postgres does not enforce; 0 if that is not known, and for all else.
    """

    name: str
    type: str
    base_type: str
    kind: TypeKind
    is_array: bool
    is_required: bool
    default: str | None
    generated: str | None
    identity: str | None
    labels: tuple[str, ...]
    comment: str | None
    sequence: str | None
    may_set_sequence: bool
    lacks: tuple[str, ...]
    dimensions: int

    @property
    def is_serial(self) -> bool:
        """True if the column's default takes the value of a new row from a sequence."""
        return self.default is not None and self.default.startswith("nextval(")

    @property
    def domain(self) -> str | None:
        """The domain that the column is of; None if it is of none."""
        return self.type if self.type != self.base_type else None


@dataclass(frozen=True)
class CatalogueKey:
    """Columns that a constraint or a unique index keeps unique. `is_deferrable`: it may be checked at the end."""

    name: str
    columns: tuple[str, ...]
    is_primary: bool
    is_deferrable: bool
    nulls_distinct: bool


@dataclass(frozen=True)
class CatalogueForeignKey:
    """Columns that refer to columns of a table, which may be the same. `may_select`: the role may read those."""

    name: str
    columns: tuple[str, ...]
    schema: str
    table: str
    references: tuple[str, ...]
    may_select: bool


@dataclass(frozen=True)
class CatalogueCheck:
    """A CHECK or exclusion constraint; `definition` as `pg_get_constraintdef` writes it. `columns`: those it names."""

    name: str
    columns: tuple[str, ...]
    definition: str


@dataclass(frozen=True)
class CatalogueTrigger:
    """A trigger. `may_change_rows`: it runs before each row is written."""

    name: str
    may_change_rows: bool


@dataclass(frozen=True)
class CatalogueTable:
    """A table, or what else has the name.

    `foreign_keys`: those of the table, and those that all of its partitions have. `partial_foreign_keys`: those that
    only some of its partitions have.
    `uniqueness`: unique indexes that are no keys, as they are partial or of expressions, and exclusion constraints.
    `has_policies`: row-level security applies to the role. `bars_inserts`: it does, and no policy lets the role insert.
    `lacks_usage`: the role may not use the schema.
    """

    schema: str
    name: str
    kind: RelationKind
    is_partition: bool
    comment: str | None
    has_policies: bool
    bars_inserts: bool
    lacks_usage: bool
    columns: tuple[CatalogueColumn, ...] = ()
    keys: tuple[CatalogueKey, ...] = ()
    foreign_keys: tuple[CatalogueForeignKey, ...] = ()
    partial_foreign_keys: tuple[CatalogueForeignKey, ...] = ()
    checks: tuple[CatalogueCheck, ...] = ()
    uniqueness: tuple[CatalogueCheck, ...] = ()
    triggers: tuple[CatalogueTrigger, ...] = ()
    rules: tuple[str, ...] = field(default=())

    @property
    def primary_key(self) -> CatalogueKey | None:
        return next((key for key in self.keys if key.is_primary), None)

    @property
    def lacks(self) -> tuple[str, ...]:
        """The rights of `RIGHTS` that the role lacks on at least one column."""
        return tuple(right for right in RIGHTS if any(right in column.lacks for column in self.columns))


def tables_named(
    connection: psycopg.Connection, names: Iterable[tuple[str, str]], role: str
) -> list[CatalogueTable]:
    """Return the relations of these schemas and names, in this order; `lacks` is about `role`.

    Raises `UnknownTableError` for one that does not exist, with the names that are alike.
    """
    oids = [_oid(connection, schema, name) for schema, name in names]
    by_oid = dict(zip(oids, _read(connection, oids, role), strict=True))
    return [by_oid[oid] for oid in dict.fromkeys(oids)]


def find_tables(
    connection: psycopg.Connection, names: Sequence[tuple[str, str]], role: str
) -> dict[tuple[str, str], CatalogueTable]:
    """Return the relations of these schemas and names that exist; `lacks` is about `role`."""
    asked = {"schemas": [schema for schema, _ in names], "names": [name for _, name in names]}
    oids = [oid for (oid,) in connection.execute(_FIND, asked)]
    known = {name: oid for name, oid in zip(names, oids, strict=True) if oid is not None}
    return dict(zip(known, _read(connection, list(known.values()), role), strict=True))


def all_tables(
    connection: psycopg.Connection, role: str, *, schema: str | None = None
) -> list[CatalogueTable]:
    """Return the tables of one schema or of all schemas, except partitions, tables of extensions, and bulk_pipeline's
    own tables."""
    rows = connection.execute(_ALL, {"schema": schema}).fetchall()
    return _read(connection, [oid for (oid,) in rows], role)


def loader(connection: psycopg.Connection) -> str:
    """Return the role whose rights count: `bulk_loader` where this database uses it, else that of the connection."""
    row = connection.execute(_LOADER).fetchone()
    assert row
    return row[0]


def grants(table: CatalogueTable, role: str) -> list[str]:
    """Return the statements that give the role what it lacks for imports and exports of the table."""
    to = sql.Identifier(role)
    usage, select = sql.SQL("GRANT USAGE ON SCHEMA {} TO {};"), sql.SQL("GRANT SELECT ON {} TO {};")
    statements: list[str] = []
    if table.lacks_usage:
        statements.append(usage.format(sql.Identifier(table.schema), to).as_string())
    if table.lacks:
        rights = sql.SQL(", ").join(sql.SQL(right) for right in RIGHTS if right in table.lacks)
        name = sql.Identifier(table.schema, table.name)
        statements.append(sql.SQL("GRANT {} ON {} TO {};").format(rights, name, to).as_string())
    for column in table.columns:
        if column.sequence and not column.may_set_sequence:  # Postgres has quoted the name
            statements.append(f"GRANT USAGE, UPDATE ON SEQUENCE {column.sequence} TO {to.as_string()};")
    parents = {(key.schema, key.table) for key in table.foreign_keys if not key.may_select}
    for schema, parent in sorted(parents - {(table.schema, table.name)}):
        if schema != table.schema:
            statements.append(usage.format(sql.Identifier(schema), to).as_string())
        statements.append(select.format(sql.Identifier(schema, parent), to).as_string())
    return statements


def _oid(connection: psycopg.Connection, schema: str, name: str) -> int:
    row = connection.execute(_OID, {"schema": schema, "name": name}).fetchone()
    assert row
    oid, alike = row
    if oid is None:
        hint = f": did you mean {', '.join(alike)}?" if alike else ""
        raise UnknownTableError(f"the database has no table {schema}.{name}{hint}")
    return oid


def _read(connection: psycopg.Connection, oids: Sequence[int], role: str) -> list[CatalogueTable]:
    """Return the relations in the order of `oids`."""
    asked = {"oids": list(dict.fromkeys(oids)), "role": role}

    def grouped(query: LiteralString) -> dict[int, list[tuple[Any, ...]]]:
        groups: dict[int, list[tuple[Any, ...]]] = {}
        for oid, *row in connection.execute(query, asked):
            groups.setdefault(oid, []).append(tuple(row))
        return groups

    connection.execute(
        "SET LOCAL search_path TO pg_catalog"
    )  # so that all other names are written with their schema
    relations = {oid: row for oid, *row in connection.execute(_RELATIONS, asked)}
    columns, constraints, indexes = grouped(_COLUMNS), grouped(_CONSTRAINTS), grouped(_INDEXES)
    triggers, rules, partitions = grouped(_TRIGGERS), grouped(_RULES), grouped(_PARTITION_FOREIGN_KEYS)
    return [
        _table(
            relations[oid],
            columns.get(oid, []),
            constraints.get(oid, []),
            partitions.get(oid, []),
            indexes.get(oid, []),
            triggers.get(oid, []),
            [name for (name,) in rules.get(oid, [])],
        )
        for oid in asked["oids"]
    ]


def _table(
    relation: Sequence[Any],
    columns: Iterable[tuple[Any, ...]],
    constraints: Sequence[tuple[Any, ...]],
    partitions: Iterable[tuple[Any, ...]],
    indexes: Sequence[tuple[Any, ...]],
    triggers: Iterable[tuple[Any, ...]],
    rules: Iterable[str],
) -> CatalogueTable:
    schema, name, kind, is_partition, comment, has_policies, lets_insert, lacks_usage = relation
    own = list(_foreign_keys(constraints))
    everywhere, somewhere = _foreign_keys_of_partitions(partitions, own)
    return CatalogueTable(
        schema,
        name,
        RelationKind(kind),
        is_partition,
        comment,
        has_policies,
        has_policies and not lets_insert,
        lacks_usage,
        tuple(map(_column, columns)),
        tuple(_keys(indexes)),
        (*own, *everywhere),
        tuple(somewhere),
        tuple(
            CatalogueCheck(name, tuple(columns), definition)
            for kind, name, columns, definition, *_ in constraints
            if kind == "c"
        ),
        tuple(_uniqueness(constraints, indexes)),
        tuple(CatalogueTrigger(*trigger) for trigger in triggers),
        tuple(rules),
    )


def _column(row: tuple[Any, ...]) -> CatalogueColumn:
    name, type_, base, kind, is_array, required, default, generated, identity, labels, *others = row
    comment, sequence, may_set_sequence, lacks, dimensions = others
    return CatalogueColumn(
        name,
        type_,
        base,
        TypeKind(kind),
        is_array,
        required,
        default,
        generated,
        {"a": "always", "d": "by default"}.get(identity),
        tuple(labels),
        comment,
        sequence,
        may_set_sequence,
        tuple(lacks),
        dimensions,
    )


def _keys(indexes: Iterable[tuple[Any, ...]]) -> Iterator[CatalogueKey]:
    """Yield the keys, the primary key first: unique indexes of whole columns, with or without a constraint."""
    for name, columns, is_primary, is_deferrable, nulls_distinct, is_key, _ in indexes:
        if is_key:
            yield CatalogueKey(name, tuple(columns), is_primary, is_deferrable, nulls_distinct)


def _foreign_keys(constraints: Iterable[tuple[Any, ...]]) -> Iterator[CatalogueForeignKey]:
    for kind, name, columns, _, schema, table, references, may_select in constraints:
        if kind == "f":
            yield CatalogueForeignKey(name, tuple(columns), schema, table, tuple(references), may_select)


def _foreign_keys_of_partitions(
    rows: Iterable[tuple[Any, ...]], own: Sequence[CatalogueForeignKey]
) -> tuple[list[CatalogueForeignKey], list[CatalogueForeignKey]]:
    """Return the foreign keys that all partitions have, and those that some have, without those of the table."""
    known = {(key.columns, key.schema, key.table, key.references) for key in own}
    everywhere, somewhere = list[CatalogueForeignKey](), list[CatalogueForeignKey]()
    for name, columns, schema, table, references, may_select, is_everywhere in rows:
        key = CatalogueForeignKey(name, tuple(columns), schema, table, tuple(references), may_select)
        if (key.columns, schema, table, key.references) not in known:
            (everywhere if is_everywhere else somewhere).append(key)
    return everywhere, somewhere


def _uniqueness(
    constraints: Iterable[tuple[Any, ...]], indexes: Iterable[tuple[Any, ...]]
) -> Iterator[CatalogueCheck]:
    for name, columns, *_, is_key, definition in indexes:
        if not is_key:
            yield CatalogueCheck(name, tuple(filter(None, columns)), definition)
    for kind, name, columns, definition, *_ in constraints:
        if kind == "x":
            yield CatalogueCheck(name, tuple(columns), definition)


_OID = """
    SELECT
        to_regclass(format('%%I.%%I', %(schema)s::text, %(name)s::text))::oid,
        (
            SELECT coalesce(array_agg(format('%%s.%%s', nspname, relname) ORDER BY nspname, relname), '{}')
            FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
                AND (lower(relname) = lower(%(name)s) OR lower(relname) = lower(%(name)s) || 's')
                AND nspname NOT IN ('pg_catalog', 'information_schema')
        )
"""

_LOADER = """
    SELECT coalesce(
        (
            SELECT rolname::text
            FROM pg_roles AS role, pg_namespace AS space
            WHERE role.rolname = 'bulk_loader' AND space.nspname = 'bulk'
                AND has_schema_privilege(role.oid, space.oid, 'USAGE')
        ),
        current_user::text
    )
"""

_FIND = """
    SELECT class.oid
    FROM unnest(%(schemas)s::text[], %(names)s::text[]) WITH ORDINALITY AS asked (schema, name, place)
    LEFT JOIN pg_namespace AS space ON space.nspname = asked.schema
    LEFT JOIN pg_class AS class ON class.relnamespace = space.oid AND class.relname = asked.name
    ORDER BY asked.place
"""
"""Not by `to_regclass`, which is refused to a role that may not use the schema."""

_ALL = """
    SELECT class.oid
    FROM pg_class AS class
    JOIN pg_namespace AS space ON space.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'p') AND NOT class.relispartition
        AND (space.nspname = %(schema)s OR %(schema)s::text IS NULL)
        AND space.nspname NOT LIKE 'pg\\_%%' AND space.nspname NOT IN ('information_schema', 'bulk', 'dagster')
        AND NOT EXISTS (
            SELECT FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'e'
        )
    ORDER BY space.nspname, class.relname
"""

_RELATIONS = """
    SELECT
        class.oid, space.nspname, class.relname, class.relkind::text, class.relispartition,
        obj_description(class.oid, 'pg_class'),
        class.relrowsecurity AND NOT coalesce(
            (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = %(role)s), false)
            AND (class.relforcerowsecurity OR NOT pg_has_role(%(role)s, class.relowner, 'USAGE')),
        EXISTS (
            SELECT FROM pg_policy AS policy, unnest(policy.polroles) AS granted
            WHERE policy.polrelid = class.oid AND policy.polpermissive AND policy.polcmd IN ('*', 'a')
                AND (granted = 0 OR pg_has_role(%(role)s, granted, 'USAGE'))
        ),
        NOT has_schema_privilege(%(role)s, space.oid, 'USAGE')
    FROM pg_class AS class
    JOIN pg_namespace AS space ON space.oid = class.relnamespace
    WHERE class.oid = ANY (%(oids)s)
"""

_COLUMNS = """
    WITH RECURSIVE asked AS (
        SELECT * FROM pg_attribute WHERE attrelid = ANY (%(oids)s) AND attnum > 0 AND NOT attisdropped
    ),
    chain AS (
        SELECT DISTINCT atttypid AS type, atttypid AS base, NULL::integer AS modifier, 0 AS depth,
            false AS not_null, NULL::text COLLATE "C" AS fallback
        FROM asked
        UNION ALL
        SELECT chain.type, domain.typbasetype, domain.typtypmod, chain.depth + 1,
            chain.not_null OR domain.typnotnull, coalesce(chain.fallback, domain.typdefault)
        FROM chain
        JOIN pg_type AS domain ON domain.oid = chain.base AND domain.typtype = 'd'
    ),
    under AS (
        SELECT DISTINCT ON (type) * FROM chain ORDER BY type, depth DESC
    )
    SELECT
        attribute.attrelid,
        attribute.attname,
        format_type(attribute.atttypid, attribute.atttypmod),
        format_type(under.base, coalesce(under.modifier, attribute.atttypmod)),
        coalesce(element.typtype, base.typtype)::text,
        element.oid IS NOT NULL,
        attribute.attnotnull OR under.not_null,
        CASE WHEN attribute.attgenerated = '' THEN
            coalesce(pg_get_expr(value.adbin, value.adrelid), under.fallback) END,
        CASE WHEN attribute.attgenerated <> '' THEN pg_get_expr(value.adbin, value.adrelid) END,
        attribute.attidentity::text,
        coalesce((
            SELECT array_agg(enumlabel::text ORDER BY enumsortorder)
            FROM pg_enum WHERE enumtypid = coalesce(element.oid, base.oid)
        ), '{}'),
        col_description(attribute.attrelid, attribute.attnum),
        sequence.name::text,
        coalesce(has_sequence_privilege(%(role)s, sequence.name, 'UPDATE'), true),
        ARRAY(
            SELECT privilege FROM unnest('{SELECT,INSERT,UPDATE}'::text[]) AS privilege
            WHERE NOT has_column_privilege(%(role)s, attribute.attrelid, attribute.attnum, privilege)
        ),
        attribute.attndims
    FROM asked AS attribute
    JOIN under ON under.type = attribute.atttypid
    JOIN pg_type AS base ON base.oid = under.base
    LEFT JOIN pg_type AS element ON element.oid = base.typelem AND base.typcategory = 'A'
    LEFT JOIN LATERAL (
        SELECT objid::regclass AS name FROM pg_depend JOIN pg_class ON pg_class.oid = objid AND relkind = 'S'
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
            AND refobjid = attribute.attrelid AND refobjsubid = attribute.attnum AND deptype IN ('a', 'i')
        LIMIT 1
    ) AS sequence ON true
    LEFT JOIN pg_attrdef AS value ON value.adrelid = attribute.attrelid AND value.adnum = attribute.attnum
    ORDER BY attribute.attrelid, attribute.attnum
"""

_CONSTRAINTS = """
    SELECT
        made.conrelid, made.contype::text, made.conname,
        ARRAY(
            SELECT attname::text FROM unnest(made.conkey) WITH ORDINALITY AS key (number, position)
            JOIN pg_attribute ON attrelid = made.conrelid AND attnum = key.number
            ORDER BY key.position
        ),
        pg_get_constraintdef(made.oid, true),
        space.nspname, parent.relname,
        ARRAY(
            SELECT attname::text FROM unnest(made.confkey) WITH ORDINALITY AS key (number, position)
            JOIN pg_attribute ON attrelid = made.confrelid AND attnum = key.number
            ORDER BY key.position
        ),
        CASE WHEN made.contype = 'f' THEN
            has_schema_privilege(%(role)s, space.oid, 'USAGE')
            AND has_any_column_privilege(%(role)s, made.confrelid, 'SELECT') END
    FROM pg_constraint AS made
    LEFT JOIN pg_class AS parent ON parent.oid = made.confrelid
    LEFT JOIN pg_namespace AS space ON space.oid = parent.relnamespace
    LEFT JOIN pg_constraint AS whole ON whole.oid = made.conparentid
    WHERE made.conrelid = ANY (%(oids)s) AND made.contype IN ('c', 'f', 'x')
        AND whole.conrelid IS DISTINCT FROM made.conrelid  -- Postgres adds one for each partition of a parent
    ORDER BY made.conrelid, made.conname
"""

_PARTITION_FOREIGN_KEYS = """
    WITH partition AS (
        SELECT root.oid AS root, tree.relid::oid AS oid, count(*) OVER (PARTITION BY root.oid) AS partitions
        FROM pg_class AS root, pg_partition_tree(root.oid) AS tree
        WHERE root.oid = ANY (%(oids)s) AND root.relkind = 'p' AND tree.isleaf
    ),
    made AS (
        SELECT
            partition.*, made.conname, made.confrelid,
            ARRAY(
                SELECT attname::text FROM unnest(made.conkey) WITH ORDINALITY AS key (number, position)
                JOIN pg_attribute ON attrelid = made.conrelid AND attnum = key.number
                ORDER BY key.position
            ) AS columns,
            ARRAY(
                SELECT attname::text FROM unnest(made.confkey) WITH ORDINALITY AS key (number, position)
                JOIN pg_attribute ON attrelid = made.confrelid AND attnum = key.number
                ORDER BY key.position
            ) AS "references"
        FROM partition
        JOIN pg_constraint AS made ON made.conrelid = partition.oid AND made.contype = 'f'
        LEFT JOIN pg_constraint AS whole ON whole.oid = made.conparentid
        WHERE whole.conrelid IS DISTINCT FROM made.conrelid
    )
    SELECT
        made.root, min(made.conname::text), made.columns, space.nspname, parent.relname, made.references,
        has_schema_privilege(%(role)s, space.oid, 'USAGE')
            AND has_any_column_privilege(%(role)s, parent.oid, 'SELECT'),
        count(DISTINCT made.oid) = made.partitions
    FROM made
    JOIN pg_class AS parent ON parent.oid = made.confrelid
    JOIN pg_namespace AS space ON space.oid = parent.relnamespace
    GROUP BY made.root, made.partitions, made.columns, made.references, parent.oid, parent.relname,
        space.oid, space.nspname
    ORDER BY made.root, min(made.conname::text)
"""

_INDEXES = """
    SELECT
        index.indrelid, class.relname,
        ARRAY(
            SELECT attname::text
            FROM unnest(index.indkey[0:index.indnkeyatts - 1]) WITH ORDINALITY AS key (number, position)
            LEFT JOIN pg_attribute ON attrelid = index.indrelid AND attnum = key.number
            ORDER BY key.position
        ),
        index.indisprimary, NOT index.indimmediate, NOT index.indnullsnotdistinct,
        index.indpred IS NULL AND index.indexprs IS NULL AND index.indisvalid AND NOT index.indisexclusion,
        pg_get_indexdef(index.indexrelid)
    FROM pg_index AS index
    JOIN pg_class AS class ON class.oid = index.indexrelid
    WHERE index.indrelid = ANY (%(oids)s) AND index.indisunique
    ORDER BY index.indrelid, index.indisprimary DESC, class.relname
"""

_TRIGGERS = """
    SELECT tgrelid, tgname, tgtype & 1 = 1 AND tgtype & 2 = 2
    FROM pg_trigger
    WHERE tgrelid = ANY (%(oids)s) AND NOT tgisinternal AND tgenabled <> 'D'
    ORDER BY tgrelid, tgname
"""

_RULES = """
    SELECT ev_class, rulename FROM pg_rewrite
    WHERE ev_class = ANY (%(oids)s) AND rulename <> '_RETURN'
    ORDER BY ev_class, rulename
"""
