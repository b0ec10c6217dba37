"""Sample files are the same for the same seed, and their expected results are right."""

import csv
import io
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bulk_pipeline import tables
from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.samples.checksum import checksum
from bulk_pipeline.samples.defects import defects
from bulk_pipeline.samples.formats import Format
from bulk_pipeline.samples.sample import Expected, Sample
from bulk_pipeline.schema import ForeignKey, Mode
from bulk_pipeline.stages.parse.upload import open_upload
from bulk_pipeline.stages.split import split
from bulk_pipeline.stages.validate import validate

BAD = Fraction(1, 4)


def written(
    name: str,
    rows: int,
    bad: Fraction = Fraction(0),
    format: Format = Format.CSV,
    seed: int = 7,
    **parents: int,
) -> tuple[bytes, dict[Mode, Expected]]:
    out = io.BytesIO()
    expected = Sample(tables.get(name), rows, seed, bad, parents).write(out, format)
    return out.getvalue(), expected


def cells(name: str, column: str, rows: int, bad: Fraction = Fraction(0), seed: int = 7) -> list[str]:
    text = written(name, rows, bad, seed=seed)[0].decode("utf-8", "replace")
    return [row[column] for row in csv.DictReader(io.StringIO(text, newline=""))]


class EveryParentButNobody:
    """References in which all ids exist, except those that begin with eight zeros."""

    def missing(self, key: ForeignKey, values: pa.RecordBatch) -> np.ndarray:
        return mask(pc.starts_with(values[0], "00000000-"))


def imported(
    name: str, content: bytes, format: Format, mode: Mode
) -> tuple[Counter[str], set[int], int, int]:
    """Return failures by code, rejected rows, the number of good rows, and their checksum."""
    table = tables.get(name)
    columns = Sample(table, 1).columns
    typed, failures = [], []
    for chunk in open_upload(io.BytesIO(content), f"sample.{format}", table=table, mode=mode):
        checked = validate(chunk.records, chunk.failures, table, mode)
        typed.append(checked.rows)
        failures += [chunk.failures, checked.failures]
    rejected = np.unique(np.concatenate([entry["row"].to_numpy() for entry in failures]))
    parts = list(split(lambda: typed, rejected, table, mode, EveryParentButNobody()))
    failures += [part.failures for part in parts]
    good_rows = [part.rows.filter(pa.array(~part.failed)) for part in parts]
    good = sum(rows.num_rows for rows in good_rows)
    total = sum(checksum(rows, columns) for rows in good_rows) % 2**64
    codes = Counter(code for entry in failures for code in entry["code"].to_pylist())
    return codes, {row for entry in failures for row in entry["row"].to_pylist()}, good, total


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("name", tables.names())
def test_a_clean_sample_is_good_to_the_last_row_and_arrives_as_it_was_made(name: str, format: Format) -> None:
    content, expected = written(name, 500, format=format)

    codes, rejected, good, total = imported(name, content, format, Mode.INSERT_ONLY)

    assert (codes, rejected, good) == (Counter(), set(), 500)
    assert total == expected[Mode.INSERT_ONLY].checksum


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("name", tables.names())
def test_a_bad_sample_fails_exactly_as_it_says(name: str, format: Format) -> None:
    content, expected = written(name, 600, BAD, format)
    says = expected[Mode.INSERT_ONLY]

    codes, rejected, good, total = imported(name, content, format, Mode.INSERT_ONLY)

    assert (dict(codes), len(rejected), good, total) == (says.codes, 150, 450, says.checksum)
    assert (says.rows, says.inserted, says.superseded, says.rejected) == (600, 450, 0, 150)


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("name", tables.names())
def test_upsert_forgives_what_it_can(name: str, format: Format) -> None:
    """Keys in the database are checked later, so repeated keys are still good here."""
    content, expected = written(name, 600, BAD, format)
    says = expected[Mode.UPSERT]

    codes, _, good, _ = imported(name, content, format, Mode.UPSERT)

    conflicts = says.codes.get("key_conflict", 0)
    assert dict(codes) == {code: count for code, count in says.codes.items() if code != "key_conflict"}
    assert good == says.inserted + says.superseded + conflicts
    assert says.rows == says.inserted + says.superseded + says.rejected == 600
    assert says.superseded > 0


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("name", tables.names())
def test_every_kind_of_defect_is_used(name: str, format: Format) -> None:
    sample = Sample(tables.get(name), 1000, bad=BAD)
    kinds = defects(sample.table, sample.relations, format)

    _, expected = written(name, 1000, BAD, format)

    assert len(kinds) < 250
    assert set(expected[Mode.INSERT_ONLY].codes) == {kind.insert_only for kind in kinds}


@pytest.mark.parametrize("name", tables.names())
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    assert written(name, 200, BAD)[0] == written(name, 200, BAD)[0]
    assert written(name, 200, BAD)[0] != written(name, 200, BAD, seed=8)[0]


@pytest.mark.parametrize(
    ("name", "crc"),
    [
        ("customers", 3_905_341_898),
        ("users", 1_279_421_771),
        ("articles", 3_284_035_489),
        ("comments", 2_090_646_649),
    ],
)
def test_the_bytes_are_the_same_on_every_machine(name: str, crc: int) -> None:
    assert crc32(written(name, 300, BAD)[0]) == crc


@pytest.mark.parametrize("name", tables.names())
def test_a_longer_sample_begins_like_a_shorter_one(name: str) -> None:
    short, long = (written(name, rows, BAD, users=50, articles=50)[0] for rows in (300, 40_000))

    assert long.startswith(short)


def test_children_refer_to_rows_of_their_parents_samples() -> None:
    users = set(cells("users", "id", 200))
    articles = set(cells("articles", "id", 200))

    assert set(cells("articles", "author_id", 200)) <= users
    assert set(cells("comments", "article_id", 200)) <= articles
    assert set(cells("comments", "user_id", 200)) <= users


def test_children_never_refer_to_bad_rows_of_their_parents_samples() -> None:
    good_users = set(cells("users", "id", 150))

    content, _ = written("articles", 200, BAD)

    (chunk,) = open_upload(io.BytesIO(content), "articles.csv", table=tables.get("articles"))
    authors = {author for author in chunk.records["author_id"].to_pylist() if author}
    assert authors - good_users == {"00000000-0000-7000-8000-000000000000", "12345"}


def test_the_number_of_parents_can_be_given() -> None:
    content, _ = written("articles", 300, users=3)

    authors = {row["author_id"] for row in csv.DictReader(io.StringIO(content.decode(), newline=""))}
    assert authors == set(cells("users", "id", 3))


@pytest.mark.parametrize(("name", "column"), [("customers", "email"), ("users", "id"), ("articles", "slug")])
def test_keys_are_unique_within_a_seed_and_between_seeds(name: str, column: str) -> None:
    keys = cells(name, column, 2000) + cells(name, column, 2000, seed=8)

    assert len(set(keys)) == 4000


def test_emails_come_in_no_order() -> None:
    emails = cells("customers", "email", 1000)

    ascending = sum(a < b for a, b in pairwise(emails))
    assert 400 < ascending < 600


@pytest.mark.parametrize(
    ("rows", "bad", "rejected"),
    [(0, Fraction(1, 2), 0), (1, Fraction(0), 0), (10, Fraction(1), 10), (1000, Fraction(1, 100), 10)],
)
def test_the_share_of_bad_rows_is_kept_exactly(rows: int, bad: Fraction, rejected: int) -> None:
    expected = written("customers", rows, bad)[1][Mode.INSERT_ONLY]

    assert (expected.rows, expected.rejected, expected.inserted) == (rows, rejected, rows - rejected)


@pytest.mark.parametrize("name", tables.names())
def test_another_revision_differs_in_one_text_of_every_row(name: str) -> None:
    first, second = (Sample(tables.get(name), 500, bad=BAD, revision=revision) for revision in (0, 1))
    before, after = (pa.Table.from_batches(sample.good()) for sample in (first, second))
    same = [column for column in before.column_names if before[column].equals(after[column])]
    (other,) = set(before.column_names) - set(same)
    assert other not in ("id", *tables.get(name).key_columns)
    assert not pc.any(pc.equal(before[other], after[other])).as_py()
    assert after[other].null_count == 0


@pytest.mark.parametrize("name", tables.names())
def test_a_revised_sample_is_as_good_and_as_bad(name: str) -> None:
    out = io.BytesIO()
    says = Sample(tables.get(name), 600, 7, BAD, revision=2).write(out)[Mode.INSERT_ONLY]
    codes, rejected, good, total = imported(name, out.getvalue(), Format.CSV, Mode.INSERT_ONLY)
    assert (dict(codes), len(rejected), good, total) == (says.codes, 150, 450, says.checksum)


@pytest.mark.parametrize(("rows", "seed", "bad"), [(-1, 1, 0), (1, -1, 0), (1, 1, 2)])
def test_impossible_samples_are_refused(rows: int, seed: int, bad: int) -> None:
    with pytest.raises(ValueError, match="must"):
        Sample(tables.get("users"), rows, seed, Fraction(bad))
