"""The families of types that a column can have, one object each."""

import re

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.families.documents import DOCUMENTS
from bulk_pipeline.schema.families.numbers import NUMBERS
from bulk_pipeline.schema.families.others import OTHERS
from bulk_pipeline.schema.families.texts import TEXT, TEXTS
from bulk_pipeline.schema.families.times import TIMES
from bulk_pipeline.schema.type_facts import TypeFacts, TypeFamily, single

FAMILIES: tuple[TypeFamily, ...] = (
    *TEXTS,
    *NUMBERS,
    *TIMES,
    *DOCUMENTS,
    *OTHERS,
    single(
        TypeFacts(
            postgres="text[]",
            receives=("array_recv text",),
            label="JSON array of texts",
            expected='a JSON array of texts like ["a", "b"]',
            operators=operators.NULLS,
            filter_value=TEXT.filter_value,
            looks_like=re.compile(
                r"""\[\s*["\]].*(?<=\])""", re.DOTALL
            ),  # `[title]` is a name in some databases
            never_a_name=True,
            options=("null_elements",),
            is_array=True,
            is_bare_in_json=True,
        )
    ),
)
