"""Removing for good from the command line: the question, the copies beside the store, the scrub."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from screen import Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import Message
from tests.cli.filling import fill, titles
from tests.engines import connect, rows

if TYPE_CHECKING:
    from tests.cli.program import Program

SERVERS = (
    "its rows are gone; to get it out of the server's files too, while nobody can use the store:"
    " convostore db scrub"
)


def scrubs(program: Program) -> list[str]:
    """Return what a removal says at its end: on a server, how to scrub; on a file it is done."""
    return [] if isinstance(program.store, Path) else [SERVERS]


def test_what_is_in_the_bin_is_purged_after_a_question(program: Program) -> None:
    """A name, a filter, the whole bin; with --dry-run first; what is not in the bin is refused."""
    fill(program, "old", "mid", "new", "else")
    assert program("purge", "bot:old", "--yes").err.startswith(
        "convostore: there is no conversation bot:old in the bin\n"
    )
    assert program("delete", "bot:old", "bot:mid", "bot:new").code == 0
    asked = program("purge", "bot:old")
    assert (asked.code, asked.err) == (
        2,
        (
            "convostore: 1 conversation will be gone for good, and nobody is there to be asked\n"
            "hint: add --yes, or --dry-run to see which they are\n"
        ),
    )
    tried = program("purge", "--all", "--dry-run")
    assert titles(tried) == ["new", "mid", "old"]
    assert tried.err == "3 conversations would be gone for good; nothing was changed\n"
    run = program("purge", "bot:old", "--yes")
    assert (run.code, run.err.splitlines()) == (
        0,
        ["1 conversation with 2 messages gone for good", *scrubs(program)],
    )
    assert titles(program("list", "--bin")) == ["new", "mid"]
    run = program("purge", "--all", "-y")
    assert run.err.splitlines()[0] == "2 conversations with 4 messages gone for good"
    assert program("list", "--bin").text == ""
    assert titles(program("list")) == ["else"]
    scrub = program("db", "scrub")
    done = "nothing is owed\n"
    if scrubs(program):
        assert scrub.err == "what was removed is out of the store's files\n"
        scrub = program("db", "scrub")
    assert (scrub.code, scrub.err) == (0, done)


@pytest.mark.only("sqlite", reason="a server's copies are its operator's")
def test_copies_beside_the_store_are_listed_and_go_on_request(program: Program) -> None:
    """A purge lists them and leaves them; --copies removes them, in purge and in db scrub."""
    fill(program, "one", "two")
    assert isinstance(program.store, Path)
    copy = program.store.with_name(f"{program.store.name}.before-restore")
    copy.write_bytes(b"x")
    program("delete", "bot:one", "bot:two")
    run = program("purge", "bot:one", "-y")
    assert run.err.splitlines() == [
        "1 conversation with 2 messages gone for good",
        "copies of the store beside it, which may have the same:",
        f"  {copy}",
        "they stay; remove them with: convostore db scrub --copies",
    ]
    assert copy.exists()
    assert program("purge", "@", "-y", "--copies").err.splitlines()[-1] == "1 file removed"
    assert not copy.exists()
    copy.write_bytes(b"x")
    assert program("db", "scrub", "--copies").err.splitlines()[-1] == "1 file removed"
    assert not copy.exists()


@pytest.mark.only("sqlite", reason="it is the question that is tried, and the copies of a file")
def test_person_is_asked_about_both(program: Program) -> None:
    """What goes, with its number; then the copies, listed before the first question."""
    fill(program, "one")
    assert isinstance(program.store, Path)
    copy = program.store.with_name(f"{program.store.name}.before-upgrade-0001")
    copy.write_bytes(b"x")
    program("delete", "@")
    with Screen(program, "purge", "@") as screen:
        screen.expect(copy.name)
        screen.expect("1 conversation will be gone for good. Go on?")
        screen.type("y\n")
        screen.expect("Remove 1 file?")
        screen.type("y\n")
        screen.expect("1 file removed")
        assert screen.end() == 0
    assert not copy.exists()


@pytest.mark.only("sqlite", reason="on a server nothing is scrubbed unasked")
def test_program_in_the_way_is_told_of_with_code_5(program: Program) -> None:
    """The rows are gone, the traces are not: the line says so, and what to type once it is closed."""
    fill(program, "one")
    program("delete", "@")
    program.extra["CONVOSTORE_BUSY_TIMEOUT_S"] = "0.2"
    with connect(program.store) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM message").fetchall()
        run = program("purge", "@", "-y")
    assert run.code == 5
    said, trouble, hint = run.err.splitlines()
    assert said == "1 conversation with 2 messages gone for good"
    assert trouble.startswith("convostore: what was removed is out of reach, but traces of it")
    assert hint == "hint: close the other programs that use it, then: convostore db scrub"
    note = "note: texts that were removed may still be in its files: convostore db scrub"
    assert note in program("db", "check").err.splitlines()
    assert program("db", "scrub").err == "what was removed is out of the store's files\n"
    assert note not in program("db", "check").err.splitlines()


def test_removed_branch_is_scrubbed_too(program: Program) -> None:
    """On a file at once; on a server it is said how."""
    fill(program, "one")
    run = program("delete-branch", "@", "2", "--yes")
    assert run.code == 0
    assert run.err.splitlines()[0] == "1 message gone for good"
    assert run.err.splitlines()[3:] == scrubs(program)
    owed = rows(program.store, "SELECT 1 FROM store_meta WHERE name = 'scrub_owed'")
    assert bool(owed) == bool(scrubs(program))


def test_bin_says_since_when_each_is_there(program: Program) -> None:
    """The JSON of `list --bin` has the time; that of the plain list has none."""
    fill(program, "one", "two")
    program("delete", "bot:one")
    (found,) = program("list", "--bin", "--json").json
    assert isinstance(found["deleted_at_ms"], int)
    (kept,) = program("list", "--json").json
    assert "deleted_at_ms" not in kept


def test_forgotten_message_is_shown_as_erased(program: Program) -> None:
    """After a question; with the message's number or id; what cannot be meant is refused."""
    fill(program, "one")
    refused = program("forget", "@", "1")
    assert (refused.code, refused.err) == (
        2,
        'convostore: this would empty message 1 ("about one") for good\nhint: add --yes to do it\n',
    )
    run = program("forget", "@", "1", "--yes")
    assert (run.code, run.err.splitlines()) == (0, ["the message is empty now", *scrubs(program)])
    shown = program("show", "@")
    assert "about one" not in shown.text
    assert "[erased on request]" in shown.text
    assert program("search", "about").text == ""
    again = program("forget", "@", "1", "--yes")
    assert (again.code, again.err.splitlines()[0]) == (0, "the message was empty already")
    missing = program("forget", "@", "9", "--yes")
    assert (missing.code, missing.err.splitlines()[1][:6]) == (3, "hint: ")
    nothing = program("forget", "@")
    assert (nothing.code, nothing.err.splitlines()[0]) == (
        2,
        "convostore: forget needs a message: its number or id",
    )


def test_all_that_a_person_said_is_forgotten_after_a_question(program: Program) -> None:
    """In every conversation, their own ones as a whole; with the numbers, and --dry-run first."""
    fill(program, "one")
    asyncio.run(say_as(program, "telegram:1"))
    what = "4 messages {} be gone for good, answers to them included; 1 conversation as a whole"
    tried = program("forget", "--user", "telegram:1", "--dry-run")
    assert (tried.code, tried.err) == (0, f"{what.format('would')}; nothing was changed\n")
    asked = program("forget", "--user", "telegram:1")
    assert asked.code == 2
    assert asked.err.startswith(f"convostore: {what.format('will')}, and nobody is there")
    assert "hint: add --yes" in asked.err
    run = program("forget", "--user", "telegram:1", "--yes")
    done = "4 messages gone for good; 1 conversation as a whole"
    assert (run.code, run.err.splitlines()) == (0, [done, *scrubs(program)])
    assert titles(program("list")) == ["one"]
    assert "mine" not in program("show", "bot:one").text
    again = program("forget", "--user", "telegram:1", "--yes")
    assert (again.code, again.err) == (0, "nothing here was said by telegram:1\n")
    for words in (("@", "--user", "x"), ("@", "1", "--dry-run"), ("--user", "")):
        refused = program("forget", *words)
        assert (refused.code, len(refused.err.splitlines())) == (2, 2)


async def say_as(program: Program, who: str) -> None:
    """Let somebody say something in the conversation that is there, and in one of their own."""
    async with convostore.open(program.store) as store:
        for chat in (await store.resume("bot:one"), await store.create(key="private")):
            mine = Message(role="user", text="mine", author_id=who)
            await chat.append(mine, Message.assistant("of mine"))
