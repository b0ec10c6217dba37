"""A process that exports and kills itself at a point: `python -m … job_id point settings.json`.

Points: before_part, in_part, between_parts, after_parts, in_manifest. SIGKILL, so nothing of it can clean up.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.pipeline.export_run import export_job
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.s3.writer import ObjectWriter
from bulk_pipeline.settings import Settings


def main(job_id: str, point: str, number: int, settings: Path) -> None:
    """Run the export; `number` is that of the piece or part at the point."""
    match point:
        case "before_part":
            _die(ObjectStore, "writing", 1)
        case "in_part":
            _die(ObjectWriter, "send_piece", number, after=True)
        case "between_parts":
            _die(ObjectStore, "writing", 1 + number)
        case "after_parts":
            _die(ObjectStore, "put", 1)
        case "in_manifest":
            _die(ObjectStore, "put", 1, after=True)
    stores = Stores(Settings.model_validate_json(settings.read_bytes()))
    export_job(stores, job_id, "the run that dies", lambda _: None, lambda: False)


def _die(owner: type, name: str, call: int, *, after: bool = False) -> None:
    original, calls = getattr(owner, name), 0

    def replaced(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, replaced)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
