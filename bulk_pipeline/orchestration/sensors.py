"""Sensors: drops become runs, dead runs are noticed.

An outage raises, so that the tick fails visibly and is repeated; it is never a skipped tick.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice

import dagster as dg

from bulk_pipeline import tables
from bulk_pipeline.orchestration import export_reaping, reaping
from bulk_pipeline.orchestration.export_ops import config_of
from bulk_pipeline.orchestration.export_reaping import EXPORT_TAG
from bulk_pipeline.orchestration.intake import Request, take_in
from bulk_pipeline.orchestration.jobs import export_table, import_files
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.printable import printable
from bulk_pipeline.stores import table_fit
from bulk_pipeline.stores.export_jobs import ExportJob

GROUP_TAG = "bulk/group_id"
REQUEST_TAG = "bulk/request_id"
_REQUESTS_TOLD = 10
_START_SECONDS = 60

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
        context.log.warning(f"{problem}: imports into that table fail; see `bulk-pipeline doctor`")
    taken = take_in(stores, context.cursor)
    requests = [_run_request(request) for request in taken.requests]
    requests += [_export_request(job) for job in taken.exports]
    for request in taken.requests:
        stores.ledger.requested(request.key)
    for job in taken.exports:
        stores.exports.requested(job.id)
    if taken.claimed:
        context.log.info(f"claimed {taken.claimed} uploads")
    for why in taken.refused:
        context.log.error(f"an upload stays in the inbox: {why}")
    if requests:
        return dg.SensorResult(run_requests=requests, cursor=taken.cursor)
    told = "; ".join([*taken.refused, *filter(None, [taken.junk])]) or "nothing is ready to start"
    return dg.SensorResult(skip_reason=told, cursor=taken.cursor)


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds jobs whose run has died and lets them be tried again.",
)
def reaper_sensor(context: dg.SensorEvaluationContext, stores: dg.ResourceParam[Stores]) -> dg.SkipReason:
    reaped = [
        *reaping.reap_dead_runs(stores, context.instance),
        *reaping.end_silent_runs(stores, context.instance, timedelta(seconds=_START_SECONDS)),
        *reaping.forget_lost_requests(stores, context.instance, timedelta(seconds=_START_SECONDS)),
    ]
    reaped += export_reaping.reap_dead_runs(stores, context.instance)
    reaped += export_reaping.end_silent_runs(stores, context.instance, timedelta(seconds=_START_SECONDS))
    reaped += export_reaping.forget_lost_requests(stores, context.instance, timedelta(seconds=_START_SECONDS))
    for job in stores.claims.finish_abandoned(older_than=timedelta(seconds=_START_SECONDS)):
        reaped.append(f"finished the claim of {printable(job.key)}")
    for told in reaped:
        context.log.warning(told)
    return dg.SkipReason("; ".join(reaped) or "every run that has a job is alive")


_looked_at = set[str]()


def _problems_at_start(stores: Stores) -> list[str]:
    """Why imports into some of the tables would fail; each process of the code location says it once.

    Not while definitions load, which must work without Postgres.
    """
    if stores.database_url in _looked_at:
        return []
    found = table_fit.load_problems(stores.postgres, tables.in_load_order())
    _looked_at.add(stores.database_url)
    for problem in found:
        _log.warning("%s: imports into that table fail", problem)
    return found


def _run_request(request: Request) -> dg.RunRequest:
    jobs = request.jobs
    modes = {str(job.mode) for job in jobs}
    tags = {"bulk/table": request.table, "bulk/mode": ", ".join(sorted(modes)), GROUP_TAG: request.key}
    tags |= {"bulk/job_id": jobs[0].id} if len(jobs) == 1 else {"bulk/jobs": str(len(jobs))}
    tags |= _request_tag(job.request_id for job in jobs)
    return dg.RunRequest(
        run_key=request.key,
        job_name=import_files.name,
        run_config={"ops": {"parse": {"config": {"job_ids": [job.id for job in jobs]}}}},
        tags=tags,
    )


def _export_request(job: ExportJob) -> dg.RunRequest:
    """Without a key: the ledger knows whether a run was asked for, and another one may have to be."""
    tags = {"bulk/table": job.table, "bulk/mode": f"export, {job.kind}", EXPORT_TAG: job.id}
    tags |= _request_tag([job.request_id])
    return dg.RunRequest(job_name=export_table.name, run_config=config_of(job), tags=tags)


def _request_tag(request_ids: Iterable[str | None]) -> dict[str, str]:
    """The HTTP requests that a run does the work of; if there are many, the first of them. Its log names each."""
    told = list(islice(dict.fromkeys(filter(None, request_ids)), _REQUESTS_TOLD))
    return {REQUEST_TAG: ", ".join(told)} if told else {}
