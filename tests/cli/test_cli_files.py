from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convostore.storage.tables import REVISION
from tests.engines import change

if TYPE_CHECKING:
    from tests.cli.program import Program


def _two_chats(program: Program) -> tuple[str, str]:
    return program("chat", "first question").handle, program("chat", "second question").handle


def test_export_goes_to_stdout_whole_and_alone(program: Program) -> None:
    """Without -o the file's text is on stdout, and nothing else is said."""
    _, handle = _two_chats(program)
    run = program("export", handle)
    assert (run.code, run.err) == (0, "")
    texts = [line["text"] for line in run.lines if line["type"] == "message"]
    assert texts == ["second question", "You said: second question\n"]


def test_export_all_writes_a_private_file_and_says_where(program: Program, tmp_path: Path) -> None:
    """With -o the file has every conversation, only the owner can read it, stdout stays empty."""
    _two_chats(program)
    file = tmp_path / "all.jsonl"
    run = program("export", "--all", "-o", str(file))
    assert (run.code, run.out) == (0, b"")
    assert str(file) in run.err
    kinds = [json.loads(line)["type"] for line in file.read_text().splitlines()]
    assert kinds.count("conversation") == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_export_markdown_makes_a_file_for_each_conversation(
    program: Program, tmp_path: Path
) -> None:
    """All conversations as Markdown are a folder of files, named by title and handle."""
    first, second = _two_chats(program)
    folder = tmp_path / "chats"
    assert program("export", "--all", "--format", "markdown", "-o", str(folder)).code == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([f"first-question-{first}.md", f"second-question-{second}.md"])
    assert "first question" in (folder / f"first-question-{first}.md").read_text()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["export", "zzzzzzzz"], 3),
        (["export", "@", "--all"], 2),
        (["export", "@", "--format", "pdf"], 2),
        (["export", "@", "-o", "/nowhere/at/all.jsonl"], 1),
    ],
)
def test_a_wrong_export_is_one_line(program: Program, words: list[str], code: int) -> None:
    """What cannot be exported is one line with what to do next, and stdout stays empty."""
    _two_chats(program)
    run = program(*words)
    assert (run.code, run.out) == (code, b"")
    lines = run.err.splitlines()
    assert lines[0].startswith("convostore: ")
    assert lines[1].startswith("hint: ")
    assert len(lines) == 2


@pytest.mark.only("sqlite", reason="a server is backed up with its own tools")
def test_a_backup_can_be_restored(program: Program, tmp_path: Path) -> None:
    """What was stored at the time of the backup is back after restoring it, and nothing newer."""
    first, second = _two_chats(program)
    backup = str(tmp_path / "backup.db")
    assert program("db", "backup", backup).code == 0
    program("chat", "third question")
    assert program("db", "restore", backup).code == 0
    assert [each["handle"] for each in program("list", "--json").json] == [second, first]
    assert program("db", "check", "--deep").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["db", "backup", "/nowhere/at/all.db"],
        ["db", "backup", "."],
        ["db", "restore", "/nowhere/at/all.db"],
        ["db", "restore", "/etc/hostname"],
    ],
)
def test_a_wrong_backup_or_restore_is_one_line_and_harms_nothing(
    program: Program, words: list[str]
) -> None:
    """A file that cannot be written or is no backup is one line; the store is as it was."""
    _two_chats(program)
    run = program(*words)
    assert run.code == 5
    assert len(run.err.splitlines()) == 2
    assert len(program("list").text.splitlines()) == 2


def test_check_finds_a_changed_text(program: Program) -> None:
    """A text changed behind the store's back is found by `db check --deep`, with code 5."""
    _two_chats(program)
    change(program.store, "UPDATE message SET text = 'forged' WHERE text = 'first question'")
    assert program("db", "check").code == 0
    run = program("db", "check", "--deep")
    assert run.code == 5
    assert run.out
    assert "restore" in run.err


def test_upgrade_says_the_revision(program: Program) -> None:
    """Upgrading a store that is up to date is no error and says where it stands."""
    _two_chats(program)
    run = program("db", "upgrade")
    assert run.code == 0
    assert "revision" in run.text


@pytest.mark.parametrize("words", [["list"], ["db", "upgrade"]])
def test_an_upgrade_is_said_with_where_the_store_is_kept_as_it_was(
    program: Program, tmp_path: Path, words: list[str]
) -> None:
    """Whatever command meets an older store: one line, once, that names the copy beside it."""
    asset = Path(__file__).parents[1] / "migration" / "assets" / "0005.db"
    store = tmp_path / "old" / "chats.db"
    store.parent.mkdir()
    store.write_bytes(asset.read_bytes())
    run = program("--db", str(store), *words)
    (copy,) = store.parent.glob("*before-upgrade*")
    assert run.code == 0
    assert run.err.splitlines() == [
        f"convostore: {store} was brought from schema 0005 to {REVISION}; as it was: {copy}"
    ]
    assert program("--db", str(store), *words).err == ""
