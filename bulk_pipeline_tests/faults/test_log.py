"""Statistics of the log of faults: only checked epochs count, but every violation does."""

from pathlib import Path

from bulk_pipeline_tests.faults import log


def fault(seed: int, kind: str, recovery: float | None = 2.0) -> log.Record:
    return {
        "record": "fault",
        "seed": seed,
        "kind": kind,
        "recovery_seconds": recovery,
        "jobs": [{"id": "one"}, {"id": "two"}],
    }


def epoch(seed: int, violations: tuple[str, ...] = ()) -> log.Record:
    return {
        "record": "epoch",
        "seed": seed,
        "faults": 2,
        "uploads": 10,
        "rows": 1000,
        "seconds": 60.0,
        "violations": list(violations),
        "unjudged": None,
    }


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    assert log.read(file) == []
    log.append(file, [fault(1, "kill run"), epoch(1)])
    log.append(file, [epoch(2)])
    assert log.read(file) == [fault(1, "kill run"), epoch(1), epoch(2)]


def test_an_epoch_that_was_not_checked_is_finished_but_its_faults_do_not_count() -> None:
    records = [fault(1, "kill run"), epoch(1), fault(2, "kill run"), log.unjudged(2, "the disk was full")]
    assert log.seeds(records) == {1, 2}
    told = log.table(records)
    assert "| kill run | 1 | 2.0 | 2.0 |" in told
    assert "1 faults in 1 epochs (seeds 1)" in told
    assert told.endswith("violations: 0; epochs not judged: 1.")


def test_the_table_has_a_line_for_each_kind_and_the_sums() -> None:
    records = [
        *(fault(1, "kill run", 1.0), fault(1, "cut S3", None), epoch(1)),
        *(fault(2, "kill run", 4.0), fault(2, "kill run", 2.0), epoch(2, ("a row is lost",))),
        epoch(4),
    ]
    told = log.table(records).splitlines()
    assert told[2:4] == ["| cut S3 | 1 | nan | nan |", "| kill run | 3 | 2.0 | 4.0 |"]
    assert told[-1] == (
        "4 faults in 3 epochs (seeds 1–2, 4), 30 uploads of 3,000 rows, 3 minutes; each fault beside at least "
        "2 job that was `processing`; violations: 1; epochs not judged: 0."
    )
