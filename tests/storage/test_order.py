"""Where a conversation stands among the others: titles, pins, the archive, folders, tags, notes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from convostore.errors import (
    ConversationNotFoundError,
    FormatError,
    InvalidTextError,
)
from convostore.formats import jsonl
from convostore.records import Filter, Message
from convostore.storage.ordering import Arrange, arrange_conversations
from convostore.testing import ManualClock
from convostore.text import MOST_TAGS
from tests.engines import change, place, rows

if TYPE_CHECKING:
    from convostore import Conversation, Store

NAMES = ("", " ", "\n", "x" * 201, "a\x00b", "\ud800")


async def _chats(store: Store, *titles: str) -> list[Conversation]:
    return [await store.create(title=title) for title in titles]


@pytest.mark.asyncio
async def test_every_verb_changes_what_it_names_and_nothing_else(store: Store) -> None:
    """Each verb is in the store when it returns, in the object's record, and nothing else moved."""
    chat = await store.create(title="old", model="m", settings={"a": 1}, metadata={"kept": 1})
    await chat.append(Message.user("hello"))
    expected = chat.record
    steps: list[tuple[Any, dict[str, Any]]] = [
        (lambda: chat.rename(" A\n new  title "), {"title": "A new title"}),
        (chat.pin, {"pinned": True}),
        (lambda: chat.tag("Travel", "food", " two  words "), {}),
        (lambda: chat.untag("FOOD", "never there"), {"tags": ("travel", "two words")}),
        (lambda: chat.move("work"), {"folder": "work"}),
        (lambda: chat.set_metadata({"b": None}, merge=True), {}),
        (lambda: chat.set_metadata({"n": [1]}, merge=True), {"metadata": {"kept": 1, "n": [1]}}),
        (lambda: chat.set_metadata({"x": None}), {"metadata": {"x": None}}),
        (chat.unpin, {"pinned": False}),
        (lambda: chat.move(None), {"folder": None}),
    ]
    for verb, changes in steps:
        await verb()
        for name, value in changes.items():
            assert getattr(chat.record, name) == value
        found = await store.find(chat.id)
        assert found == chat.record
        for name in set(found.__struct_fields__) - {"title", "pinned", "tags", "folder"}:
            assert name == "metadata" or getattr(found, name) == getattr(expected, name), name


@pytest.mark.asyncio
async def test_archive_keeps_pin_tags_and_folder(store: Store) -> None:
    """What comes back from the archive is as it was, where it was; the first time counts."""
    chat, other = await _chats(store, "a", "b")
    for verb in (chat.pin(), chat.tag("travel"), chat.move("work")):
        await verb
    before = chat.record
    with ManualClock() as manual:
        manual.set_wall(before.updated_at_ms + 5)
        await chat.archive()
        manual.set_wall(before.updated_at_ms + 9)
        await chat.archive()
    assert chat.record.archived_at_ms == before.updated_at_ms + 5
    assert [one.id for one in (await store.list()).items] == [other.id]
    assert [one.id for one in (await store.list(archived=True)).items] == [chat.id]
    assert [one.id for one in (await store.list(archived=None)).items] == [other.id, chat.id]
    await chat.unarchive()
    assert chat.record == before
    assert [one.id for one in (await store.list()).items] == [chat.id, other.id]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_name_that_no_list_can_show_is_refused(store: Store, name: str) -> None:
    """Blank, too long, or not storable: one typed error, and nothing changed."""
    (chat,) = await _chats(store, "a")
    before = chat.record
    for refused in (chat.rename(name), chat.tag("good", name), chat.untag(name)):
        with pytest.raises(InvalidTextError):
            await refused
    if name:
        with pytest.raises(InvalidTextError):
            await chat.move(name)
    if name.strip():  # without one, the first question gives it
        with pytest.raises(InvalidTextError):
            await store.create(title=name)
    await chat.append(Message.user("q"))
    with pytest.raises(InvalidTextError):
        await chat.fork(title=name)
    assert [one.title for one in (await store.list()).items] == [before.title]


@pytest.mark.asyncio
async def test_title_is_one_line_wherever_it_is_given(store: Store) -> None:
    """Given to a new conversation or a fork as to one that is there; a blank one gives way."""
    chat = await store.create(title=" three\n days ")
    assert chat.title == "three days"
    await chat.append(Message.user("q"))
    assert (await chat.fork(title="plan\tB")).title == "plan B"
    blank = await store.create(title="  ")
    await blank.append(Message.user("the first line\nand more"))
    assert (blank.title, blank.record.title_source) == ("the first line", "fallback")


@pytest.mark.asyncio
async def test_more_tags_or_metadata_than_lists_can_carry_are_refused(store: Store) -> None:
    """The limits are told before anything changes, and what is over them already may shrink."""
    (chat,) = await _chats(store, "a")
    await chat.tag(*(f"tag {number}" for number in range(MOST_TAGS)))
    with pytest.raises(InvalidTextError, match="at most 64 tags"):
        await chat.tag("one more")
    await chat.untag("tag 0")
    await chat.tag("one more")
    for metadata in ({"long": "x" * 65_536}, {"half": "\ud800"}):
        with pytest.raises(InvalidTextError):
            await chat.set_metadata(metadata)
    with pytest.raises(InvalidTextError):
        await store.create(metadata={"long": "x" * 65_536})
    assert (await store.find(chat.id)).metadata == {}


@pytest.mark.asyncio
async def test_titles_give_way_by_who_chose_them(store: Store) -> None:
    """A person's title stays; a generated one takes the place of the first line and of its like."""
    chat = await store.create()
    await chat.append(Message.user("The first line\nand more"))
    assert (chat.title, chat.record.title_source) == ("The first line", "fallback")
    for title, source in (("Made", "generated"), ("Made again", "generated")):
        assert await _title(store, chat, title, source) == (title, source)
    assert await _title(store, chat, "A line", "fallback") == ("Made again", "generated")
    await chat.rename("Mine")
    assert await _title(store, chat, "Made", "generated") == ("Mine", "user")
    change(place(store), "UPDATE conversation SET title_source = 'imported'")
    assert await _title(store, chat, "Made", "generated") == ("Mine", "imported")
    await chat.append(Message.user("another line"))
    assert (await store.find(chat.id)).title == "Mine"


async def _title(
    store: Store, chat: Conversation, title: str, source: Any
) -> tuple[str | None, str | None]:
    database, owner_id = await store.rows_of() or pytest.fail("nothing there")
    job = Arrange(conversation_id=chat.id, now_ms=1, title=title, title_source=source)
    await database.write(arrange_conversations, owner_id, job)
    found = await store.find(chat.id)
    return found.title, found.title_source


@pytest.mark.asyncio
async def test_two_handles_that_change_one_conversation_lose_nothing(store: Store) -> None:
    """Each verb touches what it names, so that neither takes back what the other did."""
    (chat,) = await _chats(store, "a")
    other = await store.resume(chat.id)
    many = [chat.tag(f"a{number}") for number in range(20)]
    many += [other.tag(f"b{number}") for number in range(20)]
    await asyncio.gather(*many, chat.pin(), other.rename("b"), chat.move("work"), other.archive())
    found = await store.find(chat.id)
    assert len(found.tags) == 40
    assert (found.title, found.pinned, found.folder) == ("b", True, "work")
    assert found.archived_at_ms is not None


@pytest.mark.asyncio
async def test_a_turn_that_runs_meanwhile_keeps_the_new_title(store: Store) -> None:
    """An append from an object that knows the old title does not bring it back."""
    (chat,) = await _chats(store, "old")
    stale = await store.resume(chat.id)
    await chat.rename("new")
    await stale.append(Message.user("hello"))
    assert (await store.find(chat.id)).title == "new"
    assert stale.title == "new"


@pytest.mark.asyncio
async def test_what_is_gone_or_somebody_elses_is_not_found(store: Store) -> None:
    """Neither the bin nor another owner's rows can be changed, and many are changed without them."""
    chat, other = await _chats(store, "a", "b")
    change(place(store), "UPDATE conversation SET deleted_at_ms = 1 WHERE id = ?", chat.id)
    with pytest.raises(ConversationNotFoundError):
        await chat.pin()
    alice = store.for_owner("alice")
    report = await alice.update_all([other.id], pin=True)
    assert (report.found, report.changed, report.gone) == (1, 0, 0)
    await alice.create()
    report = await alice.update_all([other.id], tag="hers")
    assert (report.found, report.changed, report.gone) == (1, 0, 1)
    report = await store.update_all([chat.id, other.id], folder="work")
    assert (report.found, report.changed, report.gone) == (2, 1, 1)
    assert rows(place(store), "SELECT count(*) FROM tag") == [(0,)]


@pytest.mark.asyncio
async def test_many_are_changed_by_filter_and_again_without_effect(store: Store) -> None:
    """The report says how many were meant and how many were not yet so; more than one commit."""
    for number in range(210):
        await store.create(title=f"trip {number}")
    await _chats(store, "other")
    wanted = Filter(title="TRIP")
    assert len(await store.matching(wanted)) == 210
    for changed in (210, 0):
        report = await store.update_all(wanted, tag=["travel"], folder="past", pin=True)
        assert (report.found, report.changed, report.gone) == (210, changed, 0)
    assert len(await store.matching(tag="travel", folder="past", pinned=True)) == 210
    report = await store.update_all(wanted, untag="travel", folder="", pin=False)
    assert report.changed == 210
    assert len(await store.matching(folder="")) == 211
    with pytest.raises(ValueError, match="what to change"):
        await store.update_all(wanted)


@pytest.mark.asyncio
async def test_cursor_goes_on_with_its_own_list_only(store: Store) -> None:
    """Handed to another filter or another owner, a cursor is refused; of the same list it works."""
    await _chats(store, "a", "b", "c")
    await store.for_owner("alice").create()
    cursors = {
        "plain": (await store.list(limit=1)).next_cursor,
        "both": (await store.list(limit=1, archived=None)).next_cursor,
    }
    assert None not in cursors.values()
    refused = [
        store.list(cursor=cursors["both"]),
        store.list(cursor=cursors["plain"], archived=None),
        store.list(cursor=cursors["both"], archived=None, provider="echo"),
        store.for_owner("alice").list(cursor=cursors["plain"]),
    ]
    for asked in refused:
        with pytest.raises(FormatError, match="another list"):
            await asked
    page = await store.list(cursor=cursors["both"], archived=None)
    assert [one.title for one in page.items] == ["b", "a"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "words",
    [
        {"title": "\x00"},
        {"provider": "\ud800"},
        {"key_prefix": "\ud800"},
        {"tag": " "},
        {"tag": ""},
        {"folder": " "},
        {"tag": [f"t{number}" for number in range(17)]},
    ],
    ids=ascii,
)
async def test_filter_with_what_no_store_can_hold_is_refused(store: Store, words: Any) -> None:
    """Not the database's own error, and no silent other filter."""
    await store.create()
    with pytest.raises(InvalidTextError):
        await store.list(**words)
    with pytest.raises(TypeError):
        await store.list(colour="red")  # type: ignore[call-arg]  # what is tried


@pytest.mark.asyncio
async def test_times_out_of_all_bounds_are_times(store: Store) -> None:
    """Any integer may stand for a time."""
    await store.create()
    for since_ms, until_ms, found in ((-(2**70), 2**70, 1), (2**70, None, 0), (None, -1, 0)):
        page = await store.list(since_ms=since_ms, until_ms=until_ms)
        assert len(page.items) == found


@pytest.mark.asyncio
async def test_export_carries_tags_folder_and_pin(store: Store) -> None:
    """What orders a conversation goes out with it, and comes back the same."""
    (chat,) = await _chats(store, "a")
    for verb in (chat.pin(), chat.tag("旅行", "b"), chat.move("work"), chat.archive()):
        await verb
    exported = await store.export(chat.id)
    lines = "".join([piece async for piece in exported]).splitlines()  # type: ignore[union-attr]  # without a file it is the text
    entries = list(jsonl.decode(lines))
    assert entries[1] == replace(chat.record, anonymous_user_id=None)
