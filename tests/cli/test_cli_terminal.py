from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from convostore.cli import terminal
from convostore.cli.output import Output
from convostore.cli.page import age

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "a\x1b[2Jb\x07c\x9bd\x7fe\u202ef\u2066g\x00h"


def test_escape_sequences_and_bidi_overrides_are_shown_by_number() -> None:
    """A terminal never receives a control character or a bidi override from a stored text."""
    shown = terminal.many_lines(NASTY)
    assert shown == r"a\x1b[2Jb\x07c\x9bd\x7fe\u202ef\u2066g\x00h"


def test_line_ends_and_tabs_stay_in_a_text_of_many_lines() -> None:
    """A text keeps its lines and tabs; CRLF is a line end, a lone CR is shown."""
    assert terminal.many_lines("a\tb\r\nc\rd\n") == "a\tb\nc\\rd\n"


def test_one_line_stays_one_line() -> None:
    """A title cannot break the line it stands on, nor the columns of a tab-separated list."""
    assert terminal.one_line("a\nb\tc\r\u2028d\u2029") == r"a\nb\tc\r\u2028d\u2029"


def test_ordinary_scripts_and_emoji_are_left_alone() -> None:
    """Hebrew with its marks, CJK and joined emoji are no danger and stay as they are."""
    text = "שלום\u200f 京都 👩\u200d🚀 naïve"
    assert terminal.many_lines(text) == terminal.one_line(text) == text


@pytest.mark.parametrize("cut", range(len("x\r\ny\r\r\nz\r") + 1))
def test_text_in_pieces_is_escaped_as_the_whole(cut: int) -> None:
    """Wherever a text is cut, even between CR and LF, the pieces read as the whole would."""
    text = "x\r\ny\r\r\nz\r"
    escaper = terminal.PieceEscaper()
    shown = escaper.feed(text[:cut]) + escaper.feed(text[cut:]) + escaper.close()
    assert shown == terminal.many_lines(text)


def test_no_colour_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that nobody looks at takes no colour, and a closed or missing one neither."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    closed = io.StringIO()
    closed.close()
    assert not any(terminal.has_colour(stream) for stream in (io.StringIO(), closed, None))


def test_no_color_and_dumb_terminals_are_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and TERM=dumb each turn colour off on a real terminal."""
    leader, follower = os.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.delenv("NO_COLOR", raising=False)
        assert terminal.styled("x", stream, terminal.BOLD) != "x"
        monkeypatch.setenv("NO_COLOR", "1")
        assert terminal.styled("x", stream, terminal.BOLD) == "x"
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.setenv("TERM", "dumb")
        assert terminal.styled("x", stream, terminal.BOLD) == "x"
    os.close(leader)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "now"), (59, "now"), (60, "1 min"), (7200, "2 h"), (86400 * 3, "3 d")],
)
def test_age_is_said_in_the_largest_unit(seconds: int, said: str) -> None:
    """A list says how long ago something was, and a clock set back is no trouble."""
    assert age(seconds * 1000, 0) == said


@pytest.mark.asyncio
async def test_output_keeps_every_byte_of_a_large_text(tmp_path: Path) -> None:
    """A text far larger than a pipe's room arrives whole and in order."""
    import asyncio

    reader, writer = os.pipe()
    text = "".join(f"{number} é\n" for number in range(40_000))
    reading = asyncio.get_running_loop().run_in_executor(None, _drain, reader)
    await Output(writer, "utf-8").write(text)
    os.close(writer)
    assert (await reading).decode() == text


@pytest.mark.asyncio
async def test_a_reader_that_reads_nothing_does_not_block_the_loop() -> None:
    """While a pager is not read, other work of the process goes on, and Ctrl-C can end the wait."""
    import asyncio

    reader, writer = os.pipe()
    writing = asyncio.ensure_future(Output(writer, "utf-8").write("x" * 1_000_000))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not writing.done()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    os.close(reader)
    os.close(writer)


@pytest.mark.asyncio
async def test_a_reader_that_left_is_a_broken_pipe() -> None:
    """Writing to a closed pipe raises the one error that the caller takes for "stop quietly"."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        await Output(writer, "utf-8").write("x")
    os.close(writer)


@pytest.mark.asyncio
async def test_output_says_what_the_encoding_cannot(tmp_path: Path) -> None:
    """In a locale without the character it is shown by its number, not refused."""
    reader, writer = os.pipe()
    await Output(writer, "latin-1").write("é京")
    os.close(writer)
    assert _drain(reader) == b"\xe9\\u4eac"


def _drain(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()
