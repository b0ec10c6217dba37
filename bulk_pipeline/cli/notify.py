"""`notify`: try the recipients of messages, and look at messages that did not arrive."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from bulk_pipeline import tables
from bulk_pipeline.cli import output
from bulk_pipeline.cli.connection import DEFAULT_HOME, HomeOption, JsonOption, stores_of
from bulk_pipeline.errors import DeliveryError
from bulk_pipeline.ledger.jobs import new_id
from bulk_pipeline.schema.subscription import UPLOADER

app = typer.Typer(no_args_is_help=True)

_GRID = ("id", "about", "recipient", "status", "attempts", "created", "next", "problem")


def _ids(ids: list[str] | None) -> list[str] | None:
    for text in ids or []:
        try:
            UUID(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is not the id of a message: bulk-pipeline notify list has them"
            ) from None
    return ids


@app.callback()
def notify() -> None:
    """Try the recipients of messages about files, and look at messages that did not arrive.

    Example: bulk-pipeline notify test --table customers
    """


@app.command("test")
def send_test(
    table: Annotated[
        str | None, typer.Option(help="Only the recipients of messages about this table.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to each recipient of the table files and of NOTIFY_URLS. Exit 1 if one cannot be reached.

    Run it where the code server runs: with its environment variables. The recipient uploader is left out.

    Example: bulk-pipeline notify test --table customers
    """
    from bulk_pipeline.ledger.outbox import EVERY_TABLE
    from bulk_pipeline.pipeline import notices
    from bulk_pipeline.pipeline.notifying import deliver_one, links, subscriptions

    stores, now = stores_of(home), datetime.now(UTC)
    if table is not None:
        table = tables.get(table).upload_name
    recipients = {
        one.recipient: None
        for one in subscriptions(stores.settings)
        if one.recipient != UPLOADER and (table is None or one.table in (table, EVERY_TABLE))
    }
    notice = notices.of_test(now, table, links(stores.settings))
    results: list[dict[str, str | None]] = []
    for recipient in recipients:
        problem = None
        try:
            deliver_one(stores, recipient, notice, f"msg_{new_id()}", now)
        except DeliveryError as error:
            problem = str(error)
        results.append({"recipient": recipient, "problem": problem})
    if as_json:
        output.print_json(results)
    elif results:
        rows = [("wrong" if one["problem"] else "sent", one["recipient"], one["problem"]) for one in results]
        output.print_grid(("", "recipient", "problem"), rows)
    else:
        output.say("nobody is told about files: set NOTIFY_URLS, or add `notify` to a table file")
    if any(one["problem"] for one in results):
        raise typer.Exit(1)


@app.command("list")
def list_messages(
    table: Annotated[str | None, typer.Option(help="Only messages about this table.")] = None,
    also_sent: Annotated[bool, typer.Option("--sent", help="Also messages that were sent.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Number of messages, newest first.")] = 100,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List messages that wait or could not be delivered, with the reason. Exit 3 if one could not be delivered.

    Example: bulk-pipeline notify list --table customers
    """
    from bulk_pipeline.pipeline.notices import subject

    messages = stores_of(home).outbox.messages(limit=limit, table=table, also_sent=also_sent)
    if as_json:
        output.print_json([asdict(message) for message in messages])
    elif messages:
        now, short = datetime.now(UTC), output.is_terminal()
        rows = [
            (
                message.id,
                subject(message),
                message.recipient,
                str(message.status),
                message.attempts,
                output.local_time(message.created_at, now, short=short),
                output.local_time(message.next_attempt_at, now, short=short),
                message.error,
            )
            for message in messages
        ]
        output.print_grid(_GRID, rows, dispensable=("created", "attempts"))
    else:
        output.say("no message waits, and each one was delivered")
    if any(message.status == "undeliverable" for message in messages):
        raise typer.Exit(3)


@app.command()
def retry(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", callback=_ids, help="Messages, as `notify list` names them."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Send messages that are not delivered now, and try again for three days. Without ids, all of them.

    Example: bulk-pipeline notify retry
    """
    retried = stores_of(home).outbox.retry(ids or None)
    output.say(f"{retried:,} {'message' if retried == 1 else 'messages'} will be sent within seconds")
