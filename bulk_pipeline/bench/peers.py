"""`peers`: the same clean file loaded by other tools, by ours and by psql's `\\copy`, in turns."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from bulk_pipeline.bench import database
from bulk_pipeline.bench.contest import Contest, prepare
from bulk_pipeline.bench.files import write_good
from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.bench.paired import Spread, in_turns, spread
from bulk_pipeline.bench.tools import TOOLS, Tool, ToolTask
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.errors import WrongResultError
from bulk_pipeline.samples.sample import Sample

Tell = Callable[[str], None]

NOT_INSTALLED = "not installed"
_OWN_SCHEMA = "bench_own"
_WARM_UP_ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Peer:
    """`problem`: why it was not measured. `ratio`: its seconds divided by those of `\\copy` in the same round."""

    name: str
    does: str
    problem: str | None = None
    seconds: Spread | None = None
    ratio: Spread | None = None
    rows_per_second: int | None = None


@dataclass(frozen=True)
class Peers:
    workload: Workload
    rounds: int
    peers: Sequence[Peer]


def run(rig: Rig, rows: int, rounds: int, seed: int, say: Tell) -> Peers:
    """Measure the installed tools. A tool that fails is not run again; its `problem` is the reason."""
    workload = Workload(table="customers", rows=rows, seed=seed)
    contest = prepare(rig, workload, count(1))
    race = _Race(rig, contest, say)
    installed = [tool for tool in TOOLS if tool.is_installed()]
    for tool in installed:
        race.warm_up(tool)
    contenders: dict[str, Callable[[], float | None]] = {
        "\\copy": lambda: contest.floor().seconds,
        "bulk_pipeline": lambda: contest.ours().seconds,
        **{tool.name: partial(race.seconds, tool) for tool in installed},
    }
    measured = list(in_turns(rounds, contenders))
    contest.close()
    does = {"\\copy": contest.floor_is, "bulk_pipeline": "from the first op to the finished job"}
    does |= {tool.name: tool.does for tool in TOOLS}
    return Peers(
        workload, rounds, [_peer(name, what, measured, rows, race.problems) for name, what in does.items()]
    )


class _Race:
    """The tools on one rig. `problems`: reasons of those that failed."""

    def __init__(self, rig: Rig, contest: Contest, say: Tell) -> None:
        self._rig = rig
        self._contest = contest
        self._say = say
        self.problems: dict[str, str] = {}

    def warm_up(self, tool: Tool) -> None:
        """Load a few rows, so that imports of libraries, and failures, are not measured."""
        sample = replace(self._contest.workload.sample, rows=_WARM_UP_ROWS)
        self._try(tool, write_good(sample, self._rig.folder / "warm-up.csv"), sample)

    def seconds(self, tool: Tool) -> float | None:
        """Return the seconds of one load into an empty table; None if the tool fails or has failed before."""
        if tool.name in self.problems:
            return None
        seconds = self._try(tool, self._contest.good, self._contest.workload.sample)
        if seconds is not None:
            self._say(f"{tool.name}: {seconds:.2f} s")
        return seconds

    def _try(self, tool: Tool, file: Path, sample: Sample) -> float | None:
        try:
            return self._load(tool, file, sample)
        except Exception as error:  # any exception of other programs
            self.problems[tool.name] = f"failed: {_reason(error)}"
            self._say(f"{tool.name} {self.problems[tool.name]}")
            return None

    def _load(self, tool: Tool, file: Path, sample: Sample) -> float:
        url, table = self._rig.url, sample.table
        schema = _OWN_SCHEMA if tool.own_table else database.SCHEMA
        database.drop_schema(url, _OWN_SCHEMA)
        database.make_twin(url, table)
        database.settle(url)
        columns = [column.name for column in sample.columns]
        with TemporaryDirectory(dir=self._rig.folder) as folder:
            started = time.perf_counter()
            tool.load(ToolTask(file, schema, table.name, columns, url, Path(folder)))
            seconds = time.perf_counter() - started
        rows = database.count(url, f"{schema}.{table.name}")
        if rows != sample.good_rows:
            raise WrongResultError(f"{rows} rows, must be {sample.good_rows}")
        return round(seconds, 4)


def _peer(
    name: str,
    does: str,
    measured: Sequence[Mapping[str, float | None]],
    rows: int,
    problems: Mapping[str, str],
) -> Peer:
    pairs = [(seconds, turn["\\copy"] or 0) for turn in measured if (seconds := turn.get(name))]
    if not pairs or name in problems:
        return Peer(name=name, does=does, problem=problems.get(name, NOT_INSTALLED))
    seconds = spread([own for own, _ in pairs])
    return Peer(
        name=name,
        does=does,
        seconds=seconds,
        ratio=spread([own / floor for own, floor in pairs]),
        rows_per_second=round(rows / seconds.median),
    )


def _reason(error: BaseException) -> str:
    """Return the first line of the root cause's message."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error).strip().partition("\n")[0] or type(error).__name__
