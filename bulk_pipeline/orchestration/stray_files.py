"""The check `every_file_has_a_table`: files in folders of the inbox that name no declared table.

Their jobs fail without a run, so that no run shows them. The sensor evaluates the check whenever it claims such a file,
and `check_tables` every night.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from bulk_pipeline import tables
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.printable import printable

DAYS = 7
"""Files of this many days are shown: nobody can see whether one was dropped again under another name."""
_SHOWN = 10


def description(stores: Stores) -> tuple[str, dict[str, Any]]:
    """Return a sentence about the files of the last week and metadata about them; an empty one without any."""
    known = tables.names()
    since = datetime.now(UTC) - timedelta(days=DAYS)
    files, keys = stores.ledger.of_unknown_tables(known, since, limit=_SHOWN)
    if not files:
        return "", {"files": 0}
    named = ", ".join(printable(key) for key in keys)
    others = f" and {files - len(keys):,} more" if files > len(keys) else ""
    text = (
        f"the folder of {named}{others} has no table: drop files into the folder of a table ({', '.join(known)}), "
        "or declare the table and repeat the job with `bulk-pipeline retry`"
    )
    return text, {"files": files}
