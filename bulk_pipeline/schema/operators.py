"""The operators by which a filter compares a column with values."""

from enum import StrEnum


class Operator(StrEnum):
    """The value is how it is written. `!=` finds all that `=` does not, NULL included."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    PREFIX = "prefix"
    IN = "in"
    IS_NULL = "is null"
    IS_NOT_NULL = "is not null"


NULLS = (Operator.IS_NULL, Operator.IS_NOT_NULL)
EXACT = (Operator.EQUAL, Operator.NOT_EQUAL, *NULLS)
ORDERED = (*EXACT, Operator.IN, *(o for o in Operator if o[0] in "<>"))
