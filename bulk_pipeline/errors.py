"""Every exception raised on purpose. Each says what is wrong, where, and whether a retry helps.

A bad row is never an exception: it is a failure (see `stages.failures`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class BulkPipelineError(Exception):
    """The root of the tree. `retryable` is true when the same call may succeed later."""

    retryable: ClassVar[bool] = False


class DeclarationError(BulkPipelineError):
    """A table is declared in a way that cannot work; raised when its module is imported."""


class SettingsError(BulkPipelineError):
    """A setting is missing or wrong."""


class FileError(BulkPipelineError):
    """A file-level problem: nothing of the file can be loaded, and its job fails with this sentence.

    `code` is stable and names the kind: empty_file, no_header, duplicate_header, missing_column, unknown_column,
    no_sheet, unreadable_compression, unsupported_format, unreadable_file, too_large, unknown_table.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownTableError(BulkPipelineError):
    """No table of that name is declared."""


class SelectionError(BulkPipelineError):
    """A filter, a list of columns or an order does not fit the table; says which part, and what would be right."""


class UnwritableValueError(BulkPipelineError):
    """A table holds a value that no import could read back, so it is not written to a file either."""


class NotFoundError(BulkPipelineError):
    """A job, object or report that was asked for does not exist."""


class JobGoneError(NotFoundError):
    """The ledger has no such jobs, or not any more: whoever works on them must stop without writing anything more."""

    def __init__(self, *job_ids: str) -> None:
        super().__init__(f"no job {', '.join(job_ids)}")
        self.job_ids = job_ids


class AccountExistsError(BulkPipelineError):
    """Somebody has registered with that address already."""


class WrongPasswordError(BulkPipelineError):
    """No account has that address and that password."""


class TooManyFailuresError(BulkPipelineError):
    """Somebody is guessing; `seconds`: when it may be tried again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class IdempotencyConflictError(BulkPipelineError):
    """The same idempotency key came before with something else: another file, another mode, another table."""


class RemoteFileError(BulkPipelineError):
    """A file cannot be had from the URL that somebody gave; says why, with no more of the URL than its host."""


class JobNotFinishedError(BulkPipelineError):
    """The job's answer is not final yet."""


class JobFinishedError(BulkPipelineError):
    """The job is final already, so that what was asked (a cancel, say) has no effect any more."""


class JobCancelledError(BulkPipelineError):
    """Somebody cancelled the job while it was worked on; committed rows stay."""


class LeaseLostError(BulkPipelineError):
    """Another worker has taken the job over: this one must stop without writing anything more."""


class LeaseHeldError(BulkPipelineError):
    """Another worker holds a live lease on the job."""


class WorkFilesMissingError(BulkPipelineError):
    """A step was run again after its work files had gone; the job must start at `parse`."""


class StoreUnavailableError(BulkPipelineError):
    """Postgres or the object store cannot be reached, or broke off: an outage, never a bad row."""

    retryable = True


class StoreRefusedError(BulkPipelineError):
    """Postgres or the object store answered no: a right is missing, or it cannot hold such a name."""


class OutputError(BulkPipelineError):
    """A file on this machine, or stdout, cannot be written."""


class MigrationError(BulkPipelineError):
    """The migrations in `sql/` and those the database has had do not belong together."""


class LoadRefusedError(BulkPipelineError):
    """Postgres cannot take a load at all, whatever its rows: the table, a column or a right is not as it must be.

    Says what is wrong and what to do. Trying again helps only after somebody has done that.
    """


@dataclass(frozen=True)
class IndexLimit:
    """An index cannot hold an entry of more than `most_bytes`; `entry_bytes`: what was to go into it.

    Postgres does not always say which index that is: `index` is None, and `columns` are not known, then.
    """

    index: str | None
    columns: tuple[str, ...]
    entry_bytes: int
    most_bytes: int


class RowsRefusedError(BulkPipelineError):
    """Postgres refused to store rows as they are; nothing of what was sent with them is stored.

    `reason`: in the words of Postgres or of the trigger; it may show a value, so it belongs into the row's failure and
    into no log. `column`: the one at fault, if that is known. `at_the_end`: the rows were refused by a deferred
    constraint, once all of them were written.
    """

    def __init__(
        self, reason: str, *, column: str | None = None, index_limit: IndexLimit | None = None
    ) -> None:
        super().__init__("the database refused rows")
        self.reason = reason
        self.column = column
        self.index_limit = index_limit
        self.at_the_end = False


class StackError(BulkPipelineError):
    """The embedded stack could not be started, found or stopped.

    `details`: lines for a person to read below the message, such as the end of a log.
    """

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)
        for line in self.details:  # for whoever sees the traceback
            self.add_note(line)


class WrongResultError(BulkPipelineError):
    """An import that is measured did not come to what its sample must come to: its time means nothing."""
