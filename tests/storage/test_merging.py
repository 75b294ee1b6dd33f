"""What comes to an imported conversation: known again, added beside, and by whom it is told."""

from __future__ import annotations

from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio

import convostore
from convostore import Message
from convostore.formats.foreign import ForeignConversation, ForeignFile, ForeignMessage
from convostore.parts import AttachmentPart, OpaquePart, TextPart
from tests.engines import rows
from tests.foreigners import everything, foreign, said, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from convostore import Store
    from tests.engines import Where

pytestmark = pytest.mark.asyncio

ORIGINAL = "SELECT seq, data FROM source_record ORDER BY seq"


@pytest_asyncio.fixture
async def store(path: Where, index_at_rest: None) -> AsyncIterator[Store]:
    """Give an open store, which is sound in the end."""
    async with convostore.open(path) as opened:
        yield opened
        assert (await opened.check(deep=True)).problems == ()


async def test_one_turn_more_adds_one_turn(store: Store, path: Where) -> None:
    """New messages stand below those that they follow, and it stands where its origin does."""
    await take(store, foreign("c1", 4, updated_at_ms=6, created_at_ms=1))
    _, report = await take(store, foreign("c1", 6, title="New", updated_at_ms=7))
    assert (report.updated, report.messages) == (1, 2)
    chat = await store.resume("@")
    assert [one.source_id for one in await chat.history()] == ["u0", "a1", "u2", "a3", "u4", "a5"]
    assert (chat.record.title, chat.record.message_count) == ("New", 6)
    branch = (*foreign("c1", 6).messages, said("a4b", "u4"))
    await take(store, foreign("c1", branch))
    assert (await store.resume("@")).record.head_seq == 7
    assert rows(path, "SELECT parent_seq FROM message WHERE seq = 7") == [(5,)]
    assert len(rows(path, ORIGINAL)) == 8


async def test_who_has_gone_on_here_keeps_place_title_and_branches(store: Store) -> None:
    """A head, a title and a tag that were chosen here stay; what is new stands beside them."""
    await take(store, foreign("c1", 2))
    chat = await store.resume("@")
    await chat.append(Message.user("mine"), Message.assistant("yours"))
    await chat.rename("My own")
    _, report = await take(store, foreign("c1", 4, title="Theirs"))
    assert (report.updated, report.messages) == (1, 2)
    chat = await store.resume("@")
    assert [one.text for one in await chat.history()][-2:] == ["mine", "yours"]
    assert (chat.record.title, chat.record.message_count) == ("My own", 6)
    _, report = await take(store, foreign("c1", 4, title="Theirs"))
    assert report.unchanged == 1


async def test_older_export_adds_its_messages_and_changes_nothing_else(
    store: Store, path: Where
) -> None:
    """Of two exports the newer tells title, place and JSON, in what order they come, and how often."""
    at = {"created_at_ms": 1_000}
    older = [*foreign("c1", 2).messages, said("a1b", "u0", raw=b'{"was": 1}')]
    old = foreign("c1", older, title="Old", updated_at_ms=2_000, **at)
    changed = msgspec.structs.replace(older[0], raw=b'{"id": "u0", "followed by": "a3"}')
    new = foreign(
        "c1", (changed, *foreign("c1", 4).messages[1:]), title="New", updated_at_ms=9_000, **at
    )
    named = foreign("c1", new.messages, title="Newest", updated_at_ms=10_000, **at)
    await take(store, new)
    _, report = await take(store, old)
    assert (report.updated, report.messages) == (1, 1)
    before = everything(path)
    for pair in ((old, new), (new, old)):
        assert (await take(store, *pair))[1].unchanged == 2
    assert everything(path) == before
    chat = await store.resume("@")
    assert (chat.record.title, chat.record.updated_at_ms) == ("New", 9_000)
    assert [one.source_id for one in await chat.history()] == ["u0", "a1", "u2", "a3"]
    assert (0, new.raw) in rows(path, ORIGINAL)
    assert (1, changed.raw) in rows(path, ORIGINAL)
    _, report = await take(store, named, new, old)
    assert (report.updated, report.unchanged) == (1, 2)
    assert (await store.resume("@")).record.title == "Newest"


async def test_newer_export_has_its_say_where_somebody_has_gone_on_here(store: Store) -> None:
    """The time of what was said here is not the origin's: new messages bring the title along."""
    at = {"created_at_ms": 1_000}
    await take(store, foreign("c1", 2, updated_at_ms=2_000, **at))
    await (await store.resume("@")).append(Message.user("mine"))
    new = foreign("c1", 4, title="New", updated_at_ms=9_000, **at)
    assert (await take(store, new))[1].messages == 2
    old = foreign("c1", 2, updated_at_ms=2_000, **at)
    assert (await take(store, old, new))[1].unchanged == 2
    assert (await store.resume("@")).record.title == "New"


async def test_of_two_exports_of_one_time_the_later_import_has_its_say(store: Store) -> None:
    """They were exported in the same moment, or the title changed without the time: both happen."""
    at = {"created_at_ms": 1, "updated_at_ms": 9}
    await take(store, foreign("c1", 2, title="Old", **at))
    (one,), _ = await take(store, foreign("c1", 2, title="New", **at))
    assert one.outcome == "updated"
    assert (await store.find("@")).title == "New"


async def test_without_a_time_of_the_conversation_its_messages_tell_which_export_is_newer(
    store: Store,
) -> None:
    """New messages bring title and place along, though the first import had no time but its own."""
    old = [said("u0", None)]
    new = [*old, said("a1", "u0", created_at_ms=5_000), said("u2", "a1", created_at_ms=6_000)]
    await take(store, foreign("c1", old))
    await take(store, foreign("c1", new, title="New"))
    chat = await store.resume("@")
    assert (chat.record.title, chat.record.head_seq) == ("New", 3)
    await take(store, foreign("c2", new, title="New"))
    assert (await take(store, foreign("c2", new[:2], title="Mid")))[1].unchanged == 1
    await take(store, foreign("c3", old))
    before = (await store.resume("@")).record
    await take(store, foreign("c3", old, title="Named since"))
    named = (await store.resume(before.handle)).record
    assert (named.title, named.updated_at_ms) == ("Named since", before.updated_at_ms)


async def test_exports_without_any_times_come_to_the_same_however_often(
    store: Store, path: Where
) -> None:
    """Who brings nothing, and lacks the message that came last, has no say against who has it."""
    shorter, longer = foreign("c1", 2, title="Shorter"), foreign("c1", 4, title="Longer")
    assert (await take(store, shorter, longer))[1].updated == 1
    before = everything(path)
    assert (await take(store, shorter, longer, shorter))[1].unchanged == 3
    assert everything(path) == before
    assert (await store.resume("@")).title == "Longer"
    await (await store.resume("@")).append(Message.user("mine"))
    assert (await take(store, foreign("c1", 4, title="Renamed")))[1].updated == 1
    assert (await store.resume("@")).title == "Renamed"


async def test_title_from_there_follows_where_messages_have_times_and_the_conversation_none(
    store: Store,
) -> None:
    """Somebody has gone on here, so the time here is later than any there; the title is theirs."""
    timed = [said("u0", None, created_at_ms=1_000), said("a1", "u0", created_at_ms=8_000)]
    await take(store, foreign("c1", timed))
    await (await store.resume("@")).append(Message.user("mine"))
    assert (await take(store, foreign("c1", timed, title="Renamed")))[1].updated == 1
    assert (await store.resume("@")).title == "Renamed"


async def test_title_that_was_told_anew_is_found_and_the_old_one_is_not(store: Store) -> None:
    """What was indexed is taken out before the title changes."""
    await take(store, foreign("c1", title="Zebra"))
    assert [count async for count in store.index()]
    assert len((await store.search("zebra")).items) == 1
    await take(store, foreign("c1", title="Giraffe"))
    assert (await store.search("zebra")).items == ()
    assert len((await store.search("giraffe")).items) == 1


async def test_older_branch_has_no_say_where_somebody_has_gone_on_here(store: Store) -> None:
    """Its messages are new here, but older than those that came before them."""
    at = {"created_at_ms": 1_000}
    first = said("u0", None, created_at_ms=1_000)
    last = said("a1", "u0", created_at_ms=8_000)
    await take(store, foreign("c1", [first, last], title="New", updated_at_ms=9_000, **at))
    await (await store.resume("@")).append(Message.user("mine"))
    branch = said("a1b", "u0", created_at_ms=2_000)
    old = foreign("c1", [first, branch], title="Old", updated_at_ms=3_000, **at)
    assert (await take(store, old))[1].messages == 1
    assert (await store.resume("@")).title == "New"


async def test_origins_json_is_told_anew_where_it_says_otherwise(store: Store, path: Where) -> None:
    """Which messages follow one is said by its own JSON: the way back needs it as it is now."""
    await take(store, foreign("c1", 2))
    first, *others = foreign("c1", 4).messages
    first = msgspec.structs.replace(first, raw=b'{"id": "u0", "followed by": "a3"}')
    newer = foreign("c1", (first, *others))
    await take(store, newer)
    assert rows(path, ORIGINAL)[:2] == [(0, newer.raw), (1, first.raw)]


async def test_tag_of_the_caller_comes_to_what_is_there_already(store: Store) -> None:
    """Once, and beside those that it has; a conversation that has too many is refused."""
    await take(store, foreign("c1", tags=("theirs",)), tags=["first"])
    for updated in (1, 0):
        _, report = await take(store, foreign("c1"), tags=["first", "second"])
        assert (report.updated, report.unchanged) == (updated, 1 - updated)
    assert (await store.resume("@")).record.tags == ("first", "second", "theirs")
    _, report = await take(store, foreign("c1"), tags=[f"tag {number}" for number in range(62)])
    assert report.refused == 1
    assert (await store.resume("@")).record.tags == ("first", "second", "theirs")


async def test_forgotten_message_takes_no_place_of_what_it_was_changed_to(store: Store) -> None:
    """Of two of one id the one that says the same is known again, though the other was forgotten."""
    edited = [said("u0", None, "edited"), said("a1", "u0", "answer")]
    await take(store, foreign("c1", 2))
    await take(store, foreign("c1", edited))
    await (await store.resume("@")).forget(1, scrub=False)
    for one in (edited, 2, edited):
        assert (await take(store, foreign("c1", one)))[1].messages == 0
    assert (await store.resume("@")).record.message_count == 4


async def test_what_was_changed_there_in_place_stands_beside_what_it_was(
    store: Store,
) -> None:
    """The old answer stays, and what followed it; the new one is a sibling with what follows it."""
    await take(store, foreign("c1", 4))
    changed = [
        said("a1", "u0", "another text") if one.source_id == "a1" else one
        for one in foreign("c1", 4).messages
    ]
    _, report = await take(store, foreign("c1", changed))
    assert (report.updated, report.messages) == (1, 3)
    chat = await store.resume("@")
    texts = [one.text for one in await chat.history()]
    assert texts == ["text of u0", "another text", "text of u2", "text of a3"]
    assert chat.record.message_count == 7
    assert (await take(store, foreign("c1", changed)))[1].unchanged == 1
    assert (await take(store, foreign("c1", 4)))[1].messages == 0


async def test_what_a_reader_has_learned_since_is_no_new_message(store: Store) -> None:
    """Where the origin's JSON is the same, the message is known, though it is read otherwise now."""
    await take(store, foreign("c1", 2))
    learned = [
        msgspec.structs.replace(one, parts=(TextPart(f"better: {one.source_id}"),))
        for one in foreign("c1", 2).messages
    ]
    _, report = await take(store, foreign("c1", [*learned, said("u2", "a1")]))
    assert (report.updated, report.messages) == (1, 1)


async def test_files_that_come_later_are_attached_to_what_is_there(store: Store) -> None:
    """Where the JSON was imported alone, its pictures take the places of what pointed to them."""
    pointers = tuple(OpaquePart("image", {"at": name}) for name in ("cat", "dog"))
    asked = said("u0", None, parts=(*pointers, TextPart("what is to be seen?")))
    told = [asked, said("a1", "u0"), said("u2", "a1")]

    def with_files(*names: str, more: Sequence[ForeignMessage] = ()) -> ForeignConversation:
        files = tuple(
            ForeignFile(
                message="u0", part=at, name=f"{one}.png", open=partial(BytesIO, one.encode())
            )
            for at, one in enumerate(("cat", "dog"))
            if one in names
        )
        return foreign("c1", [*told, *more], files=files)

    await take(store, with_files())
    chat = await store.resume("@")
    await chat.append(Message.user("mine"))
    assert [count async for count in store.index()]
    for one, messages in (
        *((with_files("cat"), 0), (with_files("dog", "cat"), 0)),
        (with_files("cat", "dog", more=[said("a3", "u2")]), 1),
    ):
        _, report = await take(store, one, dry_run=True)
        assert (report.updated, report.messages) == (1, messages)
        _, report = await take(store, one)
        assert (report.updated, report.messages) == (1, messages)
    for one in (with_files(), with_files("dog"), with_files("cat", "dog")):
        assert (await take(store, one))[1].messages == 0
    assert await store.remove_forsaken_attachments(older_than_s=0) == 0
    (first, *_), (last, *_) = (await chat.history())[:1], (await chat.messages())[-1:]
    parts = [one for one in first.parts if isinstance(one, AttachmentPart)]
    assert [(one.name, one.media_type) for one in parts] == [
        *(("cat.png", "image/png"), ("dog.png", "image/png"))
    ]
    assert [b"".join([piece async for piece in store.attachment(one)]) for one in parts] == [
        *(b"cat", b"dog")
    ]
    assert (first.text, last.source_id) == ("what is to be seen?", "a3")
    assert (await store.search("seen")).items


async def test_dry_run_of_one_conversation_in_two_exports_tells_what_the_import_does(
    store: Store,
) -> None:
    """Each message is told as new once, in whatever order the files come, and an older title not."""
    at = {"created_at_ms": 1_000}
    old = [*foreign("c1", 2).messages, said("a1b", "u0")]
    edited = [said("u0", None, "edited"), said("a1", "u0")]
    first = foreign("c1", old, title="Old", updated_at_ms=2_000, **at)
    files = (
        foreign("c1", 4, updated_at_ms=9_000, **at),
        first,
        foreign("c1", edited, updated_at_ms=9_000, **at),
        foreign("c1", 4, title="Newer", updated_at_ms=9_500, **at),
        foreign("c1", 4, title="Newer", updated_at_ms=9_500, **at),
    )
    for others in ((), (first,)):
        if others:
            await (await store.resume("@")).purge(scrub=False)
            await take(store, *others, restore=True)
        told, _ = await take(store, *files, dry_run=True, restore=True)
        done, _ = await take(store, *files, restore=True)
        expected = [(one.outcome, one.messages) for one in done]
        assert [(one.outcome, one.messages) for one in told] == expected
        assert [messages for _, messages in expected] == [
            2 if others else 4,
            0 if others else 1,
            2,
            0,
            0,
        ]
