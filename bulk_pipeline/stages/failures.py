"""The vocabulary of failures: one broken rule in one row. Failures travel as Arrow record batches."""

from enum import StrEnum

import pyarrow as pa

FAILURES = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("value", pa.string()),
        pa.field("message", pa.string(), nullable=False),
    ]
)
"""`row`: 1 for the first data record. `line`: physical line where the record starts, NULL where a format has
none. `column`: NULL when the whole row is meant. `value`: the cell as it was written, shortened to
`MAX_VALUE_LENGTH` characters. `message`: one sentence without a full stop, for a person."""

MAX_VALUE_LENGTH = 200


class Code(StrEnum):
    """Stable failure codes. A broken row rule is `rule:<name>` (see `rule_code`)."""

    MALFORMED_ROW = "malformed_row"
    BAD_ENCODING = "bad_encoding"
    REQUIRED = "required"
    BAD_TYPE = "bad_type"
    BAD_FORMAT = "bad_format"
    TOO_LONG = "too_long"
    NOT_ALLOWED = "not_allowed"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE_IN_FILE = "duplicate_in_file"
    ALREADY_EXISTS = "already_exists"
    KEY_CONFLICT = "key_conflict"
    UNKNOWN_REFERENCE = "unknown_reference"
    CONSTRAINT = "constraint"


def rule_code(name: str) -> str:
    return f"rule:{name}"


def none() -> pa.RecordBatch:
    """No failures: an empty record batch of `FAILURES`."""
    return pa.RecordBatch.from_pylist([], schema=FAILURES)
