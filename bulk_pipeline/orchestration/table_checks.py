"""The checks of tables: rejected rows of the last import, the table against its declaration, references, lost rows.

Imports evaluate the first one themselves. The job `check_tables` evaluates all every night; each can also be executed
on the page of its asset.
"""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.errors import UnknownTableError
from bulk_pipeline.orchestration import stray_files
from bulk_pipeline.orchestration.asset_keys import (
    EVERY_FILE_HAS_A_TABLE,
    EVERY_ROW_ACCEPTED,
    MATCHES_DECLARATION,
    REFERENCES_EXIST,
    ROWS_SINCE_EXPORT,
    UPLOADS,
    table_key,
)
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.postgres.drift import drift
from bulk_pipeline.rows.orphans import count_orphans
from bulk_pipeline.rows.row_counts import count_rows
from bulk_pipeline.schema import Table

_SHOWN = 20
_LOST_SHARE = 0.1
"""A table may have lost this share of the rows of an export."""
_EXPORT_AGE = timedelta(hours=12)
"""Least age of the export: the nightly one, made just before the nightly checks, would hide what was lost by day."""


def definition() -> dg.AssetChecksDefinition:
    """Return the checks of all declared tables."""
    specs = [spec for table in tables.in_load_order() for spec in _specs(table)]
    specs.append(
        dg.AssetCheckSpec(
            EVERY_FILE_HAS_A_TABLE,
            asset=UPLOADS,
            description=f"The folder of each file of the last {stray_files.DAYS} days is that of a table.",
        )
    )

    @dg.multi_asset_check(
        name="table_checks",
        specs=specs,
        can_subset=True,
        description="The checks of the tables that are selected.",
    )
    def table_checks(
        context: dg.AssetCheckExecutionContext, stores: dg.ResourceParam[Stores]
    ) -> Iterator[dg.AssetCheckResult]:
        for key in sorted(context.selected_asset_check_keys):
            yield _check(stores, key)

    return table_checks


def _specs(table: Table) -> Iterator[dg.AssetCheckSpec]:
    key = table_key(table.upload_name)
    yield dg.AssetCheckSpec(
        EVERY_ROW_ACCEPTED,
        asset=key,
        description="The last import accepted every row. Rejected rows are a warning, a failed file is an error.",
    )
    yield dg.AssetCheckSpec(
        MATCHES_DECLARATION, asset=key, description="Columns, types and keys in Postgres are as declared."
    )
    yield dg.AssetCheckSpec(
        ROWS_SINCE_EXPORT,
        asset=key,
        description=f"At most {_LOST_SHARE:.0%} of the rows of the last complete export are gone.",
    )
    if table.foreign_keys:
        yield dg.AssetCheckSpec(
            REFERENCES_EXIST, asset=key, description="Every row that is referred to exists."
        )


def _check(stores: Stores, key: dg.AssetCheckKey) -> dg.AssetCheckResult:
    name = key.asset_key.path[-1]
    if key.asset_key == UPLOADS:
        text, shown = stray_files.description(stores)
        result = _result(key, [text] if text else [], severity=dg.AssetCheckSeverity.WARN)
        return result.with_metadata(shown)
    try:
        table = tables.get(name)
    except UnknownTableError as error:
        return _result(key, [str(error)])
    match key.name:
        case "matches_declaration":
            with stores.postgres.transaction() as connection:
                return _result(key, drift(connection, [table]))
        case "references_exist":
            counts = [(key_, count_orphans(stores.postgres, table, key_)) for key_ in table.foreign_keys]
            sentences = [
                f"{count:,} rows have a {k} that is not in {k.parent}" for k, count in counts if count
            ]
            return _result(key, sentences)
        case "rows_since_export":
            return _rows_since_export(stores, key, table)
        case _:
            return _last_import(stores, key, name)


def _rows_since_export(stores: Stores, key: dg.AssetCheckKey, table: Table) -> dg.AssetCheckResult:
    export = stores.exports.last_complete(table.upload_name, _EXPORT_AGE)
    if export is None:
        return _result(key, [], severity=dg.AssetCheckSeverity.WARN)
    rows, before = count_rows(stores.postgres, table), export.rows_written
    sentences = []
    if rows < before * (1 - _LOST_SHARE):
        sentences.append(
            f"{rows:,} rows, {before - rows:,} fewer than the {before:,} of export {export.id}: "
            "if nobody has deleted them on purpose, import the files of that export"
        )
    result = _result(key, sentences, severity=dg.AssetCheckSeverity.WARN)
    return result.with_metadata({"rows": rows, "exported_rows": before, "export": export.id})


def _last_import(stores: Stores, key: dg.AssetCheckKey, table: str) -> dg.AssetCheckResult:
    finished = [
        job for job in stores.ledger.newest(table=table, limit=_SHOWN) if job.finished_at and job.run_id
    ]
    if not finished:
        return _result(key, [], severity=dg.AssetCheckSeverity.WARN)
    newest = finished[0]
    if newest.error:
        return _result(key, [f"{newest.file_name}: {newest.error}"])
    rejected = stores.ledger.counts([newest.id])[newest.id].rejected
    sentences = (
        [f"{newest.file_name}: {rejected:,} of {newest.total_rows or 0:,} rows rejected"] if rejected else []
    )
    return _result(key, sentences, severity=dg.AssetCheckSeverity.WARN)


def _result(
    key: dg.AssetCheckKey,
    sentences: list[str],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return a result that passed if there is no sentence about a problem."""
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not sentences,
        severity=severity,
        description="; ".join(sentences[:_SHOWN]) or "all is well",
    )
