"""A command that a message names leads to the store and the owner that were typed."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.cli import again

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.farside import FarSide
    from tests.cli.program import Program

SERVER = "postgresql://ann:se@cret?@db.example:5433/chats?sslmode=disable&password=hush&host=/run"


def _typed(program: Program, tmp_path: Path) -> list[str]:
    """Return options that name a store other than the default one, and an owner."""
    named = program.extra.get("CONVOSTORE_DB", str(tmp_path / "ann's chats.db"))
    return ["--db", named, "--owner", "ann & co"]


async def _asked(where: str, owner: str) -> str:
    """Store a question without an answer; return its conversation's handle."""
    async with convostore.open(where, owner=owner) as store:
        chat = await store.create()
        await chat.append(convostore.Message.user("Hi"))
        return chat.handle


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["list"], "chat"),
        (["show", "nobody"], "chat"),
        (["show"], "list"),
        (["export"], "list"),
        (["chat", ""], "chat"),
        (["chat", "--resume", "nobody", "Hi"], "chat"),
    ],
)
@pytest.mark.only("sqlite", reason="a database is there before its first chat")
def test_a_hint_of_a_store_that_is_not_there_names_that_store(
    program: Program, tmp_path: Path, words: list[str], verb: str
) -> None:
    """Typed before or after the command, store and owner stand in the hint's command, quoted."""
    typed = _typed(program, tmp_path)
    for line in ([*typed, *words], [*words, *typed]):
        hint = program(*line).err.splitlines()[-1]
        assert f"convostore {shlex.join(typed)} {verb}" in hint


@pytest.mark.parametrize("words", [["show", "nobody"], ["show", "@9"], ["export", "nobody"]])
def test_the_command_of_a_hint_finds_what_is_there(
    program: Program, tmp_path: Path, words: list[str]
) -> None:
    """Typed as it stands, the hint's command lists the chats of that store and owner."""
    typed = _typed(program, tmp_path)
    handle = program(*typed, "chat", "Hi").handle
    hint = program(*typed, *words).err.splitlines()[-1]
    command = shlex.split(hint.partition("all: ")[2])
    assert command == ["convostore", *typed, "list"]
    assert program(*command[1:]).text.split()[0] == handle


def test_what_is_not_typed_is_not_in_a_hint(program: Program, tmp_path: Path) -> None:
    """What the environment says stays in force by itself."""
    program.extra["CONVOSTORE_OWNER"] = "ann"
    program("chat", "Hi")
    assert program("show", "nobody").err.endswith("hint: see them all: convostore list\n")


def test_a_quick_answer_has_the_typed_store_too(program: Program, tmp_path: Path) -> None:
    """`show -r` of a question without an answer, which is read without click."""
    typed = _typed(program, tmp_path)
    handle = asyncio.run(_asked(*typed[1::2]))
    hint = program(*typed, "show", "@", "-r").err.splitlines()[-1]
    assert hint == f"hint: convostore {shlex.join(typed)} show {handle} shows what it has"


def test_a_hint_in_json_has_the_typed_store_too(
    program: Program, far: FarSide, tmp_path: Path
) -> None:
    """The error line of `chat --json` names the same command."""
    typed = _typed(program, tmp_path)
    program(*typed, "chat", "Hi")
    run = program(*typed, "chat", "--json", "--resume", "nobody", "Hi")
    assert run.lines[-1]["hint"] == f"see them all: convostore {shlex.join(typed)} list"


def test_no_command_shows_a_password() -> None:
    """A server's URL is shown with what leads there, and without what is secret."""
    line = again.command(SERVER, "ann", "chat", "-c")
    words = shlex.split(line)
    shown = "postgresql://ann@db.example:5433/chats?sslmode=disable&host=/run"
    assert words == ["convostore", "--db", shown, "--owner", "ann", "chat", "-c"]
    assert again.command("sqlite:////x/y.db", None, "list").split()[2] == "sqlite:////x/y.db"


def test_only_commands_with_a_store_are_fitted_and_only_once() -> None:
    """A path that looks like a command, a package's name and `models` stay as they are."""
    text = (
        "see: convostore models, pip install convostore, /x/convostore chat/y, convostore db check"
    )
    fitted = again.fitted(text, "a b.db", "ann")
    assert fitted == text.replace("convostore db", "convostore --db 'a b.db' db")
    assert again.fitted(fitted, "a b.db", "ann") == fitted
    assert again.fitted(text, None, None) == text
