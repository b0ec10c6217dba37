"""ops/healthcheck.sh ends only what stays unhealthy; tested in a process namespace of its own, as in a container."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bulk_pipeline_tests.rigs.compose import ROOT

NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]

pytestmark = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0,
    reason="this machine gives no process namespaces",
)

SCRIPT = ROOT / "ops" / "healthcheck.sh"

INIT = """
import ctypes, signal, subprocess, sys
ctypes.CDLL(None).prctl(15, sys.argv[1].encode())  # PR_SET_NAME: what /proc/1/comm says
script, service, checks, check = sys.argv[2:6]
service = subprocess.Popen([sys.executable, "-c", service], stdout=subprocess.PIPE)
service.stdout.readline()
signal.signal(signal.SIGTERM, lambda *_: service.terminate())
for number in range(1, int(checks) + 1):
    healthcheck = subprocess.Popen(["sh", script, "3", "sh", "-c", check])
    try:
        print(number, "check", healthcheck.wait(timeout=0.5), flush=True)
    except subprocess.TimeoutExpired:
        healthcheck.kill()
        print(number, "check hung", flush=True)
    try:
        print(number, "service", service.wait(timeout=0.3), flush=True)
        break
    except subprocess.TimeoutExpired:
        pass
else:
    service.kill()
"""
"""Replaces docker-init and Docker: starts the service, checks it at an interval, and kills a slow check."""

POLITE = "import time; print(flush=True); time.sleep(60)"
HANGS = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {POLITE}"


def checked(
    tmp_path: Path, service: str, check: str, *, checks: int = 8, init: str = "docker-init"
) -> list[str]:
    """Return the observations of a service that is checked a limited number of times, with three failures allowed."""
    ended = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", INIT, init, SCRIPT, service, str(checks), check],
        env={"PATH": "/usr/bin:/bin", "HEALTHCHECK_COUNT": str(tmp_path / "count")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.stdout.splitlines()


def test_a_service_that_fails_its_checks_is_asked_to_end(tmp_path: Path) -> None:
    assert checked(tmp_path, POLITE, "false") == [
        "1 check 1",
        "2 check 1",
        "3 check 1",
        "4 check 1",
        "4 service -15",
    ]


def test_a_service_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    seen = checked(tmp_path, HANGS, "false")
    assert seen[-1] == "6 service -9"


def test_a_check_that_hangs_is_a_failure(tmp_path: Path) -> None:
    seen = checked(tmp_path, POLITE, "sleep 30")
    assert (seen[:3], seen[-1]) == (["1 check hung", "2 check hung", "3 check hung"], "4 service -15")


def test_failures_that_are_not_in_a_row_end_nothing(tmp_path: Path) -> None:
    lucky = f"echo x >> {tmp_path}/tries; [ $(($(wc -l < {tmp_path}/tries) % 3)) = 0 ]"
    seen = checked(tmp_path, POLITE, lucky, checks=9)
    assert seen == [f"{number} check {int(number % 3 != 0)}" for number in range(1, 10)]


@pytest.mark.parametrize("init", ["systemd", "python3"])
def test_without_docker_init_nothing_is_ended(tmp_path: Path, init: str) -> None:
    assert checked(tmp_path, POLITE, "false", init=init) == [f"{number} check 1" for number in range(1, 9)]
