"""Types that travel as text: Postgres reads and checks them itself."""

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.type_facts import FilterValue, TypeFacts, TypeFamily, literal

_EXAMPLES = {
    "inet": "192.168.0.1/24",
    "cidr": "192.168.0.0/24",
    "macaddr": "08:00:2b:01:02:03",
    "macaddr8": "08:00:2b:01:02:03:04:05",
    "bit": "1",
    "bit varying": "101",
    "money": "12.34",
    "tsvector": "'a' 'b'",
    "tsquery": "'a' & 'b'",
    "xml": "<a>b</a>",
    "point": "(1,2)",
    "line": "{1,2,3}",
    "lseg": "[(0,0),(1,1)]",
    "box": "(1,1),(0,0)",
    "path": "[(0,0),(1,1)]",
    "polygon": "((0,0),(1,1),(1,0))",
    "circle": "<(0,0),1>",
    "int4range": "[1,5)",
    "int8range": "[1,5)",
    "numrange": "[1.5,2)",
    "daterange": "[2026-01-01,2026-02-01)",
    "tsrange": '["2026-01-01 00:00:00","2026-02-01 00:00:00")',
    "tstzrange": '["2026-01-01 00:00:00+00","2026-02-01 00:00:00+00")',
    "int4multirange": "{[1,3),[5,7)}",
    "int8multirange": "{[1,3),[5,7)}",
    "nummultirange": "{[1.5,2)}",
    "datemultirange": "{[2026-01-01,2026-02-01)}",
    "tsmultirange": '{["2026-01-01 00:00:00","2026-02-01 00:00:00")}',
    "tstzmultirange": '{["2026-01-01 00:00:00+00","2026-02-01 00:00:00+00")}',
    "oid": "42",
    "name": "a_name",
    "pg_lsn": "16/B374D848",
    "jsonpath": '$."a"',
    "hstore": '"a"=>"1"',
    "ltree": "top.science",
    "lquery": "top.*",
    "ltxtquery": "science & !art",
    "cube": "(1, 2)",
    "seg": "1 .. 2",
    "geometry": "POINT(1 2)",
    "geography": "POINT(1 2)",
    "vector": "[1,2,3]",
}
"""Example values by type: types of Postgres, and of widespread extensions."""
_ALIASES = {"bit varying": ("varbit",)}
_ORDERED = {
    *("inet", "cidr", "macaddr", "macaddr8", "bit", "bit varying", "money", "oid", "name", "pg_lsn", "ltree"),
    *(name for name in _EXAMPLES if "range" in name),
}
_EMPTY_IS_VALUE = {"bit varying", "tsvector", "tsquery", "xml", "name", "hstore", "ltree", "ltxtquery"}
_INSTALLED = {"hstore", "ltree", "lquery", "ltxtquery", "cube", "seg", "geometry", "geography", "vector"}


def own_type(name: str, modifier: str = "") -> TypeFacts:
    """Return the facts of a type that travels as text. `name`: of this module, or a type of the database's own, with
    its schema and quoted where it has to be. `modifier`: what stands in parentheses."""
    example = _EXAMPLES.get(name)
    return TypeFacts(
        postgres=literal(f"{name}({modifier})" if modifier else name),
        receives=(),
        label=name,
        expected=f"a value of the type {name}" + (f" like {example}" if example else ""),
        operators=operators.ORDERED if name in _ORDERED else operators.NULLS,
        filter_value=FilterValue(str, "value", f"one like {example}"),
        default=(str,),
        export="{}::text",
        compared="{}::text",
        is_opaque=True,
        empty_is_value=name in _EMPTY_IS_VALUE or example is None,
    )


def example_of(name: str) -> str:
    """Return a value of the type, for tests and samples."""
    return _EXAMPLES.get(name, "a")


def _other(name: str) -> TypeFamily:
    return TypeFamily(
        name,
        lambda parameters: own_type(name, ",".join(map(str, parameters))),
        () if name in _INSTALLED else (name,),
        _ALIASES.get(name, ()),
    )


OWN = TypeFamily("a type of the database's own", lambda parameters: own_type("public.own"), ())
"""The family of domains, enums, composite types and types of extensions that are not named here."""

OTHERS = tuple(_other(name) for name in _EXAMPLES)
