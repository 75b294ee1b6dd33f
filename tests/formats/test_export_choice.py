"""Which conversations an export takes: by name, filter, search, and what has changed since."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from convostore import clock
from convostore.errors import FormatError
from convostore.exchange.exporting import TextExport
from convostore.exchange.steps import MARGIN_MS
from convostore.records import Filter, Message
from convostore.testing import ManualClock, temporary_store

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.exchange.counted import ExportReport
    from convostore.store import Store

pytestmark = pytest.mark.usefixtures("temporary_place")


async def lines_of(store: Store, **how: Any) -> list[dict[str, Any]]:
    """Export as JSON lines, and return them."""
    text = await store.export(**how)
    assert isinstance(text, TextExport)
    said = "".join([piece async for piece in text])
    return [json.loads(line) for line in said.splitlines()]


def named(lines: list[dict[str, Any]], kind: str = "conversation") -> list[str]:
    """Return the titles of the conversations that are told."""
    return [line["title"] for line in lines if line["type"] == kind]


async def talk(store: Store, title: str, *texts: str) -> Any:
    """Make a conversation in which *texts* are said."""
    chat = await store.create(title=title)
    await chat.append(*(Message.user(text) for text in texts))
    return chat


@pytest.mark.asyncio
async def test_export_takes_what_is_named_filtered_or_found() -> None:
    """References in their order; a filter's in the order of the list; what a search finds, ranked."""
    async with temporary_store() as store:
        kyoto = await talk(store, "Kyoto", "the rail pass")
        nara = await talk(store, "Nara", "deer")
        osaka = await talk(store, "Osaka", "rail again")
        await store.update_all([nara.id, osaka.id], tag="trip", archive=True)
        assert named(await lines_of(store, which=[osaka.handle, kyoto.id])) == ["Osaka", "Kyoto"]
        trips = await lines_of(store, which=Filter(tags=("trip",), archived=None))
        assert sorted(named(trips)) == ["Nara", "Osaka"]
        assert sorted(named(await lines_of(store, search="rail"))) == ["Kyoto", "Osaka"]
        both = await lines_of(store, which=Filter(tags=("trip",), archived=None), search="rail")
        assert named(both) == ["Osaka"]
        assert named(await lines_of(store, which=())) == []
        await store.delete(kyoto.id)
        assert named(await lines_of(store, which=Filter(deleted=True))) == ["Kyoto"]
        assert sorted(named(await lines_of(store))) == ["Nara", "Osaka"]
        await store.undelete(kyoto.id)
        assert sorted(named(await lines_of(store))) == ["Kyoto", "Nara", "Osaka"]


@pytest.mark.asyncio
async def test_step_tells_what_changed_and_names_what_is_still_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was said since, forgotten or cut stands in it whole; the rest by its line; the gone not."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        chats = {
            title: await talk(store, title, "one", "two")
            for title in ("Kept", "Filed", "Used", "Forgotten", "Cut", "Gone")
        }
        now.set_wall(now.now_ms() + MARGIN_MS + 1)
        whole = await lines_of(store)
        cursor = whole[0]["next_cursor"]
        now.set_wall(now.now_ms() + MARGIN_MS + 1)
        await chats["Used"].append(Message.user("three"))
        await store.update_all([chats["Filed"].id], folder="work")
        forgotten = await chats["Forgotten"].messages()
        await chats["Forgotten"].forget(forgotten[0].id)
        cut = await chats["Cut"].messages()
        await chats["Cut"].delete_branch(cut[1].id)
        await store.delete(chats["Gone"].id)
        now.set_wall(now.now_ms() + MARGIN_MS + 1)
        step = await lines_of(store, since=cursor)
        assert sorted(named(step)) == ["Cut", "Forgotten", "Used"]
        assert sorted(named(step, "unchanged")) == ["Filed", "Kept"]
        filed = next(line for line in step if line.get("title") == "Filed")
        assert filed["folder"] == "work"
        assert step[0]["since_ms"] == int(cursor.split("-")[1])
        last = await lines_of(store, since=step[0]["next_cursor"])
        assert sorted(named(last)) == ["Cut", "Forgotten"]
        with pytest.raises(FormatError, match="of another store or owner"):
            await lines_of(store.for_owner("alice"), since=cursor)
        with pytest.raises(FormatError, match="not one that an export gave"):
            await lines_of(store, since="yesterday")


@pytest.mark.asyncio
async def test_many_pages_are_a_folder_or_a_book(tmp_path: Path) -> None:
    """Where the name is a file's of that format it is one book, with one front matter; else a folder."""
    async with temporary_store() as store:
        for title in ("Kyoto", "Nara"):
            await talk(store, title, "hello")
        report = await store.export(format="markdown", to=tmp_path / "trips.md")
        text = (tmp_path / "trips.md").read_text()
        assert text.startswith('---\nexported_by: "convostore')
        assert (text.count("---\n"), text.count("\n# "), text.count("\n## User\n")) == (2, 2, 2)
        assert "- handle: " in text
        pages: ExportReport | Any = await store.export(format="html", to=tmp_path / "pages")
        assert (pages.files, report.files) == (2, 1)  # type: ignore[union-attr] # a file was named
        found = sorted(file.name[:5] for file in (tmp_path / "pages").iterdir())
        assert found == ["kyoto", "nara-"]


@pytest.mark.asyncio
async def test_attachments_are_in_the_file_beside_it_or_in_the_store(tmp_path: Path) -> None:
    """Three ways: lines of base64, files by their sha256 in a folder, or only what they are called."""
    async with temporary_store() as store:
        part = await store.attach(b"bytes", name="a.bin")
        chat = await store.create(title="Kyoto")
        await chat.append(
            Message.user("see", attachments=[part]), Message.user("", attachments=[part])
        )
        assert sum(line["type"] == "attachment" for line in await lines_of(store)) == 1
        bare = await lines_of(store, attachments="reference")
        assert not [line for line in bare if line["type"] == "attachment"]
        assert bare[0]["attachments"] == "reference"
        to = tmp_path / "all.jsonl"
        await store.export(attachments="beside", to=to)
        folder = tmp_path / json.loads(to.read_text().splitlines()[0])["attachments_folder"]
        assert [file.read_bytes() for file in folder.iterdir()] == [b"bytes"]
        assert [file.name for file in folder.iterdir()] == [part.sha256]
        with pytest.raises(FormatError, match="beside a file only"):
            await lines_of(store, attachments="beside")
        with pytest.raises(FormatError, match="no such way"):
            await lines_of(store, attachments="inside")
        with pytest.raises(FormatError, match="than its own"):
            await store.export(format="html", attachments="reference")
