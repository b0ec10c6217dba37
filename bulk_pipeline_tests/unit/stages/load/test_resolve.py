"""What `resolve` promises: the fates that rows have when they are applied one after the other."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.load.resolve import Decision, Fate, KeyedRow, resolve

INSERT, UPDATE, SUPERSEDED, CONFLICT = Fate
EARLY, LATE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def keyed(*keys: str) -> list[KeyedRow]:
    """`"Xa"` is a row with id X and natural key a, `"a"` one without id."""
    return [KeyedRow(number, key[:-1] or None, key[-1]) for number, key in enumerate(keys, 1)]


def fates(rows: list[KeyedRow], stored: dict[str, str | None]) -> list[tuple[Fate, str | None]]:
    return [(decision.fate, decision.id) for decision in resolve(rows, stored)]


@pytest.mark.parametrize(
    ("keys", "stored", "expected"),
    [
        pytest.param(["a"], {}, [(INSERT, None)], id="a new natural key is a new row"),
        pytest.param(["Xa"], {}, [(INSERT, "X")], id="a new id is a new row with that id"),
        pytest.param(["a"], {"X": "a"}, [(UPDATE, "X")], id="a known natural key means its row"),
        pytest.param(["Xb"], {"X": "a"}, [(UPDATE, "X")], id="a known id means its row, whatever its key"),
        pytest.param(["Xb"], {"X": "a", "Y": "b"}, [(CONFLICT, None)], id="two rows in the table"),
        pytest.param(["Yb"], {"X": "b"}, [(CONFLICT, None)], id="a new id with the key of another row"),
        pytest.param(["Xa", "Ya"], {}, [(INSERT, "X"), (CONFLICT, None)], id="two rows in the file"),
        pytest.param(["a", "a"], {}, [(SUPERSEDED, None), (INSERT, None)], id="the last one wins"),
        pytest.param(["a", "a"], {"X": "a"}, [(SUPERSEDED, "X"), (UPDATE, "X")], id="also in the table"),
        pytest.param(["Xa", "a"], {}, [(SUPERSEDED, "X"), (INSERT, "X")], id="by id, then by natural key"),
        pytest.param(["a", "Xa"], {}, [(INSERT, None), (CONFLICT, None)], id="a row that got an id keeps it"),
        pytest.param(["Xb", "a"], {"X": "a"}, [(UPDATE, "X"), (INSERT, None)], id="a key is free by then"),
        pytest.param(["a", "Xb"], {"X": "a"}, [(SUPERSEDED, "X"), (UPDATE, "X")], id="it was not yet"),
        pytest.param(["Xb", "b"], {"X": "a"}, [(SUPERSEDED, "X"), (UPDATE, "X")], id="the new key means it"),
        pytest.param(["Xb", "Ya"], {"X": "a", "Y": "b"}, [(CONFLICT, None)] * 2, id="no swap in two steps"),
        pytest.param(
            ["Xc", "Ya", "Xb"],
            {"X": "a", "Y": "b"},
            [(SUPERSEDED, "X"), (UPDATE, "Y"), (UPDATE, "X")],
            id="a swap in three",
        ),
        pytest.param(["Xa", "Xb", "a"], {}, [(SUPERSEDED, "X"), (INSERT, "X"), (INSERT, None)], id="in-file"),
    ],
)
def test_rows_are_applied_one_after_the_other(
    keys: list[str], stored: dict[str, str | None], expected: list[tuple[Fate, str | None]]
) -> None:
    assert fates(keyed(*keys), stored) == expected


def test_a_table_without_natural_key_knows_rows_by_id() -> None:
    rows = [KeyedRow(1, "X", None), KeyedRow(2, "Y", None), KeyedRow(3, "X", None)]
    assert fates(rows, {"Y": None}) == [(SUPERSEDED, "X"), (UPDATE, "Y"), (INSERT, "X")]


def test_a_row_of_the_table_is_given_its_new_key_in_the_turn_of_each_row() -> None:
    decisions = resolve(keyed("Xb", "Xb", "Xa", "Xc"), {"X": "a"})
    assert [decision.rekeys for decision in decisions] == [True, False, True, True]
    assert [decision.differs for decision in decisions] == [True, True, False, True]


def test_a_new_row_needs_no_new_key() -> None:
    assert not any(decision.rekeys or decision.differs for decision in resolve(keyed("Xa", "Xb"), {}))


@pytest.mark.parametrize(
    ("made", "kept"),
    [
        pytest.param([EARLY, None], EARLY, id="NULL keeps what the row before brought"),
        pytest.param([EARLY, LATE], LATE, id="a value replaces it"),
        pytest.param([None, None], None, id="NULL throughout is left to the database"),
    ],
)
def test_columns_the_database_makes_survive_being_overwritten_by_null(
    made: list[datetime | None], kept: datetime | None
) -> None:
    rows = [KeyedRow(number, "X", "a", (value,)) for number, value in enumerate(made, 1)]
    assert resolve(rows, {})[-1] == Decision(2, INSERT, "X", made=(kept,))


keys = st.sampled_from(["a", "b", "c", "d"])
ids = st.sampled_from([None, "X", "Y", "Z"])
tables = st.dictionaries(st.sampled_from(["X", "Y", "Z"]), keys).filter(
    lambda stored: len(set(stored.values())) == len(stored)
)


@given(rows=st.lists(st.tuples(ids, keys), max_size=10), stored=tables)
def test_the_keys_end_as_in_a_table_that_takes_row_by_row(
    rows: list[tuple[str | None, str]], stored: dict[str, str | None]
) -> None:
    table: dict[str, str | None] = dict(stored)
    writers: dict[str, int] = {}
    refused = []
    for number, (id_, key) in enumerate(rows, 1):
        holder = next((row for row, held in table.items() if held == key), None)
        target = id_ or holder or f"new {number}"
        if holder not in (None, target):
            refused.append(number)
        else:
            table[target] = key
            writers[target] = number
    decisions = resolve([KeyedRow(n, id_, key) for n, (id_, key) in enumerate(rows, 1)], stored)
    final = {d.row: d for d in decisions if d.fate in (INSERT, UPDATE)}
    assert [d.row for d in decisions] == list(range(1, len(rows) + 1))
    assert [d.row for d in decisions if d.fate is CONFLICT] == refused
    assert set(final) == set(writers.values())
    assert {d.id or f"new {d.row}" if d.fate is UPDATE or d.id else None for d in final.values()} == {
        None if target.startswith("new") else target for target in writers
    }
    assert {d.id for d in final.values() if d.fate is UPDATE} == set(writers) & set(stored)
    assert {d.id for d in final.values() if d.differs} == {
        target for target in set(writers) & set(stored) if table[target] != stored[target]
    }
    assert _replayed(decisions, dict(rows_by_number(rows)), stored) == {
        target: table[target] for target in stored
    }


def rows_by_number(rows: list[tuple[str | None, str]]) -> list[tuple[int, str]]:
    return [(number, key) for number, (_, key) in enumerate(rows, 1)]


def _replayed(
    decisions: list[Decision], keys: dict[int, str], stored: dict[str, str | None]
) -> dict[str, str | None]:
    """The keys of the stored rows after all rekeying, during which no two rows may share one."""
    table = dict(stored)
    for decision in decisions:
        if decision.rekeys:
            table[str(decision.id)] = keys[decision.row]
            assert len(set(table.values())) == len(table)
    return table
