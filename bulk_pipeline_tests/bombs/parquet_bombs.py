"""Hostile Parquet: values that rows share, columns of NULLs, texts that repeat the previous one."""

import io
from collections.abc import Sequence

import pyarrow as pa
from pyarrow import parquet

from bulk_pipeline_tests.bombs.bomb import Bomb


def _written(columns: dict[str, pa.Array], encodings: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    parquet.write_table(
        pa.table(columns),
        out,
        compression="zstd",
        use_dictionary=encodings is None,
        column_encoding=encodings,
    )
    return out.getvalue()


def _emails(rows: int) -> pa.Array:
    return pa.array([f"{n}@b.co" for n in range(rows)])


def _repeated(value: pa.Scalar, rows: int) -> bytes:
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value.as_py()]))
    return _written({"email": _emails(rows), "city": shared})


def _lists() -> bytes:
    return _written({"email": _emails(1_000), "city": pa.repeat(pa.scalar(["x"] * 30_000), 1_000)})


def _nulls() -> bytes:
    names: Sequence[str] = [f"{n:0>200}" for n in range(6_000)]
    return _written({"email": _emails(16_384)} | {name: pa.nulls(16_384, pa.string()) for name in names})


def _prefixes() -> bytes:
    texts = pa.array([f"{'x' * 60_000}{n}" for n in range(4_096)])
    return _written({"email": _emails(4_096), "city": texts}, {"email": "PLAIN", "city": "DELTA_BYTE_ARRAY"})


BOMBS = [
    Bomb("a text of 60 kB that 16384 rows share", ".parquet", lambda: _repeated(pa.scalar("x" * 60_000), 16_384)),
    Bomb("a text of 1 kB that a million rows share", ".parquet", lambda: _repeated(pa.scalar("x" * 1_000), 1_000_000)),
    Bomb("6000 columns of nothing, names of 200 bytes", ".parquet", _nulls),
    Bomb("lists of 30000 texts", ".parquet", lambda: _lists()),
    Bomb("a prefix of 60 kB, delta encoded", ".parquet", _prefixes),
]  # fmt: skip
