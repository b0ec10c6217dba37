"""The checker finds violations: a small correct state, and the same state with one damage."""

import ast
import hashlib
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bulk_pipeline_tests.faults import cells, checker, evidence, exported
from bulk_pipeline_tests.faults.checker import violations
from bulk_pipeline_tests.faults.evidence import Drop, Evidence

FIRST, SECOND, EXPORT = (UUID(int=number) for number in (1, 2, 3))
INSERTED = b"email,city\na@x.co,Lund\nno address,Oslo\nb@x.co,Bergen\n,Umea\n"
UPSERTED = b"email,city\nb@x.co,Turku\nnobody,Oslo\nc@x.co,\n"
PART = b"id,email\n1,a@x.co\n2,b@x.co\n"
DROPS = [
    Drop("customers/a.csv", "customers", "insert_only", INSERTED, 4, {"bad_format": 1, "required": 1}, 2),
    Drop("customers/b.csv", "customers", "upsert", UPSERTED, 3, {"bad_format": 1}, 2),
]


def job(job_id: UUID, drop: Drop, failures: dict[str, int]) -> dict[str, Any]:
    names = ("errors.csv", "errors.ndjson", "rejected.csv")
    return {
        "id": job_id,
        "table_name": drop.table,
        "key": drop.key,
        "status": "completed_with_errors",
        "error": None,
        "archive_key": f"customers/{job_id}/file",
        "sha256": hashlib.sha256(drop.content).hexdigest(),
        "total_rows": drop.rows,
        "failure_counts": failures,
        "reports": {name: f"{job_id}/{name}" for name in names},
    }


def batch(job_id: UUID, first: int, last: int, **counts: int) -> dict[str, Any]:
    none = dict.fromkeys(("inserted", "updated", "unchanged", "superseded", "rejected"), 0)
    return {"job_id": job_id, "first_row": first, "last_row": last, **none, **counts}


def customer(number: int, email: str, city: str | None) -> dict[str, Any]:
    return {"id": UUID(int=100 + number), "email": email, "city": city}


def told(row: int, code: str) -> bytes:
    return json.dumps({"row": row, "code": code}).encode() + b"\n"


def sound() -> Evidence:
    first, second = (f"{one}/" for one in (FIRST, SECOND))
    manifest = {
        "parts": [
            {
                "name": "part-0.csv",
                "bytes": len(PART),
                "rows": 2,
                "sha256": hashlib.sha256(PART).hexdigest(),
            }
        ],
        "rows": 2,
    }
    export = {
        "id": EXPORT,
        "table_name": "customers",
        "partition_date": date(2026, 1, 2),
        "status": "completed",
        "error": None,
        "total_rows": 2,
        "manifest": manifest,
    }
    folder = f"customers/dt=2026-01-02/{EXPORT}/"
    return Evidence(
        jobs=[
            job(FIRST, DROPS[0], {"bad_format": 1, "required": 1}),
            job(SECOND, DROPS[1], {"bad_format": 1}),
        ],
        batches=[
            batch(FIRST, 1, 2, inserted=1, rejected=1),
            batch(FIRST, 3, 4, inserted=1, rejected=1),
            batch(SECOND, 1, 3, inserted=1, updated=1, rejected=1),
        ],
        exports=[export],
        tables={
            "customers": [
                customer(1, "a@x.co", "Lund"),
                customer(2, "b@x.co", "Turku"),
                customer(3, "c@x.co", None),
            ],
            "users": [],
            "articles": [],
            "comments": [],
            "orders": [],
            "order_lines": [],
        },
        objects={
            "uploads": {},
            "archive": {f"customers/{FIRST}/file": INSERTED, f"customers/{SECOND}/file": UPSERTED},
            "reports": {
                first + "errors.csv": b'row,error,raw\n2,"bad","no address,Oslo"\n4,"missing",",Umea"\n',
                first + "errors.ndjson": told(2, "bad_format") + told(4, "required"),
                first
                + "rejected.csv": b'_row,_line,_errors,email,city\n2,3,"bad",no address,Oslo\n4,5,"missing",,Umea\n',
                second + "errors.csv": b'row,error,raw\n2,"bad","nobody,Oslo"\n',
                second + "errors.ndjson": told(2, "bad_format"),
                second + "rejected.csv": b'_row,_line,_errors,email,city\n2,3,"bad",nobody,Oslo\n',
            },
            "exports": {folder + "part-0.csv": PART, folder + "manifest.json": json.dumps(manifest).encode()},
        },
        leases=0,
        left_over=[],
    )


def test_a_correct_state_has_no_violations() -> None:
    assert violations(sound(), DROPS) == []


def object_(bucket: str, end: str, change: Callable[[bytes], bytes] | None) -> Callable[[Evidence], object]:
    """Damage the first object whose key has this ending; without a change, remove it."""

    def damage(found: Evidence) -> None:
        of = found.objects[bucket]
        key = next(key for key in of if key.endswith(end))
        of[key] = change(of[key]) if change else b""
        if change is None:
            del of[key]

    return damage


DAMAGES: list[Any] = [
    pytest.param(lambda e: e.tables["customers"].pop(0), "has 2 rows", id="a row removed"),
    pytest.param(
        lambda e: e.tables["customers"].append(customer(9, "a@x.co", "Lund")),
        "has 4 rows",
        id="a row doubled",
    ),
    pytest.param(
        lambda e: e.tables["customers"].append(customer(9, "z@x.co", "Lund")),
        "is of no file",
        id="a row invented",
    ),
    pytest.param(
        lambda e: e.tables["customers"][0].update(city="Oslo"), "is not as row 1", id="a row that is another"
    ),
    pytest.param(
        lambda e: e.tables["customers"][1].update(city="Bergen"),
        "is not as row 1",
        id="an upsert that is lost",
    ),
    pytest.param(
        lambda e: e.batches.pop(1), "4 in the ledger, 2 in its ranges", id="a last range that is missing"
    ),
    pytest.param(lambda e: e.batches.pop(0), "leap from row 1 to 3", id="a range that is missing"),
    pytest.param(
        lambda e: e.batches.insert(1, dict(e.batches[0])), "leap from row 3 to 1", id="a range twice"
    ),
    pytest.param(lambda e: e.batches[0].update(inserted=2), "add up to 5", id="a count too high"),
    pytest.param(
        lambda e: e.batches[0].update(inserted=0, updated=1),
        "have inserted 2",
        id="an insert told as an update",
    ),
    pytest.param(
        object_("reports", "errors.csv", lambda text: text.replace(b'4,"missing",",Umea"\n', b"")),
        "2 rows rejected by the ledger, 1 in errors.csv",
        id="a line of errors.csv missing",
    ),
    pytest.param(
        object_(
            "reports",
            "errors.csv",
            lambda text: text.replace(b'4,"missing",",Umea"', b'3,"x","b@x.co,Bergen"'),
        ),
        "good rows are rejected: [3]",
        id="the wrong row reported",
    ),
    pytest.param(
        object_("reports", "errors.csv", lambda text: text.replace(b"Oslo", b"Rome")),
        "does not show row 2",
        id="a row shown wrongly",
    ),
    pytest.param(
        object_("reports", "errors.ndjson", lambda text: text.replace(b"bad_format", b"too_long")),
        "failures {'required': 1, 'too_long': 1}",
        id="a row reported for the wrong reason",
    ),
    pytest.param(
        object_("reports", "errors.ndjson", None), "the bucket of reports has", id="a report missing"
    ),
    pytest.param(
        object_("reports", "rejected.csv", lambda text: text.rsplit(b"\n", 2)[0] + b"\n"),
        "the file of rejected rows",
        id="a rejected row missing",
    ),
    pytest.param(lambda e: e.jobs[0].update(status="processing"), "is processing", id="a job that is stuck"),
    pytest.param(lambda e: e.jobs[0].update(status="completed"), "is completed and not", id="a wrong status"),
    pytest.param(lambda e: e.jobs.pop(0), "has 0 jobs", id="an upload without a job"),
    pytest.param(lambda e: e.jobs.append(dict(e.jobs[0])), "has 2 jobs", id="an upload with two jobs"),
    pytest.param(object_("archive", "file", None), "the archive does not have", id="no copy in the archive"),
    pytest.param(
        object_("archive", "file", lambda text: text + b"x"), "the archive does not have", id="a wrong copy"
    ),
    pytest.param(lambda e: e.objects["archive"].update(x=b""), "nobody's object", id="a copy too many"),
    pytest.param(lambda e: e.objects["uploads"].update(x=b""), "left in the inbox", id="an upload left"),
    pytest.param(
        lambda e: e.left_over.append("table pg_temp.x"), "left over: table", id="a staging table left"
    ),
    pytest.param(object_("exports", "part-0.csv", lambda text: text[:-1]), "is damaged", id="a part damaged"),
    pytest.param(object_("exports", "part-0.csv", None), "does not name what is there", id="a part missing"),
    pytest.param(object_("exports", "manifest.json", None), "the manifest is not the one", id="no manifest"),
    pytest.param(lambda e: e.exports[0].update(total_rows=3), "3 by the ledger", id="an export's count"),
    pytest.param(lambda e: e.exports.pop(), "among the exports", id="nobody's export"),
]


@pytest.mark.parametrize(("damage", "told"), DAMAGES)
def test_each_damage_is_found(damage: Callable[[Evidence], object], told: str) -> None:
    found = deepcopy(sound())
    damage(found)
    broken = violations(found, DROPS)
    assert any(told in sentence for sentence in broken), broken


def test_a_leftover_lease_is_found() -> None:
    assert violations(replace(sound(), leases=1), DROPS) == ["1 leases are left"]


@pytest.mark.parametrize(
    ("cell", "value", "is_same"),
    [
        ("", None, True),
        ("", "", True),
        ("", "x", False),
        ("x", None, False),
        ("YES", True, True),
        ("0", True, False),
        ("2025-01-02T03:04:05", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), True),
        ("2025-01-02T03:04:05+01:00", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), False),
        ('["a"]', ["a"], True),
        (["a"], ["b"], False),
        ("cm_00000000-0000-0000-0000-000000000001", FIRST, True),
        ("12", 12, True),
        (13, 12, False),
        ("12.50", Decimal("12.5"), True),
        ("12.51", Decimal("12.5"), False),
        ("2026-01-02", date(2026, 1, 2), True),
        ("2026-01-03", date(2026, 1, 2), False),
        ("open", "paid", False),
    ],
)
def test_a_cell_is_compared_by_its_type(cell: object, value: object, is_same: bool) -> None:
    assert (cells.differing({"name": cell}, {"name": value}) == []) is is_same


LINES = b"order_id,line_no,note\n7,1,a\n7,2,b\n"


def lines(*rows: tuple[int, int, str]) -> Evidence:
    """Return a correct state with a file of order lines, and these rows in its table."""
    drop = Drop("order_lines/a.csv", "order_lines", "insert_only", LINES, 2, {}, 20)
    told = {**job(FIRST, drop, {}), "status": "completed", "reports": {}, "archive_key": "order_lines/1/file"}
    return replace(
        sound(),
        jobs=[told],
        batches=[batch(FIRST, 1, 2, inserted=2)],
        exports=[],
        tables={
            **{name: [] for name in evidence.TABLES},
            "order_lines": [dict(zip(("order_id", "line_no", "note"), row, strict=True)) for row in rows],
        },
        objects={"uploads": {}, "archive": {"order_lines/1/file": LINES}, "reports": {}, "exports": {}},
    )


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ([(7, 1, "a"), (7, 2, "b")], []),
        ([(7, 1, "a"), (7, 2, "a")], ["order_lines row 7, 2 is not as row 2 of"]),
        ([(7, 1, "a"), (8, 2, "b")], ["row 2 is neither in order_lines", "row 8, 2, which is of no file"]),
    ],
)
def test_a_row_is_known_by_all_columns_of_its_key(
    rows: list[tuple[int, int, str]], problems: list[str]
) -> None:
    drop = Drop("order_lines/a.csv", "order_lines", "insert_only", LINES, 2, {}, 20)
    found = violations(lines(*rows), [drop])

    assert len(found) == len(problems)
    assert all(problem in text for problem, text in zip(problems, found, strict=True))


def test_a_record_means_the_row_of_its_first_complete_key() -> None:
    row = {"id": 5, "order_no": "A-1"}

    assert cells.key_value({"id": "5", "order_no": "A-1"}, ("id",)) == cells.key_value(row, ("id",))
    assert cells.key_value({"id": "", "order_no": "A-1"}, ("id",)) is None
    assert cells.key_value({"order_no": "A-1"}, ("order_no",)) == cells.key_value(row, ("order_no",))


@pytest.mark.parametrize("module", [cells, checker, evidence, exported])
def test_the_checker_shares_no_code_with_the_package(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert [name for name in names if name.split(".")[0] == "bulk_pipeline"] == []
