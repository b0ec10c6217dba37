"""Commands print untrusted texts unchanged or escaped; a terminal never interprets them."""

from datetime import UTC, datetime, timedelta

import pytest

from bulk_pipeline.cli import output

NAMES = ["[red]a[/red].csv", r"\[/x].csv", "[/].csv", "a\\"]
NOW = datetime(2026, 11, 28, 12, 30, 15, tzinfo=UTC).astimezone()
OBEYED = "a\x1b[2J\r\nb.csv"


def test_a_name_that_looks_like_markup_is_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_grid(("file", "status"), [(name, "failed") for name in NAMES])
    for name in NAMES:
        output.print_facts({"file": name})
        output.say(name)
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1:5]] == NAMES
    assert printed[5:] == [line for name in NAMES for line in (f"file  {name}", name)]


def test_a_name_tells_the_terminal_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_grid(("file",), [(OBEYED,)])
    output.print_facts({"file": OBEYED})
    output.say(OBEYED)
    shown = r"a\x1b[2J\r\nb.csv"
    assert capsys.readouterr().out.split() == ["file", shown, "file", shown, shown]


def test_a_list_shows_times_of_today_without_the_day() -> None:
    earlier = NOW - timedelta(days=3)
    assert output.local_time(NOW, NOW, short=True) == f"{NOW:%H:%M:%S}"
    assert output.local_time(earlier, NOW, short=True) == f"{earlier:%Y-%m-%d %H:%M}"
    assert output.local_time(earlier, NOW) == f"{earlier:%Y-%m-%d %H:%M:%S}"
    assert output.local_time(None, NOW) == ""
