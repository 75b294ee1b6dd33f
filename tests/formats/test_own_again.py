"""Our own export taken back later: nothing that is here is undone, and deleted stays deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convostore import clock
from convostore.events import Finished
from convostore.exchange import steps
from convostore.exchange.exporting import TextExport
from convostore.formats.foreign import ForeignConversation, ForeignMessage
from convostore.parts import TextPart
from convostore.records import Message, Usage
from convostore.testing import ManualClock, ScriptedProvider, temporary_store
from tests.formats.test_own_round_trip import file_from, imported

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.usefixtures("temporary_place")


def telling(type_: str, role: str | None = None, **fields: Any) -> Callable[[str], str]:
    """Return what makes an export tell other *fields* of its conversation, or of messages."""

    def change(text: str) -> str:
        lines = [json.loads(line) for line in text.rstrip("\n").split("\n")]
        for line in lines:
            if line["type"] == type_ and line.get("role") == role:
                line.update(fields)
        return "".join(json.dumps(line) + "\n" for line in lines)

    return change


@pytest.mark.asyncio
async def test_broken_off_answer_is_never_made_shorter() -> None:
    """Of two exports of a broken-off answer the longer one stays, in whatever order they come."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("count"), Message.assistant("one two"))
        for text, status, outcome, kept in (
            ("one two", "interrupted", "added", "one two"),
            ("one", "streaming", "unchanged", "one two"),
            ("two one and more", "interrupted", "unchanged", "one two"),
            ("one two three", "streaming", "updated", "one two three"),
            ("one", "stopped", "updated", "one"),
        ):
            change = telling("message", "assistant", text=text, status=status)
            (result,) = await imported(bob, await file_from(alice, change))
            there = (await (await bob.resume(chat.id)).messages())[-1]
            assert (result.outcome, there.text) == (outcome, kept)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_purged_stays_away_and_comes_back_with_restore() -> None:
    """What was said here, and what had expired, is known again by its id; `restore` shows it again."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("start"))
        file = await file_from(alice)
        await alice.delete(chat.id)
        await alice.purge(chat.id, scrub=False)
        for restore, outcomes in ((False, ["deleted"]), (True, ["added"]), (False, ["unchanged"])):
            file.seek(0)
            results = await imported(alice, file, restore=restore)
            assert [one.outcome for one in results] == outcomes
        assert [one.id for one in (await alice.list()).items] == [chat.id]

        past = await file_from(alice, telling("conversation", expires_at_ms=5))
        for restore, outcome, shown in (
            (False, "deleted", 0),
            (False, "deleted", 0),
            (True, "added", 1),
        ):
            past.seek(0)
            (result,) = await imported(bob, past, restore=restore)
            assert (result.outcome, len((await bob.list()).items)) == (outcome, shown)
        carol = store.for_owner("carol")
        past.seek(0)
        (result,) = await imported(carol, past, restore=True)
        assert (result.outcome, len((await carol.list()).items)) == ("added", 1)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_older_export_undoes_nothing_that_was_filed_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backup taken back leaves later names, tags, pins and places; a later one brings its own along."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("start"), Message.assistant("end"))
        before = await file_from(alice)
        await imported(bob, before)
        now.set_wall(now.now_ms() + 2)  # what is told in the same millisecond counts as later
        await alice.update_all([chat.id], tag=["trip"], pin=True)
        await chat.rename("Osaka")
        await chat.switch(1, exactly=True)
        now.set_wall(now.now_ms() + 2)
        after = await file_from(alice)
        before.seek(0)
        assert [one.outcome for one in await imported(alice, before)] == ["unchanged"]
        before.seek(0)
        assert [one.outcome for one in await imported(alice, before, tags=["new"])] == ["updated"]
        stands = await alice.find(chat.id)
        assert (stands.title, stands.tags, stands.pinned) == ("Osaka", ("new", "trip"), True)
        assert stands.head_seq == 1
        for file, outcome in ((after, "updated"), (before, "unchanged"), (after, "unchanged")):
            file.seek(0)
            assert [one.outcome for one in await imported(bob, file)] == [outcome]
        there = await bob.find(chat.id)
        assert (there.title, there.tags, there.pinned) == ("Osaka", ("trip",), True)
        assert there.head_seq == 1
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_step_tells_what_came_here_or_came_back_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Old conversations that were imported, restored or brought back after the cursor are told whole."""
    monkeypatch.setattr(steps, "MARGIN_MS", 0)
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        ours = await alice.create(title="Ours")
        await ours.append(Message.user("start"))
        file = await file_from(alice)
        told = [
            ForeignMessage(
                source_id=f"m{at}",
                parent=None,
                role="user",
                parts=(TextPart("old"),),
                created_at_ms=5,
            )
            for at in (1, 2)
        ]
        theirs = ForeignConversation(
            source="chatgpt", source_id="c", title="Theirs", head=None, messages=tuple(told[:1])
        )

        await bob.create(title="Mine")
        now.set_wall(now.now_ms() + 2)
        cursors = [json.loads((await file_from(bob)).readline())["next_cursor"]]

        async def step(*wanted: str) -> None:
            now.set_wall(now.now_ms() + 2)
            text = await bob.export(since=cursors[-1])
            assert isinstance(text, TextExport)
            lines = [
                json.loads(one) for one in "".join([piece async for piece in text]).splitlines()
            ]
            assert {one["title"] for one in lines if one["type"] == "conversation"} == set(wanted)
            cursors.append(lines[0]["next_cursor"])
            now.set_wall(now.now_ms() + 2)

        now.set_wall(now.now_ms() + 2)
        await imported(bob, file)
        await bob.import_([theirs]).finish()
        await step("Ours", "Theirs")
        await bob.import_([msgspec.structs.replace(theirs, messages=tuple(told))]).finish()
        await step("Theirs")
        for title in ("Ours", "Theirs"):
            await bob.delete(ours.id if title == "Ours" else "@")
        await step()
        await bob.undelete(ours.id)
        await step("Ours")
        await bob.delete(ours.id)
        file.seek(0)
        await imported(bob, file, restore=True)
        await step("Ours")
        await step()


@pytest.mark.asyncio
async def test_what_was_paid_since_comes_along_once() -> None:
    """The calls of a conversation that is there already are added, however often it comes."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        far = ScriptedProvider()
        chat = await alice.create(title="Kyoto")
        for number in (3, 4):
            far.script("Hi", Finished(usage=Usage(input_tokens=number)))
            await chat.send("more", provider=far)
            for outcome in ("updated" if number > 3 else "added", "unchanged"):
                (result,) = await imported(bob, await file_from(alice))
                assert result.outcome == outcome
        assert (await bob.stats()).total.usage.input_tokens == 7


@pytest.mark.asyncio
async def test_answer_that_ended_there_is_found_by_its_words() -> None:
    """What was indexed of a broken-off one gives way to the whole."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("count"), Message.assistant("zebra giraffe"))
        broken = telling("message", "assistant", text="zebra", status="interrupted")
        await imported(bob, await file_from(alice, broken))
        assert [count async for count in bob.index()]
        await imported(bob, await file_from(alice))
        assert [hit.seq for hit in (await bob.search("giraffe")).items] == [2]


@pytest.mark.asyncio
async def test_numbers_that_are_taken_here_are_given_anew_without_meeting_each_other() -> None:
    """Two branches of there come to a place where a number is taken: each gets one of its own."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("start"), Message.assistant("end"))
        await imported(bob, await file_from(alice))
        await (await bob.resume(chat.id)).append(Message.user("bob's"))
        for text in ("one", "another"):
            await chat.switch(2, exactly=True)
            await chat.append(Message.user(text))
        (result,) = await imported(bob, await file_from(alice))
        assert (result.outcome, result.messages, result.reason) == ("updated", 2, "")
        told = await (await bob.resume(chat.id)).messages()
        assert [(one.seq, one.text) for one in told][2:] == [
            (3, "bob's"),
            (4, "one"),
            (5, "another"),
        ]
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_names_that_somebody_has_here_stay_theirs() -> None:
    """A room of one name is here already: what comes has neither its key nor those of its messages."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        for owner, text in ((alice, "hers"), (bob, "his")):
            room = await owner.get_or_create(key="room", title=f"Room of {text}")
            await room.append(Message("user", text, idempotency_key="1"))
        file = await file_from(alice)
        (result,) = await imported(bob, file)
        assert (result.outcome, result.messages) == ("added", 1)
        there = await (await bob.resume(result.id or "")).history()
        assert [(one.text, one.idempotency_key) for one in there] == [("hers", None)]
        his = await bob.resume("room")
        assert [one.text for one in await his.history()] == ["his"]
        assert len((await bob.search("room hers")).items) == 1
        file.seek(0)
        assert [one.outcome for one in await imported(bob, file)] == ["unchanged"]
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_attachment_that_came_back_belongs_to_its_message() -> None:
    """It is no forsaken one, which upkeep would take away."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        part = await alice.attach(b"moss", name="moss.txt")
        await (await alice.create(title="Kyoto")).append(Message.user("see", attachments=[part]))
        await imported(bob, await file_from(alice))
        assert await bob.remove_forsaken_attachments(older_than_s=0) == 0
        assert b"".join([piece async for piece in bob.attachment(part)]) == b"moss"


@pytest.mark.asyncio
async def test_what_was_used_here_since_keeps_its_place_and_takes_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two stores went on apart: both have all messages in the end, and neither loses its own."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("start"))
        await imported(bob, await file_from(alice))
        there = await bob.resume(chat.id)
        await chat.append(Message.assistant("said at home"), Message.user("and more"))
        now.set_wall(now.now_ms() + 1)
        await there.append(Message.assistant("said away"))
        await there.rename("Kyoto, away")
        (result,) = await imported(bob, await file_from(alice))
        assert (result.outcome, result.messages) == ("updated", 2)
        texts = {one.text: one.parent_id for one in await (await bob.resume(chat.id)).messages()}
        root = (await chat.messages())[0].id
        assert (texts["said at home"], texts["said away"]) == (root, root)
        away = await bob.resume(chat.id)
        assert away.title == "Kyoto, away"
        assert [one.text for one in await away.history()] == ["start", "said away"]
        (again,) = await imported(bob, await file_from(alice))
        assert again.outcome == "unchanged"
        assert (await store.check(deep=True)).problems == ()
