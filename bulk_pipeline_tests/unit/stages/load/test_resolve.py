"""`resolve` gives rows the fates that they have if they are applied one after the other."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_pipeline.schema import Key
from bulk_pipeline.stages.load.resolve import (
    Decision,
    Fate,
    KeyCells,
    KeyedRow,
    KeyValue,
    key_value,
    resolve,
)

INSERT, UPDATE, SUPERSEDED, CONFLICT, INCOMPLETE = Fate


KEYS = (Key(("id",)), Key(("email",)))


def row(
    number: int, id_: str | None, email: str | None, unsaid: str = "", *, lacks: bool = False
) -> KeyedRow:
    """A row without an id says nothing about it, and neither does one whose email is unsaid."""
    cells = {"id": id_, "email": email}
    silent = {*unsaid.split(), *(() if id_ else ("id",))}
    says = {name: cell for name, cell in cells.items() if name not in silent}
    return KeyedRow(number, says, frozenset(silent), lacks)


def keyed(*keys: str) -> list[KeyedRow]:
    """`"Xa"` is a row with id X and email a, `"a"` one without id."""
    return [row(number, key[:-1] or None, key[-1]) for number, key in enumerate(keys, 1)]


def decided(rows: list[KeyedRow], stored: dict[str, str | None]) -> list[Decision]:
    return resolve(rows, [{"id": id_, "email": email} for id_, email in stored.items()], KEYS)


def fates(rows: list[KeyedRow], stored: dict[str, str | None]) -> list[tuple[Fate, str | None]]:
    """With the id that each row brings, or carries from a row that it overwrites."""
    ids = {row.row: row.says.get("id") for row in rows}
    return [
        (decision.fate, ids[dict(decision.carried).get("id", decision.row)])
        for decision in decided(rows, stored)
    ]


@pytest.mark.parametrize(
    ("keys", "stored", "expected"),
    [
        pytest.param(["a"], {}, [(INSERT, None)], id="a new email is a new row"),
        pytest.param(["Xa"], {}, [(INSERT, "X")], id="a new id is a new row with that id"),
        pytest.param(["a"], {"X": "a"}, [(UPDATE, None)], id="a known email means its row"),
        pytest.param(["Xb"], {"X": "a"}, [(UPDATE, "X")], id="a known id means its row, whatever its email"),
        pytest.param(["Xb"], {"X": "a", "Y": "b"}, [(CONFLICT, "X")], id="two rows in the table"),
        pytest.param(["Yb"], {"X": "b"}, [(CONFLICT, "Y")], id="a new id with the email of another row"),
        pytest.param(["Xa", "Ya"], {}, [(INSERT, "X"), (CONFLICT, "Y")], id="two rows in the file"),
        pytest.param(["a", "a"], {}, [(SUPERSEDED, None), (INSERT, None)], id="the last one wins"),
        pytest.param(["a", "a"], {"X": "a"}, [(SUPERSEDED, None), (UPDATE, None)], id="also in the table"),
        pytest.param(["Xa", "a"], {}, [(SUPERSEDED, "X"), (INSERT, "X")], id="by id, then by email"),
        pytest.param(["a", "Xa"], {}, [(INSERT, None), (CONFLICT, "X")], id="a row that got an id keeps it"),
        pytest.param(["Xb", "a"], {"X": "a"}, [(UPDATE, "X"), (INSERT, None)], id="a key is free by then"),
        pytest.param(["a", "Xb"], {"X": "a"}, [(SUPERSEDED, None), (UPDATE, "X")], id="it was not yet"),
        pytest.param(["Xb", "b"], {"X": "a"}, [(SUPERSEDED, "X"), (UPDATE, "X")], id="the new key means it"),
        pytest.param(
            ["Xb", "Ya"], {"X": "a", "Y": "b"}, [(CONFLICT, "X"), (CONFLICT, "Y")], id="no swap in two steps"
        ),
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


def test_a_table_with_one_key_knows_rows_by_it() -> None:
    rows = [KeyedRow(1, {"id": "X"}), KeyedRow(2, {"id": "Y"}), KeyedRow(3, {"id": "X"})]
    decisions = resolve(rows, [{"id": "Y"}], KEYS[:1])
    assert [decision.fate for decision in decisions] == [SUPERSEDED, UPDATE, INSERT]


def test_a_row_of_the_table_is_given_its_new_key_in_the_turn_of_each_row() -> None:
    decisions = decided(keyed("Xb", "Xb", "Xa", "Xc"), {"X": "a"})
    assert [decision.rekeys for decision in decisions] == [True, False, True, True]
    assert [decision.differs for decision in decisions] == [True, True, False, True]


def test_a_new_row_needs_no_new_key() -> None:
    assert not any(decision.rekeys or decision.differs for decision in decided(keyed("Xa", "Xb"), {}))


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
    rows = [row(number, "X", "a", names) for number, names in enumerate(unsaid, 1)]
    expected = Decision(len(rows), INSERT, carried=tuple(carried.items()))
    assert decided(rows, {})[-1] == expected


def test_a_row_that_was_refused_carries_nothing_on() -> None:
    rows = [row(1, None, "a", "name", lacks=True), row(2, None, "a", "city")]
    assert [(d.fate, d.carried) for d in decided(rows, {})] == [(INCOMPLETE, ()), (INSERT, ())]


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
def test_a_row_that_lacks_columns_of_a_new_row(
    keys: list[str], stored: dict[str, str | None], expected: list[Fate]
) -> None:
    rows = [
        replace(row, lacks=key.endswith("-"))
        for row, key in zip(keyed(*(key.rstrip("-") for key in keys)), keys, strict=True)
    ]
    assert [decision.fate for decision in decided(rows, stored)] == expected


def test_a_row_that_does_not_say_a_key_leaves_it_as_it_is() -> None:
    rows = [
        row(1, "X", None, "email", lacks=True),
        row(2, "X", "b"),
        row(3, "X", None, "email", lacks=True),
        row(4, None, "b"),
    ]
    assert decided(rows, {"X": "a"}) == [
        Decision(1, SUPERSEDED, by=2),
        Decision(2, SUPERSEDED, rekeys=True, differs=True, by=3),
        Decision(3, SUPERSEDED, differs=True, carried=(("email", 2),), by=4),
        Decision(4, UPDATE, differs=True, carried=(("id", 3),)),
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
    decisions = decided([row(n, id_, key) for n, (id_, key) in enumerate(rows, 1)], stored)
    final = {d.row: d for d in decisions if d.fate in (INSERT, UPDATE)}
    assert [d.row for d in decisions] == list(range(1, len(rows) + 1))
    assert [d.row for d in decisions if d.fate is CONFLICT] == refused
    assert set(final) == set(writers.values())
    targets = {number: target for target, number in writers.items()}
    assert {targets[d.row] for d in final.values() if d.fate is UPDATE} == set(writers) & set(stored)
    assert {targets[d.row] for d in final.values() if d.differs} == {
        target for target in set(writers) & set(stored) if table[target] != stored[target]
    }
    assert _replayed(decisions, rows, stored) == {target: table[target] for target in stored}


def _replayed(
    decisions: list[Decision], rows: list[tuple[str | None, str]], stored: dict[str, str | None]
) -> dict[str, str | None]:
    """The emails of the stored rows after all rekeying, each found by id, during which no two rows may share one."""
    table = dict(stored)
    for decision in decisions:
        if decision.rekeys:
            id_, email = rows[decision.row - 1]
            table[str(id_)] = email
            assert len(set(table.values())) == len(table)
    return table


SEVERAL = (Key(("a", "b")), Key(("c",)), Key(("d",), nulls_distinct=False))


@pytest.mark.parametrize(
    ("says", "stored", "expected"),
    [
        pytest.param([{"a": "1", "b": "2"}], [{"a": "1", "b": "2"}], [UPDATE], id="all columns of a key"),
        pytest.param([{"a": "1", "b": "2"}], [{"a": "1", "b": "3"}], [INSERT], id="not a part of it"),
        pytest.param(
            [{"a": "1", "b": None, "c": "x"}], [{"c": "x"}], [UPDATE], id="the next one, without it"
        ),
        pytest.param([{"a": "1", "b": "2", "c": "x"}], [{"c": "x"}], [CONFLICT], id="the first one decides"),
        pytest.param([{"d": None}], [{"d": None}], [UPDATE], id="NULLs that are not distinct"),
        pytest.param([{"c": None, "d": "1"}], [{"c": None, "d": "2"}], [INSERT], id="NULLs that are"),
        pytest.param([{"c": "x", "d": None}], [{"d": None}], [CONFLICT], id="whose NULL is taken"),
        pytest.param(
            [{"c": "x", "b": "3"}],
            [{"a": "1", "b": "2", "c": "x"}, {"a": "1", "b": "3"}],
            [CONFLICT],
            id="a part of a key makes it that of another row",
        ),
        pytest.param(
            [{"c": "x", "b": "3"}, {"a": "1", "b": "3"}, {"a": "1", "b": "2"}],
            [{"a": "1", "b": "2", "c": "x"}],
            [SUPERSEDED, UPDATE, INSERT],
            id="a part of a key moves it",
        ),
        pytest.param(
            [{"c": None, "d": "1"}, {"c": "x", "d": "2"}],
            [{"c": "x", "d": "1"}],
            [UPDATE, INSERT],
            id="NULL gives a key up",
        ),
    ],
)
def test_a_row_means_the_row_that_has_the_first_of_its_complete_keys(
    says: list[dict[str, str | None]], stored: list[dict[str, str | None]], expected: list[Fate]
) -> None:
    whole = [{"a": None, "b": None, "c": None, "d": str(n), **cells} for n, cells in enumerate(stored, 10)]
    decisions = resolve([KeyedRow(n, cells) for n, cells in enumerate(says, 1)], whole, SEVERAL)
    assert [decision.fate for decision in decisions] == expected


COMPOSITE = (Key(("c",)), Key(("a", "b")))
cells = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), min_size=1)


@st.composite
def composite_tables(draw: st.DrawFn) -> list[dict[str, str | None]]:
    columns = st.fixed_dictionaries(
        {"a": st.sampled_from("xyz"), "b": st.sampled_from("xyz"), "c": st.sampled_from([None, *"xyz"])}
    )
    drawn = draw(st.lists(columns, max_size=9))
    stored = {(row["a"], row["b"]): row for row in drawn}.values()
    return list({row["c"] or n: row for n, row in enumerate(stored)}.values())


@given(says=st.lists(cells, max_size=6), stored=composite_tables())
def test_rows_that_have_a_key_only_together_meet_its_owner(
    says: list[dict[str, str]], stored: list[dict[str, str | None]]
) -> None:
    given_rows = set[int]()

    def owners(key: Key, values: Collection[KeyValue]) -> list[KeyCells]:
        found = {n for n, row in enumerate(stored) if key_value(key, row) in values} - given_rows
        given_rows.update(found)
        return [stored[n] for n in found]

    rows = [KeyedRow(number, row, frozenset("abc") - {*row}) for number, row in enumerate(says, 1)]
    named = [row for key in COMPOSITE for row in owners(key, {key_value(key, said) or () for said in says})]
    decisions = resolve(rows, named, COMPOSITE, dict.fromkeys("abc"), owners)
    assert decisions == resolve(rows, stored, COMPOSITE, dict.fromkeys("abc"))
