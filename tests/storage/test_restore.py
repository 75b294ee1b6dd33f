"""A restore puts a sound store in another's place, at once, and keeps what was there."""

from __future__ import annotations

import asyncio
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from filled_store import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    TOPICS,
    execute,
    fill,
    read,
)

import convostore
from convostore.errors import (
    SchemaTooNewError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreOpenError,
)
from convostore.providers.echo import Echo
from convostore.storage import backup as backup_module
from convostore.storage import check as check_module
from convostore.storage import migrate
from convostore.storage.backup import backup, restore
from convostore.storage.check import check
from convostore.storage.files import FileLock
from convostore.storage.tables import REVISION

HERE = Path(__file__).parent


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    """Give a backup of the filled store, after which the store went on."""
    copy = tmp_path / "backup.db"
    backup(filled, copy)
    asyncio.run(_go_on(filled))
    return copy


async def _go_on(path: Path) -> None:
    async with convostore.open(path, provider=Echo()) as store:
        chat = await store.create(title="Later")
        await chat.send("This is not in the backup")


def _titles(path: Path) -> set[str | None]:
    return set(asyncio.run(read(path)))


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_restored_store_is_the_backup_and_the_old_one_is_kept(filled: Path, source: Path) -> None:
    """The store is as in the backup, ready for use; the replaced one lies beside it, mode 0600."""
    filled.chmod(0o644)
    before, old = asyncio.run(read(source)), asyncio.run(read(filled))
    report = restore(filled, source)
    assert asyncio.run(read(filled)) == before
    assert report.kept == filled.with_name("chats.db.before-restore")
    assert asyncio.run(read(report.kept)) == old
    assert (report.revision, report.needs_upgrade) == (REVISION, False)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (filled, report.kept)} == {0o600}
    asyncio.run(_go_on(filled))
    assert check(filled, deep=True).problems == ()
    assert _titles(filled) == {*TOPICS, "Later"}


def test_restored_store_is_in_wal_mode(filled: Path, source: Path) -> None:
    """A restored store is seen as open by the next restore, as any other."""
    restore(filled, source)
    assert check(filled, deep=False).journal_mode == "wal"


def test_second_restore_keeps_both(filled: Path, source: Path) -> None:
    """What a restore keeps is never overwritten by the next."""
    first, second = restore(filled, source).kept, restore(filled, source).kept
    assert first is not None
    assert second == first.with_name("chats.db.before-restore-2")
    assert (_titles(first), _titles(second)) == ({*TOPICS, "Later"}, set(TOPICS))


def test_source_stays_as_it_is(filled: Path, source: Path) -> None:
    """A backup can be restored as often as one likes."""
    before = source.read_bytes()
    restore(filled, source)
    assert source.read_bytes() == before


@pytest.mark.parametrize("folder", [".", "new/deep"])
def test_restore_where_there_was_nothing_makes_the_store(
    source: Path, tmp_path: Path, folder: str
) -> None:
    """On a fresh machine a restore needs no store, and no folder, to begin with."""
    path = tmp_path / folder / "fresh.db"
    report = restore(path, source)
    assert (report.kept, _titles(path)) == (None, set(TOPICS))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


HOLD = """
import asyncio, sys
from pathlib import Path
import convostore
from convostore.providers.echo import Echo

async def main(path, write):
    async with convostore.open(path, provider=Echo()) as store:
        await store.list()
        if write:
            await (await store.create()).send("Hi")
        print("open", flush=True)
        sys.stdin.read()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "write"))
"""


@pytest.mark.parametrize("use", ["read", "write"])
def test_restore_is_refused_while_another_process_has_the_store_open(
    filled: Path, source: Path, use: str
) -> None:
    """An idle program with the store open would go on in the old file: first it has to close it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, filled, use], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        before = _files(filled.parent)
        with pytest.raises(StoreBusyError, match=r"has .* open") as raised:
            restore(filled, source)
        assert "close" in raised.value.hint
        after = _files(filled.parent)
        holder.kill()
    assert after.keys() == before.keys()
    assert after["chats.db"] == before["chats.db"]
    restore(filled, source)
    assert _titles(filled) == set(TOPICS)


@pytest.mark.asyncio
async def test_restore_is_refused_while_this_process_has_the_store_open(
    filled: Path, source: Path
) -> None:
    """A store that is open here is not replaced below itself, and goes on."""
    async with convostore.open(filled, provider=Echo()) as store:
        await store.list()
        with pytest.raises(StoreBusyError):
            restore(filled, source)
        await (await store.resume("@")).send("Still here")
    restore(filled, source)


def test_restore_waits_for_one_of_ours_and_gives_up(filled: Path, source: Path) -> None:
    """While another process of ours holds the lock, nothing is replaced."""
    before = _files(filled.parent)
    lock = FileLock(filled)
    with lock, pytest.raises(StoreBusyError):
        restore(filled, source, busy_timeout_s=0.2)
    lock.close()
    assert _files(filled.parent) == before


def test_damaged_source_is_refused(filled: Path, source: Path) -> None:
    """A backup that fails the check does not replace a store that works."""
    with source.open("r+b") as file:
        file.seek(8_192 * 3)
        file.write(b"\xa5" * 8_192)
    before = _files(filled.parent)
    with pytest.raises(StoreCorruptError, match=r"backup\.db is damaged"):
        restore(filled, source)
    assert _files(filled.parent) == before


def test_source_that_contradicts_itself_is_refused(filled: Path, source: Path) -> None:
    """A backup whose records do not agree is damaged, though SQLite sees nothing in it."""
    execute(source, "UPDATE conversation SET message_count = 99")
    with pytest.raises(StoreCorruptError, match="99"):
        restore(filled, source)


@pytest.mark.parametrize("name", ["none.db", "empty.db", "notes.db", "text.db", "folder"])
def test_what_is_no_store_is_not_restored(
    filled: Path, source: Path, tmp_path: Path, name: str
) -> None:
    """A missing or empty file, a folder, another program's file and a text replace nothing."""
    (tmp_path / "empty.db").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.db").write_text("Dear diary\n" * 99)
    execute(tmp_path / "notes.db", "CREATE TABLE notes (text TEXT)")
    before = _files(tmp_path)
    with pytest.raises(StoreOpenError) as raised:
        restore(filled, tmp_path / name)
    assert raised.value.hint
    assert "--db" not in raised.value.hint  # it is about the backup's name, not the store's
    assert _files(tmp_path) == before


def test_store_is_not_restored_from_itself(filled: Path, tmp_path: Path) -> None:
    """The store's own file, under whatever name, is no backup of it."""
    (tmp_path / "link.db").symlink_to(filled)
    for name in (filled, tmp_path / "link.db"):
        with pytest.raises(StoreOpenError, match="the store itself"):
            restore(filled, name)


def test_newer_source_is_refused(filled: Path, source: Path) -> None:
    """A backup of a newer program would make a store that this one cannot open."""
    execute(source, "UPDATE convostore_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNewError):
        restore(filled, source)
    assert _titles(filled) == {*TOPICS, "Later"}


def test_older_source_is_restored_and_says_that_it_needs_an_upgrade(
    filled: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old backup is better than none: the report says what is next."""
    for module in (migrate, backup_module, check_module):
        monkeypatch.setattr(module, "REVISION", "9998")
    report = restore(filled, source)
    assert (report.revision, report.needs_upgrade) == (REVISION, True)


def test_file_of_another_program_is_not_replaced(source: Path, tmp_path: Path) -> None:
    """A store never takes the place of somebody else's database."""
    notes = tmp_path / "notes.db"
    execute(notes, "CREATE TABLE notes (text TEXT)")
    before = _files(tmp_path)
    with pytest.raises(StoreOpenError, match="another program"):
        restore(notes, source)
    assert {**_files(tmp_path), "notes.db-lock": b""} == {**before, "notes.db-lock": b""}


@pytest.mark.parametrize("damage", ["header", "page", "cut"])
def test_damaged_store_is_replaced_and_kept(filled: Path, source: Path, damage: str) -> None:
    """A restore is for damage: what is left of the store is kept, its log goes to nobody else."""
    sound = filled.read_bytes()
    broken = {
        "header": b"\0" * 100 + sound[100:],
        "page": sound[:100] + b"\xa5" * 8_092 + sound[8_192:],
        "cut": sound[:8_000],
    }[damage]
    filled.write_bytes(broken)
    filled.with_name("chats.db-wal").write_bytes(b"what was left of a log")
    report = restore(filled, source)
    assert _titles(filled) == set(TOPICS)
    assert check(filled, deep=True).problems == ()
    assert report.kept is not None
    assert report.kept.read_bytes()[100:] == broken[100:]
    assert not filled.with_name("chats.db-wal").exists()


@pytest.mark.parametrize("store_is_there", [True, False])
def test_log_of_another_store_is_never_taken_for_the_restored_ones(
    source: Path, tmp_path: Path, store_is_there: bool
) -> None:
    """A -wal of something else beside the store's name would be read as the store's own."""
    other = tmp_path / "other" / "chats.db"
    other.parent.mkdir()
    log = other.with_name("chats.db-wal")
    asyncio.run(_leave_log(other))
    target = tmp_path / "target" / "chats.db"
    target.parent.mkdir()
    if store_is_there:
        shutil.copy(source, target)
    shutil.copy(log, target.with_name("chats.db-wal"))
    shutil.copy(other.with_name("kept-shm"), target.with_name("chats.db-shm"))
    report = restore(target, source)
    assert (report.kept is not None) == store_is_there
    assert target.with_name("chats.db.lost-wal").exists() != store_is_there
    assert _titles(target) == set(TOPICS)
    assert check(target, deep=True).problems == ()


async def _leave_log(path: Path) -> None:
    """Make a store and leave its log, as a killed process does."""
    await fill(path)
    async with convostore.open(path, provider=Echo()) as store:
        await (await store.create(title="Elsewhere")).send("Hi")
        for ending in ("wal", "shm"):
            shutil.copy(f"{path}-{ending}", path.with_name(f"kept-{ending}"))
    path.with_name("kept-wal").rename(f"{path}-wal")


def test_link_to_a_store_stays_a_link(filled: Path, source: Path, tmp_path: Path) -> None:
    """A store that is reached by a link is replaced where it lies."""
    link = tmp_path / "link.db"
    link.symlink_to(filled)
    restore(link, source)
    assert link.is_symlink()
    assert _titles(filled) == set(TOPICS)


LIMITED = """
import resource, sys
from pathlib import Path
from convostore.errors import ConvostoreError
from convostore.storage.backup import restore
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    restore(Path(sys.argv[1]), Path(sys.argv[2]))
except ConvostoreError as error:
    print(type(error).__name__, error, sep=": ")
"""

pytestmark = pytest.mark.only("sqlite", reason="a restore replaces the file")


@pytest.mark.parametrize("bytes_", [0, 8_192, 100_000])
def test_restore_without_room_changes_nothing(filled: Path, source: Path, bytes_: int) -> None:
    """The copy is made before anything is replaced: without room for it all stays as it was."""
    before = _files(filled.parent)
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, filled, source, str(bytes_)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("StoreFullError: ")
    assert _files(filled.parent) == before


@pytest.mark.parametrize("state", ["sound", "log", "damaged"])
def test_restore_killed_before_any_step_leaves_the_old_store_or_the_new(
    filled: Path, source: Path, tmp_path: Path, state: str
) -> None:
    """Wherever a restore dies, the name leads to the old content or the new, and it can be repeated."""
    old = asyncio.run(read(filled))
    if state == "log":
        asyncio.run(_leave_log(tmp_path / "logged" / "chats.db"))
        filled = tmp_path / "logged" / "chats.db"
        old = asyncio.run(_read_copy(filled, tmp_path / "copy"))
    elif state == "damaged":
        filled.write_bytes(b"\0" * 100 + filled.read_bytes()[100:])
    trials = tmp_path / "trials"
    trials.mkdir()
    done = subprocess.run(
        [sys.executable, HERE / "restores.py", trials, filled, source],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert int(done.stdout) >= 10
    new = asyncio.run(read(source))
    seen = []
    for folder in sorted(trials.iterdir()):
        path = folder / filled.name
        seen.append(_old_or_new(path, old, new))
        restore(path, source)
        assert asyncio.run(read(path)) == new
    assert seen == sorted(seen)
    assert set(seen) == ({"1 damaged", "2 new"} if state == "damaged" else {"1 old", "2 new"})


def _old_or_new(path: Path, old: object, new: object) -> str:
    try:
        found = asyncio.run(read(path))
    except StoreError:
        return "1 damaged"
    assert found in (old, new)
    return "1 old" if found == old else "2 new"


async def _read_copy(path: Path, folder: Path) -> object:
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder)
    return await read(folder / path.name)


def test_nothing_of_the_old_store_stays_under_its_name(filled: Path, source: Path) -> None:
    """After a restore only the store and its lock bear the store's name, and what was kept."""
    restore(filled, source)
    beside = {file.name for file in filled.parent.glob("chats.db*")}
    assert beside == {"chats.db", "chats.db-lock", "chats.db.before-restore"}
