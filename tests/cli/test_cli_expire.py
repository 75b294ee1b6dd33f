"""Conversations that go by themselves, from the command line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.filling import fill, titles
from tests.engines import change

if TYPE_CHECKING:
    from tests.cli.program import Program

DAY_MS = 24 * 3600 * 1000


def expire_now(program: Program, title: str) -> None:
    """Let the time of a conversation be over."""
    change(program.store, "UPDATE conversation SET expires_at_ms = ? WHERE title = ?", 1000, title)


def test_time_is_set_shown_and_taken_back(program: Program) -> None:
    """So far ahead, as a date, or never; JSON and `show` say it."""
    fill(program, "one", "two")
    before_ms = time.time() * 1000
    run = program("expire", "30d", "bot:one", "bot:two")
    assert (run.code, run.err) == (0, "2 conversations set to go for good (30d)\n")
    for found in program("list", "--json").json:
        assert before_ms <= found["expires_at_ms"] - 30 * DAY_MS <= time.time() * 1000
    assert "goes by itself " in program("show", "bot:one").text
    assert program("expire", "2199-01-31", "--title", "one", "--yes").code == 0
    assert program("expire", "never", "bot:two").err == ("1 conversation kept until deleted\n")
    two, one = program("list", "--json").json
    assert one["expires_at_ms"] > before_ms + 1000 * DAY_MS
    assert "expires_at_ms" not in two


def test_expired_conversation_is_nowhere(program: Program) -> None:
    """Neither the quick reading nor the full one finds it; the next chat removes its rows."""
    fill(program, "plum one", "plum two")
    assert len(program("search", "plum").text.splitlines()) > 1
    expire_now(program, "plum one")
    for words in (("list",), ("list", "--all"), ("list", "--title", "plum")):
        assert titles(program(*words)) == ["plum two"]
    for words in (("show", "bot:plum one"), ("tree", "bot:plum one"), ("show", "@2")):
        assert program(*words).code == 3
    assert "plum one" not in program("search", "plum").text
    assert program("chat", "--expires", "12h", "hello").code == 0
    report = program("db", "check")
    assert report.out == b"no problems in 2 conversations\n"
    (new, _) = program("list", "--json").json
    assert new["expires_at_ms"] > time.time() * 1000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["expire"], "expire needs a time, and conversations"),
        (["expire", "30d"], "expire needs conversations"),
        (["expire", "soon", "@"], "WHEN soon is no time to come"),
        (["expire", "2001-01-01", "@"], "WHEN 2001-01-01 is no time to come"),
        (["expire", "0d", "@"], "WHEN 0d is no time to come"),
        (["chat", "--expires", "soon", "hi"], "--expires soon is no time to come"),
        (["chat", "-c", "--expires", "1d", "hi"], "--expires is for a new conversation"),
    ],
)
def test_what_is_no_time_to_come_is_refused(program: Program, words: list[str], said: str) -> None:
    """In one line, with what to type instead; nothing changes."""
    fill(program, "one")
    run = program(*words)
    assert run.code == 2
    first, second = run.err.splitlines()
    assert said in first
    assert second.startswith("hint: ")
    (found,) = program("list", "--json").json
    assert "expires_at_ms" not in found
