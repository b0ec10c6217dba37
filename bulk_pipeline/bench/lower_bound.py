"""The floor: the time of Postgres's psql for the same good rows, on the same server, into an identical table.

It is measured by the server's clock inside the session, so that the start of psql does not count.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from bulk_pipeline.errors import StackError
from bulk_pipeline.schema import Mode, Table
from bulk_pipeline.stack import postgres
from bulk_pipeline.stack.ports import HOST
from bulk_pipeline.stack.postgres import Cluster

_START = "SELECT extract(epoch FROM clock_timestamp()) AS started \\gset\n"
_STOP = "SELECT extract(epoch FROM clock_timestamp()) - :started;\n"


@dataclass(frozen=True)
class Psql:
    """The embedded psql on one cluster's database."""

    cluster: Cluster

    def seconds(self, script: str) -> float:
        """Return the seconds that the statements take. Raises `StackError` with psql's message if one fails."""
        finished = subprocess.run(
            [
                *(postgres.psql(self.cluster), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", HOST, "-p", str(self.cluster.port), "-U", postgres.USER, "-d", postgres.DATABASE),
            ],
            input=f"{_START}{script}{_STOP}",
            env={"PATH": os.defpath, "PGPASSWORD": self.cluster.password, "PGCLIENTENCODING": "UTF8"},
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode:
            raise StackError(f"psql: {finished.stderr.strip()}")
        return float(finished.stdout.split()[-1])


def copy(name: str, columns: Sequence[str], file: Path) -> str:
    """Return a script: `\\copy` directly into the table."""
    return f"\\copy {name} ({', '.join(columns)}) FROM '{file}' WITH (FORMAT csv, HEADER true)\n"


def merge(name: str, table: Table, columns: Sequence[str], file: Path, mode: Mode) -> str:
    """Return a script: `\\copy` into a temporary table, then INSERT … ON CONFLICT in the same transaction."""
    listed = ", ".join(columns)
    selected = f"SELECT {listed} FROM"
    return (
        "BEGIN;\n"
        f"CREATE TEMPORARY TABLE staging ON COMMIT DROP AS {selected} {name} WITH NO DATA;\n"
        f"{copy('staging', columns, file)}"
        f"INSERT INTO {name} ({listed}) {selected} staging\n"
        f"{_on_conflict(table, columns, mode)};\n"
        "COMMIT;\n"
    )


def _on_conflict(table: Table, columns: Sequence[str], mode: Mode) -> str:
    match mode:
        case Mode.INSERT_ONLY:
            return "ON CONFLICT DO NOTHING"
        case Mode.UPSERT:
            return f"ON CONFLICT {_update(table, columns)}"
        case _:
            assert_never(mode)


def _update(table: Table, columns: Sequence[str]) -> str:
    key = next(key for key in table.keys if key.is_in(columns))
    changes = [f"{name} = EXCLUDED.{name}" for name in columns if name not in key.columns]
    changes += [f"{name} = now()" for name in table.touch if name not in columns]
    return f"({key}) DO UPDATE SET {', '.join(changes)}"
