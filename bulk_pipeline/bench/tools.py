"""Other tools, each loading one CSV file into one Postgres table as its documentation recommends."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pyarrow import csv

from bulk_pipeline.errors import StackError

_MULTI_ROWS = 5_000
"""A statement may have 65,535 parameters."""
_SECONDS = 3600


@dataclass(frozen=True)
class ToolTask:
    """The task of a tool. `folder`: an empty folder for its own files."""

    file: Path
    schema: str
    table: str
    columns: Sequence[str]
    url: str = field(repr=False)
    folder: Path


@dataclass(frozen=True)
class Tool:
    """`own_table`: it creates its own tables instead of loading into an identical one."""

    name: str
    does: str
    is_installed: Callable[[], bool]
    load: Callable[[ToolTask], None]
    own_table: bool = False


def _imports(module: str) -> bool:
    return find_spec(module) is not None


def _program(name: str) -> str | None:
    """Return the path of a program, next to our interpreter or on the PATH."""
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def _pandas(errand: ToolTask, *, multi: bool) -> None:
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(errand.url.replace("postgresql://", "postgresql+psycopg://", 1))
    frame = pd.read_csv(errand.file, dtype="string")
    try:
        frame.to_sql(
            errand.table,
            engine,
            schema=errand.schema,
            if_exists="append",
            index=False,
            method="multi" if multi else None,
            chunksize=_MULTI_ROWS,
        )
    finally:
        engine.dispose()


def _dlt(errand: ToolTask, *, merges: bool) -> None:
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    dlt = import_module("dlt")  # by name: type checkers run where it is not installed
    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(errand.url),
        dataset_name=errand.schema,
        pipelines_dir=str(errand.folder),
    )
    how = {"write_disposition": "merge", "primary_key": errand.columns[0]} if merges else {}
    batches = iter(csv.open_csv(errand.file))
    pipeline.run(batches, table_name=errand.table, loader_file_format="csv", **how)


def _pgloader(errand: ToolTask) -> None:
    columns = ", ".join(errand.columns)
    script = errand.folder / "pgloader.load"
    script.write_text(
        f"LOAD CSV FROM '{errand.file}' WITH ENCODING utf-8 HAVING FIELDS ({columns})\n"
        f"INTO {errand.url} TARGET TABLE {errand.schema}.{errand.table} TARGET COLUMNS ({columns})\n"
        "WITH skip header = 1, fields optionally enclosed by '\"', fields escaped by double-quote,\n"
        "fields terminated by ',';\n"
    )
    _run(["pgloader", "--root-dir", str(errand.folder), str(script)])


def _sling(errand: ToolTask) -> None:
    stream, target = f"file://{errand.file}", f"{errand.schema}.{errand.table}"
    words = ["sling", "run", "--src-stream", stream, "--tgt-conn", "BENCH", "--tgt-object", target]
    _run([*words, "--mode", "truncate"], BENCH=f"{errand.url}?sslmode=disable")


def _run(command: list[str], **environ: str) -> None:
    """Run the command. Raises `StackError` with its last line if it fails."""
    done = subprocess.run(
        [str(_program(command[0])), *command[1:]],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise StackError(f"{command[0]}: {lines[-1] if lines else f'exit status {done.returncode}'}")


TOOLS = (
    Tool("pandas", "read_csv, to_sql", lambda: _imports("pandas"), partial(_pandas, multi=False)),
    Tool(
        "pandas multi",
        f"read_csv, to_sql(method='multi', chunksize={_MULTI_ROWS})",
        lambda: _imports("pandas"),
        partial(_pandas, multi=True),
    ),
    Tool(
        "dlt append",
        "Arrow, CSV files, its own table without keys",
        lambda: _imports("dlt"),
        partial(_dlt, merges=False),
        own_table=True,
    ),
    Tool(
        "dlt merge",
        "Arrow, CSV files, merged by email into its own table",
        lambda: _imports("dlt"),
        partial(_dlt, merges=True),
        own_table=True,
    ),
    Tool("pgloader", "LOAD CSV", lambda: _program("pgloader") is not None, _pgloader),
    Tool("sling", "run --mode truncate", lambda: _program("sling") is not None, _sling),
)
