"""The conditions of a measurement: machine, versions, settings."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import bulk_pipeline
from bulk_pipeline.bench import database
from bulk_pipeline.bench.harness import Rig

_PACKAGES = ("dagster", "pyarrow", "pandas", "pandera", "psycopg", "numpy")
_PLACES = {"bulk_work_dir", "bulk_scratch_dir"}


def software(rig: Rig) -> dict[str, dict[str, Any]]:
    """Return versions and settings."""
    return {"versions": versions(rig.url), "settings": settings(rig)}


def machine() -> dict[str, Any]:
    """Return facts about the machine. Call it before anything starts: an idle machine has a `load_before` near 0."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(url: str) -> dict[str, str | None]:
    own: dict[str, str | None] = {
        "bulk_pipeline": bulk_pipeline.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "postgres": database.server_version(url),
    }
    return own | {name: _version(name) for name in _PACKAGES}


def settings(rig: Rig) -> dict[str, Any]:
    """Return the settings that tune the pipeline and Postgres."""
    ours = rig.stores.settings.model_dump(mode="json")
    tuning = {name: value for name, value in ours.items() if name.startswith("bulk_") and name not in _PLACES}
    return tuning | database.server_settings(rig.url)


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout, None if the package is installed."""
    folder = Path(bulk_pipeline.__file__).parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        command = ["git", "describe", "--always", "--dirty"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
