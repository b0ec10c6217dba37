"""The materializations of a run's files are all in Dagster's log, stored in batches if that is enabled."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from bulk_pipeline.orchestration.launch.code_server import EVENTS
from bulk_pipeline.orchestration.launch.materializations import Materializations

TABLE = dg.AssetKey("users")
FILES = 45


def logged(instance: dg.DagsterInstance, *, trouble: bool = False, **kwargs: Any) -> list[int]:
    """Return the logged materializations of a run, in order."""

    @dg.op
    def emit(context: dg.OpExecutionContext) -> None:
        with Materializations(context, **kwargs) as result:
            for file in range(FILES):
                result.add(dg.AssetMaterialization(TABLE, metadata={"file": file}))
            if trouble:
                raise LookupError("trouble")

    @dg.job
    def files() -> None:
        emit()

    run = files.execute_in_process(instance=instance, raise_on_error=False)
    assert run.success is not trouble
    records = instance.fetch_materializations(TABLE, limit=2 * FILES, ascending=True).records
    assert {record.run_id for record in records} == {run.run_id}
    assert {record.event_log_entry.step_key for record in records} == {"emit"}
    result = [record.asset_materialization for record in records]
    return [int(one.metadata["file"].value) for one in result if one is not None]  # type: ignore[arg-type]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of events in each stored batch."""
    together: list[int] = []

    def store(self: object, events: Sequence[dg.EventLogEntry]) -> None:
        together.append(len(events))
        for event in events:
            self.store_event(event)  # type: ignore[attr-defined]

    monkeypatch.setattr("dagster._core.storage.event_log.base.EventLogStorage.store_event_batch", store)
    return together


@pytest.mark.parametrize("trouble", [False, True])
def test_they_are_stored_together_even_if_the_run_has_trouble_then(
    stored: list[int], monkeypatch: pytest.MonkeyPatch, trouble: bool
) -> None:
    for name, value in EVENTS.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        assert logged(instance, trouble=trouble) == list(range(FILES))
    assert stored == [20, 20, 5]


def test_each_is_stored_alone_if_dagster_does_not_batch_events(
    stored: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in EVENTS:
        monkeypatch.delenv(name, raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        assert logged(instance) == list(range(FILES))
    assert stored == []


def test_each_is_shown_at_once_if_files_take_long(stored: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in EVENTS.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        assert logged(instance, patience_seconds=0.0) == list(range(FILES))
    assert stored == []


def test_each_is_stored_by_itself_where_the_change_is_turned_off(
    stored: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in EVENTS.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:
        assert logged(instance, are_batched=False) == list(range(FILES))
    assert stored == []
