"""The report: ratios, goals, the chart and the README's table, from a small recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import recorded  # type: ignore[import-not-found] # pytest puts this folder on the path

from benchmarks.chart import chart, shares
from benchmarks.goals import Goal, goals
from benchmarks.readme import BEGIN, END, with_goals, with_server_table, with_table
from benchmarks.recording import Recording, per_second
from benchmarks.systems import BY_ASYNCPG, ON_A_SERVER
from benchmarks.tables import figure, main_table, report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run() -> Recording:
    """Give the small recording."""
    return Recording(recorded.recording())


def goal(what: str, against: str) -> Goal:
    """Find a goal by its words."""
    return next(one for one in goals() if (one.what, one.against) == (what, against))


def test_main_table_has_the_ratios_within_repeats(run: Recording) -> None:
    """Ours are 400 of 800, of 1,000 and of the best peer's 200 a second, whatever the load."""
    row = next(line for line in main_table(run).splitlines() if line.startswith("| append"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["append of both messages, 1 task, disk", "0.50x", "0.40x", "2x", "llm"]


def test_report_says_what_is_left_out_and_what_is_met(run: Recording) -> None:
    """A missing peer stands in the report, a goal not reached is marked, an absent one is open."""
    text = report(run)
    assert "**left out: not installed (make bench-peers)**" in text
    what = "append of both messages, 1 task, disk"
    assert f"| {what} | the same by hand | 0.50x | 0.50x | >= 0.55x | >= 0.70x | **no** |" in text
    assert f"| {what} | the best peer | 2x | 2x | >= 1x |  | yes |" in text
    assert "| load 1,000 messages | raw rows |  |  | <= 1.60x | <= 1.30x | - |" in text


def test_goal_is_met_on_its_side(run: Recording) -> None:
    """More is better or less is, and the aim says more than the must."""
    of_same = goal("append of both messages, 1 task, disk", "the same by hand")
    assert [of_same.reached(value) for value in (0.5, 0.6, 0.7)] == ["no", "yes", "aim"]
    load = goal("load 1,000 messages", "raw rows")
    assert [load.reached(value) for value in (1.7, 1.5, 1.2)] == ["no", "yes", "aim"]
    assert load.reached(load.value(run)) == "-"


def test_repeats_without_a_single_success_are_left_out() -> None:
    """A system that failed in one repeat is judged by the others, and its errors are shown."""
    data = recorded.recording()
    failed: dict[str, Any] = data["runs"][3]["result"]
    failed |= {"operations": 0, "p50_ms": float("nan"), "errors": {"OSError: locked": 7}}
    run = Recording(data)
    at = ("append-1-disk", recorded.PEER)
    assert run.median(*at, per_second) == pytest.approx(75.0)
    assert "7 x OSError: locked" in report(run)


def test_chart_is_wellformed_and_needs_nothing_else(run: Recording) -> None:
    """The SVG parses, has a bar for each share, and neither scripts nor links."""
    svg = chart(run)
    root = ET.fromstring(svg)
    bars = [one for one in root.iter() if one.tag.endswith("rect")]
    assert len(bars) == len(shares(run, "append-1-disk")) == 5
    assert not {one.tag.rpartition("}")[2] for one in root.iter()} & {"script", "image", "a"}
    assert "url(" not in svg
    assert "prefers-color-scheme: dark" in svg


def test_readme_table_is_put_between_its_marks(run: Recording) -> None:
    """What is around the marks stays, what is between them is replaced, again and again."""
    readme = f"# Title\n\n{BEGIN}\nold\n{END}\n\nrest\n"
    once = with_table(readme, run)
    assert once.startswith(f"# Title\n\n{BEGIN}\n\n| a turn of")
    assert once.endswith(f"{END}\n\nrest\n")
    assert "old" not in once
    assert with_table(once, run) == once
    with pytest.raises(ValueError, match="one pair of marks"):
        with_table("no marks", run)


def test_a_server_has_goals_a_table_and_bars_of_its_own() -> None:
    """Ours are 300 of 400 by hand; the chart's bar is a share of what is by hand there."""
    data = recorded.recording()
    for system, rate in ((ON_A_SERVER, 300.0), (BY_ASYNCPG, 400.0)):
        at = {"workload": "append-64-server", "system": system, "repeat": 0, "order": 0}
        data["runs"].append({**at, "result": recorded.written(rate)})
    data["workloads"]["append-64-server"] = "append, 64 tasks, PostgreSQL"
    data["machine"]["postgres"] = "18.6"
    run = Recording(data)
    one = goal("append of both messages, 64 tasks, PostgreSQL", "asyncpg by hand")
    assert one.reached(one.value(run)) == "yes"
    page = with_server_table(f"# Scale\n\n{BEGIN}\n{END}\n", run)
    assert "| append, 64 tasks, PostgreSQL | 150 | 200 | 0.75x | 0.75x | 10 ms |" in page
    assert "PostgreSQL 18.6 on the same machine." in page
    assert shares(run, "append-64-server") == [(BY_ASYNCPG, 1.0), (ON_A_SERVER, 0.75)]
    assert "64 tasks at once, PostgreSQL" in chart(run)
    assert "One task at a time, PostgreSQL" not in chart(run)


def test_recording_is_read_from_its_file(run: Recording, tmp_path: Path) -> None:
    """A recording survives its JSON file."""
    import json

    file = tmp_path / "latest.json"
    file.write_text(json.dumps(run.data))
    assert report(Recording.read(file)) == report(run)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_234.5, "1,234"),
        (23.45, "23.4"),
        (2.0, "2"),
        (0.456, "0.46"),
        (0.0123, "0.012"),
        (None, ""),
    ],
)
def test_figures_have_the_digits_that_mean_something(value: float | None, text: str) -> None:
    """Large figures have no fractions, small ones two digits, missing ones nothing."""
    assert figure(value) == text


def test_goals_are_put_into_the_page_on_performance(run: Recording) -> None:
    """The page has each goal with what was measured, again and again the same."""
    once = with_goals(f"# Title\n\n{BEGIN}\nold\n{END}\n", run)
    assert "old" not in once
    assert "| append of both messages, 1 task, disk | the same by hand | 0.50x |" in once
    assert with_goals(once, run) == once
