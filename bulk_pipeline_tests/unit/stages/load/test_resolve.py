"""What `resolve` promises: the fates that rows have when they are applied one after the other."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.stages.load.resolve import Decision, Fate, KeyedRow, resolve

INSERT, UPDATE, SUPERSEDED, CONFLICT, INCOMPLETE = Fate


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
    ("unsaid", "carried"),
    [
        pytest.param(["", "city"], {"city": 1}, id="what the row before has said"),
        pytest.param(["", "city phone", "city"], {"city": 1}, id="what one further up has said"),
        pytest.param(["city", "phone", "name"], {"name": 2}, id="what was said last"),
        pytest.param(["phone", "city", "city phone"], {"city": 1, "phone": 2}, id="of several rows"),
        pytest.param(["city", "city"], {}, id="nothing if nobody has said it"),
        pytest.param(["city", ""], {}, id="nothing if it says all itself"),
    ],
)
def test_the_last_row_carries_what_it_leaves_unsaid(unsaid: list[str], carried: dict[str, int]) -> None:
    rows = [KeyedRow(row, "X", "a", frozenset(names.split())) for row, names in enumerate(unsaid, 1)]
    expected = Decision(len(rows), INSERT, "X", carried=tuple(carried.items()))
    assert resolve(rows, {})[-1] == expected


def test_a_row_that_was_refused_carries_nothing_on() -> None:
    lacking = KeyedRow(1, None, "a", frozenset({"name"}), lacks=True)
    whole = KeyedRow(2, None, "a", frozenset({"city"}))
    assert [(d.fate, d.carried) for d in resolve([lacking, whole], {})] == [(INCOMPLETE, ()), (INSERT, ())]


@pytest.mark.parametrize(
    ("keys", "stored", "expected"),
    [
        pytest.param(["a-"], {}, [INCOMPLETE], id="as a new row"),
        pytest.param(["a-"], {"X": "a"}, [UPDATE], id="as a row of the table"),
        pytest.param(["a", "a-"], {}, [SUPERSEDED, INSERT], id="as a row of the file"),
        pytest.param(["a-", "a", "a-"], {}, [INCOMPLETE, SUPERSEDED, INSERT], id="before and after it"),
        pytest.param(["Xa-", "Yb", "Ya"], {}, [INCOMPLETE, SUPERSEDED, INSERT], id="it claims no key"),
        pytest.param(["Xb", "a-"], {"X": "a"}, [UPDATE, INCOMPLETE], id="as its key is free by then"),
        pytest.param(["Ya-"], {"X": "a"}, [CONFLICT], id="two rows are the worse failure"),
    ],
)
def test_a_row_that_lacks_what_a_new_row_needs(
    keys: list[str], stored: dict[str, str | None], expected: list[Fate]
) -> None:
    rows = [
        replace(row, lacks=key.endswith("-"))
        for row, key in zip(keyed(*(key.rstrip("-") for key in keys)), keys, strict=True)
    ]
    assert [decision.fate for decision in resolve(rows, stored)] == expected


def test_a_row_without_a_natural_key_leaves_it_as_it_is() -> None:
    rows = [
        KeyedRow(1, "X", None, frozenset({"email"}), lacks=True),
        KeyedRow(2, "X", "b"),
        KeyedRow(3, "X", None, frozenset({"email"}), lacks=True),
        KeyedRow(4, None, "b"),
    ]
    assert resolve(rows, {"X": "a"}) == [
        Decision(1, SUPERSEDED, "X"),
        Decision(2, SUPERSEDED, "X", rekeys=True, differs=True),
        Decision(3, SUPERSEDED, "X", differs=True, carried=(("email", 2),)),
        Decision(4, UPDATE, "X", differs=True),
    ]


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
