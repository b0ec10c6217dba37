"""The sensors that start runs for uploads and requested exports, and notice dead runs.

An outage raises, so that the tick fails visibly and is repeated; it is never a skipped tick.
"""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.errors import DiskFullError, SettingsError
from bulk_pipeline.ledger.export_jobs import ExportJob
from bulk_pipeline.orchestration import reaper, run_tags, stray_files
from bulk_pipeline.orchestration.asset_keys import EVERY_FILE_HAS_A_TABLE, UPLOADS
from bulk_pipeline.orchestration.export_ops import config_of
from bulk_pipeline.orchestration.jobs import export_table, import_files
from bulk_pipeline.pipeline import notifying
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.intake import Request, take_in
from bulk_pipeline.postgres import table_fit
from bulk_pipeline.printable import printable

_START_SECONDS = 60
_DELIVERY_SECONDS = 25
"""A tick has 60 s, and the last message that it begins may take half of them."""

_log = logging.getLogger(__name__)


@dg.sensor(
    jobs=[import_files, export_table],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Claims what is dropped and starts runs for it, parents first; starts exports that were asked for.",
)
def upload_sensor(
    context: dg.SensorEvaluationContext, stores: dg.ResourceParam[Stores]
) -> dg.SensorResult | dg.SkipReason:
    for problem in _problems_at_start(stores):
        context.log.warning(f"{problem}: imports into this table will fail; see `bulk-pipeline doctor`")
    _subscribe(context, stores)
    intake = take_in(stores, context.cursor)
    problem = _disk_problem(stores) if intake.requests else None
    imports = () if problem else intake.requests
    requests = [_run_request(request, stores) for request in imports]
    requests += [_export_request(job) for job in intake.exports]
    for request in imports:
        stores.ledger.requested(request.key)
    for job in intake.exports:
        stores.exports.requested(job.id)
    if intake.claimed:
        context.log.info(f"claimed {intake.claimed} uploads")
    for why in intake.refused:
        context.log.error(f"an upload stays in the inbox: {why}")
    events = [_stray_files(stores)] if intake.strays else []
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=intake.cursor, asset_events=events)
    if problem:
        raise DiskFullError(f"no import is started: {problem}")
    problems = [*intake.refused, *filter(None, [intake.junk]), *tables.served().problems()]
    reason = "; ".join(problems) or "nothing is ready to start"
    return dg.SensorResult(skip_reason=reason, cursor=intake.cursor, asset_events=events)


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds jobs whose run has died and lets them be tried again.",
)
def reaper_sensor(context: dg.SensorEvaluationContext, stores: dg.ResourceParam[Stores]) -> dg.SkipReason:
    actions = [
        *reaper.reap_dead_runs(stores, context.instance),
        *reaper.end_silent_runs(stores, context.instance, timedelta(seconds=_START_SECONDS)),
        *reaper.forget_lost_requests(stores, context.instance, timedelta(seconds=_START_SECONDS)),
    ]
    for job in stores.claims.finish_abandoned(older_than=timedelta(seconds=_START_SECONDS)):
        actions.append(f"finished the claim of {printable(job.key)}")
    for action in actions:
        context.log.warning(action)
    return dg.SkipReason("; ".join(actions) or "every run that has a job is alive")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells people about files that finished, failed or are late, as `notify` and NOTIFY_URLS declare.",
)
def notify_sensor(context: dg.SensorEvaluationContext, stores: dg.ResourceParam[Stores]) -> dg.SkipReason:
    notifying.subscribe(stores)
    notifying.add_timed_messages(stores, _now())
    sent, problems = notifying.deliver(stores, _now, seconds=_DELIVERY_SECONDS)
    for problem in problems:
        context.log.warning(printable(problem))
    return dg.SkipReason(f"{sent} sent; {'; '.join(problems)}" if sent or problems else "no message is due")


def _stray_files(stores: Stores) -> dg.AssetCheckEvaluation:
    """Return the check of files without a table, all of the last days: the newest evaluation is the one shown."""
    text, shown = stray_files.description(stores)
    return dg.AssetCheckEvaluation(
        asset_key=UPLOADS,
        check_name=EVERY_FILE_HAS_A_TABLE,
        passed=not text,
        severity=dg.AssetCheckSeverity.WARN,
        description=text or "all is well",
        metadata=shown,
    )


_checked_databases = set[str]()


def _subscribe(context: dg.SensorEvaluationContext, stores: Stores) -> None:
    """A wrong setting of messages keeps no file waiting: `notify_sensor` fails because of it."""
    try:
        notifying.subscribe_if_changed(stores)
    except SettingsError as error:
        context.log.warning(str(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _problems_at_start(stores: Stores) -> list[str]:
    """Return the problems of tables whose imports would fail, once per process of the code location.

    They are not checked while definitions load, which must work without Postgres.
    """
    if stores.database_url in _checked_databases:
        return []
    problems = table_fit.load_problems(stores.postgres, tables.in_load_order())
    _checked_databases.add(stores.database_url)
    for problem in problems:
        _log.warning("%s: imports into this table will fail", problem)
    return problems


def _disk_problem(stores: Stores) -> str | None:
    """Return the problem of this machine's disk; runs on it would fail and use up attempts.

    None with work files in S3, since runs may be on other machines, each of which checks its own disk.
    """
    return stores.disk.problem() if isinstance(stores.settings.bulk_work_dir, Path) else None


def _run_request(request: Request, stores: Stores) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=request.key,
        job_name=import_files.name,
        run_config={"ops": {"parse": {"config": {"job_ids": [job.id for job in request.jobs]}}}},
        tags=run_tags.of_imports(request.jobs, stores),
    )


def _export_request(job: ExportJob) -> dg.RunRequest:
    """Return a request without a run key: the ledger knows whether a run was requested, and may request another."""
    return dg.RunRequest(job_name=export_table.name, run_config=config_of(job), tags=run_tags.of_export(job))
