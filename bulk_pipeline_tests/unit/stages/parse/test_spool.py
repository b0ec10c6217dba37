"""Folders of dead parsers are removed; folders of live parsers and other files are not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bulk_pipeline.stages.parse.spool import Spool, remove_abandoned

_PARSER = """
import sys, os
from pathlib import Path
from bulk_pipeline.stages.parse.spool import Spool

spool = Spool(Path(sys.argv[1]))
print(spool.write([b"unpacked"]), flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""
DAY = 24 * 3600


def made_long_ago(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        os.utime(path, (0, 0))


def test_files_of_a_dead_parser_are_removed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARSER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parser:
        assert parser.stdout is not None
        unpacked = Path(parser.stdout.readline().strip())
        made_long_ago(unpacked.parent)
        assert (remove_abandoned(tmp_path, DAY), unpacked.read_bytes()) == (0, b"unpacked")
        parser.communicate("")
    assert parser.returncode == -9
    assert (remove_abandoned(tmp_path, DAY), list(tmp_path.iterdir())) == (1, [])


def test_recently_written_files_stay(tmp_path: Path) -> None:
    left = tmp_path / "bulk-parse-of-an-older-version"
    left.mkdir()
    (left / "1").write_bytes(b"unpacked")
    os.utime(left, (0, 0))
    assert (remove_abandoned(tmp_path, DAY), (left / "1").exists()) == (0, True)
    made_long_ago(left)
    assert (remove_abandoned(tmp_path, DAY), left.exists()) == (1, False)


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1").write_bytes(b"somebody's")
    folder = tmp_path / "temporary"
    (folder / "of-somebody").mkdir(parents=True)
    (folder / "bulk-parse-file").write_bytes(b"no folder")
    (folder / "bulk-parse-link").symlink_to(outside)
    for path in (outside, folder / "of-somebody"):
        made_long_ago(path)
    os.utime(folder / "bulk-parse-file", (0, 0))
    assert remove_abandoned(folder, DAY) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "bulk-parse-file",
        "bulk-parse-link",
        "of-somebody",
    ]
    assert (outside / "1").exists()


@pytest.mark.parametrize("closes", [True, False])
def test_a_spool_leaves_nothing(tmp_path: Path, closes: bool) -> None:
    spool = Spool(tmp_path)
    assert spool.write([b"a", b"b"]).read_bytes() == b"ab"
    if closes:
        spool.close()
        assert list(tmp_path.iterdir()) == []
    spool.close()
    assert list(tmp_path.iterdir()) == []
