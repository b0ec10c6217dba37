"""The private parts of Dagster on which `orchestration/launch` relies. After an upgrade, a failed test says where to look.

Each test checks that the private part is unchanged, and that Dagster still offers no public way.
"""

import inspect
import multiprocessing.context
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._daemon import controller, sensor
from dagster._daemon.daemon import IntervalDaemon, SensorDaemon
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._grpc import server
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_postgres import DagsterPostgresStorage
from dagster_webserver import cli

import bulk_pipeline
from bulk_pipeline.orchestration.launch import (
    code_server,
    daemon,
    run_logs,
    storage,
    webserver,
)
from bulk_pipeline.orchestration.launch.run_logs import RunLogs
from bulk_pipeline.settings import DagsterChange, LaunchSettings

PACKAGE = Path(bulk_pipeline.__file__).parent


def unchanged(what: str, found: object, expected: object, module: object) -> None:
    assert found == expected, f"Dagster changed {what}: see {inspect.getfile(module)}"  # type: ignore[arg-type]


def test_runs_are_started_by_spawn_and_no_option_says_otherwise() -> None:
    contexts = re.findall(r"get_context\((.*?)\)", inspect.getsource(server))
    unchanged("how the code server starts runs", contexts, ['"spawn"'], code_server)
    known = getattr(multiprocessing.context, "_concrete_contexts")  # noqa: B009
    unchanged(
        "(Python, not Dagster) what spawn means", type(known["spawn"]).__name__, "SpawnContext", code_server
    )
    options = inspect.getsource(server)
    unchanged("that there is no setting for it", "forkserver" in options, False, code_server)


def test_storages_keep_their_engine_where_it_is_replaced_and_no_setting_makes_a_pool() -> None:
    source = inspect.getsource(DagsterPostgresStorage.__init__)
    parts = re.findall(r"self\.(_\w+_storage) = ", source)
    expected = ["_run_storage", "_event_log_storage", "_schedule_storage"]
    unchanged("the parts of its storage", parts, expected, storage)
    for part in re.findall(r"= (Postgres\w+)\(", source):
        made = inspect.getsource(getattr(sys.modules[DagsterPostgresStorage.__module__], part).__init__)
        unchanged(f"the engine of {part}", "self._engine = create_pg_engine(" in made, True, storage)
    settings = {"auth_provider", "postgres_db", "postgres_url", "should_autocreate_tables"}
    offered = DagsterPostgresStorage.config_type()
    assert isinstance(offered, dict)
    unchanged("the settings of its storage", set(offered), settings, storage)


def test_the_webserver_makes_its_application_by_a_name_and_no_option_guards_it() -> None:
    names = cli.host_dagster_ui_with_workspace_process_context.__code__.co_names
    made = "create_app_from_workspace_process_context" in names
    unchanged("how the webserver makes its application", made, True, webserver)
    options = {option.name for option in cli.dagster_webserver.params}
    guards = {name for name in options if re.search("origin|cors|allowed|middleware|auth", name or "")}
    unchanged("whether the webserver guards itself", guards, set(), webserver)


def test_loops_wait_for_an_event_that_is_replaced_and_no_setting_wakes_them() -> None:
    sensors = inspect.getsource(sensor.execute_sensor_iteration_loop)
    queue = inspect.getsource(IntervalDaemon.core_loop)
    for name, loop in {"sensors": sensors, "the queue": queue}.items():
        used = re.findall(r"shutdown_event\.(\w+)", loop)
        unchanged(f"how the loop of {name} waits", used, ["wait"], daemon)
    unchanged("how often ticks start", "MIN_INTERVAL_LOOP_TIME" in sensors, True, daemon)
    unchanged("which loops", SensorDaemon.core_loop.__name__, "core_loop", daemon)
    unchanged("which loops", QueuedRunCoordinatorDaemon.core_loop, IntervalDaemon.core_loop, daemon)
    made = inspect.getsource(controller.create_daemon_of_type)
    interval = "instance.run_coordinator.dequeue_interval_seconds" in made
    unchanged("where the interval of the queue comes from", interval, True, daemon)
    submitted = "self._instance.report_dagster_event(enqueued_event" in inspect.getsource(
        QueuedRunCoordinator.submit_run
    )
    unchanged("that a submitted run is in the queue", submitted, True, daemon)


def test_logs_are_sent_by_a_client_of_the_default_session_and_no_setting_takes_keys() -> None:
    source = inspect.getsource(S3ComputeLogManager.__init__)
    unchanged("where its client comes from", source.count("boto3.resource("), 1, run_logs)
    settings = {
        *("bucket", "endpoint_url", "local_dir", "prefix", "region", "show_url_only", "skip_empty_files"),
        *("upload_extra_args", "upload_interval", "use_ssl", "verify", "verify_cert_path"),
    }
    unchanged("the settings of its log manager", set(S3ComputeLogManager.config_type()), settings, run_logs)
    used = {
        *(
            "capture_logs",
            "open_log_stream",
            "cloud_storage_has_logs",
            "on_progress",
            "download_url_for_type",
        ),
        *("upload_to_cloud_storage", "local_manager", "is_capture_complete"),
    }
    unchanged("the methods of its log manager", used - set(dir(S3ComputeLogManager)), set(), run_logs)
    overridden = {name for name in vars(RunLogs) if not name.startswith("_")} & set(dir(S3ComputeLogManager))
    assert overridden <= used | {"config_type", "from_config_value"}


def test_private_modules_are_imported_in_launch_only_and_each_is_guarded_here() -> None:
    private = re.compile(r"(?:from|import) (dagster\w*\._[\w.]+|dagster_\w+\.[\w.]+)")
    result = {
        (file.relative_to(PACKAGE).as_posix(), name)
        for file in PACKAGE.rglob("*.py")
        for name in private.findall(file.read_text())
    }
    assert result == {
        ("orchestration/launch/daemon.py", "dagster._core.run_coordinator"),
        ("orchestration/launch/daemon.py", "dagster._daemon.daemon"),
        (
            "orchestration/launch/daemon.py",
            "dagster._daemon.run_coordinator.queued_run_coordinator_daemon",
        ),
        ("orchestration/launch/run_logs.py", "dagster._core.storage.compute_log_manager"),
        ("orchestration/launch/run_logs.py", "dagster._core.storage.local_compute_log_manager"),
        ("orchestration/launch/run_logs.py", "dagster._serdes"),
        ("orchestration/launch/run_logs.py", "dagster_aws.s3.compute_log_manager"),
        ("orchestration/launch/storage.py", "dagster._core.storage.config"),
        ("orchestration/launch/storage.py", "dagster._serdes"),
        ("orchestration/launch/storage.py", "dagster_postgres.auth"),
        ("orchestration/launch/storage.py", "dagster_postgres.utils"),
        ("orchestration/import_ops.py", "dagster_aws.s3"),
        ("orchestration/resources.py", "dagster_aws.s3"),
    }


LOOPS = """
import runpy
from dagster._core.run_coordinator import QueuedRunCoordinator
from bulk_pipeline.orchestration.launch import daemon
runpy.run_module = lambda *_, **__: print(QueuedRunCoordinator(dequeue_interval_seconds=1).dequeue_interval_seconds)
daemon.main()
"""


@pytest.mark.parametrize(("plain", "seconds"), [("", "0.01"), ("prompt_daemon", "1")])
def test_loops_wait_for_dagsters_own_event_where_the_change_is_turned_off(
    monkeypatch: pytest.MonkeyPatch, plain: str, seconds: str
) -> None:
    monkeypatch.setenv("BULK_PLAIN_DAGSTER", plain)
    output = subprocess.run([sys.executable, "-c", LOOPS], capture_output=True, text=True, check=True).stdout
    assert output == f"{seconds}\n"


START = """
import multiprocessing, os, runpy, sys
from bulk_pipeline.orchestration.launch import code_server
runpy.run_module = lambda *_, **__: print(
    type(multiprocessing.get_context("spawn")).__name__, "DAGSTER_EVENT_BATCH_SIZE" in os.environ
)
sys.argv = ["code_server", "--module-name", code_server.DEFINITIONS]
code_server.main()
"""


def test_runs_are_started_by_dagster_itself_where_the_change_is_turned_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BULK_PLAIN_DAGSTER", "forked_runs, pooled_storage")
    output = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True).stdout
    assert output == "SpawnContext False\n"


def test_each_change_can_be_turned_off_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(map(LaunchSettings().changes, DagsterChange))
    monkeypatch.setenv("BULK_PLAIN_DAGSTER", ",".join(DagsterChange))
    assert not any(map(LaunchSettings().changes, DagsterChange))
    monkeypatch.setenv("BULK_PLAIN_DAGSTER", "forked_runs,telepathy")
    with pytest.raises(ValueError, match="telepathy is unknown; expected some of forked_runs, "):
        LaunchSettings()
