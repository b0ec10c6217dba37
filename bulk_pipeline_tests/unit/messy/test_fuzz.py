"""Mutated files of every format become rows and failures or a `FileError`, in bounded time; earlier findings stay fixed."""

import gzip
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits, open_upload
from bulk_pipeline_tests.seeds import SEEDS
from bulk_pipeline_tests.unit.messy.fuzz import campaign, corpus, mutated, read

REGRESSIONS = sorted(path for path in (Path(__file__).parent / "regressions").glob("*.*"))


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_mutated_files_break_nothing(first: int) -> None:
    for seed in range(first, first + 20):
        read(*mutated(seed))


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.name)
def test_earlier_findings_stay_fixed(path: Path) -> None:
    _seed, name = path.name.split(".", 1)
    read(name, path.read_bytes())


@pytest.mark.long
def test_a_campaign_finds_nothing(tmp_path: Path) -> None:
    lines: list[str] = []
    assert campaign(1_000_000, 20 * SEEDS, tmp_path, lines.append) == 0, "".join(lines)


@pytest.mark.parametrize("name", sorted(corpus()))
def test_the_files_that_are_mutated_are_good_themselves(name: str) -> None:
    upload = open_upload(BytesIO(corpus()[name]), name)
    assert sum(parsed.records.num_rows for parsed in upload) == (2 if name == "types.parquet" else 14)
    assert upload.rows > 0


def packed(kind: str, text: bytes) -> bytes:
    if kind == "gzip":
        return gzip.compress(text, 9)
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", text)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gzip", "zip"])
def test_a_bomb_just_under_the_ratio_stops_at_the_size(kind: str) -> None:
    text = b"email,city\n" + b"a@b.co,Rome\n" * 400_000
    bomb = packed(kind, text)
    ratio = len(text) // len(bomb) + 1
    limits = Limits(ratio=ratio, ratio_from_bytes=100_000, unpacked_bytes=2_000_000)
    chunks = iter(open_upload(BytesIO(bomb), f"a.csv.{kind}", limits=limits))
    with pytest.raises(FileError, match=r"unpacks to over .*BULK_MAX_UNPACKED_BYTES"):
        list(chunks)
