"""The export command: which conversations, in which format, and what is said of it on stderr."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from convostore.cli import export as command
from convostore.cli.meter import Meter
from convostore.exchange.counted import Count
from convostore.exchange.layouts import FORMATS
from convostore.exchange.steps import next_cursor
from tests.cli.filling import fill

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program

pytestmark = pytest.mark.only("sqlite", reason="what is typed and said knows nothing of the engine")


def test_command_names_the_formats_that_there_are() -> None:
    """What completion and help offer is what the library takes; a cursor begins as ours do."""
    assert sorted(command._FORMATS) == sorted(FORMATS)
    assert next_cursor(0, "x").startswith(command._CURSOR)


def test_export_takes_several_names_a_filter_or_a_search(program: Program) -> None:
    """Each way means its conversations; two ways at once are one clear line."""
    kyoto, nara, osaka = fill(program, "Kyoto", "Nara", "Osaka")
    assert program("tag", "trip", nara).code == 0

    def titles(*words: str) -> list[str]:
        run = program("export", *words)
        assert run.code == 0, run.err
        return [line["title"] for line in run.lines if line["type"] == "conversation"]

    assert titles(osaka, kyoto) == ["Osaka", "Kyoto"]
    assert titles("--tag", "trip") == ["Nara"]
    assert titles("--search", "Osaka") == ["Osaka"]
    assert titles("--since", "1d", "--title", "KY") == ["Kyoto"]
    none = program("export", "--search", "nowhere", "--format", "markdown", "-o", "pages/")
    assert (none.code, none.err) == (0, "no conversation fits: there is nothing to export\n")
    for words in (["export", kyoto, "--tag", "trip"], ["export", "--search", " "], ["export"]):
        run = program(*words)
        assert (run.code, run.out, len(run.err.splitlines())) == (2, b"", 2), run.err


def test_losses_and_the_way_on_are_told_on_stderr(program: Program, tmp_path: Path) -> None:
    """Stdout is the file alone; what it cannot hold is counted, and the cursor gives the next step."""
    fill(program, "Kyoto", "Nara")
    rows = program("export", "--all", "--format", "openai")
    assert [list(row) for row in rows.lines] == [["messages"], ["messages"]]
    assert "2 x titles, ids, times and models of conversations" in rows.err
    file = tmp_path / "all.jsonl"
    cursor = program("export", "--all", "-o", str(file)).err.rsplit("--since ", 1)[1].strip()
    assert json.loads(file.read_text().splitlines()[0])["next_cursor"] == cursor
    step = program("export", "--all", "--since", cursor)
    assert step.lines[0]["since_ms"] == int(cursor.split("-")[1])
    refused = program("export", "--all", "--since", "step1-0-000000000000")
    assert refused.code == 1
    assert "of another store or owner" in refused.err


def test_meter_writes_its_line_anew_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it tells messages, conversations and rate; elsewhere it writes nothing."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    now_s = 0.0
    monkeypatch.setattr("convostore.clock.monotonic_s", lambda: now_s)
    for stream, alone in ((Terminal(), True), (Terminal(), False), (io.StringIO(), True)):
        monkeypatch.setattr("sys.stderr", stream)
        now_s = 0.0
        with Meter("exported", alone=alone) as meter:
            count = Count(meter.watch)
            count.told_message()  # too early to be shown
            now_s = 2.0
            count.conversations = 1
            count.told_message(19_999)
        shown = "\r\x1b[Kexported 20000 messages of 1 conversation, 10,000 messages/s\r\x1b[K"
        assert stream.getvalue() == (shown if stream.isatty() and alone else "")
    monkeypatch.setattr("sys.stderr", stream := Terminal())
    with Meter("indexed for search:", alone=True) as meter:
        now_s += 2.0
        meter.show(3_000, "text")
    assert stream.getvalue() == "\r\x1b[Kindexed for search: 3000 texts, 1,500 texts/s\r\x1b[K"


def test_meter_tells_what_is_left_and_plain_lines_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A log gets a line every ten seconds, and only where that was asked for."""
    now_s = 0.0
    monkeypatch.setattr("convostore.clock.monotonic_s", lambda: now_s)
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    with Meter("indexed for search:", alone=True, lines=True) as meter:
        for at_s, done in ((9.0, 900), (10.0, 1_000), (19.0, 1_900), (20.0, 20_000)):
            now_s = at_s
            meter.show_part(done, 20_000, "text")
    assert stream.getvalue().splitlines() == [
        "indexed for search: 1,000 of 20,000 texts, 100 texts/s, 3:10 left",
        "indexed for search: 20,000 of 20,000 texts, 1,000 texts/s",
    ]
