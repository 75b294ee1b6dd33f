"""The quick way reads what the full way reads, and steps back from whatever is not plain."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import filled_store  # type: ignore[import-not-found] # pytest puts this folder on the path
import pytest
import varied_store  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.errors import StoreError
from convostore.records import Filter
from convostore.storage import fastread, generate_fastread, mounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convostore.records import ConversationRecord, Message

BROKEN = (
    "UPDATE message SET text = CAST(x'ff' AS TEXT) WHERE seq = 1",
    "UPDATE message SET parts = '[1, NaN]' WHERE seq = 1",
    "UPDATE message SET parts = '{}' WHERE seq = 1",
    "UPDATE message SET parts = '[1.5]' WHERE seq = 1",
    "UPDATE message SET parts = '[true]' WHERE seq = 1",
    'UPDATE message SET parts = \'[{"t": "text"}]\' WHERE seq = 1',
    'UPDATE message SET parts = \'[{"t": "reasoning", "text": 1}]\' WHERE seq = 1',
    'UPDATE message SET parts = \'[{"t": "opaque", "kind": "x"}]\' WHERE seq = 1',
    'UPDATE message SET parts = \'[{"t": "reasoning", "text": "\\ud800"}]\' WHERE seq = 1',
    'UPDATE message SET error = \'{"code": 1, "message": ""}\' WHERE seq = 1',
    'UPDATE message SET error = \'{"code": "", "message": "", "retryable": 1}\'',
    "UPDATE message SET error = '[]' WHERE seq = 1",
    "UPDATE message SET parent_seq = 99 WHERE seq = 2",
    "UPDATE message SET parent_seq = 3 WHERE seq = 2",
    "UPDATE conversation SET head_seq = 99",
    "UPDATE conversation SET settings = 'x'",
    "UPDATE conversation SET metadata = '[]'",
)


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with one of everything."""
    path: Path = tmp_path_factory.mktemp("varied") / "chats.db"
    asyncio.run(varied_store.fill(path))
    return path


def test_statements_are_those_of_the_full_way() -> None:
    """The file is what `python -m convostore.storage.generate_fastread` would write now."""
    written = generate_fastread.WHERE.read_text("utf-8")
    assert written == generate_fastread.generated() + "\n"


async def _full(path: Path, owner: str | None, count: int) -> list[ConversationRecord]:
    records: list[ConversationRecord] = []
    cursor = None
    async with convostore.open(path, owner=owner) as store:
        while len(records) < count:
            page = await store.list(limit=min(200, count - len(records)), cursor=cursor)
            records += page.items
            if (cursor := page.next_cursor) is None:
                break
    return records


def _same_conversation(quick: fastread.Conversation, full: ConversationRecord) -> None:
    for name in fastread.Conversation.__annotations__:
        assert getattr(quick, name) == getattr(full, name)


@pytest.mark.parametrize("owner", [None, "alice", "nobody"])
@pytest.mark.parametrize("count", [1, 20, 200, 201, 1000])
def test_list_has_the_rows_of_the_full_way(varied: Path, owner: str | None, count: int) -> None:
    """As many conversations, in the same order, with the same values."""
    quick = fastread.newest(str(varied), owner, count)
    full = asyncio.run(_full(varied, owner, count))
    assert quick is not None
    assert [one.id for one in quick] == [one.id for one in full]
    for one, other in zip(quick, full, strict=True):
        _same_conversation(one, other)


async def _shelved(path: Path, which: Filter) -> list[ConversationRecord]:
    async with convostore.open(path) as store:
        for title in ("gone", "put away"):
            for number in range(3):
                chat = await store.create(title=f"{title} {number}")
                await (chat.delete() if title == "gone" else chat.archive())
        return [*(await store.list(limit=200, filter=which)).items]


@pytest.mark.parametrize(
    ("shelf", "which"), [("archive", Filter(archived=True)), ("bin", Filter(deleted=True))]
)
def test_shelf_has_the_rows_of_the_full_way(
    varied: Path, tmp_path: Path, shelf: str, which: Filter
) -> None:
    """The archive and the bin, each in its own order, and of either what begins as was typed."""
    copy = tmp_path / "copy.db"
    shutil.copy(varied, copy)
    full = asyncio.run(_shelved(copy, which))
    quick = fastread.newest(str(copy), None, 200, shelf=shelf)
    assert quick is not None
    assert [one.id for one in quick] == [one.id for one in full]
    assert len(full) > 3
    for one, other in zip(quick, full, strict=True):
        _same_conversation(one, other)
        (only,) = fastread.newest(str(copy), None, 200, shelf=shelf, beginning=one.handle) or []
        assert only.id == one.id
    assert [one.id for one in fastread.newest(str(copy), None, 2, shelf=shelf) or []] == [
        one.id for one in full[:2]
    ]


async def _all_paths(
    path: Path, owner: str | None
) -> list[tuple[ConversationRecord, tuple[Message, ...], str | None]]:
    found = []
    async with convostore.open(path, owner=owner) as store:
        database, owner_id = await store.rows_of() or (None, "")
        assert database is not None
        with closing(sqlite3.connect(path)) as raw:
            rows = raw.execute(
                "SELECT id FROM conversation WHERE owner_id = ? AND deleted_at_ms IS NULL",
                (owner_id,),
            ).fetchall()
        for (id_,) in rows:
            talk = await store.resume(id_)
            found.append((talk.record, await talk.history(), talk.parent_id))
    return found


def _same_message(quick: fastread.Message, full: Message) -> None:
    for name in set(fastread.Message.__annotations__) - {"parts", "error"}:
        assert getattr(quick, name) == getattr(full, name)
    values = [
        (str(part.__struct_config__.tag), {n: getattr(part, n) for n in part.__struct_fields__})
        for part in full.parts
    ]
    others = [(tag, value) for tag, value in values if tag != "text"]
    assert [part.tag for part in quick.parts] == [tag for tag, _ in others]
    for part, (_, value) in zip(quick.parts, others, strict=True):
        assert part.values == part.values | value
    assert (quick.error is None) == (full.error is None)
    if quick.error is not None and full.error is not None:
        told = {"code", "message", "hint", "retryable"}
        assert {name: getattr(quick.error, name) for name in told} == {
            name: getattr(full.error, name) for name in told
        }


@pytest.mark.parametrize("owner", [None, "alice"])
def test_path_has_the_rows_of_the_full_way(varied: Path, owner: str | None) -> None:
    """Running, interrupted and failed replies, branches and parts: message by message the same."""
    for record, history, parent_id in asyncio.run(_all_paths(varied, owner)):
        found = fastread.path(str(varied), owner, record.id)
        assert found is not None
        _same_conversation(found[0], record)
        assert [one.id for one in found[1]] == [one.id for one in history]
        for one, other in zip(found[1], history, strict=True):
            _same_message(one, other)
        assert found[2] == parent_id


async def _ids(path: Path, refs: list[str]) -> list[str | None]:
    found: list[str | None] = []
    async with convostore.open(path) as store:
        for ref in refs:
            try:
                found.append((await store.find(ref)).id)
            except StoreError:
                found.append(None)
    return found


def test_references_mean_what_they_mean_in_the_full_way(varied: Path) -> None:
    """Every way to name a conversation finds the same one; what finds none or several is left."""
    records = asyncio.run(_full(varied, None, 1000))
    refs = ["@", "@1", "@2", "@230", "@9999", "@0", "@00002", "@x", "@٢", "@-1", "@1 ", "", " "]
    refs += [
        "room:7",
        " room:7",
        "ROOM:7",
        " blank ",
        "blank",
        "an old one",
        "bin",
        "\ud800",
        "u" * 9,
        "%",
        "' or 1=1",
    ]
    for record in records[:40]:
        handle = record.handle
        refs += [record.id, record.id.upper(), handle, handle.upper(), f" {handle} "]
        refs += [handle.replace("0", "o").replace("1", "L"), handle + "0"]
        refs += [handle[:length] for length in range(1, 8)]
    for ref, id_ in zip(refs, asyncio.run(_ids(varied, refs)), strict=True):
        found = fastread.path(str(varied), None, ref)
        assert (None if found is None else found[0].id) == id_


def test_key_that_looks_like_another_handle_wins(filled: Path) -> None:
    """The order of the full way: id, key, handle, the beginning of a handle."""
    first, second, _ = asyncio.run(_full(filled, None, 3))
    filled_store.execute(
        filled, "UPDATE conversation SET key = ? WHERE id = ?", first.handle, second.id
    )
    found = fastread.path(str(filled), None, first.handle)
    assert found is not None
    assert [found[0].id] == asyncio.run(_ids(filled, [first.handle])) == [second.id]


@pytest.mark.parametrize("sql", BROKEN)
def test_what_is_damaged_is_left_to_the_full_way(filled: Path, sql: str) -> None:
    """A value that this program does not write is not guessed at."""
    assert fastread.path(str(filled), None, "@") is not None
    filled_store.execute(filled, sql)
    assert fastread.path(str(filled), None, "@") is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE convostore_version SET version_num = '0000'",
        "UPDATE convostore_version SET version_num = '9999'",
        "DELETE FROM convostore_version",
        "DROP TABLE convostore_version",
        "DROP TABLE store_meta",
    ],
)
def test_other_revisions_are_left_to_the_full_way(filled: Path, sql: str) -> None:
    """Only a store of this program's schema is read."""
    filled_store.execute(filled, sql)
    assert fastread.newest(str(filled), None, 5) is None
    assert fastread.path(str(filled), None, "@") is None


def _missing(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)


def _text(path: Path) -> None:
    path.write_text("no database")


@pytest.mark.parametrize("spoil", [_missing, _folder, _pipe, _empty, _damaged, _text])
def test_what_is_no_store_is_left_to_the_full_way(
    filled: Path, spoil: Callable[[Path], None]
) -> None:
    """Nothing is made, opened or waited for where no store is."""
    spoil(filled)
    assert fastread.newest(str(filled), None, 5) is None
    assert not [file.name for file in filled.parent.iterdir() if file.name.endswith(("wal", "shm"))]


def test_network_share_is_left_to_the_full_way(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where locks cannot be relied on, the quick way does not read either."""
    table = filled.parent / "mountinfo"
    table.write_text(f"36 20 0:32 / {filled.parent} rw shared:1 - nfs4 x rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", str(table))
    assert fastread.newest(str(filled), None, 5) is None


def test_held_store_is_left_to_the_full_way(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that another program keeps to itself is waited for with the configured patience."""
    monkeypatch.setattr(fastread, "_WAIT_S", 0)
    with closing(sqlite3.connect(filled, isolation_level=None)) as foreign:
        foreign.execute("PRAGMA locking_mode = EXCLUSIVE")
        foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("UPDATE conversation SET title = 'held'")
        assert fastread.newest(str(filled), None, 5) is None


def test_store_in_use_is_read(filled: Path) -> None:
    """Another program's open transaction does not matter; the last committed state is shown."""
    with closing(sqlite3.connect(filled, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        foreign.execute("UPDATE conversation SET title = 'held'")
        found = fastread.newest(str(filled), None, 5)
        assert found is not None
        assert sorted(one.title or "" for one in found) == sorted(filled_store.TOPICS)


def test_what_a_killed_program_left_in_the_log_is_read(filled: Path, tmp_path: Path) -> None:
    """A write-ahead log that nobody moved into the file yet is part of the store."""
    copy = tmp_path / "killed" / "chats.db"
    copy.parent.mkdir()
    with closing(sqlite3.connect(filled, isolation_level=None)) as foreign:
        foreign.execute("UPDATE conversation SET title = 'in the log'")
        for end in ("", "-wal"):
            shutil.copy(f"{filled}{end}", f"{copy}{end}")
    found = fastread.newest(str(copy), None, 5)
    assert found is not None
    assert {one.title for one in found} == {"in the log"}


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        file.name: (stat.S_IMODE(file.stat().st_mode), file.read_bytes())
        for file in folder.iterdir()
    }


def test_reading_leaves_everything_as_it_was(filled: Path) -> None:
    """No file is left behind, and no byte or mode is changed."""
    before = _files(filled.parent)
    assert fastread.newest(str(filled), None, 5)
    assert fastread.path(str(filled), None, "@")
    assert _files(filled.parent) == before
    assert before[filled.name][0] == 0o600


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_beside_an_open_store_stay_private(filled: Path, umask: int) -> None:
    """While the store is read, the files beside it are as private as itself."""
    modes: dict[str, int] = {}

    def read(store: sqlite3.Connection) -> bool:
        modes.update({name: mode for name, (mode, _) in _files(filled.parent).items()})
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.execute("UPDATE conversation SET title = 'x'")
        return True

    before = os.umask(umask)
    try:
        assert fastread.in_one_state(str(filled), read)
    finally:
        os.umask(before)
    assert {modes[filled.name + end] for end in ("-wal", "-shm")} == {0o600}


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "a?mode=ro#x.db", "京都.db", "%41.db", "a&b.db"]
)
def test_any_name_of_a_file_is_that_file(filled: Path, name: str) -> None:
    """Characters that mean something in a URI are those of the name."""
    other = filled.rename(filled.parent / name)
    assert fastread.newest(str(other), None, 5)
    assert fastread.newest(f"{other.parent}/./{name}", None, 5)


def test_link_is_followed(filled: Path, tmp_path: Path) -> None:
    """A link to a store is that store, its log beside the real file."""
    link = tmp_path / "links" / "chats.db"
    link.parent.mkdir()
    link.symlink_to(filled)
    assert fastread.newest(str(link), None, 5)
    assert [file.name for file in link.parent.iterdir()] == ["chats.db"]


def test_count_beyond_all_bounds_is_left_to_the_full_way(filled: Path) -> None:
    """A number that the database could not take is not tried."""
    many: Any = 2**70
    assert fastread.newest(str(filled), None, many) is None
