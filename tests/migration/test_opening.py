"""What `ensure_schema` does with each kind of file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
from schemas import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    revision,
    schema,
)

from convostore.errors import (
    SchemaTooNewError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreOpenError,
)
from convostore.storage.files import FileLock
from convostore.storage.migrate import ensure_schema, upgrade
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    from pathlib import Path


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.commit()


def _pretend(path: Path, number: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE convostore_version SET version_num = ?", (number,))
        connection.commit()


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_store_at_head_opens_without_alembic_and_without_a_write(filled: Path) -> None:
    """The usual case costs one query: nothing heavy is imported, nothing on disk changes."""
    before = _files(filled.parent)
    program = f"""
import sys
from pathlib import Path
from convostore.storage.migrate import ensure_schema
ensure_schema(Path({str(filled)!r}), create=True, migrate=True)
assert not [name for name in sys.modules if name.partition(".")[0] == "alembic"]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
    assert _files(filled.parent) == before


def test_store_at_head_is_known_by_one_query(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is up to date is asked once, and never begun upon."""
    said: list[str] = []
    connect = sqlite3.connect

    def traced(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload] # handed on as they came
        connection.set_trace_callback(said.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    ensure_schema(filled, create=False, migrate=False)
    assert [sql.split()[0] for sql in said] == ["SELECT"]


@pytest.mark.parametrize("name", ["50%.db", "a?b#c.db", "with space.db", "Чаты.db", "%(here)s.db"])
def test_any_file_name_can_be_a_store(tmp_path: Path, name: str) -> None:
    """No character of a path means anything to SQLite's URLs or to alembic's configuration."""
    ensure_schema(tmp_path / name, create=True, migrate=False)
    assert revision(tmp_path / name) == REVISION
    assert {file.name for file in tmp_path.iterdir()} == {name, f"{name}-lock"}


def test_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """A file without a byte is what a killed first start leaves; it is finished."""
    path = tmp_path / "chats.db"
    path.touch()
    ensure_schema(path, create=True, migrate=False)
    assert revision(path) == REVISION


@pytest.mark.parametrize("bytes_", [b"", None])
def test_file_without_chats_is_no_store_to_read(tmp_path: Path, bytes_: bytes | None) -> None:
    """Who only reads is told that there is nothing, and nothing is made."""
    path = tmp_path / "chats.db"
    if bytes_ is not None:
        path.write_bytes(bytes_)
    with pytest.raises(StoreOpenError, match=r"no store at|no chats in it yet") as raised:
        ensure_schema(path, create=False, migrate=False)
    assert "convostore chat" in raised.value.hint
    assert _files(tmp_path) == ({} if bytes_ is None else {"chats.db": bytes_})


@pytest.mark.parametrize("create", [True, False])
def test_database_of_another_program_is_left_alone(tmp_path: Path, create: bool) -> None:
    """A file with tables and no revision of ours is somebody else's."""
    path = tmp_path / "notes.db"
    _other_program(path)
    before = _files(tmp_path)
    with pytest.raises(StoreOpenError, match="another program"):
        ensure_schema(path, create=create, migrate=True)
    assert _files(tmp_path) == before


def test_text_file_is_no_store(tmp_path: Path) -> None:
    """A file that is no database is refused and stays as it is."""
    path = tmp_path / "diary.txt"
    path.write_text("Dear diary, this is no database.\n" * 99)
    before = _files(tmp_path)
    with pytest.raises(StoreOpenError, match="not a convostore store"):
        ensure_schema(path, create=True, migrate=True)
    assert _files(tmp_path) == before


def test_damaged_store_is_called_damaged(filled: Path) -> None:
    """A schema page full of noise is a damaged store, with the way to a backup in the hint."""
    noise = filled.read_bytes()
    filled.write_bytes(noise[:100] + b"\xa5" * 8_000 + noise[8_100:])
    with pytest.raises(StoreCorruptError) as raised:
        ensure_schema(filled, create=True, migrate=True)
    assert "db restore" in raised.value.hint


def test_store_that_lost_its_revision_is_called_damaged(filled: Path) -> None:
    """An empty version table is no new store: nothing is made over what is there."""
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("DELETE FROM convostore_version")
        connection.commit()
    with pytest.raises(StoreCorruptError, match="revision"):
        ensure_schema(filled, create=True, migrate=True)


def test_newer_store_is_refused_and_says_what_to_upgrade(filled: Path) -> None:
    """A revision that this program does not know is from a newer one."""
    _pretend(filled, "9999")
    before = _files(filled.parent)
    for migrate in (True, False):
        with pytest.raises(SchemaTooNewError, match="9999") as raised:
            ensure_schema(filled, create=True, migrate=migrate)
        assert "in the folder of its source, pip install ." in raised.value.hint
    assert _files(filled.parent) == before


def test_upgrade_of_a_store_at_head_changes_nothing(filled: Path) -> None:
    """Upgrading twice is upgrading once, and makes no second backup."""
    before = _files(filled.parent)
    assert upgrade(filled) == REVISION
    assert _files(filled.parent) == before


def test_folder_is_no_store(tmp_path: Path) -> None:
    """A folder's name is refused before SQLite sees it."""
    with pytest.raises(StoreOpenError, match="folder"):
        ensure_schema(tmp_path, create=True, migrate=False)


@pytest.mark.parametrize("create", [True, False])
def test_new_store_waits_for_a_foreign_program_and_gives_up(tmp_path: Path, create: bool) -> None:
    """A tool that holds the file all the time ends in one clear error within the limit."""
    path = tmp_path / "chats.db"
    path.touch()
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusyError):
            ensure_schema(path, create=create, migrate=False, busy_timeout_s=0.3)
    assert path.read_bytes() == b""


def test_new_store_waits_for_one_of_ours_and_gives_up(tmp_path: Path) -> None:
    """A process of ours that is stopped while it holds the lock does not hang the others."""
    path = tmp_path / "chats.db"
    lock = FileLock(path)
    with lock, pytest.raises(StoreBusyError, match=r"busy for 0\.3 s"):
        ensure_schema(path, create=True, migrate=False, busy_timeout_s=0.3)
    lock.close()
    assert path.read_bytes() == b""
    ensure_schema(path, create=True, migrate=False)


def test_many_stores_can_be_made_at_once_in_one_process(tmp_path: Path) -> None:
    """Alembic works on one migration at a time; the threads of a process take turns."""
    paths = [tmp_path / f"{number}.db" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(partial(ensure_schema, create=True, migrate=False), paths * 3))
    assert all(schema(path) == schema(paths[0]) for path in paths)


READ_ONLY = """
import os, sys
from pathlib import Path
from convostore.errors import ConvostoreError
from convostore.storage.migrate import ensure_schema
if os.getuid() == 0:
    os.setuid(65534)
try:
    ensure_schema(Path(sys.argv[1]), create=True, migrate=True)
except ConvostoreError as error:
    print(type(error).__name__, error, error.hint, sep="|")
else:
    print("opened")
"""


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """Give a folder that an unprivileged user can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o711)
    return tmp_path


def _as_nobody(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, path], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_store_that_may_only_be_read_opens_where_sqlite_can(open_folder: Path) -> None:
    """A file without write permission in a folder with it is a store that can be read."""
    folder = open_folder / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    ensure_schema(folder / "chats.db", create=True, migrate=False)
    (folder / "chats.db").chmod(0o444)
    assert _as_nobody(folder / "chats.db") == "opened"


@pytest.mark.parametrize("exists", [True, False])
def test_folder_that_may_not_be_written_is_named(open_folder: Path, exists: bool) -> None:
    """A store to be made in a folder without write permission says what to do; one there is read."""
    folder = open_folder / "shared"
    folder.mkdir()
    if exists:
        ensure_schema(folder / "chats.db", create=True, migrate=False)
        (folder / "chats.db").chmod(0o444)
    folder.chmod(0o555)
    told = _as_nobody(folder / "chats.db")
    folder.chmod(0o755)
    if exists:
        assert told == "opened"
        return
    kind, message, hint = told.split("|")
    assert kind == "StoreOpenError"
    assert str(folder / "chats.db") in message
    assert hint


def test_file_that_may_not_be_read_is_named(open_folder: Path) -> None:
    """Somebody else's store is refused with the command that shows whose it is."""
    path = open_folder / "chats.db"
    ensure_schema(path, create=True, migrate=False)
    path.chmod(0o600 if os.getuid() == 0 else 0)
    kind, _, hint = _as_nobody(path).split("|")
    assert kind == "StoreOpenError"
    assert "ls -l" in hint


FULL = """
import resource, signal, sys
from pathlib import Path
from convostore.errors import ConvostoreError
from convostore.storage.migrate import ensure_schema
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    ensure_schema(Path(sys.argv[1]), create=True, migrate=True)
except ConvostoreError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("bytes_", [0, 4_096, 40_000])
def test_new_store_without_room_is_an_error_of_ours_and_can_be_made_later(
    tmp_path: Path, bytes_: int
) -> None:
    """A first start without room fails in one line; with room again the store is made."""
    path = tmp_path / "chats.db"
    done = subprocess.run(
        [sys.executable, "-B", "-c", FULL, path, str(bytes_)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert issubclass(getattr(sys.modules["convostore.errors"], done.stdout.strip()), StoreError)
    ensure_schema(path, create=True, migrate=False)
    assert revision(path) == REVISION
