"""What an op leaves for the next one, kept beside the work files, as JSON: a run on another machine finds it."""

from collections.abc import Sequence

import dagster as dg
from pydantic import TypeAdapter

from bulk_pipeline.errors import JobGoneError, WorkFilesMissingError
from bulk_pipeline.orchestration.staged import Staged
from bulk_pipeline.orchestration.stores import Stores

_STAGED = TypeAdapter(list[Staged])


class Handover(dg.IOManager):
    """Takes lists of `Staged` from op to op. `job_ids`: what the run that reads was asked to work on."""

    def __init__(self, stores: Stores, job_ids: Sequence[str]) -> None:
        self._stores = stores
        self._job_ids = job_ids

    def handle_output(self, context: dg.OutputContext, obj: list[Staged]) -> None:
        self._stores.work.put(_reference(context), _STAGED.dump_json(obj))

    def load_input(self, context: dg.InputContext) -> list[Staged]:
        """What the op before has left, in this run or in the one that this run repeats.

        A finished run leaves nothing, and nothing is to do. `WorkFilesMissingError` if a job is not finished.
        """
        assert context.upstream_output is not None
        try:
            file = self._stores.work.find(_reference(context.upstream_output))
        except WorkFilesMissingError:
            if not all(map(self._is_finished, self._job_ids)):
                raise
            context.log.info("the jobs of the run are finished: nothing to do")
            return []
        return _STAGED.validate_json(file.read_bytes())

    def _is_finished(self, job_id: str) -> bool:
        """Whether nothing is left to do for the job: it is final, or gone from the ledger."""
        try:
            return self._stores.ledger.get(job_id).status.is_final
        except JobGoneError:
            return True


def _reference(context: dg.OutputContext) -> str:
    return f"{context.run_id}/{context.step_key}.json"
