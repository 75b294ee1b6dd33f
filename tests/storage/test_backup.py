"""A backup is whole, private and made beside eight writers; it never replaces anything."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from filled_store import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    execute,
    read,
)

import convostore
from convostore.errors import StoreCorruptError, StoreOpenError
from convostore.providers.echo import Echo
from convostore.storage.backup import backup
from convostore.storage.check import check

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.only("sqlite", reason="a backup is a copy of the file")


def _names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_backup_is_a_sound_store_with_everything_in_it(filled: Path, tmp_path: Path) -> None:
    """The copy opens, is sound, and holds the same conversations."""
    copy = tmp_path / "copy.db"
    backup(filled, copy)
    assert check(copy, deep=True).problems == ()
    assert asyncio.run(read(copy)) == asyncio.run(read(filled))


def test_backup_is_one_private_file_without_a_log(filled: Path, tmp_path: Path) -> None:
    """The copy is whole in its one file, mode 0600, and nothing else is left beside it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    backup(filled, folder / "copy.db")
    assert _names(folder) == {"copy.db"}
    assert stat.S_IMODE((folder / "copy.db").stat().st_mode) == 0o600
    with closing(sqlite3.connect(folder / "copy.db")) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.asyncio
async def test_backup_holds_what_is_still_in_the_log(tmp_path: Path) -> None:
    """What was just acknowledged lies only in the log; the copy of an open store has it."""
    path, copy = tmp_path / "chats.db", tmp_path / "copy.db"
    async with convostore.open(path, provider=Echo()) as store:
        chat = await store.create(title="Just now")
        await chat.send("Remember this")
        assert path.with_name("chats.db-wal").stat().st_size > 0
        await store.backup(copy)
    question, _ = (await read(copy))["Just now"]
    assert question.text == "Remember this"


WRITE = """
import asyncio, sys
from pathlib import Path
import convostore
from convostore.providers.echo import Echo

async def write(chat, number):
    for turn in range(10_000):
        reply = await chat.send(f"Turn {turn} of {number}")
        print(reply.id, flush=True)

async def main(path):
    async with convostore.open(path, provider=Echo()) as store:
        chats = [await store.create() for _ in range(4)]
        await asyncio.gather(*(write(chat, number) for number, chat in enumerate(chats)))

asyncio.run(main(Path(sys.argv[1])))
"""


def test_backup_beside_eight_writers_has_every_acknowledged_turn(tmp_path: Path) -> None:
    """Two processes with four writers each go on; what they had acknowledged before is in the copy."""
    path = tmp_path / "chats.db"
    acknowledged: list[str] = []
    enough = threading.Event()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    def listen(writer: subprocess.Popen[str]) -> None:
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.endswith("\n"):
                acknowledged.append(line.strip())
            if len(acknowledged) >= 40:
                enough.set()

    listeners = [threading.Thread(target=listen, args=(writer,)) for writer in writers]
    for listener in listeners:
        listener.start()
    try:
        assert enough.wait(60)
        for number in range(5):
            before = set(acknowledged)
            copy = tmp_path / f"copy-{number}.db"
            backup(path, copy)
            with closing(sqlite3.connect(copy)) as connection:
                rows = connection.execute("SELECT id FROM message WHERE status = 'completed'")
                assert before <= {id_ for (id_,) in rows}
            assert check(copy, deep=True).problems == ()
        assert set(acknowledged) > before
    finally:
        for writer in writers:
            writer.kill()
        for listener in listeners:
            listener.join()
        for writer in writers:
            with writer:
                pass


def test_backup_never_replaces_what_is_there(filled: Path, tmp_path: Path) -> None:
    """A file, a folder, a link and the store itself are refused as targets, and stay as they are."""
    file, folder, link = tmp_path / "letter.txt", tmp_path / "folder", tmp_path / "link"
    file.write_text("Dear Sir")
    folder.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    before = _names(tmp_path)
    for target in (file, folder, link, filled):
        with pytest.raises(StoreOpenError, match="exists already") as raised:
            backup(filled, target)
        assert raised.value.hint
    assert file.read_text() == "Dear Sir"
    assert _names(tmp_path) == before


def test_backup_into_no_folder_is_refused(filled: Path, tmp_path: Path) -> None:
    """The folder has to be there, for a mistyped name should not make one."""
    with pytest.raises(StoreOpenError, match="no folder"):
        backup(filled, tmp_path / "none" / "copy.db")


@pytest.mark.parametrize("name", ["none.db", "empty.db", "notes.db", "text.db"])
def test_what_is_no_store_is_not_backed_up(tmp_path: Path, name: str) -> None:
    """A missing or empty file, another program's and a text make no backup."""
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("Dear diary\n" * 99)
    execute(tmp_path / "notes.db", "CREATE TABLE notes (text TEXT)")
    with pytest.raises(StoreOpenError):
        backup(tmp_path / name, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_damaged_store_leaves_no_backup_that_looks_sound(filled: Path, tmp_path: Path) -> None:
    """When pages cannot be read, there is an error and no copy."""
    sound = filled.read_bytes()
    filled.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(StoreCorruptError):
        backup(filled, tmp_path / "copy.db")
    assert _names(tmp_path) == {"chats.db", "chats.db-lock"}


LIMITED = """
import resource, sys
from pathlib import Path
from convostore.errors import ConvostoreError
from convostore.storage.backup import backup
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    backup(Path(sys.argv[1]), Path(sys.argv[2]))
except ConvostoreError as error:
    print(type(error).__name__, error, sep=": ")
"""


@pytest.mark.parametrize(
    ("bytes_", "told"),
    [
        (0, "StoreError: .*copy.db"),  # the store itself is read without a -shm
        (40_000, "StoreFullError: .*copy.db"),
        (100_000, "StoreFullError: .*copy.db"),
    ],
)
def test_backup_without_room_leaves_nothing(
    filled: Path, tmp_path: Path, bytes_: int, told: str
) -> None:
    """No room is an error that says where; not even a part of the copy stays, and the store is well."""
    before = _names(tmp_path)
    copy = tmp_path / "copy.db"
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, filled, copy, str(bytes_)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.match(told, done.stdout)
    assert _names(tmp_path) - before <= {"chats.db-wal", "chats.db-shm"}  # SQLite's own, empty
    assert check(filled, deep=True).problems == ()


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from convostore.storage import access
from convostore.storage.backup import backup

def die():
    os.kill(os.getpid(), signal.SIGKILL)

connect = sqlite3.connect
def counted(*args, **kwargs):
    connection = connect(*args, **kwargs)
    connection.set_progress_handler(die, int(sys.argv[3]))
    return connection
sqlite3.connect = counted
backup(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("instructions", [20, 50, 100, 200])
def test_killed_backup_never_bears_its_name(
    filled: Path, tmp_path: Path, instructions: int
) -> None:
    """A backup gets its name when it is whole: a killed one is not there, and can be made again."""
    copy = tmp_path / "copy.db"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, filled, copy, str(instructions)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not copy.exists()
    backup(filled, copy)
    assert check(copy, deep=True).problems == ()
