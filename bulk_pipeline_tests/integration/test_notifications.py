"""People are told about files, from the end of an import to the receiver of a message, whatever the receiver does."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from bulk_pipeline import tables
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.ledger.outbox import Message, MessageStatus
from bulk_pipeline.orchestration import sensors
from bulk_pipeline.pipeline import notifying
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import JobsRight, Rights
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.tables import registry
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline
from bulk_pipeline_tests.rigs.receivers import SECRET, SLOW, Hook, Mailbox, is_signed, mailing, receiving

BAD = b"email,city\nann@example.com,Rome\nann at home,Rome\nbob,Oslo\n,Bonn\ncy,Linz\n"
LATER = "UPDATE bulk.notifications SET next_attempt_at = now() WHERE status = 'waiting'"


@pytest.fixture
def hook() -> Iterator[Hook]:
    with receiving() as hook:
        yield hook


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mailing(free_port()) as mailbox:
        yield mailbox


class Office:
    """A pipeline whose settings tell people, and the work of `notify_sensor`."""

    def __init__(self, pipeline: Pipeline, **values: Any) -> None:
        secret = {"notify_urls", "notify_webhook_secret", "notify_mail_url"}
        given = {name: SecretStr(value) if name in secret else value for name, value in values.items()}
        defaults = {"notify_private": True, "notify_webhook_secret": SecretStr(SECRET), "notify_seconds": 2}
        settings = pipeline.stores.settings.model_copy(update=defaults | given)
        self.stores = Stores(settings)
        self.pipeline = pipeline
        notifying.subscribe(self.stores)

    def deliver(self) -> tuple[int, list[str]]:
        return notifying.deliver(self.stores, lambda: datetime.now(UTC), seconds=20)

    def later(self) -> tuple[int, list[str]]:
        """Deliver once the wait of every message is over."""
        with self.stores.postgres.transaction() as connection:
            connection.execute(LATER)
        return self.deliver()

    def messages(self) -> list[Message]:
        return self.stores.outbox.messages(limit=100, also_sent=True)


@pytest.fixture
def open_stores() -> Iterator[list[Stores]]:
    stores = list[Stores]()
    yield stores
    for one in stores:
        one.close()


@pytest.fixture
def office(pipeline: Pipeline, hook: Hook, open_stores: list[Stores]) -> Office:
    """An office that is told everything by a webhook."""
    office = Office(pipeline, notify_urls=hook.url, notify_on="finished,rejected,failed,cancelled,late")
    open_stores.append(office.stores)
    return office


def test_a_file_with_rejected_rows_is_told_in_words_and_counts_without_a_cell(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    office = Office(
        pipeline,
        notify_urls=hook.url,
        api_url="https://bulk.example.com",
        dagster_url="https://dagster.example.com",
    )
    open_stores.append(office.stores)
    job = pipeline.load("customers/week 1.csv", BAD)
    assert office.deliver() == (1, [])
    (headers, body), (document,) = hook.received[0], hook.documents
    assert is_signed(headers, body)
    assert headers["webhook-id"] == f"msg_{office.messages()[0].id}"
    data = document["data"]
    assert document["type"] == "import.rejected"
    assert data["title"] == "customers: week 1.csv imported, 4 of 5 rows rejected"
    assert data["text"].splitlines() == [
        "File week 1.csv into table customers: completed with errors.",
        "Rows: 5 in the file; 1 inserted, 4 rejected.",
        "First failures:",
        "- row 2, email: \"has a cell that is not in the column's format, such as an email address or a slug "
        '(expected: text; an address like local@domain.tld; at most 320 characters)"',
        "- row 3, email: \"has a cell that is not in the column's format, such as an email address or a slug "
        '(expected: text; an address like local@domain.tld; at most 320 characters)"',
        '- row 4, email: "lacks a required value (expected: text; an address like local@domain.tld; at most 320 '
        'characters)"',
        f"Upload: https://bulk.example.com/office/uploads/{job.id}",
        f"All failures: https://bulk.example.com/office/uploads/{job.id}/errors.csv",
        f"Run: https://dagster.example.com/runs/{job.run_id}",
    ]
    assert (data["job_id"], data["table"], data["file"]) == (job.id, "customers", "week 1.csv")
    assert data["counts"] == {
        "total": 5, "inserted": 1, "updated": 0, "unchanged": 0, "superseded": 0, "rejected": 4,
    }  # fmt: skip
    assert [(one["row"], one["column"], one["code"]) for one in data["failures"]] == [
        (2, "email", "bad_format"), (3, "email", "bad_format"), (4, "email", "required"),
    ]  # fmt: skip
    for cell in (b"ann", b"bob", b"Rome", b"Oslo", b"Bonn"):
        assert cell not in body


def test_cells_are_quoted_if_the_settings_say_so(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    office = Office(pipeline, notify_urls=hook.url, notify_values=True)
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", BAD)
    office.deliver()
    assert "ann at home" in hook.documents[0]["data"]["text"]


def test_the_message_about_an_unreadable_file_quotes_nothing_of_it(
    pipeline: Pipeline, hook: Hook, office: Office
) -> None:
    pipeline.load("customers/a.csv", b"emial,hush\na,b\n")
    office.deliver()
    (document,) = hook.documents
    assert document["type"] == "import.failed"
    assert document["data"]["title"] == "customers: a.csv failed"
    assert b"hush" not in hook.received[0][1]


def test_files_that_finish_well_are_told_only_to_those_who_want_it(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    office = Office(pipeline, notify_urls=hook.url)
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    assert (office.deliver(), hook.received) == ((0, []), [])


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (500, "127.0.0.1 answers 500"),
        (429, "127.0.0.1 answers 429"),
        (404, "127.0.0.1 answers 404"),
        (SLOW, "127.0.0.1 did not answer within 2 seconds"),
    ],
)
def test_a_message_that_is_refused_is_sent_again_with_the_same_id(
    pipeline: Pipeline, hook: Hook, office: Office, answer: int, problem: str
) -> None:
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    hook.answers = [answer]
    assert office.deliver() == (0, [f"customers finished to {office.messages()[0].recipient}: {problem}"])
    assert [(one.status, one.error) for one in office.messages()] == [("waiting", problem)]
    assert office.deliver() == (0, [])  # not yet
    assert office.later() == (1, [])
    assert [(one.status, one.error, one.attempts) for one in office.messages()] == [("sent", None, 2)]
    assert len(hook.ids) == 2
    assert len(set(hook.ids)) == 1


def test_a_receiver_that_is_down_for_a_day_gets_the_message_afterwards(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    port = free_port()
    office = Office(pipeline, notify_urls=f"http://127.0.0.1:{port}/", notify_on="finished")
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    for _ in range(12):  # attempts of more than a day
        sent, problems = office.later()
        assert (sent, len(problems)) == (0, 1)
        assert problems[0].endswith("127.0.0.1 cannot be reached, or the connection broke")
    assert office.messages()[0].status is MessageStatus.WAITING


def test_a_receiver_that_is_gone_gets_no_further_attempt(
    pipeline: Pipeline, hook: Hook, office: Office
) -> None:
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    hook.answers = [410]
    _, problems = office.deliver()
    assert problems[0].endswith("wants no more messages: remove the webhook (given up)")
    assert office.messages()[0].status is MessageStatus.UNDELIVERABLE
    assert office.later() == (0, [])
    assert len(hook.received) == 1


def test_a_redirect_is_not_followed(pipeline: Pipeline, hook: Hook, office: Office) -> None:
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    with receiving() as inside:
        hook.answers, hook.location = [302], inside.url
        _, problems = office.deliver()
        assert inside.received == []
    assert problems[0].endswith("answers 302, a redirect, which is not followed: use the final URL")


def test_a_private_address_is_refused_unless_it_is_allowed(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    office = Office(pipeline, notify_urls=hook.url, notify_on="finished", notify_private=False)
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    _, problems = office.deliver()
    assert "not on the public internet: webhooks there need NOTIFY_PRIVATE=true" in problems[0]
    assert hook.received == []


def test_a_crash_between_sending_and_recording_sends_again_with_the_same_id(
    pipeline: Pipeline, hook: Hook, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.load("customers/a.csv", b"email\na@example.com\n")

    def crash(message: Message) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(office.stores.outbox, "sent", crash)
        with pytest.raises(KeyboardInterrupt):
            office.deliver()
    assert office.later() == (1, [])
    assert len(hook.ids) == 2
    assert len(set(hook.ids)) == 1
    assert [one.status for one in office.messages()] == ["sent"]


@pytest.mark.parametrize("secret", ["hush", "whsec_hush!", "whsec_aGFsbG8="])
def test_a_webhook_without_a_strong_secret_is_not_sent(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores], secret: str
) -> None:
    office = Office(pipeline, notify_urls=hook.url, notify_on="finished", notify_webhook_secret=secret)
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    _, problems = office.deliver()
    assert "the webhook's secret must be whsec_ and at least 24 bytes in base64" in problems[0]
    assert "hush" not in problems[0]
    assert hook.received == []


def test_a_recipient_may_be_a_variable_with_a_secret_of_its_own(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(pipeline, notify_urls="$SALES_HOOK", notify_on="finished")
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    _, problems = office.deliver()
    assert problems == [
        "customers finished to $SALES_HOOK: the environment variable SALES_HOOK is not set: set it for the code server"
    ]
    own = SECRET.replace("Y", "Z", 1)
    monkeypatch.setenv("SALES_HOOK", hook.url)
    monkeypatch.setenv("SALES_HOOK_SECRET", own)
    assert office.later() == (1, [])
    assert is_signed(*hook.received[0], own)
    assert not is_signed(*hook.received[0], SECRET)


def test_the_ledger_holds_no_url_of_the_settings(pipeline: Pipeline, office: Office, hook: Hook) -> None:
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    stored = pipeline.query(
        "SELECT recipient FROM bulk.notifications UNION SELECT recipient FROM bulk.notification_subscriptions"
    )
    assert len(stored) == 1
    assert stored[0][0].startswith("NOTIFY_URLS:")
    assert hook.url not in stored[0][0]


def test_the_account_that_sent_a_file_gets_a_mail(
    pipeline: Pipeline, mailbox: Mailbox, open_stores: list[Stores]
) -> None:
    pytest.importorskip("apprise")
    office = Office(pipeline, notify_mail_url=f"mailto://127.0.0.1:{mailbox.port}?from=bulk@example.com")
    open_stores.append(office.stores)
    account = office.stores.accounts.register(
        "ann@example.com", "long enough 1", Rights((), (), JobsRight.OWN)
    )
    pipeline.drop("customers/a.csv", b"email\nann at home\nbob@example.com\n")
    pipeline.claim_as_of_a_while_ago()
    with office.stores.postgres.transaction() as connection:
        connection.execute("UPDATE bulk.import_jobs SET owner_id = %s", [account.id])
        connection.execute(
            "INSERT INTO bulk.notification_subscriptions VALUES ('customers', 'rejected', 'uploader')"
        )
    pipeline.work_off()
    assert office.deliver() == (1, [])
    ((addresses, subject, text),) = mailbox.mails
    assert (addresses, subject) == (["ann@example.com"], "customers: a.csv imported, 1 of 2 rows rejected")
    assert "Rows: 2 in the file; 1 inserted, 1 rejected." in text
    assert "ann at home" not in text


def test_mail_that_is_refused_is_tried_again(
    pipeline: Pipeline, mailbox: Mailbox, open_stores: list[Stores]
) -> None:
    pytest.importorskip("apprise")
    office = Office(
        pipeline,
        notify_urls="bob@example.com",
        notify_on="finished",
        notify_mail_url=f"mailto://127.0.0.1:{mailbox.port}?from=bulk@example.com",
    )
    open_stores.append(office.stores)
    mailbox.refuses = {"bob@example.com"}
    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    _, problems = office.deliver()
    assert problems[0].startswith("customers finished to bob@example.com: mailto: ")
    assert office.messages()[0].status is MessageStatus.WAITING
    mailbox.refuses = set()
    assert office.later() == (1, [])
    assert [addresses for addresses, _, _ in mailbox.mails] == [["bob@example.com"]]


ORDERS = """
name: orders
columns: {id: {type: integer, required: true}}
primary_key: [id]
expects: daily by 08:00 UTC
notify:
  - {to: $ORDERS_HOOK, on: [late]}
"""


def test_the_sensor_tells_once_that_a_declared_table_got_no_file(
    pipeline: Pipeline, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_served", None)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "orders.yaml").write_text(ORDERS)
    assert tables.serve(tmp_path).problems() == ()
    monkeypatch.setenv("ORDERS_HOOK", hook.url)
    told = {"notify_private": True, "notify_webhook_secret": SecretStr(SECRET)}
    with closing(Stores(pipeline.stores.settings.model_copy(update=told))) as stores:
        for now in ("2026-06-02T08:01", "2026-06-02T08:03", "2026-06-02T23:00", "2026-06-03T07:59"):
            monkeypatch.setattr(
                sensors, "_now", lambda now=now: datetime.fromisoformat(now).replace(tzinfo=UTC)
            )
            tick(stores)
    assert [document["data"]["due_at"] for document in hook.documents] == [
        "2026-06-01T08:00:00+00:00",  # before the second day's files were surely claimed
        "2026-06-02T08:00:00+00:00",
    ]
    assert hook.documents[1]["type"] == "table.late"
    assert hook.documents[1]["data"]["text"] == (
        "No file for table orders arrived by 2026-06-02 08:00 UTC (expected daily by 08:00 UTC)."
    )


def test_a_wrong_setting_of_messages_stops_the_messages_and_no_file(pipeline: Pipeline) -> None:
    wrong = pipeline.stores.settings.model_copy(
        update={"notify_urls": SecretStr("a@example.com"), "notify_on": "x"}
    )
    pipeline.drop("customers/a.csv", b"email\na@example.com\n")
    with closing(Stores(wrong)) as stores:
        with pytest.raises(SettingsError, match="NOTIFY_ON: 'x' is unknown"):
            tick(stores)
        sensors.upload_sensor(dg.build_sensor_context(resources={"stores": stores}))
        assert len(stores.ledger.newest(limit=10)) == 1


def tick(stores: Stores) -> None:
    sensors.notify_sensor(dg.build_sensor_context(resources={"stores": stores}))


def test_a_digest_tells_what_became_of_the_files_of_a_day(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    now = datetime.now(UTC)
    soon = (now + timedelta(minutes=2)).replace(second=0, microsecond=0)
    office = Office(
        pipeline, notify_urls=hook.url, notify_on="late", notify_digest=f"daily by {soon:%H:%M} UTC"
    )
    open_stores.append(office.stores)
    pipeline.load("customers/a.csv", BAD)
    pipeline.load("customers/b.csv", b"email\na@example.com\n")
    pipeline.load("users/c.csv", b"nonsense")
    at = soon + timedelta(seconds=1)
    assert [notifying.add_timed_messages(office.stores, at) for _ in range(2)] == [1, 0]
    assert office.deliver() == (1, [])
    (document,) = hook.documents
    assert document["type"] == "digest"
    assert document["data"]["title"] == "3 files imported, 1 failed"
    assert document["data"]["text"].splitlines()[1:] == [
        "- customers: 2 files (1 completed, 1 with rejected rows, 0 failed, 0 cancelled); 2 rows written, 4 rejected",
        "- users: 1 file (0 completed, 0 with rejected rows, 1 failed, 0 cancelled); 0 rows written, 0 rejected",
        "Rejected rows that are not fixed yet: customers 4",
    ]


def test_a_digest_that_was_missed_for_an_hour_is_left_to_the_next_one(
    pipeline: Pipeline, hook: Hook, open_stores: list[Stores]
) -> None:
    office = Office(pipeline, notify_urls=hook.url, notify_digest="daily by 08:00 UTC")
    open_stores.append(office.stores)
    assert notifying.add_timed_messages(office.stores, datetime(2026, 6, 2, 9, 1, tzinfo=UTC)) == 0


def test_the_commands_try_recipients_and_show_and_repeat_what_did_not_arrive(
    pipeline: Pipeline, hook: Hook, office: Office, command: Command
) -> None:
    told = {
        "NOTIFY_URLS": hook.url,
        "NOTIFY_ON": "finished",
        "NOTIFY_PRIVATE": "true",
        "NOTIFY_WEBHOOK_SECRET": SECRET,
    }
    tried = command("notify", "test", "--table", "customers", **told)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert hook.documents[0]["type"] == "test"
    hook.answers = [500]
    tried = command("notify", "test", "--json", **told)
    assert tried.returncode == 1
    assert [one["problem"] for one in json.loads(tried.stdout)] == ["127.0.0.1 answers 500"]
    empty = command("notify", "list")
    assert (empty.returncode, empty.stdout) == (0, "no message waits, and each one was delivered\n")

    pipeline.load("customers/a.csv", b"email\na@example.com\n")
    hook.answers = [410]
    office.deliver()
    shown = command("notify", "list", "--json")
    assert shown.returncode == 3
    (message,) = json.loads(shown.stdout)
    assert (message["table"], message["event"], message["status"]) == (
        "customers",
        "finished",
        "undeliverable",
    )
    assert "customers finished" in command("notify", "list").stdout
    again = command("notify", "retry", message["id"])
    assert again.stdout == "1 message will be sent within seconds\n"
    assert office.deliver() == (1, [])
    assert hook.ids[-1] == hook.ids[-2]


def test_what_is_not_the_id_of_a_message_is_named(command: Command) -> None:
    tried = command("notify", "retry", "abc")
    assert tried.returncode == 2
    assert "'abc' is not the id of a message: bulk-pipeline notify list has them" in " ".join(
        tried.stderr.replace("│", " ").split()
    )
    unknown = command("notify", "retry", "00000000-0000-0000-0000-000000000000")
    assert unknown.stdout == "0 messages will be sent within seconds\n"


def test_nobody_to_tell_is_said(command: Command) -> None:
    tried = command("notify", "test")
    assert tried.returncode == 0
    assert tried.stdout == "nobody is told about files: set NOTIFY_URLS, or add `notify` to a table file\n"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"NOTIFY_URLS": "ann"}, "NOTIFY_URLS"),
        (
            {"NOTIFY_URLS": "a@example.com", "NOTIFY_ON": "done"},
            "NOTIFY_ON: 'done' is unknown: expected some of",
        ),
    ],
)
def test_a_wrong_setting_is_named(command: Command, values: dict[str, str], problem: str) -> None:
    tried = command("notify", "test", **values)
    assert tried.returncode != 0
    assert problem in tried.stderr


def test_settings_hide_the_recipients(settings: Settings) -> None:
    told = settings.model_copy(update={"notify_urls": SecretStr("slack://hush")})
    assert "hush" not in repr(told)
