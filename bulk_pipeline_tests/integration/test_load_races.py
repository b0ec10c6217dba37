"""Loading while the table changes between search and write, or refuses rows."""

from collections.abc import Callable

import psycopg
import pytest

from bulk_pipeline.rows.row_store import PostgresRowStore
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.load.row_store import BatchWriter, Range, RangeOutcome
from bulk_pipeline_tests.rigs.loading import OLD, Loading, Row, counts, uid


def load_while(loading: Loading, something: Callable[[], object], *rows: Row | None) -> LoadCounts:
    """Load with another session's change, once, after the search and before the first batch."""

    class Meanwhile(PostgresRowStore):
        def settle(self, range_: Range, write: Callable[[BatchWriter], RangeOutcome]) -> LoadCounts:
            if range_.first == 1:
                something()
            return super().settle(range_, write)

    loading.start()
    with loading.store(Meanwhile) as store:
        return loading.load_with(store, rows)


def customer(key: str, name: str = "New") -> Row:
    return {"id": uid(int(key[:-1])) if key[:-1] else None, "email": key[-1], "first_name": name}


def article(number: int, author: int, **more: object) -> Row:
    made = {"title": "t", "body": "b", "status": "draft"}
    return {"id": uid(number), "slug": f"s-{number}", "author_id": uid(author), **made, **more}


@pytest.fixture
def customers(each_database_url: str) -> Loading:
    return Loading(each_database_url)


@pytest.fixture
def upserts(database_url: str) -> Loading:
    return Loading(database_url, mode=Mode.UPSERT)


@pytest.fixture
def articles(each_database_url: str) -> Loading:
    people = [{"id": uid(n), "email": str(n), "name": "A", "role": "admin"} for n in (1, 2)]
    Loading(each_database_url, "users").have(*people)
    return Loading(each_database_url, "articles")


@pytest.mark.parametrize("is_empty", [True, False], ids=["an empty table", "a table with rows"])
def test_a_key_that_is_taken_meanwhile_rejects_its_row_and_no_other(
    customers: Loading, is_empty: bool
) -> None:
    customers.have(*[] if is_empty else [customer("9z")])
    rows = [customer("a"), customer("2b"), None, customer("3c"), customer("d")]
    outcome = load_while(customers, lambda: customers.have(customer("1a"), customer("3q")), *rows)
    assert outcome == counts("2 inserted, 3 rejected")
    assert customers.failures() == [(1, "email", "already_exists"), (4, "id", "already_exists")]
    assert [email for (email,) in customers.content("email") if email != "z"] == ["a", "b", "d", "q"]


def test_only_the_batch_that_is_refused_is_written_with_care(customers: Loading) -> None:
    job = customers.anew(batch_rows=2)
    rows = [customer(email) for email in "abcdef"]
    assert load_while(job, lambda: job.have(customer("1d")), *rows) == counts("5 inserted, 1 rejected")
    assert [row[3:] for row in job.batches_in()] == [(2, 0, 0, 0, 0), (1, 0, 0, 0, 1), (2, 0, 0, 0, 0)]


def test_a_row_that_appears_meanwhile_is_updated(upserts: Loading) -> None:
    rows = [customer("a"), customer("2b"), customer("c")]
    outcome = load_while(upserts, lambda: upserts.have(customer("1a", "Old"), customer("2q", "Old")), *rows)
    assert outcome == counts("1 inserted, 2 updated")
    assert [row[1:] for row in upserts.content("id", "email", "first_name")][:2] == [
        ("a", "New"),
        ("b", "New"),
    ]


def test_a_row_that_appears_meanwhile_as_it_should_be_is_unchanged(upserts: Loading) -> None:
    outcome = load_while(upserts, lambda: upserts.have(customer("1a")), customer("a"), customer("b"))
    assert outcome == counts("1 inserted, 1 unchanged")
    assert upserts.row(email="a")["updated_at"] == OLD


def test_keys_that_come_to_point_at_two_rows_meanwhile_are_in_conflict(upserts: Loading) -> None:
    outcome = load_while(upserts, lambda: upserts.have(customer("1a")), customer("2a"), customer("b"))
    assert outcome == counts("1 inserted, 1 rejected")
    assert upserts.failures() == [(1, "email", "key_conflict")]


def test_a_natural_key_that_is_taken_meanwhile_is_not_given_to_another_row(upserts: Loading) -> None:
    upserts.have(customer("1a", "Old"))
    outcome = load_while(upserts, lambda: upserts.have(customer("2b")), customer("1b"), customer("c"))
    assert outcome == counts("1 inserted, 1 rejected")
    assert upserts.failures() == [(1, "email", "key_conflict")]
    assert upserts.row(email="a")["first_name"] == "Old"


def test_a_row_that_is_removed_meanwhile_is_new(upserts: Loading) -> None:
    upserts.have(customer("1a", "Old"), customer("2b", "Old"))
    outcome = load_while(
        upserts, lambda: upserts.execute("DELETE FROM customers"), customer("a"), customer("2b")
    )
    assert outcome == counts("2 inserted")
    assert [row[0] for row in upserts.content("email")] == ["a", "b"]


def test_rows_that_depend_on_each_other_also_bear_a_change(upserts: Loading) -> None:
    upserts.have(customer("1a", "Old"), customer("2b", "Old"))
    rows = [customer("1c"), customer("2a"), customer("1b", "Last"), customer("d")]
    outcome = load_while(upserts, lambda: upserts.have(customer("4d")), *rows)
    assert outcome == counts("1 superseded, 2 updated, 1 unchanged")
    assert upserts.content("id", "email") == [(uid(1), "b"), (uid(2), "a"), (uid(4), "d")]


@pytest.mark.parametrize("mode", Mode)
def test_a_parent_that_is_removed_meanwhile_rejects_its_children(articles: Loading, mode: Mode) -> None:
    job = articles.anew(mode=mode)
    rows = [article(5, 1), article(6, 2), article(7, 1)]
    outcome = load_while(job, lambda: job.execute("DELETE FROM users WHERE id = %s", [uid(2)]), *rows)
    assert outcome == counts("2 inserted, 1 rejected")
    assert job.failures("row", "line", "column", "code", "value", "message") == [
        (2, 3, "author_id", "unknown_reference", uid(2), f"author_id '{uid(2)}' is not in users")
    ]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("constraint", "column", "reason"),
    [
        pytest.param(
            "ADD CONSTRAINT short_title CHECK (length(title) < 3)",
            None,
            "constraint short_title: CHECK (length(title) < 3)",
            id="check",
        ),
        pytest.param(
            "ADD CONSTRAINT one_title UNIQUE (title)",
            "title",
            "constraint one_title: Key (title)=(1) already exists",
            id="unique",
        ),
        pytest.param(
            "ALTER title TYPE varchar(3)",
            "title",
            "title: value too long for type character varying(3)",
            id="type",
        ),
        pytest.param(
            "ADD CONSTRAINT known FOREIGN KEY (title) REFERENCES users (email)",
            "title",
            'constraint known: Key (title)=(long) is not present in table "users"',
            id="foreign key",
        ),
    ],
)
def test_an_undeclared_constraint_rejects_the_rows_that_break_it(
    articles: Loading, mode: Mode, constraint: str, column: str | None, reason: str
) -> None:
    articles.have(article(4, 1, title="1"))
    articles.execute(f"ALTER TABLE articles {constraint}")
    articles.execute("DELETE FROM articles WHERE id <> %s", [uid(4)])
    titles = {"ADD CONSTRAINT one_title UNIQUE (title)": ["2", "1", "3", "1", "4"]}
    values = titles.get(constraint, ["2", "long", "1", "long", "2"])
    rows = [article(5 + number, 1, title=title) for number, title in enumerate(values)]
    job = articles.anew(mode=mode)
    assert job.load(*rows) == counts("3 inserted, 2 rejected")
    assert job.failures("row", "column", "code", "message") == [
        (2, column, "constraint", f"the database refused the row: {reason}"),
        (4, column, "constraint", f"the database refused the row: {reason}"),
    ]


def test_a_constraint_also_holds_for_rows_that_are_updated(upserts: Loading) -> None:
    upserts.have(*(customer(f"{number}{email}", "Old") for number, email in enumerate("abc", 1)))
    upserts.execute("ALTER TABLE customers ADD CONSTRAINT polite CHECK (first_name <> 'Rude')")
    rows = [customer("a"), customer("2b", "Rude"), customer("c")]
    assert upserts.load(*rows) == counts("2 updated, 1 rejected")
    assert upserts.failures() == [(2, None, "constraint")]


def test_a_natural_key_too_long_for_its_index_is_no_outage(articles: Loading) -> None:
    incompressible = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(5_000))
    rows = [article(5, 1, slug=incompressible), article(6, 1)]
    assert articles.load(*rows) == counts("1 inserted, 1 rejected")
    assert articles.failures("row", "column", "code", "message") == [
        (
            1,
            "slug",
            "constraint",
            "the database refused the row: slug is too long: it has 15,000 bytes, and an index on it holds at most "
            "8,191",
        )
    ]


def test_a_trigger_may_refuse_rows(customers: Loading) -> None:
    customers.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.email = 'b' THEN RAISE 'not that one'; END IF; RETURN new; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION refuse();
        """
    )
    assert customers.load(customer("a"), customer("b")) == counts("1 inserted, 1 rejected")
    assert customers.failures("message") == [("the database refused the row: not that one",)]


@pytest.mark.timeout(30)
def test_many_rows_at_fault_are_isolated_in_little_time(customers: Loading) -> None:
    customers.execute("ALTER TABLE customers ADD CHECK (phone NOT LIKE '%3')")
    customers.execute("CREATE UNIQUE INDEX ON customers (phone)")
    rows: list[Row | None] = [{"email": str(-number), "phone": str(number % 100)} for number in range(500)]
    assert customers.load(*rows) == counts("90 inserted, 410 rejected")
    inserted = {(str(-number), str(number)) for number in range(100) if number % 10 != 3}
    assert set(customers.content("email", "phone")) == inserted, (
        "the first row in the file has the phone number"
    )


def test_a_deadlock_is_tried_again(customers: Loading) -> None:
    calls = []

    class Unlucky(PostgresRowStore):
        def settle(self, range_: Range, write: Callable[[BatchWriter], RangeOutcome]) -> LoadCounts:
            def unlucky(writer: BatchWriter) -> RangeOutcome:
                settled = write(writer)
                calls.append(range_)
                if len(calls) < 3:
                    raise psycopg.errors.DeadlockDetected("deadlock detected")
                return settled

            return super().settle(range_, unlucky)

    customers.start()
    with customers.store(Unlucky) as store:
        assert customers.load_with(store, [customer("a"), customer("b")]) == counts("2 inserted")
    assert len(calls) == 3
