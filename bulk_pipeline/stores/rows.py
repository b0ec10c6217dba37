"""The Postgres side of loading: one table, for one attempt at one job. What to write is decided in `stages`.

Whatever is needed for longer than a statement lives in temporary tables that go with their transaction.
"""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stages.load.resolve import Decision
from bulk_pipeline.stages.load.row_store import BatchWriter, Comparison, LoadCounts, Range, Settled
from bulk_pipeline.stages.sorted_sets import difference, union
from bulk_pipeline.stores import merge, plans, settlements, stored_keys, table_fit
from bulk_pipeline.stores.batch_writer import PostgresBatchWriter, owners
from bulk_pipeline.stores.jobs import load_session
from bulk_pipeline.stores.parts import first_rows, in_parts
from bulk_pipeline.stores.postgres import CONFLICTS, Postgres, cancel, end_sessions, stopping, value
from bulk_pipeline.stores.settlements import load_failures
from bulk_pipeline.stores.staging import stage_what_can_be, staged
from bulk_pipeline.stores.table_fit import load_refusals

_TRIES = 8
_SETTLE_IN = """
    SELECT set_config('application_name', %s, true), set_config('client_connection_check_interval', '2s', true)
"""
"""The name by which lost sessions are found. And without the check what a killed run has begun would stay for as long
as it waits for somebody's lock, and nobody could take over."""
_FEW_ROWS = 5_000
"""So many are looked up without a staging table, which has to be made, analyzed and dropped."""
_KEPT_ROWS, _KEPT_BYTES = 1_500_000, 64 << 20
"""So many are kept, to be looked for among the keys of a table that has `_AS_LARGE` times as many rows at most."""
_AS_LARGE = 1.5
_RECOVERY_SECONDS = (0.1, 0.5, 1.0, 2.0, 4.0)


class PostgresRowStore:
    """Each thread that is inside a method has a connection of its own. See `stages.load.row_store.RowStore`.

    `check` is called before each of them is used, and raises if the work on the job should stop.
    """

    def __init__(
        self,
        postgres: Postgres,
        table: Table,
        job_id: str,
        attempt: int,
        *,
        connections: int = 1,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.connections = connections
        self._check = check
        self._postgres = postgres
        self._table = table
        self._job_id = job_id
        self._attempt = attempt
        self._session = load_session(job_id)
        self._busy: set[psycopg.Connection] = set()

    def check_fit(self, columns: Sequence[str], mode: Mode) -> None:
        with self._reading() as connection:
            table_fit.check_fit(connection, self._table, columns, mode)

    def recover(self) -> None:
        self._postgres.close()
        for seconds in _RECOVERY_SECONDS:
            try:
                return self._end_lost_sessions()
            except StoreUnavailableError:
                time.sleep(seconds)
        return self._end_lost_sessions()

    def interrupt(self) -> None:
        for connection in list(self._busy):
            cancel(connection)

    def committed(self) -> Mapping[Range, LoadCounts]:
        with self._reading() as connection:
            return settlements.committed(connection, self._job_id)

    def now(self) -> datetime:
        with self._reading() as connection:
            return value(connection, "SELECT now()")

    def is_empty(self) -> bool:
        question = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(sql.Identifier(self._table.name))
        with self._reading() as connection:
            return value(connection, question)

    def existing(self, rows: Iterable[pa.RecordBatch]) -> Mapping[str, np.ndarray]:
        begin, rest = first_rows(rows, _FEW_ROWS, _KEPT_BYTES)
        if rest is not None:
            return {} if self.is_empty() else self._many_existing(chain(begin.to_batches(), rest))
        few = merge.given(self._table, begin)
        with self._reading() as connection:
            return _by_verdict(connection, merge.existing(self._table, begin.column_names, few))

    def compare(self, rows: Callable[[], Iterable[pa.RecordBatch]]) -> Comparison:
        found = self._found_in_parts(rows(), merge.compared)
        links: dict[str, np.ndarray] = {}
        if "conflicting" in found or "renaming" in found:
            with self._transaction() as connection, self._staged(connection, rows()):
                links = _by_verdict(connection, merge.linked(self._table))
        none = np.empty(0, np.int64)
        return Comparison(
            same=found.get("same", none),
            changed=np.concatenate([found.get("changed", none), found.get("renaming", none)]),
            conflicting=found.get("conflicting", none),
            linked=links.get("linked", none),
        )

    def owners(self, ids: pa.Array, keys: pa.Array | None) -> Mapping[str, str | None]:
        with self._transaction() as connection:
            return owners(connection, self._table, ids, keys)

    def decisions(self) -> list[Decision]:
        with self._reading() as connection:
            return plans.kept(connection, self._job_id)

    def keep_decisions(self, decisions: Sequence[Decision]) -> None:
        with self._transaction() as connection:
            settlements.fence(connection, self._job_id, self._attempt)
            plans.keep(connection, self._job_id, decisions)

    def known_rows(self) -> np.ndarray | None:
        """The numbers of rows kept with the job, as those with a key of the table; None if none were kept."""
        with self._reading() as connection:
            return plans.known_rows(connection, self._job_id)

    def keep_known_rows(self, numbers: np.ndarray) -> None:
        with self._transaction() as connection:
            settlements.fence(connection, self._job_id, self._attempt)
            plans.keep_known_rows(connection, self._job_id, numbers)

    def settle(self, range_: Range, write: Callable[[BatchWriter], Settled]) -> LoadCounts:
        def record(connection: psycopg.Connection, settled: Settled) -> None:
            settlements.record(connection, self._job_id, self._attempt, range_, settled)

        return self._settled(f"rows {range_.first} to {range_.last}", write, record).counts

    def refused(self) -> np.ndarray:
        return union(batch["row"].to_numpy() for batch in load_failures(self._postgres, self._job_id))

    def reopened(self) -> np.ndarray:
        with self._reading() as connection:
            return plans.reopened_rows(connection, self._job_id)

    def settle_again(self, rows: np.ndarray, write: Callable[[BatchWriter], Settled]) -> None:
        def correct(connection: psycopg.Connection, settled: Settled) -> None:
            settlements.correct(connection, self._job_id, rows, settled)
            plans.keep_reopened_rows(connection, self._job_id, rows)

        self._settled(f"{len(rows)} rows", write, correct)

    def _settled(
        self,
        what: str,
        write: Callable[[BatchWriter], Settled],
        record: Callable[[psycopg.Connection, Settled], None],
    ) -> Settled:
        for tries in range(_TRIES):
            try:
                with self._transaction() as connection:
                    settlements.fence(connection, self._job_id, self._attempt)
                    settled = write(PostgresBatchWriter(connection, self._table))
                    record(connection, settled)
                return settled
            except CONFLICTS:
                time.sleep(random.uniform(0.01, 0.1) * 2**tries)
        raise StoreUnavailableError(
            f"Postgres at {self._postgres.host}: {what} got into the way of other transactions {_TRIES} times"
        )

    def _many_existing(self, rows: Iterable[pa.RecordBatch]) -> Mapping[str, np.ndarray]:
        with self._reading() as connection:
            stored = stored_keys.estimated_rows(connection, self._table)
        if stored <= _KEPT_ROWS:
            begin, rest = first_rows(rows, _KEPT_ROWS, _KEPT_BYTES)
            if rest is None and stored <= _AS_LARGE * begin.num_rows:
                return self._found_among_stored(begin)
            rows = chain(begin.to_batches(), rest or ())
        return self._found_in_parts(rows, merge.existing)

    def _found_among_stored(self, rows: pa.Table) -> Mapping[str, np.ndarray]:
        keys = stored_keys.keys_of(rows, self._table)

        def look(parts: Iterator[stored_keys.Pages]) -> dict[str, np.ndarray]:
            found = {name: np.zeros(len(of.rows), bool) for name, of in keys.items()}
            with self._reading() as connection:
                for part in parts:
                    for name, stored in stored_keys.fetched(connection, self._table, keys, part).items():
                        found[name] |= keys[name].among(stored)
            return found

        with self._reading() as connection:
            pages = stored_keys.pages(connection, self._table)
        looked = in_parts(look, pages, self.connections, interrupt=self.interrupt)
        found = {
            name: of.rows[np.logical_or.reduce([part[name] for part in looked])] for name, of in keys.items()
        }
        if len(found) > 1:
            found["id"] = difference(found["id"], found[str(self._table.natural_key)])
        return found

    def _found_in_parts(
        self, rows: Iterable[pa.RecordBatch], query: Callable[[Table, Sequence[str]], sql.Composed]
    ) -> dict[str, np.ndarray]:
        """Row numbers by verdict: `query` asked about parts of the rows, over several connections at a time."""

        def search(part: Iterator[pa.RecordBatch]) -> dict[str, np.ndarray]:
            if (first := next(part, None)) is None:
                return {}
            with (
                self._transaction() as connection,
                self._staged(connection, chain([first], part)) as columns,
            ):
                return _by_verdict(connection, query(self._table, columns))

        found = in_parts(search, rows, self.connections, interrupt=self.interrupt)
        verdicts = dict.fromkeys(chain.from_iterable(found))
        return {
            verdict: np.concatenate([part[verdict] for part in found if verdict in part])
            for verdict in verdicts
        }

    def _end_lost_sessions(self) -> None:
        """End what the server still does for connections we have lost: it could commit, or wait for us for ever."""
        with self._transaction() as connection:
            end_sessions(connection, self._session)

    @contextmanager
    def _staged(
        self, connection: psycopg.Connection, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[Sequence[str]]:
        """The rows, of which there must be some, in a staging table; gives its columns."""
        connection.execute("SET LOCAL work_mem = '64MB'")
        batches = iter(batches)
        first = next(batches)
        columns = [name for name in first.schema.names if name != "_line"]
        with staged(connection, self._table, columns):
            rest = (rows.select(columns) for rows in chain([first], batches))
            stage_what_can_be(connection, rest, self._table)
            connection.execute(sql.SQL("ANALYZE {}").format(merge.STAGED))
            yield columns

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection]:
        with self._known() as connection, connection.transaction(), stopping(connection):
            connection.execute(_SETTLE_IN, [self._session])
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[psycopg.Connection]:
        """For single short questions; a lost session that is still at one can do no harm."""
        with self._known() as connection, stopping(connection):
            yield connection

    @contextmanager
    def _known(self) -> Iterator[psycopg.Connection]:
        """A connection, which `interrupt` knows of as long as it is used."""
        self._check()
        with load_refusals(self._postgres, self._table), self._postgres.reading() as connection:
            self._busy.add(connection)
            try:
                yield connection
            finally:
                self._busy.discard(connection)


def _by_verdict(connection: psycopg.Connection, query: sql.Composed) -> dict[str, np.ndarray]:
    """The row numbers for each verdict that the query gives."""
    parts = defaultdict[str, list[np.ndarray]](list)
    with connection.cursor() as cursor:
        for verdict, rows in cursor.stream(merge.packed(query), binary=True):
            parts[verdict].append(np.frombuffer(rows, ">i8").astype(np.int64))
    return {verdict: np.concatenate(arrays) for verdict, arrays in parts.items()}
