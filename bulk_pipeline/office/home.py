"""The first page: the tables that the person may fill."""

from fastapi import APIRouter, Request, Response

from bulk_pipeline import tables
from bulk_pipeline.ledger.accounts import Account
from bulk_pipeline.office.pages import page
from bulk_pipeline.office.visits import PersonNeed
from bulk_pipeline.schema import Table

router = APIRouter()


@router.get("")
def home(request: Request, person: PersonNeed) -> Response:
    return page(request, "home.html", tables=tables_to_fill(person))


def tables_to_fill(person: Account) -> list[Table]:
    """Return the tables that the person may import into, parents first."""
    return [table for table in tables.in_load_order() if person.rights.may_import(table.upload_name)]
