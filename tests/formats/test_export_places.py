"""Where an export may go: never over a store, a database, or what lies beside one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import FormatError, StoreOpenError
from convostore.exchange.counted import ExportReport
from convostore.records import Message
from convostore.storage.guard import is_database, store_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore import Store
    from tests.engines import Where

ENDINGS = ("", "-wal", "-shm", "-journal", "-lock")


async def filled(where: Where) -> Store:
    """Open a store with a chat in it."""
    store = await convostore.open(where)
    await (await store.create(title="Kyoto")).append(Message.user("kept"))
    return store


def by_name(path: Path) -> Path:
    """Name a file as it is."""
    return path


def by_detour(path: Path) -> Path:
    """Name a file through folders and back."""
    (path.parent / "detour").mkdir(exist_ok=True)
    return path.parent / "detour" / ".." / path.name


def by_linked_folder(path: Path) -> Path:
    """Name a file through a link to its folder."""
    link = path.parent.parent / f"{path.parent.name}-link"
    if not link.is_symlink():
        link.symlink_to(path.parent)
    return link / path.name


def by_relative(path: Path) -> Path:
    """Name a file from where the program is."""
    return Path(os.path.relpath(path))


NAMES = [by_name, by_detour, by_linked_folder, by_relative]


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="a server's store is in no file of ours")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_export_is_never_written_over_its_own_store(
    path: Path, name: Callable[[Path], Path], ending: str
) -> None:
    """Nor over the files beside it, there or not, by whatever name they are called."""
    store = await filled(path)
    async with store:
        to = name(path.with_name(path.name + ending))
        with pytest.raises(FormatError, match="store"):
            await store.export(to=to)
        with pytest.raises(FormatError, match="store"):
            await store.export("@", format="markdown", to=str(to))
        await store.create(title="still whole")
    async with convostore.open(path) as again:
        assert [one.title for one in (await again.list()).items] == ["still whole", "Kyoto"]
        assert (await again.check(deep=True)).problems == ()


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="a server's store is in no file of ours")
async def test_a_hard_link_to_the_store_is_the_store(path: Path, tmp_path: Path) -> None:
    """A second name of the file is not a place for an export either."""
    store = await filled(path)
    async with store:
        second = tmp_path / "second.jsonl"
        second.hardlink_to(path)
        with pytest.raises(FormatError, match="the store itself"):
            await store.export(to=second)


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_export_is_never_written_over_another_database(
    path: Where, tmp_path: Path, ending: str
) -> None:
    """Whichever program's it is; and wherever the store itself is."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE notes (text)")
        connection.commit()
        before = sorted(one.name for one in tmp_path.iterdir())
        store = await filled(path)
        async with store:
            with pytest.raises(FormatError, match="database"):
                await store.export(to=other.with_name(other.name + ending))
        connection.execute("INSERT INTO notes VALUES ('kept')")
        connection.commit()
    with closing(sqlite3.connect(other)) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("kept",)]
    names = {one.name for one in tmp_path.iterdir()}
    assert not {one for one in names if one.endswith(".part")}
    assert "other.db" in before


@pytest.mark.asyncio
async def test_what_is_no_database_is_replaced(path: Where, tmp_path: Path) -> None:
    """A text, an empty file, and names that only look like a store's are places as any other."""
    store = await filled(path)
    async with store:
        for name, content in (("old.jsonl", "old"), ("empty", ""), ("list-wal", "x" * 9000)):
            place = tmp_path / name
            place.write_text(content)
            assert isinstance(await store.export(to=place), ExportReport)
            assert "Kyoto" in place.read_text()


def test_looking_for_a_database_leaves_nothing_behind(tmp_path: Path) -> None:
    """And drops none of the locks that this process has on it."""
    file = tmp_path / "held.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE one (x)")
        connection.execute("BEGIN EXCLUSIVE")
        before = sorted(tmp_path.iterdir())
        assert is_database(file)
        assert store_at(file, None) == "a database"
        assert sorted(tmp_path.iterdir()) == before
        with (
            closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "to",
    [
        "nul\x00.jsonl",
        "half\ud800.jsonl",
        "x" * 300,
        "y" * 5000 + "/chats.jsonl",
        "loop/chats.jsonl",
        "loop",
        "file/chats.jsonl",
        "~nobody-of-that-name/chats.jsonl",
        "",
        b"bytes",
        5,
    ],
)
async def test_a_place_that_cannot_be_is_refused_in_one_line(
    path: Where, tmp_path: Path, to: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the name, it is one error of ours, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    Path("file").write_text("a file")
    store = await filled(path)
    async with store:
        before = sorted(tmp_path.iterdir())
        with pytest.raises(FormatError) as caught:
            await store.export(to=to)  # type: ignore[arg-type]  # what a caller may get wrong
        assert "\n" not in caught.value.message
        assert caught.value.message.isprintable()
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.asyncio
async def test_an_export_goes_into_the_home_folder(
    path: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `~` is what a shell would make of it, not a folder of that name."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    store = await filled(path)
    async with store:
        await store.export(to="~/chats.jsonl")
    assert (tmp_path / "home" / "chats.jsonl").is_file()


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="a server's store is backed up by its own tools")
@pytest.mark.parametrize("ending", ENDINGS[1:])
async def test_a_backup_does_not_take_the_name_of_a_file_of_the_store(
    path: Path, ending: str
) -> None:
    """Beside the closed store there is no log yet; a copy of that name would be taken for it."""
    async with await filled(path):
        pass
    path.with_name(path.name + "-lock").unlink(missing_ok=True)
    async with convostore.open(path) as store:
        with pytest.raises(StoreOpenError):
            await store.backup(path.with_name(path.name + ending))
