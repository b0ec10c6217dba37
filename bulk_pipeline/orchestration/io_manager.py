"""Stores the values between ops as JSON beside the work files, where a run on another machine can read them."""

from collections.abc import Sequence

import dagster as dg
from pydantic import TypeAdapter

from bulk_pipeline import disk
from bulk_pipeline.errors import JobGoneError, WorkFilesMissingError
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.import_state import ImportState

STATES = "import_states"
"""The resource key of the IO manager."""

_ADAPTER = TypeAdapter(list[ImportState])


class ImportStateIOManager(dg.IOManager):
    """Passes lists of `ImportState` between ops. `job_ids` are the jobs of the reading run."""

    def __init__(self, stores: Stores, job_ids: Sequence[str]) -> None:
        self._stores = stores
        self._job_ids = job_ids

    def handle_output(self, context: dg.OutputContext, obj: list[ImportState]) -> None:
        with disk.outages():
            self._stores.work.put(_reference(context), _ADAPTER.dump_json(obj))

    def load_input(self, context: dg.InputContext) -> list[ImportState]:
        """Return the states that the previous op returned, in this run or in the one that this run repeats.

        If all jobs of the run are finished, their states are gone; return an empty list then. Raises
        `WorkFilesMissingError` if a job is not finished.
        """
        assert context.upstream_output is not None
        try:
            file = self._stores.work.find(_reference(context.upstream_output))
        except WorkFilesMissingError:
            if not all(map(self._is_finished, self._job_ids)):
                raise
            context.log.info("the jobs of the run are finished: nothing to do")
            return []
        return _ADAPTER.validate_json(file.read_bytes())

    def _is_finished(self, job_id: str) -> bool:
        """Return True if nothing is left to do for the job: it is final, or gone from the ledger."""
        try:
            return self._stores.ledger.get(job_id).status.is_final
        except JobGoneError:
            return True


def _reference(context: dg.OutputContext) -> str:
    return f"{context.run_id}/{context.step_key}.json"
