"""Reports of different jobs, so that they can be compared."""

import re
from collections.abc import Mapping

_ORIGIN = re.compile(rb"row(\d+)-[0-9a-f-]{36}-[a-z]{3}")


def without_jobs(reports: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the reports without the jobs that origins name; of a workbook, whose bytes depend on them, only that it is
    one."""
    return {
        name: content[:4] if name.endswith(".xlsx") else _ORIGIN.sub(rb"row\1", content)
        for name, content in reports.items()
    }
