from __future__ import annotations

import fcntl
import shlex
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from program import SOON_S, Run, within  # type: ignore[import-not-found] # pytest puts this folder on the path

from convostore.testing import Pause, Silence
from tests.engines import change, held

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.testing.playground_replies import ReplyStep
    from tests.cli.farside import FarSide
    from tests.cli.program import Program

JOURNAL_S = 0.6  # real time: another process writes its journal every quarter second


def _assert_one_line(run: Run, code: int) -> None:
    """Check that the program said what is wrong and what to do next, a line each, and nothing else."""
    assert (run.code, run.out) == (code, b""), run.err
    lines = run.err.splitlines()
    assert len(lines) == 2, run.err
    assert lines[0].startswith("convostore: ")
    assert lines[1].startswith("hint: ")


def _folder(path: Path) -> None:
    path.mkdir()


def _text_file(path: Path) -> None:
    path.write_text("Dear diary, this is no database.\n" * 200)


def _broken_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text TEXT)")
        other.execute("INSERT INTO notes VALUES ('keep me')")
        other.commit()


@pytest.mark.parametrize("make", [_folder, _text_file, _broken_header, _of_another_program])
@pytest.mark.parametrize("words", [["list"], ["show", "@"], ["chat", "Hi"], ["db", "check"]])
def test_what_is_no_store_is_refused_and_left_alone(
    program: Program, tmp_path: Path, make: Callable[[Path], None], words: list[str]
) -> None:
    """A folder, a text, a damaged file and another program's database are refused, unchanged."""
    path = tmp_path / "notes.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    _assert_one_line(program("--db", str(path), *words), 5)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_store_of_a_newer_version_is_refused(program: Program) -> None:
    """A schema this program does not know is refused, with the words that say what to upgrade."""
    program("chat", "Hi")
    change(program.store, "UPDATE convostore_version SET version_num = '9999'")
    for words in (["list"], ["chat", "-c", "Hi"], ["db", "upgrade"]):
        _assert_one_line(program(*words), 5)


def test_a_url_of_another_kind_is_refused(program: Program) -> None:
    """A URL that no engine here speaks is one line, and makes no file of that name."""
    _assert_one_line(program("--db", "mysql://host/name", "list"), 5)


@pytest.mark.timed
def test_a_store_locked_by_another_program_is_said_when_the_limit_passes(
    program: Program,
) -> None:
    """A foreign lock is waited for as long as configured, then it is one line with code 5."""
    program("chat", "Hi")
    program.extra["CONVOSTORE_BUSY_TIMEOUT_S"] = "1"
    with held(program.store):
        with within(1 + 2 * SOON_S):
            _assert_one_line(program("chat", "Hi"), 5)
        assert len(program("list").text.splitlines()) == 1
    assert program("chat", "-c", "Hi").code == 0


@pytest.mark.timed
def test_a_store_locked_while_an_answer_comes_is_said_when_the_limit_passes(
    program: Program, far: FarSide
) -> None:
    """The answer waits once, not again for its end; what was shown is kept, as broken off."""
    program.extra["CONVOSTORE_BUSY_TIMEOUT_S"] = "1"
    far.server.script("kept ", *("and more ", Pause(0.05)) * 400)
    running = program.start("chat", "Hi")
    assert running.stdout is not None
    assert running.stdout.read(5) == b"kept "
    time.sleep(JOURNAL_S)
    with held(program.store), within(1 + SOON_S):
        _, err = running.communicate(timeout=60)
    error, hint, handle = err.decode().splitlines()
    assert running.returncode == 5
    assert "busy for 1 s" in error
    assert "what was shown is kept" in hint
    assert "go on with" in handle
    reply = program("show", "@", "--json").json["messages"][-1]
    assert (reply["status"], reply["text"][:5]) == ("interrupted", "kept ")
    assert program("chat", "-c", "-p", "echo", "Hi").code == 0


@pytest.mark.timed
@pytest.mark.only("sqlite", reason="it is about the lock beside the file")
def test_a_store_that_one_of_ours_holds_is_said_when_the_limit_passes(program: Program) -> None:
    """A process that was stopped in its write is waited for no longer than another program."""
    program("chat", "Hi")
    program.extra["CONVOSTORE_BUSY_TIMEOUT_S"] = "1"
    store = program.store
    assert isinstance(store, Path)
    with store.with_name(f"{store.name}-lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with within(1 + 2 * SOON_S):
            _assert_one_line(program("chat", "Hi"), 5)
    assert program("chat", "-c", "Hi").code == 0


@pytest.mark.only("sqlite", reason="it limits how far a file may grow")
def test_a_full_disk_is_said_and_loses_nothing_before_it(program: Program) -> None:
    """When the store's file can grow no more, one line says so; what was stored is whole."""
    program("chat", "first")
    words = shlex.join([*program.argv, "chat", "-c", "-o", "repeat=20000", "x" * 2000])
    ended = subprocess.run(
        ["sh", "-c", f"ulimit -f 400; exec {words}"],
        env=program.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 5
    assert b"Traceback" not in ended.stderr
    assert ended.stderr.startswith(b"convostore: ")
    messages = program("show", "@", "--json").json["messages"]
    assert [each["text"] for each in messages[:2]] == ["first", "You said: first\n"]
    assert program("db", "check", "--deep").code == 0


def test_ten_megabytes_of_text_end_in_one_line_or_an_answer(program: Program, far: FarSide) -> None:
    """A text far beyond what the far side takes is refused in one line, and stores nothing."""
    run = program("chat", stdin=b"word " * 2_000_000)
    _assert_one_line(run, run.code)
    assert run.code in {1, 6}
    assert program("list").out == b""
    assert not far.server.prompts


def test_input_without_end_is_one_line(program: Program) -> None:
    """Of what is piped in no more is read than one message may have."""
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        running = program.start("chat", stdin=endless.stdout.fileno())
        out, err = running.communicate(timeout=60)
        endless.terminate()
    _assert_one_line(Run(running.returncode, out, err.decode()), 1)
    assert "16,777,216 bytes" in err.decode()
    assert program("list").out == b""


def test_text_that_is_no_unicode_is_refused(program: Program) -> None:
    """Bytes on the command line that are no text are one line, and store nothing."""
    ended = subprocess.run(
        [*program.argv, "chat", b"a\xffb"],
        env=program.environment,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 2
    assert program("list").out == b""


@pytest.mark.timed
@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, "<html>Sign in to the hotel's network</html>", {"Content-Type": "text/html"}),
        (200, '{"other": "dialect"}\n', {"Content-Type": "application/x-ndjson"}),
        (200, '{"id": "chatcmpl-1", "choices": []}', {"Content-Type": "application/json"}),
        (302, "", {"Location": "https://elsewhere.example/"}),
        (403, "<html>blocked</html>", {"Content-Type": "text/html"}),
        (429, "", {"Retry-After": "7"}),
        (500, "oops", {}),
    ],
)
def test_whatever_answers_instead_of_a_model_is_one_line(
    program: Program, far: FarSide, *, status: int, body: str, headers: dict[str, str]
) -> None:
    """A front, another dialect, a redirect or a refusal: code 6, a hint, and the question kept."""
    far.server.respond(status, body, headers=headers, times=None)
    with within(2 * SOON_S):
        run = program("chat", "Hi")
    error, hint, handle = run.err.splitlines()
    assert (run.code, run.out) == (6, b"")
    assert error.startswith("convostore: ")
    assert hint.startswith("hint: ")
    assert "go on with" in handle
    assert program("show", "@", "--json").json["messages"][0]["text"] == "Hi"


@pytest.mark.timed
@pytest.mark.parametrize(
    ("limit", "steps"),
    [
        ("CONVOSTORE_IDLE_TIMEOUT_S", ("Half", Silence())),
        ("CONVOSTORE_IDLE_TIMEOUT_S", (Silence(),)),
        ("CONVOSTORE_TOTAL_TIMEOUT_S", ("more ", Pause(0.05)) * 100),
    ],
)
def test_a_silent_or_endless_answer_ends_at_its_limit(
    program: Program, far: FarSide, limit: str, steps: tuple[ReplyStep, ...]
) -> None:
    """When a limit passes, the text so far is kept as failed, within two seconds of the limit."""
    program.extra[limit] = "1"
    far.server.script(*steps)
    with within(1 + 2 * SOON_S):
        run = program("chat", "Hi")
    assert run.code == 6
    reply = program("show", "@", "--json").json["messages"][-1]
    assert reply["status"] == "failed"
    assert reply["text"] == run.text.removesuffix("\n")


@pytest.mark.parametrize(
    "toml",
    ["provider = ", "nonsense = 1", "idle_timeout_s = 'soon'", "\x00", "provider = 'nobody'"],
)
def test_a_wrong_configuration_file_is_said(program: Program, toml: str) -> None:
    """A mistake in the configuration file is one line that names the file or the value."""
    folder = program.home / "config" / "convostore"
    folder.mkdir(parents=True)
    Path(folder / "config.toml").write_text(toml)
    program.extra["CONVOSTORE_PROVIDER"] = ""
    _assert_one_line(program("chat", "Hi"), 2)


@pytest.mark.timed
def test_a_name_lookup_that_hangs_does_not_hold_up_the_end(
    program: Program, tmp_path: Path
) -> None:
    """Looking up a host blocks a thread for long; the limit's expiry ends the program all the same."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *names, **more: time.sleep(50)\n"
    )
    program.extra |= {
        "PYTHONPATH": str(tmp_path),
        "CONVOSTORE_PROVIDER": "playground",
        "CONVOSTORE_PLAYGROUND_URL": "https://slow.example",
        "CONVOSTORE_CONNECT_TIMEOUT_S": "1",
    }
    with within(1 + 2 * SOON_S):
        run = program("chat", "Hi")
    assert run.code == 6
    assert "slow.example" in run.err
