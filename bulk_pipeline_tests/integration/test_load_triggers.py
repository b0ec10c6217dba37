"""Counts are right if triggers drop or change rows, and if constraints are checked at the end."""

import pytest

from bulk_pipeline.rows.batch_writer import PostgresBatchWriter
from bulk_pipeline.schema import Mode
from bulk_pipeline_tests.rigs.loading import OLD, Loading, Row, counts, uid

DROPPED = "the database refused the row: trigger change dropped it"


def customer(key: str, city: str | None = None) -> Row:
    """Return a customer with id 1 and email a for `"1a"`."""
    return {"id": uid(int(key[:-1])) if key[:-1] else None, "email": key[-1], "city": city}


def trigger(loading: Loading, body: str, when: str = "BEFORE INSERT OR UPDATE", name: str = "change") -> None:
    loading.execute(
        f"""
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
        CREATE TRIGGER {name} {when} ON customers FOR EACH ROW EXECUTE FUNCTION {name}();
        """
    )


DROP = "IF NEW.city = 'Nowhere' THEN RETURN NULL; END IF;"


@pytest.fixture
def customers(each_database_url: str) -> Loading:
    return Loading(each_database_url)


@pytest.fixture
def upserts(database_url: str) -> Loading:
    return Loading(database_url, mode=Mode.UPSERT)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_rows_that_a_trigger_drops_are_rejected(customers: Loading, mode: Mode, batch_rows: int) -> None:
    trigger(customers, DROP)
    job = customers.anew(mode=mode, batch_rows=batch_rows)
    rows = [
        customer("1a", "Rome"),
        customer("2b", "Nowhere"),
        customer("c", "Nowhere"),
        customer("d", "Bonn"),
    ]
    assert job.load(*rows) == counts("2 inserted, 2 rejected")
    assert job.failures("row", "column", "code", "message") == [
        (2, None, "constraint", DROPPED),
        (3, None, "constraint", DROPPED),
    ]
    assert job.content("email", "city") == [("a", "Rome"), ("d", "Bonn")]


def test_a_trigger_that_drops_everything_leaves_nothing(customers: Loading) -> None:
    trigger(customers, "RETURN NULL;")
    assert customers.load(customer("1a"), customer("2b")) == counts("2 rejected")
    assert customers.content("email") == []


def test_all_triggers_that_may_have_dropped_a_row_are_named(customers: Loading) -> None:
    trigger(customers, DROP)
    trigger(customers, "", name="and_another")
    trigger(customers, "", "BEFORE UPDATE", name="of_updates")
    trigger(customers, "", "AFTER INSERT", name="too_late")
    customers.load(customer("1a", "Nowhere"), customer("2b"))
    (message,) = customers.failures("message")
    assert message == ("the database refused the row: one of the triggers and_another, change dropped it",)


def test_a_trigger_fires_once_for_a_row_that_it_drops(customers: Loading) -> None:
    customers.execute("CREATE TABLE quarantine (email text)")
    trigger(
        customers,
        "IF NEW.city = 'Nowhere' THEN INSERT INTO quarantine VALUES (NEW.email); RETURN NULL; END IF;",
    )
    customers.load(customer("1a"), customer("2b", "Nowhere"))
    assert customers.execute("SELECT email FROM quarantine") == [("b",)]


@pytest.mark.parametrize("mode", Mode)
def test_rows_are_dropped_and_refused_in_the_same_batch(customers: Loading, mode: Mode) -> None:
    trigger(customers, f"{DROP} IF NEW.city = 'Evil' THEN RAISE 'no evil' USING HINT = 'be good'; END IF;")
    job = customers.anew(mode=mode)
    rows = [customer("1a", "Nowhere"), customer("2b"), customer("3c", "Evil"), customer("4d", "Nowhere")]
    assert job.load(*rows, customer("5e")) == counts("2 inserted, 3 rejected")
    assert job.failures("row", "message") == [
        (1, DROPPED),
        (3, "the database refused the row: no evil; be good"),
        (4, DROPPED),
    ]
    assert job.content("email") == [("b",), ("e",)]


def test_a_row_that_a_trigger_puts_elsewhere_in_the_table_is_inserted(customers: Loading) -> None:
    customers.execute("CREATE TABLE romans () INHERITS (customers)")
    trigger(
        customers,
        "IF NEW.city = 'Rome' THEN INSERT INTO romans SELECT NEW.*; RETURN NULL; END IF;" + DROP,
        "BEFORE INSERT",
    )
    rows = [customer("1a", "Rome"), customer("2b", "Bonn"), customer("3c", "Nowhere")]
    assert customers.load(*rows) == counts("2 inserted, 1 rejected")
    assert customers.failures() == [(3, None, "constraint")]
    assert customers.content("email", "city") == [("a", "Rome"), ("b", "Bonn")]


@pytest.mark.parametrize("mode", Mode)
def test_a_trigger_may_change_ids_and_drop_rows(customers: Loading, mode: Mode) -> None:
    trigger(customers, f"{DROP} NEW.id = gen_random_uuid();", "BEFORE INSERT")
    job = customers.anew(mode=mode)
    rows = [customer("1a"), customer("2b", "Nowhere"), customer("3c")]
    assert job.load(*rows) == counts("2 inserted, 1 rejected")
    assert job.failures("row", "message") == [(2, DROPPED)]
    assert job.content("email") == [("a",), ("c",)]


@pytest.mark.parametrize("mode", Mode)
def test_a_trigger_may_change_every_key_and_drop_rows(customers: Loading, mode: Mode) -> None:
    trigger(customers, f"{DROP} NEW.id = gen_random_uuid(); NEW.email = NEW.email || '!';", "BEFORE INSERT")
    job = customers.anew(mode=mode)
    rows = [customer("1a"), customer("2b", "Nowhere"), customer("3c")]
    assert job.load(*rows) == counts("2 inserted, 1 rejected")
    assert job.failures("row", "message") == [(2, DROPPED)]
    assert job.content("email") == [("a!",), ("c!",)]


@pytest.mark.parametrize("batch_rows", [1, 100])
def test_a_trigger_may_change_natural_keys(customers: Loading, batch_rows: int) -> None:
    """The first row keeps the key; the row with the other spelling is rejected."""
    trigger(customers, "NEW.email = lower(NEW.email);")
    job = customers.anew(batch_rows=batch_rows)
    rows = [customer("1A"), customer("2a"), customer("3B"), customer("4b"), customer("5c"), customer("6C")]
    assert job.load(*rows) == counts("3 inserted, 3 rejected")
    assert [row for row, *_ in job.failures()] == [2, 4, 6]
    assert {code for _, _, code in job.failures()} <= {"already_exists", "constraint"}
    assert job.content("id", "email") == [(uid(1), "a"), (uid(3), "b"), (uid(5), "c")]


@pytest.mark.parametrize("batch_rows", [1, 100])
def test_an_upsert_bears_natural_keys_that_a_trigger_changes(upserts: Loading, batch_rows: int) -> None:
    upserts.have(customer("1a", "Old"), customer("2b", "Old"))
    trigger(upserts, "NEW.email = lower(NEW.email);")
    job = upserts.anew(batch_rows=batch_rows)
    rows = [customer("1A", "New"), customer("B", "New"), customer("3c", "New"), customer("C", "Newer")]
    job.load(*rows)
    assert job.row(email="a")["city"] == "New"
    assert {row for row, *_ in job.failures()} == {2, 4}, "they are other addresses, and taken"
    assert job.content("email") == [("a",), ("b",), ("c",)]


def test_updates_that_a_trigger_drops_are_rejected(upserts: Loading) -> None:
    upserts.have(*(customer(key, "Old") for key in ("1a", "2b", "3c", "4d")))
    trigger(upserts, DROP)
    rows = [
        customer("1a", "New"),
        customer("2b", "Nowhere"),
        customer("c", "Nowhere"),
        customer("4d", "Old"),
        customer("5e", "New"),
    ]
    assert upserts.load(*rows) == counts("1 inserted, 1 updated, 1 unchanged, 2 rejected")
    assert upserts.failures("row", "message") == [(2, DROPPED), (3, DROPPED)]
    assert upserts.content("email", "city") == [
        ("a", "New"),
        ("b", "Old"),
        ("c", "Old"),
        ("d", "Old"),
        ("e", "New"),
    ]
    assert upserts.row(email="b")["updated_at"] == OLD


def test_updates_that_a_trigger_changes_count_as_updates(upserts: Loading) -> None:
    upserts.have(customer("1a", "Old"), customer("2b", "Old"), customer("3c", "Old"))
    trigger(upserts, f"{DROP} NEW.city = upper(NEW.city);")
    rows = [customer("1a", "New"), customer("2b", "Nowhere"), customer("c", "New")]
    assert upserts.load(*rows) == counts("2 updated, 1 rejected")
    assert upserts.failures("row") == [(2,)]
    assert upserts.content("email", "city") == [("a", "NEW"), ("b", "Old"), ("c", "NEW")]


def test_a_refused_row_beside_dropped_updates_changes_nothing_about_them(upserts: Loading) -> None:
    upserts.have(customer("1a", "Old"), customer("2b", "Old"), customer("3c", "Old"))
    trigger(upserts, f"{DROP} IF NEW.city = 'Evil' THEN RAISE 'no evil'; END IF;")
    rows = [customer("1a", "New"), customer("2b", "Nowhere"), customer("c", "Evil"), customer("3c", "Old")]
    assert upserts.load(*rows[:3]) == counts("1 updated, 2 rejected")
    assert upserts.failures("row", "message") == [
        (2, DROPPED),
        (3, "the database refused the row: no evil"),
    ]
    assert upserts.content("email", "city") == [("a", "New"), ("b", "Old"), ("c", "Old")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("RAISE 'a%', 'b' USING DETAIL = 'because', HINT = 'do c';", "ab; because; do c"),
        ("RAISE 'x' USING ERRCODE = 'XY123';", "x"),
        ("RAISE 'x' USING ERRCODE = 'insufficient_privilege';", "x"),
        ("RAISE 'x' USING ERRCODE = 'admin_shutdown';", "x"),
        ("RAISE 'x' USING CONSTRAINT = 'mine';", "constraint mine: x"),
        ("NEW.phone = 1 / 0;", "division by zero (PL/pgSQL function change() line 1 at assignment)"),
        ("ASSERT false, 'never';", "never (PL/pgSQL function change() line 1 at ASSERT)"),
    ],
)
def test_a_trigger_is_quoted(customers: Loading, body: str, reason: str) -> None:
    trigger(customers, f"IF NEW.email = 'b' THEN {body} END IF;")
    assert customers.load(customer("1a"), customer("2b"), customer("3c")) == counts("2 inserted, 1 rejected")
    assert customers.failures("row", "code", "message") == [
        (2, "constraint", f"the database refused the row: {reason}")
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ADD CONSTRAINT far CHECK (city <> 'Rome')", "constraint far: CHECK (city::text <> 'Rome'::text)"),
        (
            "ALTER city TYPE place",
            "constraint place_check: CHECK (VALUE::text <> 'Rome'::text)",
        ),
    ],
    ids=["of the table", "of a domain"],
)
@pytest.mark.parametrize("is_changed", [False, True], ids=["in the row", "after a trigger"])
def test_a_check_is_shown(customers: Loading, change: str, reason: str, is_changed: bool) -> None:
    """Also where the check is about what a trigger makes of the row, which only Postgres can tell."""
    customers.execute("CREATE DOMAIN place AS varchar(128) CHECK (VALUE <> 'Rome')")
    customers.execute(f"ALTER TABLE customers {change}")
    if is_changed:
        trigger(customers, "IF NEW.city = 'Roma' THEN NEW.city = 'Rome'; END IF;")
    row = customer("2b", "Roma" if is_changed else "Rome")
    assert customers.load(customer("1a", "Bonn"), row) == counts("1 inserted, 1 rejected")
    assert customers.failures("row", "message") == [(2, f"the database refused the row: {reason}")]


def test_a_long_check_is_cut(customers: Loading) -> None:
    condition = " AND ".join(f"city <> '{number}'" for number in range(100))
    customers.execute(f"ALTER TABLE customers ADD CONSTRAINT far CHECK ({condition})")
    assert customers.load(customer("1a", "7")) == counts("1 rejected")
    ((message,),) = customers.failures("message")
    assert message.startswith(
        "the database refused the row: constraint far: CHECK (city::text <> '0'::text AND "
    )
    assert message.endswith("…")
    assert len(message) < 400


@pytest.mark.parametrize("mode", Mode)
def test_a_column_that_must_have_a_value_is_named(customers: Loading, mode: Mode) -> None:
    customers.execute("ALTER TABLE customers ALTER city SET NOT NULL")
    job = customers.anew(mode=mode)
    assert job.load(customer("1a", "Rome"), customer("2b")) == counts("1 inserted, 1 rejected")
    assert job.failures("row", "column", "message") == [
        (2, "city", "the database refused the row: city must have a value (NOT NULL)")
    ]


UNIQUE = "ALTER TABLE customers ADD CONSTRAINT city_once UNIQUE (city) DEFERRABLE INITIALLY {}"
REFERS = "ALTER TABLE customers ADD CONSTRAINT known FOREIGN KEY (city) REFERENCES customers (email) DEFERRABLE INITIALLY {}"


@pytest.mark.parametrize("when", ["DEFERRED", "IMMEDIATE"])
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_a_deferrable_unique_constraint_rejects_the_later_row(
    customers: Loading, mode: Mode, when: str, batch_rows: int
) -> None:
    customers.execute(UNIQUE.format(when))
    customers.have(customer("9z", "Bonn"))
    job = customers.anew(mode=mode, batch_rows=batch_rows)
    rows = [customer("1a", "Rome"), customer("2b", "Rome"), customer("3c", "Bonn"), customer("4d", "Oslo")]
    assert job.load(*rows) == counts("2 inserted, 2 rejected")
    assert job.failures("row", "column", "message") == [
        (2, "city", "the database refused the row: constraint city_once: Key (city)=(Rome) already exists"),
        (3, "city", "the database refused the row: constraint city_once: Key (city)=(Bonn) already exists"),
    ]
    assert [email for (email,) in job.content("email")] == ["a", "d", "z"]


@pytest.mark.parametrize("mode", Mode)
def test_rows_that_are_valid_together_are_stored_together(customers: Loading, mode: Mode) -> None:
    customers.execute(REFERS.format("DEFERRED"))
    job = customers.anew(mode=mode)
    rows = [customer("1a", "c"), customer("2b", "a"), customer("3c", "b")]
    assert job.load(*rows) == counts("3 inserted")


@pytest.mark.parametrize("mode", Mode)
def test_a_row_that_needs_a_later_one_is_stored_beside_one_that_is_refused(
    customers: Loading, mode: Mode
) -> None:
    customers.execute(REFERS.format("DEFERRED"))
    job = customers.anew(mode=mode)
    rows = [
        customer("1a", "d"),
        customer("2b", "q"),
        customer("3c", "e"),
        customer("4d", "c"),
        customer("5e"),
    ]
    assert job.load(*rows, customer("6f", "b")) == counts("4 inserted, 2 rejected")
    assert job.failures("row", "column", "message") == [
        (
            row,
            "city",
            f'the database refused the row: constraint known: Key (city)=({city}) is not present in table "customers"',
        )
        for row, city in [(2, "q"), (6, "b")]
    ]
    assert [email for (email,) in job.content("email")] == ["a", "c", "d", "e"]


def test_a_deferred_constraint_also_holds_for_updates(upserts: Loading) -> None:
    upserts.execute(UNIQUE.format("DEFERRED"))
    upserts.have(customer("1a", "Rome"), customer("2b", "Bonn"), customer("3c", "Oslo"))
    swap = [customer("1a", "Bonn"), customer("2b", "Rome"), customer("3c", "Rom")]
    assert upserts.load(*swap) == counts("3 updated")
    again = upserts.anew()
    assert again.load(customer("1a", "Rom"), customer("2b", "Lima")) == counts("1 updated, 1 rejected")
    assert again.failures() == [(1, "city", "constraint")]


def test_many_rows_that_a_deferred_constraint_refuses_take_little_work(
    customers: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of savepoints grows linearly with the rows, not with their square."""
    customers.execute(UNIQUE.format("DEFERRED"))
    rows: list[Row | None] = [{"email": str(number), "city": str(number % 100)} for number in range(300)]
    savepoints, savepoint = [], PostgresBatchWriter.savepoint
    monkeypatch.setattr(
        PostgresBatchWriter, "savepoint", lambda writer: savepoints.append(1) or savepoint(writer)
    )
    assert customers.load(*rows) == counts("100 inserted, 200 rejected")
    assert [row for row, *_ in customers.failures()] == list(range(101, 301))
    assert 200 < len(savepoints) < 10 * len(rows)


def test_key_that_is_deferrable_itself(customers: Loading) -> None:
    customers.execute(
        """
        ALTER TABLE customers DROP CONSTRAINT customers_email_key;
        ALTER TABLE customers ADD UNIQUE (email) DEFERRABLE INITIALLY DEFERRED;
        ALTER TABLE customers ADD CHECK (city <> 'Evil');
        """
    )
    customers.have(customer("1a"))
    rows = [customer("2a"), customer("3b"), customer("4c", "Evil")]
    assert customers.load(*rows) == counts("1 inserted, 2 rejected")
    assert customers.failures() == [(1, "email", "already_exists"), (3, None, "constraint")]
