"""Provides programs that no wheel has, from the PATH or from Debian packages that are unpacked without installing them."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

_FETCH_SECONDS = 240


def program(name: str, *packages: str) -> Path:
    """Return the path of a program in `packages`, which include libraries that not every Debian has."""
    installed = shutil.which(name)
    if installed:
        return Path(installed)
    places = [_fetched(packages) / "usr" / folder / name for folder in ("bin", "sbin")]
    return next(place for place in places if place.exists())


def environment(*packages: str) -> dict[str, str]:
    """Return the environment in which a fetched program finds its libraries."""
    folders = sorted((_folder(packages) / "usr" / "lib").glob("*-linux-gnu"))
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ":".join(map(str, folders))}


def _folder(packages: tuple[str, ...]) -> Path:
    return Path(sys.prefix) / f"debian-{packages[0]}"


def _fetched(packages: tuple[str, ...]) -> Path:
    """Return the folder of the packages, unpacked in the virtual environment."""
    folder = _folder(packages)
    if folder.exists():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.fail(f"this test needs {packages[0]} on the PATH (Debian: apt-get install {packages[0]})")
    work = folder.with_name(f"{folder.name}.{time.time_ns()}")
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True)
    own = [
        *("-o", f"Dir::State::Lists={work / 'lists'}"),
        *("-o", f"Dir::Cache={work / 'cache'}", "-o", "APT::Sandbox::User=", "-qq"),
    ]
    for command in (
        ["apt-get", *own, "update"],
        ["apt-get", *own, "download", *packages],
        ["sh", "-c", "for package in *.deb; do dpkg -x $package unpacked; done"],
    ):
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_FETCH_SECONDS)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    (work / "unpacked").rename(folder)
    shutil.rmtree(work)
    return folder
