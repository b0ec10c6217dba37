"""The start of a stack, in order: servers, then schema and buckets, then the API and Dagster."""

import time
from collections.abc import Mapping

from bulk_pipeline.errors import StackError, StoreUnavailableError
from bulk_pipeline.postgres import admin, migrations
from bulk_pipeline.s3.buckets import create_buckets
from bulk_pipeline.stack import api, dagster, objects, postgres
from bulk_pipeline.stack.children import Children
from bulk_pipeline.stack.health import dagster_health
from bulk_pipeline.stack.plan import Plan
from bulk_pipeline.stack.process import Child, exited, wait

DAGSTER = ("daemon", "webserver", "code_server")

_SERVER_SECONDS = 60
_DAGSTER_SECONDS = 120
_API_SECONDS = 60
_POLL_SECONDS = 0.1


def start(plan: Plan, environ: Mapping[str, str], children: Children) -> None:
    """Start all parts; return when they answer. Raises `StackError` with the end of the log of the part that failed."""
    _start_servers(plan, children)
    _fill_servers(plan)
    environment = plan.process_environment(environ)
    serving = children.start(api.service(plan.api, environment, plan.home.log("api")))
    _start_dagster(plan, environment, children)
    wait(serving, _API_SECONDS)


def _start_servers(plan: Plan, children: Children) -> None:
    started: list[Child] = []
    if plan.gateway:
        objects.create(plan.gateway)
        service = objects.service(plan.gateway, plan.settings, plan.home.log("objects"))
        started.append(children.start(service))
    if plan.cluster:
        postgres.create(plan.cluster)
        started.append(children.start(postgres.service(plan.cluster, plan.home.log("postgres"))))
    for child in started:
        wait(child, _SERVER_SECONDS)


def _fill_servers(plan: Plan) -> None:
    url = plan.settings.database_url.get_secret_value()
    if plan.cluster:
        admin.create_database(plan.cluster.url("postgres"), postgres.DATABASE)
        admin.look_in_public(url)
    try:
        migrations.migrate(url)
        admin.create_schema(url, dagster.SCHEMA)
        create_buckets(plan.settings)
    except StoreUnavailableError as error:
        raise StackError(f"a server that the stack needs does not answer: {error}") from error


def _start_dagster(plan: Plan, environment: Mapping[str, str], children: Children) -> None:
    """Start all three processes. Until the webserver has created the tables, the daemon waits, so that it does not
    create them too."""
    dagster.create(plan.dagster)
    log = plan.home.log
    deadline = time.monotonic() + _DAGSTER_SECONDS
    children.start(dagster.code_server(plan.dagster, environment, log("code_server")))
    children.start(dagster.webserver(plan.dagster, environment, log("webserver")))
    while not dagster.tables_exist(plan.settings.database_url.get_secret_value()):
        _check(children, deadline, "the webserver has not created Dagster's tables")
        time.sleep(_POLL_SECONDS)
    children.start(dagster.daemon(plan.dagster, environment, log("daemon")))
    daemon_started_at = time.time()
    while problem := dagster_health(plan.dagster.url, daemon_started_at).problem:
        _check(children, deadline, problem)
        time.sleep(_POLL_SECONDS)


def _check(children: Children, deadline: float, problem: str) -> None:
    for child in children.dead():
        raise exited(child)
    if time.monotonic() > deadline:
        raise StackError(f"Dagster did not start: {problem}")
