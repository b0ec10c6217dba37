"""The materializations of a run's files: all are in Dagster's log, stored together where that is allowed."""

from collections.abc import Sequence

import dagster as dg
import pytest

from bulk_pipeline.orchestration import materializations
from bulk_pipeline.orchestration.code_server import EVENTS
from bulk_pipeline.orchestration.materializations import Materializations

TABLE = dg.AssetKey("users")
FILES = 45


def logged(instance: dg.DagsterInstance, *, trouble: bool = False) -> list[int]:
    """What a run has logged of files that it says are done, the first one first."""

    @dg.op
    def emit(context: dg.OpExecutionContext) -> None:
        with Materializations(context) as found:
            for file in range(FILES):
                found.add(dg.AssetMaterialization(TABLE, metadata={"file": file}))
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
    found = [record.asset_materialization for record in records]
    return [int(one.metadata["file"].value) for one in found if one is not None]  # type: ignore[arg-type]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events were stored together, each time that any were."""
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


def test_each_is_stored_by_itself_where_dagster_was_not_told_to_keep_any(
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
    monkeypatch.setattr(materializations, "_SECONDS", 0.0)
    with dg.DagsterInstance.ephemeral() as instance:
        assert logged(instance) == list(range(FILES))
    assert stored == []
