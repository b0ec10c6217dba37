"""JSON documents and bytes."""

import re
from dataclasses import replace

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.type_facts import FilterValue, TypeFacts, single

_NO_VALUE = FilterValue(str, "value", "none")


def _read_hex(text: str) -> str:
    if not re.fullmatch(r"\\x(?:[0-9a-fA-F]{2})*", text, re.ASCII):
        raise ValueError(text)
    return text.lower()


_JSON = TypeFacts(
    postgres="json",
    receives=("json_recv",),
    label="JSON",
    expected='valid JSON like {"a": 1}: in a cell a text needs double quotes',
    range="the numbers that jsonb keeps: 131072 digits before the decimal point and 16383 after it",
    operators=operators.NULLS,
    filter_value=_NO_VALUE,
    default=(str,),
    export="{}::text",
    compared="{}::text",
    is_json=True,
    is_bare_in_json=True,
)

DOCUMENTS = (
    single(_JSON),
    single(replace(_JSON, postgres="jsonb", receives=("jsonb_recv",), compared="{}")),
    single(
        TypeFacts(
            postgres="bytea",
            receives=("bytearecv",),
            label="bytes",
            expected=r"bytes in hexadecimal like \x00ff",
            operators=operators.EXACT,
            filter_value=FilterValue(_read_hex, "value", r"hexadecimal like \x00ff"),
            looks_like=re.compile(r"\\x([0-9a-fA-F]{2})*"),
            never_a_name=True,
            options=("base64",),
        )
    ),
)
