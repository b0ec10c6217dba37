"""The faults. Each is injected, lasts for a while, and is undone; it returns its target."""

import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from bulk_pipeline.stack.leftovers import wait_gone
from bulk_pipeline_tests.faults.proxy import Proxy
from bulk_pipeline_tests.faults.rig import ROLE, Rig

_PID = re.compile(r"Started process for run \(pid: (\d+)\)")
_SERVICES = ("daemon", "code_server", "webserver", "api", "objects")


class MissedError(Exception):
    """The fault had no target; nothing has happened."""


@dataclass(frozen=True)
class Strike:
    """The circumstances of one fault: the rig, the running jobs, the random numbers, the duration."""

    rig: Rig
    jobs: Sequence[dict[str, Any]]
    random: random.Random
    pause_seconds: float

    def seconds(self) -> float:
        """Duration of a network fault, in seconds."""
        return self.random.uniform(1, 4)


Fault = Callable[[Strike], str]


def kill_run(strike: Strike) -> str:
    process = _run(strike)
    return _kill([process], f"run {process.pid}")


def kill_service(name: str) -> Fault:
    def kill(strike: Strike) -> str:
        return _kill([_found(strike.rig.service(name), name)], name)

    return kill


def kill_backend(strike: Strike) -> str:
    pid, session = _session(strike)
    with _missing(psutil.NoSuchProcess):
        return _kill([psutil.Process(pid)], session)


def kill_everything(strike: Strike) -> str:
    processes = strike.rig.everything()
    told = _kill(processes, f"{len(processes)} processes")
    _until(strike.rig, lambda: strike.rig.query("SELECT 1"))
    _until(strike.rig, lambda: strike.rig.client.list_buckets())
    strike.rig.up()
    return told


def pause_run(strike: Strike) -> str:
    process = _run(strike)
    with _paused(process):
        time.sleep(strike.pause_seconds)
    return f"run {process.pid} for {strike.pause_seconds:g} s"


def pause_service(strike: Strike) -> str:
    name = strike.random.choice(_SERVICES)
    with _paused(_found(strike.rig.service(name), name)):
        time.sleep(strike.pause_seconds)
    return f"{name} for {strike.pause_seconds:g} s"


def pause_backend(strike: Strike) -> str:
    pid, session = _session(strike)
    with _missing(psutil.NoSuchProcess), _paused(psutil.Process(pid)):
        time.sleep(strike.pause_seconds)
    return f"{session} for {strike.pause_seconds:g} s"


def network(of: str, **weather: object) -> Fault:
    """A network fault for some seconds, and until it has affected a connection."""

    def change(strike: Strike) -> str:
        proxy: Proxy = getattr(strike.rig, of)
        before = proxy.hits
        with proxy.changed(**weather):
            if weather.get("is_refusing"):
                proxy.cut()
            time.sleep(seconds := strike.seconds())
            _wait_for_hit(proxy, before)
        return f"{proxy.hits - before} times in {seconds:.1f} s"

    return change


def cut(of: str) -> Fault:
    def strike_now(strike: Strike) -> str:
        proxy: Proxy = getattr(strike.rig, of)
        before = proxy.hits
        proxy.cut()
        if proxy.hits == before:
            raise MissedError("there was no connection")
        return f"{proxy.hits - before} ends of connections"

    return strike_now


def lose_commit(strike: Strike) -> str:
    proxy = strike.rig.postgres
    before = proxy.hits
    with proxy.changed(is_losing_commits=True):
        _wait_for_hit(proxy, before)
    return f"{proxy.hits - before} answers lost"


def fill_disk(strike: Strike) -> str:
    """Fill the work area: with a file as large as the free space of the tmpfs or, without the right to mount, by a limit
    on the size of files that the code server and its runs may write."""
    if not strike.rig.work.is_mount():
        return _limit_files(strike)
    ballast = strike.rig.work / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    time.sleep(seconds := strike.seconds() + 3)
    ballast.unlink()
    return f"full for {seconds:.1f} s"


def revoke_rights(strike: Strike) -> str:
    tables, schemas = "ALL TABLES IN SCHEMA public, bulk", "public, bulk"
    with strike.rig.connect() as connection:
        connection.execute(f"REVOKE ALL ON {tables} FROM {ROLE}".encode())
        connection.execute(f"REVOKE USAGE ON SCHEMA {schemas} FROM {ROLE}".encode())
    time.sleep(seconds := strike.seconds())
    with strike.rig.connect() as connection:
        connection.execute(f"GRANT USAGE, CREATE ON SCHEMA {schemas} TO {ROLE}".encode())
        connection.execute(f"GRANT ALL ON {tables} TO {ROLE}".encode())
    return f"none for {seconds:.1f} s"


KINDS: dict[str, Fault] = {
    "kill run": kill_run,
    "kill daemon": kill_service("daemon"),
    "kill code server": kill_service("code_server"),
    "kill webserver": kill_service("webserver"),
    "kill API": kill_service("api"),
    "kill Postgres backend": kill_backend,
    "kill Postgres": kill_service("postgres"),
    "kill S3 server": kill_service("objects"),
    "kill everything": kill_everything,
    "pause run": pause_run,
    "pause service": pause_service,
    "pause Postgres backend": pause_backend,
    "cut Postgres": cut("postgres"),
    "refuse Postgres": network("postgres", is_refusing=True),
    "hold Postgres": network("postgres", is_holding=True),
    "delay Postgres": network("postgres", delay_seconds=0.05),
    "lose COMMIT": lose_commit,
    "revoke rights": revoke_rights,
    "cut S3": cut("s3"),
    "refuse S3": network("s3", is_refusing=True),
    "hold S3": network("s3", is_holding=True),
    "delay S3": network("s3", delay_seconds=0.2),
    "S3 500": network("s3", status=500),
    "S3 503": network("s3", status=503),
    "S3 truncated": network("s3", is_cutting_bodies=True),
    "fill disk": fill_disk,
}


def _run(strike: Strike) -> psutil.Process:
    """Return the process of a run that works on a job."""
    run_id = strike.random.choice([job["run_id"] for job in strike.jobs])
    query = "SELECT event FROM dagster.event_logs WHERE run_id = %s AND event LIKE %s"
    for (event,) in strike.rig.query(query, run_id, "%Started process for run (pid:%"):
        if found := _PID.search(event):
            with _missing(psutil.NoSuchProcess):
                process = psutil.Process(int(found[1]))
                if process.environ().get("BULK_WORK_DIR") == str(strike.rig.work):
                    return process
    raise MissedError(f"run {run_id} has no process")


def _session(strike: Strike) -> tuple[int, str]:
    """Return a database session of a run that works on a job."""
    found = strike.rig.query(
        """
        SELECT pid, application_name
        FROM pg_stat_activity
        WHERE (application_name LIKE 'bulk-pipeline load%' OR application_name LIKE 'bulk-pipeline export%')
        ORDER BY pid
    """
    )
    if not found:
        raise MissedError("no session loads or exports")
    return strike.random.choice(found)


def _found(process: psutil.Process | None, name: str) -> psutil.Process:
    if process is None:
        raise MissedError(f"{name} does not run")
    return process


def _kill(processes: Sequence[psutil.Process], told: str) -> str:
    hits = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            hits += 1
    if not hits:
        raise MissedError(f"{told} had ended")
    wait_gone(processes, 10)
    return told


@contextmanager
def _paused(process: psutil.Process) -> Iterator[None]:
    with _missing(psutil.NoSuchProcess):
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


@contextmanager
def _missing(error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except error as gone:
        raise MissedError(str(gone)) from gone


def _limit_files(strike: Strike) -> str:
    server = _found(strike.rig.service("code_server"), "code_server")
    processes = [server, *server.children(recursive=True)]
    before = {process: process.rlimit(psutil.RLIMIT_FSIZE) for process in processes}
    for process, (_, hard) in before.items():
        process.rlimit(psutil.RLIMIT_FSIZE, (4096, hard))
    time.sleep(seconds := strike.seconds() + 3)
    for process, limits in before.items():
        with suppress(psutil.NoSuchProcess):
            process.rlimit(psutil.RLIMIT_FSIZE, limits)
    return f"files limited to 4 KB for {seconds:.1f} s"


def _wait_for_hit(proxy: Proxy, before: int) -> None:
    deadline = time.monotonic() + 10
    while proxy.hits == before:
        if time.monotonic() > deadline:
            raise MissedError("nobody was harmed")
        time.sleep(0.02)


def _until(rig: Rig, works: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            works()
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
