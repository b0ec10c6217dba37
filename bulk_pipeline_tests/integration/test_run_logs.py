"""The output of runs is stored in S3 by dagster-aws, even in outages of their machine or of S3."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType, ComputeLogManager
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

from bulk_pipeline.errors import NotFoundError
from bulk_pipeline.orchestration.launch import run_logs
from bulk_pipeline.orchestration.launch.run_logs import RunLogs
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.ports import free_port

Environment = Callable[..., Settings]
HOUR = 3600


@pytest.fixture
def environment(
    settings: Settings, logs_bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Environment:
    """A function that sets the environment of Dagster's processes; values given by name take precedence."""

    def environment(**kwargs: str) -> Settings:
        known = {
            "s3_endpoint_url": str(settings.s3_endpoint_url),
            "s3_access_key": str(settings.s3_access_key),
            "s3_bucket_logs": f"{logs_bucket}/of/ours",
            "dagster_home": str(tmp_path / "dagster"),
        }
        secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else ""
        for name, value in (known | {"s3_secret_key": secret} | kwargs).items():
            monkeypatch.setenv(name.upper(), value)
        return settings.model_copy(update=known | kwargs)

    environment()
    return environment


@pytest.fixture
def instance(environment: Environment) -> Iterator[dg.DagsterInstance]:
    logs = {"module": RunLogs.__module__, "class": RunLogs.__name__}
    home = os.environ["DAGSTER_HOME"]
    with dg.instance_for_test(overrides={"compute_logs": logs}, set_dagster_home=False) as instance:
        assert os.environ["DAGSTER_HOME"] == home
        yield instance


@dg.op(config_schema={"fails": bool})
def speak(context: dg.OpExecutionContext) -> None:
    print("to stdout")  # noqa: T201
    print("to stderr", file=sys.stderr)  # noqa: T201
    if context.op_config["fails"]:
        raise KeyboardInterrupt


@dg.job
def speaking() -> None:
    speak()


def run(instance: dg.DagsterInstance, *, fails: bool = False) -> list[str]:
    """Run a job, and return the key of its log."""
    config = {"ops": {"speak": {"config": {"fails": fails}}}}
    run_id = str(uuid4())
    try:
        speaking.execute_in_process(config, instance=instance, raise_on_error=False, run_id=run_id)
    except KeyboardInterrupt:
        assert fails
    (event,) = [
        record.event_log_entry.dagster_event
        for record in instance.get_records_for_run(run_id).records
        if record.event_log_entry.dagster_event_type is dg.DagsterEventType.LOGS_CAPTURED
    ]
    assert event is not None
    return [run_id, "compute_logs", event.logs_captured_data.file_key]


def printed(logs: ComputeLogManager, log_key: list[str]) -> tuple[bytes, bytes]:
    data = logs.get_log_data(log_key)
    return data.stdout or b"", data.stderr or b""


def elsewhere(environment: Environment, folder: Path) -> ComputeLogManager:
    """Return the logs as seen by Dagster on another machine."""
    environment(dagster_home=str(folder))
    return RunLogs.from_config_value(None, {})


def files() -> list[str]:
    folder = run_logs.local_folder()
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def age(hours: float) -> None:
    then = time.time() - hours * HOUR
    for place in run_logs.local_folder().rglob("*"):
        os.utime(place, (then, then))


@pytest.mark.parametrize("fails", [False, True], ids=["ended", "interrupted"])
def test_the_log_of_a_run_outlives_its_machine(
    instance: dg.DagsterInstance, environment: Environment, tmp_path: Path, fails: bool
) -> None:
    log_key = run(instance, fails=fails)
    assert files() == []
    other = elsewhere(environment, tmp_path / "other")
    stdout, stderr = printed(other, log_key)
    assert stdout == b"to stdout\n"
    assert b"to stderr\n" in stderr
    assert other.is_capture_complete(log_key)
    assert other.get_log_metadata(log_key).stderr_download_url == "/logs/" + "/".join([*log_key, "err"])


def test_the_log_of_a_run_is_sent_while_it_works(
    instance: dg.DagsterInstance, environment: Environment, tmp_path: Path
) -> None:
    logs, log_key = instance.compute_log_manager, ["a-run", "compute_logs", "abc"]
    assert isinstance(logs, RunLogs)
    assert logs.upload_interval == 30
    write(logs.local_manager, log_key, "half of it")
    logs.on_progress(log_key)
    other = elsewhere(environment, tmp_path / "other")
    assert printed(other, log_key) == (b"", b"half of it")
    assert not other.is_capture_complete(log_key)


class TestAnOutageOfS3:
    @pytest.fixture(autouse=True)
    def _away(self, environment: Environment) -> None:
        environment(s3_endpoint_url=f"http://127.0.0.1:{free_port()}")

    def test_fails_no_run_and_is_logged(self, instance: dg.DagsterInstance) -> None:
        log_key = run(instance)
        assert instance.get_run_by_id(log_key[0]).status is dg.DagsterRunStatus.SUCCESS  # pyright: ignore[reportOptionalMemberAccess]
        messages = [entry.user_message or entry.message for entry in instance.all_logs(log_key[0])]
        assert any("cleaning up compute log capture" in message for message in messages)
        assert printed(instance.compute_log_manager, log_key)[0] == b"to stdout\n"

    def test_costs_nothing_but_the_view(self, instance: dg.DagsterInstance) -> None:
        logs = instance.compute_log_manager
        assert isinstance(logs, RunLogs)
        log_key = run(instance)
        logs.local_manager.delete_logs(log_key=log_key)
        assert printed(logs, log_key) == (b"", b"")
        assert not logs.is_capture_complete(log_key)
        logs.on_progress(log_key)

    def test_is_made_up_for_at_night(
        self, instance: dg.DagsterInstance, environment: Environment, tmp_path: Path
    ) -> None:
        log_key = run(instance)
        age(hours=25)
        with pytest.raises(s3.FAILURES):
            run_logs.clear(instance, environment(s3_endpoint_url=f"http://127.0.0.1:{free_port()}"))
        settings = environment()
        with dg.instance_for_test(
            overrides={"compute_logs": {"module": RunLogs.__module__, "class": RunLogs.__name__}},
            set_dagster_home=False,
        ) as later:
            assert run_logs.clear(later, settings) == 1
            assert files() == []
        assert printed(elsewhere(environment, tmp_path / "other"), log_key)[0] == b"to stdout\n"


class TestTheFolderOfThisMachine:
    def test_keeps_logs_of_a_running_run(
        self, instance: dg.DagsterInstance, environment: Environment
    ) -> None:
        run_id = instance.create_run_for_job(
            speaking,
            run_config={"ops": {"speak": {"config": {"fails": False}}}},
            status=dg.DagsterRunStatus.STARTED,
        ).run_id
        write(
            LocalComputeLogManager(str(run_logs.local_folder())), [run_id, "compute_logs", "abc"], "something"
        )
        age(hours=1000)
        assert run_logs.clear(instance, environment()) == 0
        assert files() == [f"{run_id}/compute_logs/abc.err"]

    def test_removes_logs_that_the_ui_has_fetched(
        self, instance: dg.DagsterInstance, environment: Environment
    ) -> None:
        log_key = run(instance)
        printed(instance.compute_log_manager, log_key)
        assert len(files()) == 2
        assert run_logs.clear(instance, environment()) == 0, "it is not old yet"
        age(hours=25)
        assert run_logs.clear(instance, environment()) == 1
        assert list(run_logs.local_folder().rglob("*")) == []
        assert printed(instance.compute_log_manager, log_key)[0] == b"to stdout\n"

    def test_keeps_logs_as_long_as_runs_where_no_bucket_is_set(self, environment: Environment) -> None:
        settings = environment(s3_bucket_logs="").model_copy(update={"s3_bucket_logs": None})
        logs = {"module": RunLogs.__module__, "class": RunLogs.__name__}
        with dg.instance_for_test(overrides={"compute_logs": logs}, set_dagster_home=False) as instance:
            assert type(instance.compute_log_manager) is LocalComputeLogManager
            log_key = run(instance)
            assert printed(instance.compute_log_manager, log_key)[0] == b"to stdout\n"
            assert len(files()) == 3
            age(hours=29 * 24)
            assert run_logs.clear(instance, settings) == 0
            age(hours=31 * 24)
            assert run_logs.clear(instance, settings) == 1
            assert list(run_logs.local_folder().rglob("*")) == []


class TestATickOfASensor:
    def test_that_logs_nothing_leaves_nothing(
        self, instance: dg.DagsterInstance, environment: Environment
    ) -> None:
        with instance.compute_log_manager.open_log_stream(["a", "tick"], ComputeIOType.STDERR):
            pass
        assert files() == []
        assert objects(environment()) == []

    def test_is_shown_with_what_it_has_logged(
        self, instance: dg.DagsterInstance, environment: Environment
    ) -> None:
        write(instance.compute_log_manager, ["a", "tick"], "claimed 1 uploads")
        assert files() == []
        assert printed(instance.compute_log_manager, ["a", "tick"]) == (b"", b"claimed 1 uploads")
        assert objects(environment()) == ["dagster/storage/a/tick.err"]


def test_logs_in_s3_go_with_the_runs_that_dagster_forgets(
    instance: dg.DagsterInstance, environment: Environment
) -> None:
    log_key = run(instance)
    settings = environment()
    store, client = ObjectStore(settings), s3.connect(settings)
    assert run_logs.remove_old(client, settings) == 0
    assert run_logs.remove_old(client, settings.model_copy(update={"bulk_dagster_retention_days": -1})) == 2
    with pytest.raises(NotFoundError):
        store.head(str(settings.s3_bucket_logs), f"dagster/storage/{'/'.join(log_key)}.err")
    assert run_logs.remove_old(client, settings.model_copy(update={"s3_bucket_logs": None})) == 0


def objects(settings: Settings) -> list[str]:
    return [entry.key for entry in ObjectStore(settings).page(str(settings.s3_bucket_logs)).objects]


def write(logs: ComputeLogManager, log_key: list[str], text: str) -> None:
    with logs.open_log_stream(log_key, ComputeIOType.STDERR) as stream:
        assert stream is not None
        stream.write(text)  # type: ignore[call-overload]  # a file for texts, whatever Dagster says
