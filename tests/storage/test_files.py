"""The store's files: whose they are, where they may lie, and the lock beside them."""

from __future__ import annotations

import ast
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from convostore.errors import StoreOpenError
from convostore.storage import files, mounts
from convostore.storage.files import FileLock, prepare, refuse_network_share

USE = """
import asyncio, os, sys
from pathlib import Path
import convostore
from convostore.providers.echo import Echo

async def use(folder):
    async with convostore.open(folder / "deep" / "chats.db", provider=Echo()) as store:
        chat = await store.create()
        await chat.send("Hi")
        await store.backup(folder / "deep" / "copy.db")
        for file in sorted(Path(folder).rglob("*")):
            print(file.name, oct(file.stat().st_mode & 0o777))

os.umask(int(sys.argv[1], 8))
asyncio.run(use(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("umask", ["000", "022"])
def test_only_the_owner_may_read_any_of_the_files(tmp_path: Path, umask: str) -> None:
    """Folder 0700, database, log, lock and backup 0600, whatever the shell allows to others."""
    done = subprocess.run(
        [sys.executable, "-c", USE, umask, tmp_path], capture_output=True, text=True, check=True
    )
    modes = dict(line.split() for line in done.stdout.splitlines())
    assert modes.pop("deep") == "0o700"
    assert set(modes) == {"chats.db", "chats.db-wal", "chats.db-shm", "chats.db-lock", "copy.db"}
    assert set(modes.values()) == {"0o600"}


def test_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    """Only a folder that we make is made private; others belong to their makers."""
    tmp_path.chmod(0o750)
    prepare(tmp_path / "chats.db", create=True)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


def test_existing_file_is_not_touched(tmp_path: Path) -> None:
    """What is there already is neither emptied nor given another mode."""
    path = tmp_path / "chats.db"
    path.write_bytes(b"something")
    path.chmod(0o640)
    prepare(path, create=True)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"something", 0o640)


def test_missing_store_is_not_made_for_a_reader(tmp_path: Path) -> None:
    """Who only reads leaves no file behind, and is told how to begin."""
    with pytest.raises(StoreOpenError, match="no store at") as raised:
        prepare(tmp_path / "none" / "chats.db", create=False)
    assert "convostore chat" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_folder_in_the_stores_place_is_refused(tmp_path: Path) -> None:
    """A folder is refused with the name of a file in it that would do."""
    with pytest.raises(StoreOpenError, match="folder") as raised:
        prepare(tmp_path, create=True)
    assert str(tmp_path / "chats.db") in raised.value.hint


def test_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    """A store below a file is an error of ours."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreOpenError, match="cannot make a store"):
        prepare(tmp_path / "file" / "chats.db", create=True)


def test_link_to_nowhere_is_not_followed(tmp_path: Path) -> None:
    """A dangling link is not a place to make a store at: it could point anywhere."""
    (tmp_path / "chats.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreOpenError, match="cannot make a store"):
        prepare(tmp_path / "chats.db", create=True)
    assert not (tmp_path / "elsewhere").exists()


def _mount(monkeypatch: pytest.MonkeyPatch, folder: Path, kind: str) -> None:
    """Let the system say that *folder* is a mount of some kind."""
    escaped = str(folder).replace(" ", "\\040")
    lines = (
        f"20 1 8:1 / / rw - ext4 /dev/sda rw\n36 20 0:32 / {escaped} rw shared:1 - {kind} x rw\n"
    )
    table = folder.parent / "mountinfo"
    table.write_text(lines)
    monkeypatch.setattr(mounts, "MOUNTS", str(table))


@pytest.mark.parametrize("kind", sorted(mounts.NETWORK_FILE_SYSTEMS))
def test_network_share_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Where locks do not reach, no store is opened or made, and the error names the kind."""
    folder = tmp_path / "my share"
    folder.mkdir()
    _mount(monkeypatch, folder, kind)
    for path in (folder / "chats.db", folder / "deep" / "chats.db"):
        with pytest.raises(StoreOpenError, match=kind):
            refuse_network_share(path)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "overlay", "btrfs", "xfs", "zfs"])
def test_local_file_systems_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A disk of this machine may hold a store."""
    _mount(monkeypatch, tmp_path, kind)
    refuse_network_share(tmp_path / "chats.db")


def test_share_mounted_elsewhere_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the mount that holds the store counts, not one whose name begins alike."""
    _mount(monkeypatch, tmp_path / "share", "nfs4")
    refuse_network_share(tmp_path / "share-of-mine" / "chats.db")


HOLD = """
import sys
from pathlib import Path
from convostore.storage.files import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

pytestmark = pytest.mark.only("sqlite", reason="it is about the files of a store")


def test_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    """A process that dies while it holds the lock does not keep the others out."""
    path = tmp_path / "chats.db"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    lock = FileLock(path)
    with lock:
        assert path.with_name("chats.db-lock").exists()
    lock.close()


def test_lock_lets_one_thread_in_at_a_time(tmp_path: Path) -> None:
    """Two locks on one store exclude each other within a process too."""
    inside: list[int] = []

    def enter(number: int) -> None:
        lock = FileLock(tmp_path / "chats.db")
        for _ in range(50):
            with lock:
                inside.append(number)
                assert inside == [number]
                inside.clear()
        lock.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enter, range(4)))


def test_lock_file_holds_nothing_and_is_private(tmp_path: Path) -> None:
    """The file beside the store is empty and 0600; the store's own file is not opened by hand."""
    lock = FileLock(tmp_path / "chats.db")
    with lock:
        assert [file.name for file in tmp_path.iterdir()] == ["chats.db-lock"]
    lock.close()
    beside = tmp_path / "chats.db-lock"
    assert (beside.read_bytes(), stat.S_IMODE(beside.stat().st_mode)) == (b"", 0o600)


# What opens a file, and where the repository layer may: never on a database that SQLite has open.
OPENS = {"open", "read_bytes", "write_bytes", "read_text", "write_text", "copy", "copyfile", "move"}
MAY_OPEN = {
    ("files.py", "_create"),  # the new, empty file, before SQLite knows it
    ("mounts.py", "file_system"),  # what the system says of its mounts
    ("files.py", "_opened"),  # the lock beside the store
    ("copies.py", "unfinished"),  # a new, empty file
    ("copies.py", "_in_use"),  # the lock beside it
    ("copies.py", "is_in_use"),  # the same
    ("copies.py", "sync"),  # a finished copy, or a folder
    ("leases.py", "_boot_id"),  # what the system says of itself
    ("leases.py", "_start_time"),  # and of its processes
}


def test_repository_layer_opens_no_database_by_hand() -> None:
    """Closing a hand-opened database would drop SQLite's locks on it: only the named places open."""
    found = set()
    for path in Path(files.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
                names = {ast.unparse(call).rpartition(".")[2] for call in calls}
                if names & OPENS:
                    found.add((path.name, function.name))
    assert found == MAY_OPEN
