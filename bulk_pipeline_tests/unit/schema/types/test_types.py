"""Every column type has facts, a codec and samples, which agree with each other."""

import numpy as np
import pyarrow as pa
import pytest

from bulk_pipeline.samples.draw import Rows
from bulk_pipeline.samples.types import SAMPLES, TypeSample, sample_of
from bulk_pipeline.schema import Column, column_type
from bulk_pipeline.schema.types import CODECS, Codec, codec_of
from bulk_pipeline.stages.validate.checks import CHECKS

ROWS = Rows(1, "t", np.arange(500, dtype=np.uint64))


@pytest.fixture(params=column_type.examples(), ids=str)
def column(request: pytest.FixtureRequest) -> Column:
    return Column(name="a", type=request.param)


@pytest.fixture
def codec(column: Column) -> Codec:
    assert column.type.family.name in CODECS, f"add a codec for {column.type} to schema/types"
    return codec_of(column)


@pytest.fixture
def sample(column: Column) -> TypeSample:
    assert column.type.family.name in SAMPLES, f"add a sample of {column.type} to samples/types.py"
    return sample_of(column)


def test_every_way_to_write_a_value_is_read_as_that_value(
    column: Column, codec: Codec, sample: TypeSample
) -> None:
    values = sample.values(column, ROWS)
    read = codec.from_text(column, sample.texts(column, values, ROWS))

    assert values.type == codec.arrow
    assert (read.values.to_pylist(), read.problems) == (values.to_pylist(), {})


def test_a_value_that_is_written_is_read_again(column: Column, codec: Codec, sample: TypeSample) -> None:
    values = sample.values(column, ROWS)
    again = codec.from_text(column, codec.to_text(column, values))

    assert (again.values.to_pylist(), again.problems) == (values.to_pylist(), {})


def test_a_wrong_cell_has_a_problem_of_the_code_that_the_sample_says(
    column: Column, codec: Codec, sample: TypeSample
) -> None:
    assert sample.wrong, f"add a wrong cell of {column.type} to samples/types.py"
    if column.type.facts.is_text:
        return  # any text is one: its checks are tested as such
    for _, code, text in sample.wrong:
        read = codec.from_text(column, pa.array([text]))
        assert [CHECKS[problem].code for problem in read.problems] == [code]
        assert read.values.to_pylist() == [None]


def test_there_is_a_field_of_copy_for_every_cell(column: Column, codec: Codec, sample: TypeSample) -> None:
    values = pa.concat_arrays([sample.values(column, ROWS), pa.nulls(1, codec.arrow)])
    parts = list(codec.to_copy(values))

    fields = [b"".join(part[place].as_py() for part in parts) for place in range(len(values))]
    assert all(
        len(field) == 4 + int.from_bytes(field[:4]) for field in fields[:-1] if field[:4] != b"\xff" * 4
    )
    assert fields[-1] == b"\xff" * 4


def test_cells_look_like_their_type(column: Column, sample: TypeSample) -> None:
    pattern = column.type.facts.looks_like
    texts = sample.texts(column, sample.values(column, ROWS).drop_null(), ROWS).to_pylist()

    assert pattern is None or all(pattern.fullmatch(text) for text in texts)
    assert not column.type.facts.never_a_name or (pattern is not None and not pattern.fullmatch("a name"))
