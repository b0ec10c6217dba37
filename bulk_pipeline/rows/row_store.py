"""The Postgres side of loading: one table, for one attempt at one job. What to write is decided in `stages`.

Intermediate results are kept in temporary tables that are dropped at the end of their transaction.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from bulk_pipeline.arrow.row_sets import difference, union
from bulk_pipeline.concurrency import share_stream
from bulk_pipeline.errors import StoreUnavailableError
from bulk_pipeline.ledger import import_batches, import_fixes, import_plans
from bulk_pipeline.ledger.import_batches import load_failures
from bulk_pipeline.ledger.jobs import load_session
from bulk_pipeline.postgres import table_fit
from bulk_pipeline.postgres.connection import CONFLICTS, Postgres, cancel, end_sessions, stopping, value
from bulk_pipeline.postgres.names import identifier
from bulk_pipeline.postgres.table_fit import load_refusals
from bulk_pipeline.rows import merge_sql, stored_keys
from bulk_pipeline.rows.batch_writer import PostgresBatchWriter, by_verdict, existing, owners
from bulk_pipeline.rows.staging import stage_what_can_be, staged
from bulk_pipeline.schema import Key, Mode, Table
from bulk_pipeline.stages.counts import LoadCounts
from bulk_pipeline.stages.key_cells import keys_in
from bulk_pipeline.stages.load.resolve import Decision
from bulk_pipeline.stages.load.row_store import BatchWriter, Comparison, Range, RangeOutcome, Texts
from bulk_pipeline.stages.origins import Corrections

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

    `check` is called before each of them is used, and raises if the work on the job should stop. `corrections` are
    recorded with the batches that have them.
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
        corrections: Corrections | None = None,
    ) -> None:
        self.connections = connections
        self._check = check
        self._corrections = corrections
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
            return import_batches.committed(connection, self._job_id)

    def is_empty(self) -> bool:
        question = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(identifier(self._table))
        with self._reading() as connection:
            return value(connection, question)

    def existing(self, rows: Iterable[pa.RecordBatch]) -> Mapping[int, np.ndarray]:
        begin, rest = _first_rows(rows, _FEW_ROWS, _KEPT_BYTES)
        if not keys_in(self._table, begin.column_names):
            return {}
        if rest is not None:
            return {} if self.is_empty() else self._many_existing(chain(begin.to_batches(), rest))
        with self._reading() as connection:
            return existing(connection, self._table, begin)

    def compare(self, rows: Callable[[], Iterable[pa.RecordBatch]]) -> Comparison:
        first = next(iter(rows()), None)
        if first is None or not keys_in(self._table, first.schema.names):
            found = {}  # what no key can find is new
        else:
            found = self._found_in_parts(rows(), merge_sql.compared)
        links: dict[str, np.ndarray] = {}
        if "conflicting" in found or "renaming" in found:
            with self._transaction() as connection, self._staged(connection, rows()) as columns:
                links = by_verdict(connection, merge_sql.linked(self._table, columns))
        none = np.empty(0, np.int64)
        return Comparison(
            same=found.get("same", none),
            changed=np.concatenate([found.get("changed", none), found.get("renaming", none)]),
            conflicting=found.get("conflicting", none),
            linked=links.get("linked", none),
        )

    def owners(self, key: Key, cells: Texts) -> Texts:
        with self._transaction() as connection:
            return owners(connection, self._table, key, cells)

    def decisions(self) -> list[Decision]:
        with self._reading() as connection:
            return import_plans.kept(connection, self._job_id)

    def keep_decisions(self, decisions: Sequence[Decision]) -> None:
        with self._transaction() as connection:
            import_batches.fence(connection, self._job_id, self._attempt)
            import_plans.keep(connection, self._job_id, decisions)

    def known_rows(self) -> np.ndarray | None:
        """The numbers of rows kept with the job, as those with a key of the table; None if none were kept."""
        with self._reading() as connection:
            return import_plans.known_rows(connection, self._job_id)

    def keep_known_rows(self, numbers: np.ndarray) -> None:
        with self._transaction() as connection:
            import_batches.fence(connection, self._job_id, self._attempt)
            import_plans.keep_known_rows(connection, self._job_id, numbers)

    def settle(self, range_: Range, write: Callable[[BatchWriter], RangeOutcome]) -> LoadCounts:
        def record(connection: psycopg.Connection, settled: RangeOutcome) -> None:
            import_batches.record(connection, self._job_id, self._attempt, range_, settled)
            if self._corrections:
                refused = union([settled.failures["row"].to_numpy()])
                origins = self._corrections.of_range(range_.first, range_.last, refused)
                import_fixes.record(connection, self._job_id, range_.first, *origins)

        return self._settled(str(range_), write, record).counts

    def refused(self) -> np.ndarray:
        return union(batch["row"].to_numpy() for batch in load_failures(self._postgres, self._job_id))

    def reopened(self) -> np.ndarray:
        with self._reading() as connection:
            return import_plans.reopened_rows(connection, self._job_id)

    def settle_again(
        self,
        range_: Range,
        rows: np.ndarray,
        before: LoadCounts,
        write: Callable[[BatchWriter], RangeOutcome],
    ) -> None:
        def correct(connection: psycopg.Connection, settled: RangeOutcome) -> None:
            import_batches.correct(connection, self._job_id, range_, before, settled)
            import_plans.keep_reopened_rows(connection, self._job_id, rows)
            if self._corrections:
                origins = self._corrections.of_rows(rows, union([settled.failures["row"].to_numpy()]))
                import_fixes.record(connection, self._job_id, range_.first, *origins)

        self._settled(f"{len(rows)} of {range_}", write, correct)

    def _settled(
        self,
        what: str,
        write: Callable[[BatchWriter], RangeOutcome],
        record: Callable[[psycopg.Connection, RangeOutcome], None],
    ) -> RangeOutcome:
        for tries in range(_TRIES):
            try:
                with self._transaction() as connection:
                    import_batches.fence(connection, self._job_id, self._attempt)
                    settled = write(PostgresBatchWriter(connection, self._table))
                    record(connection, settled)
                return settled
            except CONFLICTS:
                time.sleep(random.uniform(0.01, 0.1) * 2**tries)
        raise StoreUnavailableError(
            f"Postgres at {self._postgres.host}: {what} still conflicts with other transactions after {_TRIES} attempts"
        )

    def _many_existing(self, rows: Iterable[pa.RecordBatch]) -> Mapping[int, np.ndarray]:
        with self._reading() as connection:
            stored = stored_keys.estimated_rows(connection, self._table)
        if stored <= _KEPT_ROWS and stored_keys.can_be_fetched(self._table):
            begin, rest = _first_rows(rows, _KEPT_ROWS, _KEPT_BYTES)
            if rest is None and stored <= _AS_LARGE * begin.num_rows:
                return self._found_among_stored(begin)
            rows = chain(begin.to_batches(), rest or ())
        found = self._found_in_parts(rows, merge_sql.existing)
        return {int(number): numbers for number, numbers in found.items()}

    def _found_among_stored(self, rows: pa.Table) -> Mapping[int, np.ndarray]:
        keys = stored_keys.keys_of(rows, self._table)

        def look(parts: Iterator[stored_keys.Pages]) -> dict[int, np.ndarray]:
            found = {name: np.zeros(len(of.rows), bool) for name, of in keys.items()}
            with self._reading() as connection:
                for part in parts:
                    for name, stored in stored_keys.fetched(connection, self._table, keys, part).items():
                        found[name] |= keys[name].among(stored)
            return found

        with self._reading() as connection:
            pages = stored_keys.pages(connection, self._table)
        looked = share_stream(look, pages, self.connections, interrupt=self.interrupt)
        found = {
            name: of.rows[np.logical_or.reduce([part[name] for part in looked])] for name, of in keys.items()
        }
        later = np.empty(0, np.int64)
        for number in sorted(found, reverse=True):
            found[number] = difference(found[number], later)
            later = union([later, found[number]])
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
                return by_verdict(connection, query(self._table, columns))

        found = share_stream(search, rows, self.connections, interrupt=self.interrupt)
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
            connection.execute(sql.SQL("ANALYZE {}").format(merge_sql.STAGED))
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


def _first_rows(
    batches: Iterable[pa.RecordBatch], most: int, most_bytes: int
) -> tuple[pa.Table, Iterator[pa.RecordBatch] | None]:
    """The first batches, until they are more than `most` rows or bytes, and the others; None if that is all."""
    rest, begin, rows, size_bytes = iter(batches), list[pa.RecordBatch](), 0, 0
    for batch in rest:
        begin.append(batch)
        rows += batch.num_rows
        size_bytes += batch.nbytes
        if rows > most or size_bytes > most_bytes:
            return pa.Table.from_batches(begin), rest
    return pa.Table.from_batches(begin), None
