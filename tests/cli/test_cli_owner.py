"""Owners from the command line: who there is, all of one in a file, all of one gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from convostore import clock
from convostore.storage.leases import new_lease
from convostore.storage.scrub_note import NOTE
from tests.engines import change, rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program


@pytest.fixture
def shared(program: Program) -> Program:
    """Let the personal owner and alice have a conversation each."""
    assert program("chat", "mine", "-p", "echo").code == 0
    assert program("chat", "hers", "-p", "echo", "--owner", "alice").code == 0
    return program


def test_owners_are_listed_exported_and_erased(shared: Program, tmp_path: Path) -> None:
    """The file has what is gone afterwards, and the others stay."""
    assert shared("owner", "list").text == "(personal)\t1\t2\nalice\t1\t2\n"
    listed = json.loads(shared("owner", "list", "--json").text)
    assert [one["name"] for one in listed] == [None, "alice"]
    file = tmp_path / "alice.jsonl"
    exported = shared("owner", "export", "alice", "-o", str(file))
    assert (exported.code, exported.err) == (0, f"1 conversation with 2 messages in {file}\n")
    assert "hers" in file.read_text()
    assert "mine" not in file.read_text()
    asked = shared("owner", "erase", "alice")
    assert asked.code == 2
    assert "1 conversation with 2 messages of alice" in asked.err
    assert "add --yes" in asked.err
    erased = shared("owner", "erase", "alice", "--yes")
    assert erased.code == 0
    assert "1 conversation with 2 messages and 1 model call gone for good" in erased.err
    assert shared("owner", "list").text == "(personal)\t1\t2\n"
    assert shared("owner", "erase", "--personal", "-y").code == 0
    assert shared("owner", "list").text == ""


def test_what_went_beside_a_running_reply_is_scrubbed_too(shared: Program) -> None:
    """The owner stays with it, and an error says so; of the rest nothing is owed any more."""
    lease = new_lease("token", clock.now_ms())  # this process lives
    running = "UPDATE message SET status = 'streaming', lease = ? WHERE role = 'assistant'"
    change(shared.store, f"{running} AND provider = 'echo'", lease)
    assert shared("chat", "other", "-p", "echo", "--owner", "alice").code == 0
    erased = shared("owner", "erase", "alice", "--yes")
    assert erased.code == 4
    assert "the owner stays with what is still being written" in erased.err
    assert shared("owner", "list").text.splitlines()[1] == "alice\t1\t2"
    owed = bool(rows(shared.store, "SELECT 1 FROM store_meta WHERE name = ?", NOTE))
    assert owed == ("convostore db scrub" in erased.err) == isinstance(shared.store, str)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("owner erase", 2, "name the owner, or --personal"),
        ("owner export", 2, "name the owner, or --personal"),
        ("owner erase alice --personal", 2, "not both"),
        ("owner erase nobody -y", 3, "there is no owner nobody"),
        ("owner export nobody", 3, "owner list shows who there is"),
    ],
)
def test_who_is_not_there_is_refused_in_one_line(
    shared: Program, line: str, code: int, words: str
) -> None:
    """What is wrong and what to type next; nothing is changed."""
    ended = shared(*line.split())
    assert ended.code == code
    assert words in ended.err
    assert len(ended.err.splitlines()) <= 3
    assert shared("owner", "list").text == "(personal)\t1\t2\nalice\t1\t2\n"
