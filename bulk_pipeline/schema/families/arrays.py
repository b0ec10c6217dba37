"""Arrays of all other types, of any number of dimensions: in files JSON arrays."""

import re

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.bounds import NAMES as BOUNDS
from bulk_pipeline.schema.families.texts import TEXT
from bulk_pipeline.schema.type_facts import FilterValue, Parameters, TypeFacts, TypeFamily, literal, single

_MODIFIER = r"(?<=^interval) .*|\(.*?\)"


def array_facts(element: TypeFacts, dimensions: int) -> TypeFacts:
    """Return the facts of an array; Postgres keeps no number of dimensions for a column, a declaration does."""
    depth = "" if dimensions == 1 else f" of {dimensions} dimensions"
    return TypeFacts(
        postgres=literal(f"{element.postgres}[]"),
        receives=tuple(f"array_recv {re.sub(_MODIFIER, '', element.postgres)}" for _ in element.receives[:1]),
        whole_modifiers=element.whole_modifiers,
        label=f"JSON array of {element.label}",
        expected=f"a JSON array{depth}, of which each element is {element.expected}",
        range=f"the range of its elements: {element.range}",
        too_precise=f"has an element that {element.too_precise}",
        operators=operators.NULLS,
        filter_value=FilterValue(str, "value", "none"),
        looks_like=re.compile(r"""\[\s*["\]\[\d{-].*(?<=\])|\[\]""", re.DOTALL),
        never_a_name=True,
        options=(*(option for option in element.options if option not in BOUNDS), "null_elements"),
        export="array_to_json({}::text[])::text",
        compared=element.compared,
        is_zoneless=element.is_zoneless,
        is_array=True,
        is_bare_in_json=True,
    )


def _not_by_name(parameters: Parameters) -> TypeFacts:
    raise ValueError("an array is named after its elements, like integer[]")


ARRAY = TypeFamily(
    "array", _not_by_name, ("integer[]", "numeric(12,2)[]", "timestamp with time zone[][]", "inet[]")
)

TEXT_ARRAY = single(
    TypeFacts(
        postgres="text[]",
        receives=("array_recv text",),
        label="JSON array of texts",
        expected='a JSON array of texts like ["a", "b"]',
        operators=operators.NULLS,
        filter_value=TEXT.filter_value,
        looks_like=re.compile(r"""\[\s*["\]].*(?<=\])""", re.DOTALL),  # `[title]` is a name in some databases
        never_a_name=True,
        options=("null_elements",),
        is_array=True,
        is_bare_in_json=True,
    )
)
