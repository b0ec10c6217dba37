"""Numbers: whole ones, exact ones with a fraction, and binary fractions.

Numbers have a syntax of their own, which is narrower than that of Postgres: no `0x1F`, no `1_000`, no blanks.
"""

import re
from decimal import Decimal
from typing import LiteralString

from bulk_pipeline.schema import operators
from bulk_pipeline.schema.bounds import NAMES as BOUNDS
from bulk_pipeline.schema.type_facts import FilterValue, Parameters, TypeFacts, TypeFamily, literal, single

WHOLE_NUMBERS = ("smallint", "integer", "bigint")
FRACTIONS = ("numeric", "real", "double precision")
"""Names of families."""

NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?"
"""A number with or without a fraction and an exponent."""
SPECIAL = r"(?i:nan|[+-]?inf(inity)?)"
"""Values of `real`, `double precision` and `numeric` that are no numbers."""
MOST_DIGITS_BEFORE_POINT, MOST_DIGITS_AFTER_POINT = 131_072, 16_383
"""Of `numeric` without parameters; https://www.postgresql.org/docs/current/datatype-numeric.html"""
_MOST_PRECISION, _MOST_SCALE = 1000, 1000
_SHOWN_DIGITS = 30
_MODIFIER_OFFSET, _SCALE_BITS = 4, 11  # of pg_attribute.atttypmod, see numeric.c


def digits_after_point(number: Decimal) -> int:
    """Return how many digits a finite number is written with after the decimal point."""
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def bounds(bits: int) -> tuple[int, int]:
    """Return the least and the largest signed integer of so many bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def precision_and_scale(parameters: Parameters) -> tuple[int | None, int]:
    """Return those of `numeric`; no precision if there are no parameters. Raises `ValueError` for wrong ones."""
    if not parameters:
        return None, 0
    precision, scale = (*parameters, 0)[:2]
    if (
        len(parameters) > 2
        or precision not in range(1, _MOST_PRECISION + 1)
        or scale not in range(-_MOST_SCALE, _MOST_SCALE + 1)
    ):
        raise ValueError(
            "write numeric, numeric(precision) or numeric(precision,scale), at most numeric(1000,1000)"
        )
    return int(precision), int(scale)


def _integer(name: LiteralString, bits: int, *aliases: str) -> TypeFamily:
    least, most = bounds(bits)

    def read(text: str) -> str:
        if not re.fullmatch(r"[+-]?\d{1,30}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(text)
        return str(int(text))

    return single(
        TypeFacts(
            postgres=name,
            receives=(f"int{bits // 8}recv",),
            label="whole number",
            expected="a whole number like 42",
            range=f"{least} to {most}",
            operators=operators.ORDERED,
            filter_value=FilterValue(read, "number", f"a whole number from {least} to {most}"),
            default=(int,),
            options=BOUNDS,
            looks_like=re.compile(r"[+-]?[0-9]+"),
            never_a_name=True,
            is_bare_in_json=True,
            is_bare_in_csv=True,
        ),
        *aliases,
    )


def _read_number(text: str) -> str:
    if not re.fullmatch(f"{NUMBER}|{SPECIAL}", text, re.ASCII):
        raise ValueError(text)
    return text


_NUMBER_VALUE = FilterValue(_read_number, "number", "one like 42 or -1.5")


def _numeric(parameters: Parameters) -> TypeFacts:
    precision, scale = precision_and_scale(parameters)
    modifiers = (-1,)
    if precision is not None:
        modifiers += ((precision << 16 | scale & (1 << _SCALE_BITS) - 1) + _MODIFIER_OFFSET,)
    return TypeFacts(
        postgres="numeric" if precision is None else literal(f"numeric({precision},{scale})"),
        receives=("numeric_recv",),
        whole_modifiers=modifiers,
        label="number" if precision is None else f"number with up to {scale} decimals",
        expected="a number like 1234.56, with a point and without marks between thousands",
        range=_range(precision, scale),
        too_precise=f"has more than {scale} digits after the decimal point",
        operators=operators.ORDERED,
        filter_value=_NUMBER_VALUE,
        default=(int, str, Decimal),
        looks_like=re.compile(NUMBER, re.ASCII),
        never_a_name=True,
        options=(*BOUNDS, "not_finite") if precision is None else (*BOUNDS, "not_finite", "round"),
        export="{}::text",
        compared="{}::text" if precision is None else "{}",  # 1.0 = 1.00
        is_bare_in_json=True,
    )


def _range(precision: int | None, scale: int) -> str:
    if precision is None:
        return f"{MOST_DIGITS_BEFORE_POINT} digits before the decimal point and {MOST_DIGITS_AFTER_POINT} after it"
    if precision > _SHOWN_DIGITS or not 0 <= scale <= precision:
        return (
            f"numeric({precision},{scale}): {precision} digits with {scale} of them after the decimal point"
        )
    whole, fraction = "9" * (precision - scale) or "0", "9" * scale
    most = f"{whole}.{fraction}" if fraction else whole
    return f"-{most} to {most}"


def _float(name: LiteralString, bits: int, *aliases: str) -> TypeFamily:
    most = "3.4e38" if bits == 32 else "1.79e308"
    return single(
        TypeFacts(
            postgres=name,
            receives=(f"float{bits // 8}recv",),
            label="number",
            expected="a number like 1234.56 or 1.5e-7, with a point and without marks between thousands",
            range=f"-{most} to {most}, or so near zero that it would become zero",
            operators=operators.ORDERED,
            filter_value=_NUMBER_VALUE,
            default=(int, float, str),
            looks_like=re.compile(NUMBER, re.ASCII),
            never_a_name=True,
            options=(*BOUNDS, "not_finite"),
            is_bare_in_json=True,
            is_bare_in_csv=True,
        ),
        *aliases,
    )


NUMBERS = (
    _integer("smallint", 16, "int2"),
    _integer("integer", 32, "int", "int4"),
    _integer("bigint", 64, "int8"),
    TypeFamily("numeric", _numeric, ("numeric", "numeric(12,2)", "numeric(3,-2)"), ("decimal", "dec")),
    _float("real", 32, "float4"),
    _float("double precision", 64, "float8", "float"),
)
