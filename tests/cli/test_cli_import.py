"""The import command: what is said, where, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

import pytest
from screen import Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

from tests.engines import rows

if TYPE_CHECKING:
    from tests.cli.program import Program

pytestmark = pytest.mark.only("sqlite", reason="the write is tried on both engines elsewhere")


def chat(number: int, messages: int = 2) -> dict[str, Any]:
    """Return a conversation as ChatGPT exports it."""
    mapping = {
        f"m{at}": {
            "id": f"m{at}",
            "parent": f"m{at - 1}" if at else None,
            "message": {
                "author": {"role": ("user", "assistant")[at % 2]},
                "content": {"content_type": "text", "parts": [f"said {number} {at}"]},
            },
        }
        for at in range(messages)
    }
    return {"id": f"c{number}", "title": f"Chat {number}", "mapping": mapping}


def write(folder: Path, *chats: Any) -> str:
    """Write an export and return its name."""
    path = folder / "conversations.json"
    path.write_text(json.dumps(chats))
    return str(path)


def test_file_is_taken_in_once_listed_and_found(program: Program, tmp_path: Path) -> None:
    """The report is on stderr, and adds up; the same file again changes nothing, a newer one adds."""
    name = write(tmp_path, chat(1), chat(2))
    first = program("import", name, "--tag", "old")
    assert (first.code, first.out) == (0, b"")
    assert "2 records: 2 added, 0 updated, 0 unchanged; 4 messages added" in first.err
    assert "2 conversations" in first.err  # where it stood is a guess, and told
    assert "Chat 1" in program("list", "--tag", "old").text
    assert "said 2 1" in program("search", "said 2").text
    again = program("import", "-", stdin=Path(name).read_bytes())
    assert "2 records: 0 added, 0 updated, 2 unchanged" in again.err
    newer = program("import", write(tmp_path, chat(1), chat(2, 4)), "--json")
    assert [line["type"] for line in newer.lines] == ["result", "result", "report"]
    assert newer.lines[1]["outcome"] == "updated"
    assert newer.lines[2]["messages"] == 2
    assert newer.lines[2]["complete"] is True


def test_refused_record_is_named_and_ends_with_code_1(program: Program, tmp_path: Path) -> None:
    """The others are taken; a line says what and where, and the last ones how it ended."""
    broken = {"id": "c2", "mapping": 7}
    run = program("import", write(tmp_path, chat(1), broken, chat(3)))
    assert run.code == 1
    assert "refused: record 2: the conversation has no messages: its mapping is missing" in run.err
    assert "3 records: 2 added, 0 updated, 0 unchanged, 1 refused" in run.err
    assert "convostore: 1 record refused; the rest is taken\nhint: " in run.err
    assert len(program("list", "--json").json) == 2


def test_refusals_without_end_are_told_by_their_first_and_their_number(
    program: Program, tmp_path: Path
) -> None:
    """Twenty are named, then how many more; with --json each has its line on stdout."""
    name = write(tmp_path, chat(0), *({"id": f"c{at}", "mapping": 7} for at in range(1, 26)))
    run = program("import", name)
    assert run.err.count("refused: record ") == 20
    assert "refused: and 5 more: --json has them all" in run.err
    assert "hint: the first 20 are named above" in run.err
    lines = program("import", name, "--json", "--dry-run").lines
    assert sum(line.get("outcome") == "refused" for line in lines) == 25


def test_dry_run_upgrades_no_store(program: Program, tmp_path: Path) -> None:
    """A store of an older version stays as it is, byte for byte, and what to type first is said."""
    asset = Path(__file__).parents[1] / "migration" / "assets" / "0005.db"
    store = tmp_path / "old" / "chats.db"
    store.parent.mkdir()
    store.write_bytes(asset.read_bytes())
    name = write(tmp_path, chat(1))
    run = program("--db", str(store), "import", name, "--dry-run")
    assert run.code == 5
    assert "made by an older convostore" in run.err
    assert "db upgrade" in run.err
    assert store.read_bytes() == asset.read_bytes()
    assert not list(store.parent.glob("*before-upgrade*"))
    assert program("--db", str(store), "import", name).code == 0


def test_dry_run_leaves_no_trace_and_deleted_stays_deleted(
    program: Program, tmp_path: Path
) -> None:
    """Not even a store is made; what went for good comes back only where that is typed."""
    name = write(tmp_path, chat(1))
    run = program("import", name, "--dry-run")
    assert "1 record: 1 would be added" in run.err
    assert not Path(program.store).exists()
    program("import", name)
    program("delete", "@")
    program("purge", "--all", "--yes")
    assert "1 left deleted (--restore brings them back)" in program("import", name).err
    assert program("list").text == ""
    assert "1 record: 1 added" in program("import", name, "--restore").err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["import", "/nowhere/at/all.json"], 1, "cannot read"),
        (["import", "/etc/passwd"], 1, "cannot import"),
        (["import", "x", "--format", "nothing"], 1, "there is no import format"),
        (["import", ""], 2, "is empty"),
        (["import", "x", "--tag", " "], 1, "the tag is blank"),
    ],
)
def test_what_is_no_export_gets_one_line_and_makes_no_store(
    program: Program, words: list[str], code: int, said: str
) -> None:
    """One line says what is wrong, one what to type next."""
    run = program(*words)
    lines = run.err.splitlines()
    assert (run.code, run.out, len(lines)) == (code, b"", 2)
    assert said in lines[0]
    assert lines[1].startswith("hint: ")
    assert not Path(program.store).exists()


def test_ctrl_c_keeps_what_is_stored_and_says_how_to_go_on(
    program: Program, tmp_path: Path
) -> None:
    """Stopped in the middle, it ends in good order with code 130; the second time brings the rest."""
    lines = "".join(json.dumps(chat(number)) + "\n" for number in range(5_000)).encode()
    with program.start("import", "-", "--json", stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        Thread(target=_send, args=(running.stdin, lines), daemon=True).start()
        assert json.loads(running.stdout.readline())["outcome"] == "added"
        running.send_signal(signal.SIGINT)
        told = running.stdout.read().splitlines()
        assert running.stderr is not None
        err = running.stderr.read()
    assert running.returncode == 130, err
    assert b"say it again for the rest" in err
    assert json.loads(told[-1])["complete"] is False
    again = program("import", "-", stdin=lines)
    assert "5000 records: " in again.err
    assert rows(program.store, "SELECT count(*) FROM conversation") == [(5_000,)]


def test_break_while_indexing_says_that_all_is_stored(program: Program, tmp_path: Path) -> None:
    """What search does not find yet comes by itself; the same import again brings it at once."""
    name = write(tmp_path, *(chat(number) for number in range(4_000)))
    with program.start("import", name) as running:
        assert running.stderr is not None
        told = [next(line for line in running.stderr if b"messages added" in line)]
        running.send_signal(signal.SIGINT)
        told += running.stderr
    assert running.returncode == 130
    assert told[1].startswith(b"all of it is stored; ")
    marked = "SELECT count(*) FROM search_pending"
    assert rows(program.store, marked) != [(0,)]
    again = program("import", name)
    assert (again.code, "4000 unchanged" in again.err.replace(",", "")) == (0, True)
    assert rows(program.store, marked) == [(0,)]


def _send(pipe: IO[bytes], data: bytes) -> None:
    """Write as much as is read."""
    with suppress(BrokenPipeError):
        pipe.write(data)
        pipe.flush()


def test_terminal_sees_a_bar_and_no_rest_of_it(program: Program, tmp_path: Path) -> None:
    """On a terminal the count and the rate are drawn over, and the report stays."""
    name = write(tmp_path, *(chat(number) for number in range(300)))
    with Screen(program, "import", name) as screen:
        assert screen.end() == 0
    assert "300 records: 300 added, 0 updated, 0 unchanged; 600 messages added" in screen.text
    assert "messages/s" in screen.text


def test_limit_is_named_and_numbered_on_the_command_line(program: Program, tmp_path: Path) -> None:
    """What is too long for the default can be read after all; a limit that is none is told."""
    name = write(tmp_path, chat(1), chat(2, 40))
    refused = program("import", name, "--limit", "record_bytes=2KiB")
    assert (refused.code, "it is longer than 2,048 bytes" in refused.err) == (1, True)
    whole = program("import", name, "--limit", "record_bytes=1MiB", "--limit", "entries=5")
    assert (whole.code, "1 added, 0 updated, 1 unchanged" in whole.err) == (0, True)
    for typed in ("record_byte=1", "record_bytes", "depth=0", "depth=-1", "depth=1.5", "=3"):
        wrong = program("import", name, "--limit", typed)
        assert wrong.code == 2, typed
        assert wrong.err.count("\n") == 2
