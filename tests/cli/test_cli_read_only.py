"""A store that takes no more writes is still read, and the hint says what to do to write again."""

from __future__ import annotations

import ctypes
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.program import Program

pytestmark = pytest.mark.only("sqlite", reason="it is about the modes of a file and its folder")

_DROP_CAPABILITY = 24  # PR_CAPBSET_DROP: prctl(2)
_IGNORE_MODES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: capabilities(7)

CHANGE = """
import os, sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("UPDATE conversation SET title = 'from the log'")
os._exit(0)
"""


def _like_everybody() -> None:
    """Take from root what lets it overlook the modes of files."""
    if os.geteuid() == 0:
        prctl = ctypes.CDLL(None).prctl
        assert [prctl(_DROP_CAPABILITY, one, 0, 0, 0) for one in _IGNORE_MODES] == [0, 0]


def _without_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


Told = tuple[int, str, str]


def _run(program: Program, *words: str, at_start: Callable[[], None] = _like_everybody) -> Told:
    ended = subprocess.run(
        [*program.argv, *words],
        env=program.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        preexec_fn=at_start,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def store(program: Program) -> Iterator[Path]:
    """Give a store with one chat, at rest; its modes are put right afterwards."""
    program("chat", "first")
    assert isinstance(program.store, Path)
    yield program.store
    program.store.parent.chmod(0o700)


def _leave_a_log(store: Path, *, shared_memory: bool) -> None:
    """Change the title as a program does that is killed before it can close the store."""
    subprocess.run([sys.executable, "-c", CHANGE, store], check=True)
    if not shared_memory:
        store.with_name(f"{store.name}-shm").unlink()


def _close(store: Path, *, file: int, folder: int) -> None:
    for one in store.parent.iterdir():
        one.chmod(file)
    store.parent.chmod(folder)


READING = (["list"], ["list", "-n5"], ["show", "@"], ["export", "@"], ["db", "check", "--deep"])


def _assert_read(program: Program, title: str, **how: Callable[[], None]) -> None:
    for words in READING:
        code, out, err = _run(program, *words, **how)
        assert (code, "hint" in err) == (0, False), err
        assert title in out or words[0] == "db"


@pytest.mark.parametrize(
    ("log", "shared_memory", "file", "folder"),
    [
        (False, False, 0o400, 0o700),
        (False, False, 0o600, 0o500),
        (False, False, 0o400, 0o500),
        (True, True, 0o400, 0o500),
        (True, False, 0o600, 0o500),
    ],
)
def test_what_may_not_be_written_is_still_read(
    program: Program,
    store: Path,
    tmp_path: Path,
    *,
    log: bool,
    shared_memory: bool,
    file: int,
    folder: int,
) -> None:
    """At rest or left by a kill, read-only by its file or its folder: all of it is shown.

    A question is refused with the command that allows it again, and can be asked of a copy.
    """
    if log:
        _leave_a_log(store, shared_memory=shared_memory)
    _close(store, file=file, folder=folder)
    _assert_read(program, "from the log" if log else "first")
    code, _, err = _run(program, "chat", "-c", "again")
    assert code == 5
    error, hint, _ = err.splitlines()
    assert "read-only" in error
    assert "chmod u+w" in hint
    copy = str(tmp_path / "copy.db")
    assert _run(program, "db", "backup", copy)[0] == 0
    assert _run(program, "--db", copy, "chat", "-c", "again")[0] == 0


@pytest.mark.parametrize("words", [["list"], ["show", "@"], ["chat", "again"], ["db", "check"]])
def test_a_store_in_a_folder_that_may_not_be_entered_is_said(
    program: Program, store: Path, words: list[str]
) -> None:
    """Whether there is a store cannot be told: one line names the folder to look at."""
    store.parent.chmod(0)
    code, out, err = _run(program, *words)
    store.parent.chmod(0o700)
    assert (code, out) == (5, "")
    error, hint = err.splitlines()
    assert f"{store} cannot be reached" in error
    assert hint == f"hint: check the folder's owner and mode: ls -ld {store.parent}"


def test_a_log_that_cannot_be_read_is_said_and_never_left_out(
    program: Program, store: Path
) -> None:
    """Where nothing may be written and the log has no shared memory, one line says what to do."""
    _leave_a_log(store, shared_memory=False)
    _close(store, file=0o400, folder=0o500)
    for words in READING:
        code, out, err = _run(program, *words)
        assert (code, out) == (5, "")
        error, hint = err.splitlines()
        assert "read-only" in error
        assert "-wal" in hint


@pytest.mark.parametrize("log", [True, False])
def test_a_store_on_a_full_disk_is_still_read(program: Program, store: Path, log: bool) -> None:
    """Where not one more byte can be written, everything stored is shown, the log's too."""
    if log:
        _leave_a_log(store, shared_memory=False)
    _assert_read(program, "from the log" if log else "first", at_start=_without_room)
    assert _run(program, "chat", "-c", "again", at_start=_without_room)[0] == 5
    assert program("chat", "-c", "again").code == 0


@pytest.mark.parametrize(("file", "folder"), [(0o400, 0o700), (0o600, 0o500)])
def test_restoring_over_what_is_read_only_says_so(
    program: Program, store: Path, tmp_path: Path, file: int, folder: int
) -> None:
    """The store stays as it is; the hint allows it, or names another place."""
    backup = str(tmp_path / "the backup.db")
    program("db", "backup", backup)
    _close(store, file=file, folder=folder)
    code, out, err = _run(program, "db", "restore", backup)
    assert (code, out) == (5, "")
    error, hint = err.splitlines()
    assert "read-only" in error
    assert "chmod u+w" in hint
    assert f"convostore --db NEW db restore '{backup}'" in hint
    _assert_read(program, "first")
    other = str(tmp_path / "other.db")
    assert _run(program, "--db", other, "db", "restore", backup)[0] == 0


def _damage(store: Path) -> None:
    """Overwrite everything after the page that says what the store is."""
    data = store.read_bytes()
    store.write_bytes(data[:16384] + b"\xff" * (len(data) - 16384))
    with pytest.raises(sqlite3.DatabaseError), sqlite3.connect(store) as opened:
        opened.execute("SELECT * FROM message").fetchall()


@pytest.mark.parametrize(
    "words",
    [["list"], ["show", "@"], ["chat", "Hi"], ["db", "check"], ["db", "backup", "{}"]],
)
def test_no_hint_of_a_damaged_store_names_the_command_that_gave_it(
    program: Program, store: Path, tmp_path: Path, words: list[str]
) -> None:
    """Each leads on: to a backup, and without one to saving what can be read; nothing is left."""
    _damage(store)
    copy = tmp_path / "copy.db"
    code, _, err = _run(program, *(word.format(copy) for word in words))
    assert code == 5
    error, hint = err.splitlines()[-2:]
    assert error.startswith("convostore: ")
    assert str(copy) not in error
    assert "convostore db restore FILE" in hint
    assert "convostore export --all -o FILE" in hint
    assert "db check" not in hint
    assert not copy.exists()


def test_a_damaged_backup_is_not_restored_and_the_hint_names_another_way(
    program: Program, store: Path, tmp_path: Path
) -> None:
    """Restoring it again would change nothing: an older one, or what can be read of this one."""
    backup = tmp_path / "backup.db"
    program("db", "backup", str(backup))
    _damage(backup)
    run = program("db", "restore", str(backup))
    error, hint = run.err.splitlines()
    assert run.code == 5
    assert str(backup) in error
    assert "older backup" in hint
    assert f"convostore --db {backup} export --all -o FILE" in hint
    assert "restore FILE" not in hint
