"""`load`: our import of an object in S3 beside psql's `\\copy` of the same good rows, in interleaved pairs."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from bulk_pipeline.bench.contest import prepare
from bulk_pipeline.bench.pairs import in_turns
from bulk_pipeline.bench.results import Loads, Measured, Ours, pair, summary
from bulk_pipeline.bench.rig import Rig
from bulk_pipeline.bench.workload import Workload

Tell = Callable[[str], None]


def run(rig: Rig, workload: Workload, pairs: int, tell: Tell, keys: Iterator[int] | None = None) -> Loads:
    """Measure. `WrongResultError` as soon as something does not come to what the sample must come to.

    `keys`: numbers for object keys; hand the same ones to several workloads on one rig.
    """
    contest = prepare(rig, workload, keys or count(1))
    contenders: dict[str, Callable[[], Measured]] = {"ours": contest.ours, "floor": contest.floor}
    if contest.has_random_ids:
        contenders["floor_random_ids"] = partial(contest.floor, random_ids=True)
    found = []
    for number, measured in enumerate(in_turns(pairs, contenders), 1):
        ours = measured["ours"]
        assert isinstance(ours, Ours)
        found.append(pair(ours, measured["floor"], measured.get("floor_random_ids")))
        tell(
            f"pair {number} of {pairs}: {ours.seconds:.2f} s, floor {found[-1].floor.seconds:.2f} s, "
            f"ratio {found[-1].ratio:.2f}"
        )
    file_bytes = contest.upload.stat().st_size
    contest.close()
    return Loads(
        workload=workload,
        parents=workload.parents,
        file_bytes=file_bytes,
        floor=contest.floor_is,
        pairs=tuple(found),
        summary=summary(found),
    )
