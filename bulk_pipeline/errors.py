"""All exceptions that the package raises. Each says what is wrong, where, and whether a retry helps.

A bad row is never an exception: it is a failure (see `stages.failures`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Self


class BulkPipelineError(Exception):
    """The root of the tree. `retryable` is true when the same call may succeed later."""

    retryable: ClassVar[bool] = False


class DeclarationError(BulkPipelineError):
    """A table is declared in a way that cannot work; raised when its module is imported."""


class SettingsError(BulkPipelineError):
    """A setting is missing or wrong."""


class FileErrorCode(StrEnum):
    """Why a job failed as a whole; the ledger stores the value, so it never changes.

    `meaning` completes "the job failed because …"; `remedy` says what its owner can do. Both are shown in docs/rows.md.
    """

    meaning: str
    remedy: str

    EMPTY_FILE = (
        "empty_file",
        "the file, or the only file in its archive, has no content",
        "export it again and compare its size before the upload",
    )
    NO_HEADER = (
        "no_header",
        "no line, row or key names columns of the table",
        "add a header, or declare `header: none`",
    )
    DUPLICATE_HEADER = (
        "duplicate_header",
        "two names of the header stand for the same column",
        "rename or remove one of them",
    )
    MISSING_COLUMN = (
        "missing_column",
        "the header lacks a required column",
        "add the column, or declare which name stands for it (`columns`)",
    )
    UNKNOWN_COLUMN = (
        "unknown_column",
        "a name is nearly that of a missing column, most names are unknown, or a declared one does not exist",
        "correct the name, or declare it (`columns`); `NAME=-` leaves a column out",
    )
    BAD_DECLARATION = (
        "bad_declaration",
        "what is declared for the upload contradicts the file or what is declared for its table, or names a profile "
        "that the table does not have",
        "correct the declaration that the message names",
    )
    NO_SHEET = (
        "no_sheet",
        "it is not clear which sheet of the workbook holds the rows, or the declared one does not exist",
        "declare one that exists (`sheet`)",
    )
    UNREADABLE_COMPRESSION = (
        "unreadable_compression",
        "the compressed data is damaged or cut short",
        "compress the file again, or upload it again",
    )
    UNSUPPORTED_FORMAT = (
        "unsupported_format",
        "the content is in none of the supported formats, or in a shape of JSON or an archive that is not supported",
        "save it in a supported format; the message says what the file is",
    )
    UNREADABLE_FILE = (
        "unreadable_file",
        "the file is damaged, or is not in the encoding that was declared",
        "export it again, or declare the right `encoding`",
    )
    TOO_LARGE = (
        "too_large",
        "the file exceeds a bound: unpacked size, columns, lengths of names, cells or rows",
        "split the file, or raise the setting that the message names",
    )
    TOO_MUCH_WORK = (
        "too_much_work",
        "the work files of the job exceed `BULK_MAX_WORK_BYTES`",
        "split the file, or raise the setting",
    )
    TOO_MANY_REJECTED = (
        "too_many_rejected",
        "more rows are rejected than `BULK_MAX_REJECTED_ROWS` or `BULK_MAX_REPORT_BYTES` allow",
        "correct the file with the help of its reports, or raise the setting",
    )
    NEEDS_MEMORY = (
        "needs_memory",
        "reading the file needs more memory than `BULK_RUN_MEMORY_BYTES`",
        "split the file, or raise the setting, then retry the job",
    )
    ENDS_PROCESS = (
        "ends_process",
        "the process died each time it worked on this file, and no row of it is committed",
        "split the file, or give the run more memory, then retry the job",
    )
    PARSER_CHANGED = (
        "parser_changed",
        "bulk-pipeline was upgraded while the job was interrupted, and its parser numbers rows differently now",
        "retry the job",
    )
    LOAD_REFUSED = (
        "load_refused",
        "Postgres cannot take any row: the table, a column, a right or a trigger is not as it must be",
        "correct what the message names (`bulk-pipeline doctor` lists it too), then retry the job",
    )

    def __new__(cls, value: str, meaning: str, remedy: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning, member.remedy = meaning, remedy
        return member


class FileError(BulkPipelineError):
    """A file-level problem: nothing of the file can be loaded, and its job fails with this sentence."""

    def __init__(self, code: FileErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownTableError(BulkPipelineError):
    """No table of that name is declared."""


class SelectionError(BulkPipelineError):
    """A filter, a list of columns or an order does not fit the table; says which part, and what would be right."""


class UnwritableValueError(BulkPipelineError):
    """A table holds a value that no import could read back, so it is not written to a file either."""


class NotFoundError(BulkPipelineError):
    """A requested job, object or report does not exist."""


class JobGoneError(NotFoundError):
    """The ledger has no such jobs, or no longer: a worker on them must stop and write nothing more."""

    def __init__(self, *job_ids: str, noun: str = "job") -> None:
        super().__init__(f"no {noun} {', '.join(job_ids)}")
        self.job_ids = job_ids


class AccountExistsError(BulkPipelineError):
    """An account with that address exists."""


class RegistrationClosedError(BulkPipelineError):
    """Registration is disabled; the operator creates accounts."""


class MissingRightError(BulkPipelineError):
    """The caller's account lacks a right, which the message names."""


class WrongPasswordError(BulkPipelineError):
    """No account has that address and that password."""


class TooManyFailuresError(BulkPipelineError):
    """Too many failed logins. `seconds`: time until the next try is allowed."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class IdempotencyConflictError(BulkPipelineError):
    """The idempotency key was used for another request: with another file, mode or table."""


class RemoteFileError(BulkPipelineError):
    """A file cannot be fetched from its URL. The message gives the reason, and of the URL only the host."""


class DeliveryError(BulkPipelineError):
    """A message did not reach its receiver. The message gives the reason, and no more of a URL than its host.

    `is_final`: the receiver wants no more messages, so that another attempt is useless.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class JobNotFinishedError(BulkPipelineError):
    """The job has no result yet."""


class JobFinishedError(BulkPipelineError):
    """The job has finished, so that the request, such as a cancel, has no effect."""


class JobCancelledError(BulkPipelineError):
    """The job was cancelled while it was running; committed rows stay."""


class LeaseLostError(BulkPipelineError):
    """Another worker has taken over the job: this one must stop and write nothing more."""


class LeaseHeldError(BulkPipelineError):
    """Another worker holds a live lease on the job."""


class WorkFilesMissingError(BulkPipelineError):
    """A step was repeated after its work files had been deleted; the job must start at `parse`."""


class StoreUnavailableError(BulkPipelineError):
    """Postgres or the object store is unreachable, or the connection broke: an outage, never a bad row."""

    retryable = True


class DiskFullError(StoreUnavailableError):
    """The disk of the work files, of temporary files or of Postgres is full or nearly full. An outage."""


class StoreRefusedError(BulkPipelineError):
    """Postgres or the object store refused a request: a right is missing, or a name is not allowed."""


class OutputError(BulkPipelineError):
    """A file on this machine, or stdout, cannot be written."""


class MigrationError(BulkPipelineError):
    """The migrations in `sql/` do not match those applied to the database."""


class LoadRefusedError(BulkPipelineError):
    """Postgres cannot load any row: the table, a column or a right does not match the declaration.

    The message gives problem and remedy. A retry helps only after that.
    """


@dataclass(frozen=True)
class IndexLimit:
    """An index cannot hold an entry of `entry_bytes`, which is more than `most_bytes`.

    Postgres does not always name the index: then `index` is None and `columns` is empty.
    """

    index: str | None
    columns: tuple[str, ...]
    entry_bytes: int
    most_bytes: int


class RowsRefusedError(BulkPipelineError):
    """Postgres refused rows; nothing of the same statement is stored.

    `reason`: the message of Postgres or of a trigger. It may quote a value, so it belongs in the row's failure and not
    in a log. `column`: the column at fault, if known. `at_the_end`: a deferred constraint refused the rows after all of
    them were written.
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

    `details`: lines to show below the message, such as the end of a log.
    """

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)
        for line in self.details:  # shown in tracebacks
            self.add_note(line)


class WrongResultError(BulkPipelineError):
    """A measured import has a wrong result, so that its time is meaningless."""


@dataclass(frozen=True)
class Cause:
    """A problem in words, and its remedy."""

    problem: str
    remedy: str
