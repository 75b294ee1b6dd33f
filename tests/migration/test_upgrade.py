"""Stores of an older schema: refused, or upgraded whole after a backup."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from schemas import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    LATER,
    NEXT,
    content,
    revision,
    schema,
    write_scripts,
)

import convostore
from convostore.errors import SchemaOutdatedError, StoreCorruptError, StoreError
from convostore.providers.echo import Echo
from convostore.storage import migrate
from convostore.storage.migrate import ensure_schema, upgrade
from convostore.storage.tables import REVISION

ASSETS = Path(__file__).parent / "assets"


def _kept(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir() if "before-upgrade" in file.name)


def _play(monkeypatch: pytest.MonkeyPatch, scripts: Path) -> None:
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)
    monkeypatch.setattr(migrate, "REVISION", LATER)


def test_older_store_is_refused_with_the_exact_command(filled: Path, later: Path) -> None:
    """Without being asked nothing is upgraded: the error says what to type."""
    before = filled.read_bytes()
    with pytest.raises(SchemaOutdatedError, match=REVISION) as raised:
        ensure_schema(filled, create=True, migrate=False)
    assert "convostore db upgrade" in raised.value.hint
    assert filled.read_bytes() == before
    assert _kept(filled) == []


def test_upgrade_keeps_every_row_and_makes_a_private_backup(filled: Path, later: Path) -> None:
    """After an upgrade everything is there, and beside it the store as it was, mode 0600."""
    before, old_schema = content(filled), schema(filled)
    assert upgrade(filled) == LATER
    assert (revision(filled), content(filled)) == (LATER, before)
    assert "conversation_mood" in schema(filled)
    kept = filled.with_name(f"chats.db.before-upgrade-{REVISION}")
    assert (revision(kept), content(kept), schema(kept)) == (REVISION, before, old_schema)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(filled.stat().st_mode) == 0o600


def test_upgraded_schema_is_that_of_a_new_store(filled: Path, later: Path) -> None:
    """A store that came this revision and one made at the next have the same tables and indexes."""
    upgrade(filled)
    new = filled.with_name("new.db")
    ensure_schema(new, create=True, migrate=False)
    assert schema(new) == schema(filled)


def test_backup_before_an_upgrade_replaces_nothing(filled: Path, later: Path) -> None:
    """Where a backup of that name lies already, the next one gets a number."""
    taken = filled.with_name(f"chats.db.before-upgrade-{REVISION}")
    taken.write_text("mine")
    ensure_schema(filled, create=True, migrate=True)
    assert taken.read_text() == "mine"
    assert _kept(filled) == [taken.name, f"{taken.name}-2"]


def test_new_store_is_made_without_a_backup(tmp_path: Path, later: Path) -> None:
    """Where there was nothing, all revisions run and nothing is kept."""
    path = tmp_path / "chats.db"
    ensure_schema(path, create=True, migrate=False)
    assert revision(path) == LATER
    assert _kept(path) == []


def test_failing_revision_leaves_the_old_store_whole(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the last statement of an upgrade fails, the tables that it had changed are as before."""
    broken = NEXT + '    op.execute("INSERT INTO no_such_table VALUES (1)")\n'
    _play(monkeypatch, write_scripts(tmp_path / "broken", broken))
    before, old_schema = content(filled), schema(filled)
    with pytest.raises(StoreError, match="no_such_table"):
        upgrade(filled)
    assert (revision(filled), content(filled), schema(filled)) == (REVISION, before, old_schema)


def test_upgrade_that_would_orphan_rows_is_undone(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Foreign keys are checked as a whole before the commit."""
    orphaning = NEXT + '    op.execute("DELETE FROM conversation")\n'
    _play(monkeypatch, write_scripts(tmp_path / "orphaning", orphaning))
    before = content(filled)
    with pytest.raises(StoreCorruptError, match="undone"):
        upgrade(filled)
    assert (revision(filled), content(filled)) == (REVISION, before)


@pytest.mark.asyncio
@pytest.mark.parametrize("asset", sorted(ASSETS.glob("*.db")), ids=lambda path: path.stem)
async def test_store_of_every_released_schema_opens_and_is_used(
    asset: Path, tmp_path: Path
) -> None:
    """What an older version wrote is read, searched for damage, and gone on with."""
    path = tmp_path / "chats.db"
    shutil.copy(asset, path)
    async with convostore.open(path, provider=Echo(), migrate=True) as store:
        assert (await store.check(deep=True)).problems == ()
        page = await store.list()
        assert {record.title for record in page.items} == {"Kyoto", "Bread", "Тест"}
        for record in page.items:
            chat = await store.resume(record.handle)
            before = await chat.history()
            assert before[0].text == f"Tell me of {record.title}"
            reply = await chat.send("And then?")
            assert reply.text.startswith("You said: And then?")
            assert [message.id for message in await chat.history()][:-2] == [
                message.id for message in before
            ]
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_authors_of_an_older_store_are_known_by_their_names(tmp_path: Path) -> None:
    """What they said before there were ids of authors is forgotten by the name."""
    path = tmp_path / "chats.db"
    shutil.copy(ASSETS / "0006.db", path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE message SET author = 'Ann' WHERE text = 'Tell me of Kyoto'")
    async with convostore.open(path, migrate=True) as store:
        assert (await store.forget(user="Ann")).messages == 2  # with the answer
        assert (await store.check(deep=True)).problems == ()


def test_every_released_schema_has_its_asset() -> None:
    """For each revision a database that was made by it is kept."""
    assert sorted(path.stem for path in ASSETS.glob("*.db")) == sorted(migrate._history())


def test_assets_are_single_files_without_a_log() -> None:
    """An asset is whole in its one file, so a copy of it is the store."""
    for asset in ASSETS.glob("*.db"):
        with closing(sqlite3.connect(f"{asset.as_uri()}?mode=ro&immutable=1", uri=True)) as store:
            assert store.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            assert revision(asset) == asset.stem
