"""Deleting from the command line, the bin, and the way back; and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.filling import fill, titles

if TYPE_CHECKING:
    from tests.cli.program import Program


def test_deleted_conversations_are_in_the_bin_and_come_back(program: Program) -> None:
    """Named ones go at once; the bin lists them, what went last first; restore takes any name."""
    old, mid, new = fill(program, "old", "mid", "new")
    assert program("delete", old).err == (
        "1 conversation moved to the bin\nbring the last one back: convostore restore @\n"
    )
    assert program("delete", "bot:mid", "@").code == 0
    assert titles(program("list")) == titles(program("list", "--all")) == []
    assert set(titles(program("list", "--bin"))) == {"new", "mid", "old"}
    assert titles(program("list", "--bin", "--title", "MID")) == ["mid"]
    (found,) = program("list", "--bin", "--title", "old", "--json").json
    assert found["handle"] == old
    shown = program("show", mid)
    assert (shown.code, shown.out) == (3, b"")
    assert shown.err.splitlines() == [
        f"convostore: {mid} is in the bin",
        f"hint: bring it back: convostore restore {mid}",
    ]
    assert program("restore", "bot:old", new[:6]).err == "2 conversations brought back\n"
    assert titles(program("list")) == ["new", "old"]
    assert program("restore", "@").code == 0
    assert titles(program("list")) == ["new", "mid", "old"]
    assert program("list", "--bin").text == ""


def test_many_are_deleted_once_their_number_was_agreed_to(program: Program) -> None:
    """By a filter, with --dry-run first, then with --yes; and back the same way."""
    fill(program, "trip 1", "trip 2", "else")
    run = program("delete", "--title", "trip")
    assert (run.code, run.out) == (2, b"")
    assert run.err.startswith("convostore: 2 conversations will be moved to the bin, and nobody")
    tried = program("delete", "--title", "trip", "--dry-run")
    assert titles(tried) == ["trip 2", "trip 1"]
    assert tried.err == "2 conversations would be moved to the bin; nothing was changed\n"
    assert program("delete", "--title", "trip", "--yes").code == 0
    assert titles(program("list")) == ["else"]
    tried = program("restore", "--title", "1", "--dry-run")
    assert titles(tried) == ["trip 1"]
    assert program("restore", "--key", "bot:", "--yes").err == "2 conversations brought back\n"
    assert len(titles(program("list"))) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["delete"], 2, "delete needs conversations"),
        (["delete", "nobody"], 3, "there is no conversation nobody"),
        (["delete", "@", "--title", "one"], 2, "not both"),
        (["delete", ""], 2, "a conversation's name is empty"),
        (["restore"], 2, "restore needs conversations"),
        (["restore", "@"], 3, "there is no conversation @ in the bin"),
        (["restore", "bot:one"], 3, "there is no conversation bot:one in the bin"),
        (["list", "--bin", "--since", "soon"], 2, "--since soon is no time"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    program: Program, words: list[str], code: int, said: str
) -> None:
    """Nothing changes, the line says what is wrong, and a hint says what to type."""
    fill(program, "one")
    run = program(*words)
    assert run.code == code
    first, second = run.err.splitlines()
    assert said in first
    assert second.startswith("hint: ")
    assert titles(program("list")) == ["one"]
