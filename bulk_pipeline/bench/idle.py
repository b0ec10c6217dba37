"""`idle`: CPU time of an idle stack, as a share of one core."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from bulk_pipeline.bench.harness import Rig
from bulk_pipeline.errors import StackError

_SETTLE_SECONDS = 20


@dataclass(frozen=True)
class Idle:
    """Shares of one core: 0.1 is a tenth. `services`: each with its child processes."""

    seconds: float
    cpu_seconds: float
    share: float
    services: Mapping[str, float]


def run(rig: Rig, seconds: float, settle_seconds: float = _SETTLE_SECONDS) -> Idle:
    """Wait until the stack has settled after its start, then measure."""
    time.sleep(settle_seconds)
    before, started = _cpu_seconds(rig), time.monotonic()
    time.sleep(seconds)
    after, elapsed = _cpu_seconds(rig), time.monotonic() - started
    used = {name: after[name] - before[name] for name in after}
    return Idle(
        seconds=round(elapsed, 2),
        cpu_seconds=round(sum(used.values()), 3),
        share=round(sum(used.values()) / elapsed, 4),
        services={name: round(value / elapsed, 4) for name, value in used.items()},
    )


def _cpu_seconds(rig: Rig) -> dict[str, float]:
    """Return the CPU time by service. A process that ends adds its time to its parent's, so that none is lost."""
    record = rig.record
    services = {name: cpu_seconds_of(rig.service(name)) for name in record.services}
    supervisor = record.supervisor.find() if record.supervisor else None
    if supervisor is None:
        raise StackError("the stack's supervisor is no longer running")
    times = supervisor.cpu_times()
    return services | {"supervisor": times.user + times.system}


def cpu_seconds_of(process: psutil.Process) -> float:
    """Return the CPU time of a process and its children, in seconds."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
