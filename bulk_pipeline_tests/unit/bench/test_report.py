"""Results in their form for people."""

import json
from dataclasses import asdict, replace
from fractions import Fraction

from typer.testing import CliRunner

from bulk_pipeline.bench import report
from bulk_pipeline.bench.paired import Spread
from bulk_pipeline.bench.peers import NOT_INSTALLED, Peer, Peers
from bulk_pipeline.bench.results import Loads, Measurement, Ours, pair, summary
from bulk_pipeline.bench.scale import Scale, Size
from bulk_pipeline.bench.workload import Workload
from bulk_pipeline.cli.app import app

OURS = Ours(
    seconds=4.0,
    rows=1000,
    wal_bytes=3_000_000,
    rows_per_second=250,
    claim_seconds=1.0,
    seconds_with_claim=5.0,
    drop_to_started_seconds=6.0,
    drop_to_finished_seconds=10.0,
    step_seconds={"parse": 1.0, "load": 2.5},
    peak_rss_bytes=300_000_000,
    peak_private_bytes=200_000_000,
    status="completed",
    counts={"total": 1000},
    failures={},
)
FLOOR = Measurement(seconds=5.0, rows=990, wal_bytes=2_000_000, rows_per_second=198)
SLOW = Measurement(seconds=8.0, rows=990, wal_bytes=2_000_000, rows_per_second=124)


def loads() -> Loads:
    pairs = (pair(OURS, FLOOR, SLOW), pair(replace(OURS, seconds=6.0), FLOOR, SLOW))
    return Loads(
        workload=Workload(table="customers", rows=1000, bad=Fraction(1, 100)),
        parents={},
        file_bytes=2_000_000,
        floor="a floor",
        pairs=pairs,
        summary=summary(pairs),
    )


def test_ratios_are_our_seconds_by_those_of_the_floor() -> None:
    result = pair(OURS, FLOOR, SLOW)
    assert (result.ratio, result.ratio_with_claim, result.ratio_to_random_ids) == (0.8, 1.0, 0.5)
    assert pair(OURS, FLOOR).ratio_to_random_ids is None


def test_a_summary_is_about_figures_that_all_pairs_have() -> None:
    result = loads().summary
    assert result["ratio"] == Spread(1.0, 0.8, 1.2)
    assert result["load_seconds"] == Spread(2.5, 2.5, 2.5)
    assert "ratio_to_random_ids" not in summary([pair(OURS, FLOOR, SLOW), pair(OURS, FLOOR)])


def test_every_row_of_a_grid_has_a_cell_for_every_column() -> None:
    pairs, medians = report.loads(loads())
    assert {len(row) for row in pairs.rows} == {len(pairs.columns)}
    cells = dict(zip(pairs.columns, pairs.rows[0], strict=True))
    assert (cells["ratio"], cells["parse s"], cells["emit s"], cells["RSS MB"]) == ("0.80", "1.00", "", "300")
    assert ("peak rss MB", "300", "300", "300") in medians.rows
    assert ("ratio", "1.000", "0.800", "1.200") in medians.rows


def test_a_workload_is_a_sentence() -> None:
    assert report.workload(loads())["workload"] == (
        "1,000 rows of customers, 1.00% of them bad, insert_only, csv, seed 1, 2 MB"
    )


def test_a_tool_without_a_number_says_why() -> None:
    there = Peer(name="a", does="x", seconds=Spread(2, 1, 3), ratio=Spread(4, 4, 4), rows_per_second=5)
    missing = Peer(name="b", does="y", problem=NOT_INSTALLED)
    grid = report.peers(Peers(Workload(table="customers", rows=10), 3, [there, missing]))
    assert grid.rows == [
        ("a", "4.00 (4.00–4.00)", "2.00 (1.00–3.00)", 5, "x"),
        ("b", "", "", None, "not installed"),
    ]


def test_sizes_are_compared_with_the_first() -> None:
    size = Size(1000, 4.0, 5.0, 0.8, 1.0, 1.1, 300_000_000, 200_000_000)
    assert report.scale(Scale([size], [])).rows == [
        (1000, "0.80", "4.00", "5.00", "1.00", "1.10", "300", "200")
    ]


def test_results_become_plain_values() -> None:
    document = json.loads(json.dumps(asdict(loads()), default=str))
    assert document["pairs"][0]["ours"]["step_seconds"] == {"parse": 1.0, "load": 2.5}


def test_options_are_refused_before_a_stack_is_started() -> None:
    for words, text in (
        (["load", "--rows", "many"], "is not a count"),
        (["load", "--format", "parquet", "--bad", "1%"], "Parquet"),
        (["small-files", "--table", "comments"], "without parents"),
        (["latency", "--every", "soon"], "not a duration in seconds"),
        (["latency", "--every", "nan"], "not a duration in seconds"),
    ):
        result = CliRunner().invoke(app, ["bench", *words], env={"COLUMNS": "200", "TERM": "dumb"})
        assert (result.exit_code, text in result.output) == (2, True), result.output
