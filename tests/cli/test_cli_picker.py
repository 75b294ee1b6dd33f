"""Picking a conversation whose name was left out: on a terminal, narrowed by what is typed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.cli.picker import fitting
from convostore.records import ConversationRecord
from tests.cli.screen import CTRL_C, ENTER, Screen

if TYPE_CHECKING:
    from tests.cli.program import Program

DOWN, ESCAPE = "\x1b[B", "\x1b"
TITLES = ("Three days in Kyoto", "Bread\x1b[31m with seeds", "Rail pass")


async def _fill(program: Program) -> list[str]:
    async with convostore.open(program.store) as store:
        handles = []
        for title in TITLES:
            chat = await store.create(title=title)
            await chat.append(Message.user(f"about {title}"), Message.assistant("answer\x1b[2J"))
            handles.append(chat.handle)
        return handles


@pytest.fixture
def handles(program: Program) -> list[str]:
    """Put three conversations into the program's store; return their handles."""
    return asyncio.run(_fill(program))


def test_typing_narrows_enter_takes_and_the_preview_shows(
    program: Program, handles: list[str]
) -> None:
    """Letters in order are enough; the end of the conversation at hand is seen, escaped."""
    with Screen(program, "show") as screen:
        screen.expect("Rail pass")
        screen.type("kyt")
        screen.expect("about Three days in Kyoto")
        screen.expect("\\x1b[2J")
        screen.type(ENTER)
        screen.expect(f"{handles[0]}  Three days in Kyoto")
        assert screen.end() == 0
        assert b"\x1b[31m with" not in screen.seen


def test_arrows_move_and_the_newest_stands_first(program: Program, handles: list[str]) -> None:
    """Down and Enter take the second newest; every command that needs one name alone asks so."""
    with Screen(program, "tree") as screen:
        screen.expect("about Rail pass")
        screen.type(DOWN)
        screen.expect("about Bread")
        screen.type(ENTER)
        assert screen.end() == 0
        assert f"{handles[1]}  " in screen.text


def test_what_is_taken_back_is_picked_from_the_archive(
    program: Program, handles: list[str]
) -> None:
    """There alone it can be; an archive in which nothing is says where to look."""
    assert program("archive", handles[0]).code == 0
    with Screen(program, "unarchive") as screen:
        screen.expect("about Three days in Kyoto")
        assert "Rail pass" not in screen.text
        screen.type(ENTER)
        screen.expect("1 conversation taken back\n")
        assert screen.end() == 0
    with Screen(program, "unarchive") as screen:
        screen.expect("convostore list --archived shows conversations")
        assert screen.end() == 2


def test_bin_in_which_nothing_is_says_where_to_look(program: Program, handles: list[str]) -> None:
    """On a terminal, and where nobody can pick: what is in the list cannot be brought back."""
    assert handles
    for words in ("restore", "purge"):
        run = program(words)
        assert (run.code, run.out) == (2, b"")
        said, hint = run.err.splitlines()
        assert said.endswith("handles, ids, keys, @ for what went there last, or a filter")
        assert hint.endswith("; convostore list --bin shows conversations")
    with Screen(program, "restore") as screen:
        screen.expect("convostore list --bin shows conversations")
        assert screen.end() == 2


@pytest.mark.parametrize("key", [ESCAPE, CTRL_C])
def test_leaving_ends_with_130_and_shows_nothing(
    program: Program, handles: list[str], key: str
) -> None:
    """As with Ctrl-C anywhere else."""
    with Screen(program, "show") as screen:
        screen.expect("about Rail pass")
        screen.type(key)
        assert screen.end() == 130
        assert "user" not in screen.text.rpartition("Esc leaves")[2]


@pytest.mark.parametrize("reason", ["piped", "dumb", "empty", "no extra"])
def test_where_nobody_can_pick_the_message_is_as_ever(program: Program, reason: str) -> None:
    """Not a terminal, a dumb one, nothing to pick from, or the extra is not installed."""
    if reason != "empty":
        asyncio.run(_fill(program))
    else:
        assert program("chat", "q").code == 0
        assert program("delete", "@").code == 0
    said = "show needs a conversation: its handle, id or key, or @ for the newest"
    if reason == "piped":
        run = program("show")
        assert (run.code, run.out) == (2, b"")
        assert said in run.err
        return
    if reason == "dumb":
        program.extra["TERM"] = "dumb"
    if reason == "no extra":
        hidden = program.home / "prompt_toolkit.py"
        hidden.write_text("raise ModuleNotFoundError(name='prompt_toolkit')\n")
        program.extra["PYTHONPATH"] = str(program.home)
        hidden.unlink()
        (program.home / "sitecustomize.py").write_text(
            "import importlib.util as u\n"
            "found = u.find_spec\n"
            "u.find_spec = lambda n, *a: None if n == 'prompt_toolkit' else found(n, *a)\n"
        )
    with Screen(program, "show") as screen:
        assert screen.end() == 2
        assert said in screen.text.replace("\n", " ")


def record(handle: str, title: str, **more: object) -> ConversationRecord:
    """Return a conversation with these alone."""
    return ConversationRecord(id=handle, handle=handle, title=title, **more)  # type: ignore[arg-type]  # of the test's own making


def test_tightest_match_stands_first_and_equal_ones_keep_the_order() -> None:
    """Each word counts, in any place; case does not matter; what is typed is no pattern."""
    one, two = record("aaaa1111", "Kyoto trip"), record("bbbb2222", "k y o t o", tags=("rail",))
    three = record("cccc3333", "other (1)", folder="Trips", key="bot:7")
    known = [two, one, three]
    assert fitting(known, "") == known
    assert fitting(known, "KYOTO") == [one, two]
    assert fitting(known, "trip") == [one, three]
    assert fitting(known, "trip kyo") == [one]
    assert fitting(known, "kyo rail") == [two]
    assert fitting(known, "cc33") == [three]
    assert fitting(known, "bot:7 (1)") == [three]
    assert fitting(known, ".*") == []


def test_letters_that_come_often_take_no_longer_than_others() -> None:
    """Tried in every way in which they can be chosen, these would take longer than any test may."""
    often = [record(f"{number:08}", "te" * 100) for number in range(1000)]
    assert fitting(often, "t" * 50 + "z") == []
    assert fitting(often, "t" * 50) == often


def test_commands_for_many_take_the_one_that_is_picked(
    program: Program, handles: list[str]
) -> None:
    """Deleting, and bringing back from the bin, whose messages are not shown."""
    with Screen(program, "delete") as screen:
        screen.expect("about Rail pass")
        screen.type("bread")
        screen.expect("about Bread")
        screen.type(ENTER)
        assert screen.end() == 0
    listed = program("list", "--bin").text
    assert listed.startswith(handles[1])
    with Screen(program, "restore") as screen:
        screen.expect("Bread")
        screen.expect("2 messages")
        screen.type(ENTER)
        screen.expect("1 conversation brought back")
        assert screen.end() == 0
        assert "about Bread" not in screen.text
