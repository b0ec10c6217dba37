"""SECURITY.md, the list of defences and the tests agree."""

import ast

import pytest

from bulk_pipeline_tests.defences import DEFENCES, ROOT, Defence

TESTS = ROOT / "bulk_pipeline_tests"


def test_the_table_has_every_defence_with_its_test() -> None:
    lines = (ROOT / "SECURITY.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")][1:]
    pairs = [(defence, test.strip("`")) for *_, defence, test in rows]
    assert sorted(pairs) == sorted((defence.name, defence.test) for defence in DEFENCES)
    assert all(asset and threat for asset, threat, *_ in rows)


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda defence: defence.name)
def test_it_can_be_taken_away_and_has_a_test(defence: Defence) -> None:
    assert (ROOT / defence.file).read_text().count(defence.text) == 1
    file, _, name = defence.test.partition("::")
    tree = ast.parse((TESTS / file).read_text())
    assert not name or name in {
        entry.name for entry in tree.body if isinstance(entry, (ast.FunctionDef, ast.ClassDef))
    }
