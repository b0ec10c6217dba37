"""Rights of a caller: which tables to import and export, which jobs to see.

A caller without an account, which `API_TOKEN_REQUIRED=false` allows under /api/v1, may import and export every table
and sees the jobs without an owner.
"""

from bulk_pipeline.errors import MissingRightError
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.rights import JobsRight, Viewer


def viewer(caller: Account | None) -> Viewer:
    """Return the viewer that decides which jobs the caller may see, read and cancel."""
    if caller is None:
        return Viewer(None)
    return Viewer(caller.id, sees_all=caller.rights.jobs is JobsRight.ALL)


def check_import(caller: Account | None, table: str) -> None:
    """Raise `MissingRightError` if the caller may not import into the table."""
    if caller is not None and not caller.rights.may_import(table):
        raise _missing(caller, "import", table)


def check_export(caller: Account | None, table: str) -> None:
    """Raise `MissingRightError` if the caller may not export the table."""
    if caller is not None and not caller.rights.may_export(table):
        raise _missing(caller, "export", table)


def _missing(caller: Account, verb: str, table: str) -> MissingRightError:
    return MissingRightError(
        f"the account {caller.email} lacks the right to {verb} {table}: the operator of this service can grant it "
        "with `bulk-pipeline account set`"
    )
