"""Our own export taken back where both sides went on: numbers, times, counts and lists agree."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from convostore import clock
from convostore.events import Finished
from convostore.exchange.steps import MARGIN_MS
from convostore.parts import TextPart
from convostore.records import Message, Usage
from convostore.testing import ManualClock, ScriptedProvider, temporary_store
from tests.exchange.test_trees import chatgpt
from tests.formats.test_own_again import telling
from tests.formats.test_own_round_trip import exported, file_from, imported

if TYPE_CHECKING:
    from convostore import Store

pytestmark = pytest.mark.usefixtures("temporary_place")


@pytest.mark.asyncio
async def test_time_to_go_has_come_at_its_very_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is new here and of what is here, to the millisecond; with `restore` it is back, and stays."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        over = telling("conversation", expires_at_ms=now.now_ms() + 10)
        file = await file_from(alice, over)
        assert [one.outcome for one in await imported(bob, file)] == ["added"]
        now.set_wall(now.now_ms() + 10)
        for owner in (bob, store.for_owner("carol")):
            file.seek(0)
            assert [one.outcome for one in await imported(owner, file)] == ["deleted"]
        now.set_wall(now.now_ms() + 1)
        for owner, outcome in ((bob, "updated"), (store.for_owner("carol"), "added")):
            file.seek(0)
            assert [one.outcome async for one in owner.import_(file, restore=True)] == [outcome]
            for restore in (False, True):
                file.seek(0)
                again = [one.outcome async for one in owner.import_(file, restore=restore)]
                assert again == ["unchanged"]
            assert (await owner.resume(chat.id)).record.expires_at_ms is None


@pytest.mark.asyncio
async def test_of_two_lists_of_one_moment_the_exports_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Filed here in the millisecond of the export: it is as the export has it, however often."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        now.set_wall(now.now_ms() + 1)
        await (await bob.resume(chat.id)).rename("Two")
        for outcome in ("updated", "unchanged"):
            assert [one.outcome for one in await imported(bob, await file_from(alice))] == [outcome]
        assert (await bob.resume(chat.id)).title == "One"
        now.set_wall(now.now_ms() + 1)
        await (await bob.resume(chat.id)).rename("Two")
        now.set_wall(now.now_ms() - 1)
        assert [one.outcome for one in await imported(bob, await file_from(alice))] == ["unchanged"]
        assert (await bob.resume(chat.id)).title == "Two"


@pytest.mark.asyncio
async def test_no_message_gets_a_lower_number_than_its_parent() -> None:
    """Its own is free here, for a branch was removed; the one above it had to get a higher one."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        there = await bob.resume(chat.id)
        await there.append(*(Message.assistant(text) for text in "abcd"))
        await there.delete_branch((await there.messages())[2].id)
        await chat.append(Message.assistant("x"), Message.user("y"))
        assert [one.messages for one in await imported(bob, await file_from(alice))] == [2]
        found = {one.text: one for one in await (await bob.resume(chat.id)).messages()}
        assert found["y"].parent_id == found["x"].id
        assert found["y"].seq > found["x"].seq > found["a"].seq
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_broken_off_answer_stays_as_it_is_where_somebody_has_gone_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What follows it here builds on it; it is forgotten all the same, and is no more counted."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("count"), Message.assistant("one two"))
        broken = telling("message", "assistant", text="one", status="interrupted")
        await imported(bob, await file_from(alice, broken))
        there = await bob.resume(chat.id)
        now.set_wall(now.now_ms() + 1)
        await there.append(Message.user("go on"))
        assert [one.outcome for one in await imported(bob, await file_from(alice))] == ["unchanged"]
        assert [one.text for one in await there.messages()] == ["count", "one", "go on"]
        assert (await bob.resume(chat.id)).record.interrupted_count == 1
        await chat.forget((await chat.messages())[1].id)
        assert [one.outcome for one in await imported(bob, await file_from(alice))] == ["updated"]
        assert (await bob.resume(chat.id)).record.interrupted_count == 0
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_numbers_of_a_branch_that_was_removed_there_are_not_handed_out_here() -> None:
    """The next message gets the number that it would get there."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        await chat.append(Message.assistant("a"), Message.user("b"))
        await chat.delete_branch((await chat.messages())[1].id)
        await imported(bob, await file_from(alice))
        last_seq = (await alice.resume(chat.id)).record.last_seq
        assert (await bob.resume(chat.id)).record.last_seq == last_seq == 4


@pytest.mark.asyncio
async def test_what_was_forgotten_there_before_it_came_has_the_hash_that_it_had() -> None:
    """Its text is gone, so nobody can make its hash again; what follows is hashed over it."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        await chat.append(Message.assistant("secret"), Message.user("more"))
        await chat.forget((await chat.messages())[1].id)
        await imported(bob, await file_from(alice))
        hashes = [one.content_hash for one in await chat.messages()]
        assert [one.content_hash for one in await (await bob.resume(chat.id)).messages()] == hashes
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_what_is_forgotten_by_an_export_is_told_by_the_next_step() -> None:
    """It takes a number of its own here, where there are more messages than there."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"), Message.assistant("secret"))
        await imported(bob, await file_from(alice))
        there = await bob.resume(chat.id)
        await there.append(*(Message.user(text) for text in "abcd"))
        await chat.forget((await chat.messages())[1].id)
        await imported(bob, await file_from(alice))
        assert (await bob.resume(chat.id)).record.last_seq == 7


@pytest.mark.asyncio
async def test_title_of_the_export_stays_where_the_one_here_told_what_is_forgotten() -> None:
    """It was renamed there and its first question forgotten; here the title was that question."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create()
        await chat.append(Message.user("a secret question"))
        await imported(bob, await file_from(alice))
        assert (await bob.resume(chat.id)).title == "a secret question"
        await chat.forget((await chat.messages())[0].id)
        await chat.rename("New")
        await imported(bob, await file_from(alice))
        assert (await bob.resume(chat.id)).title == "New"
        assert await exported(bob) == await exported(alice)


@pytest.mark.asyncio
async def test_list_that_stands_at_a_message_that_is_not_here_moves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step tells only the line of what has not changed since; it may have been changed before."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"), Message.assistant("a"))
        now.set_wall(now.now_ms() + 2 * MARGIN_MS)
        whole = await file_from(alice)
        await imported(bob, whole)
        cursor = json.loads(whole.getvalue().splitlines()[0])["next_cursor"]
        for head_seq, kept in ((99, 2), (1, 1), (None, None)):
            change = telling("unchanged", head_seq=head_seq, title=f"At {head_seq}")
            step = await file_from(alice, change, since=cursor)
            now.set_wall(now.now_ms() + 1)
            assert [one.outcome for one in await imported(bob, step)] == ["updated"]
            record = (await bob.resume(chat.id)).record
            assert (record.title, record.head_seq) == (f"At {head_seq}", kept)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_what_was_paid_belongs_to_its_message_whatever_number_that_has_here() -> None:
    """Its number there is another message's here."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        await (await bob.resume(chat.id)).append(*(Message.user(text) for text in "abc"))
        far = ScriptedProvider()
        far.script("Hi", Finished(usage=Usage(input_tokens=4)))
        reply = await chat.send("more", provider=far)
        await imported(bob, await file_from(alice))
        here = {one.id: one.seq for one in await (await bob.resume(chat.id)).messages()}
        assert here[reply.id] != reply.seq
        assert await paid(bob) == [here[reply.id]]


async def paid(store: Store) -> list[int]:
    """Return the numbers of the messages for which something was paid."""
    lines = [json.loads(line) for line in (await file_from(store)).getvalue().splitlines()]
    return [one["message_seq"] for one in lines if one["type"] == "usage"]


@pytest.mark.asyncio
async def test_what_was_forgotten_here_gets_nothing_back_from_an_export() -> None:
    """Neither its attachment nor what its origin said, though the file has both."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        value = chatgpt({"1": None, "2": "1"}, {})
        await alice.import_(BytesIO(json.dumps([value]).encode())).finish()
        chat = await alice.resume("@")
        await chat.append(Message.user("see", attachments=[await alice.attach(b"cat")]))
        await imported(bob, await file_from(alice))
        there = await bob.resume(chat.id)
        for one in (await there.messages())[1:]:
            await there.forget(one.id)
        await chat.append(Message.user("more"))
        assert [one.messages for one in await imported(bob, await file_from(alice))] == [1]
        assert [one.status for one in await there.messages()][1:] == ["erased", "erased", "completed"]  # fmt: skip
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_title_from_there_is_found_and_the_old_one_is_not() -> None:
    """What was indexed is taken out before the title changes."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Zebra")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        assert len((await bob.search("zebra")).items) == 1
        await chat.rename("Lion")
        await imported(bob, await file_from(alice))
        assert len((await bob.search("lion")).items) == 1
        assert (await bob.search("zebra")).items == ()


@pytest.mark.asyncio
async def test_time_to_go_that_was_lifted_here_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older export, by which it would be over now, is taken all the same, and hides nothing."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        file = await file_from(alice, telling("conversation", expires_at_ms=now.now_ms() + 10))
        await imported(bob, file)
        now.set_wall(now.now_ms() + 1)
        await (await bob.resume(chat.id)).expire(None)
        now.set_wall(now.now_ms() + 100)
        file.seek(0)
        assert [one.outcome for one in await imported(bob, file)] == ["unchanged"]
        assert (await bob.resume(chat.id)).record.expires_at_ms is None


@pytest.mark.asyncio
async def test_older_exports_lack_hashes_of_what_was_forgotten_and_ids_of_authors() -> None:
    """A hash is made of what is left; an author is known by the name."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        said = [("q", None), ("by Ann", "Ann"), ("by Bob", "Bob")]
        await chat.append(*(Message.user(text, author=author) for text, author in said))
        await chat.forget((await chat.messages())[0].id)

        def older(text: str) -> str:
            lines = [json.loads(line) for line in text.splitlines()]
            for line in lines:
                if line.get("status") == "erased":
                    line["content_hash"] = None
                line.pop("author_id", None)
            return "".join(json.dumps(line) + "\n" for line in lines)

        await imported(bob, await file_from(alice, older))
        assert (await store.check(deep=True)).problems == ()
        await bob.forget(user="Ann")
        texts = [one.text for one in await (await bob.resume(chat.id)).messages()]
        assert texts == ["", "", "by Bob"]


@pytest.mark.asyncio
async def test_numbers_given_anew_are_above_all_that_are_here() -> None:
    """Some keep their own, which is free here and low; the next one's is taken."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        await chat.append(Message.user("q"))
        await imported(bob, await file_from(alice))
        there = await bob.resume(chat.id)
        await there.append(Message.user("gone"))
        await there.delete_branch((await there.messages())[1].id)
        await there.append(Message.user("kept"))
        await chat.append(*(Message.user(text) for text in "xyz"))
        await imported(bob, await file_from(alice))
        found = {one.text: one.seq for one in await there.messages()}
        assert found == {"q": 1, "x": 2, "y": 3, "kept": 4, "z": 5}
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_answer_that_ended_there_lets_go_of_what_it_had_attached() -> None:
    """What it refers to is what it names."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="One")
        parts = (TextPart("one"), await alice.attach(b"cat"))
        await chat.append(Message.user("q"), Message("assistant", "one", parts=parts))
        broken = telling("message", "assistant", status="interrupted")
        await imported(bob, await file_from(alice, broken))
        ended = telling("message", "assistant", parts=[{"t": "text", "text": "two"}])
        assert [one.outcome for one in await imported(bob, await file_from(alice, ended))] == ["updated"]  # fmt: skip
        assert (await (await bob.resume(chat.id)).messages())[1].text == "two"
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_title_that_told_what_was_forgotten_there_goes_wherever_somebody_has_gone_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How it is listed here stays, but for what nobody is to know."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create()
        await chat.append(Message.user("a secret question"))
        await imported(bob, await file_from(alice))
        now.set_wall(now.now_ms() + 1)
        await (await bob.resume(chat.id)).append(Message.user("said away"))
        await chat.forget((await chat.messages())[0].id)
        await imported(bob, await file_from(alice))
        assert (await bob.resume(chat.id)).title != "a secret question"
        assert (await bob.search("secret")).items == ()


@pytest.mark.asyncio
async def test_line_of_a_list_alone_makes_no_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step tells what has not changed by its line: without the export before it, it is refused."""
    now = ManualClock()
    monkeypatch.setattr(clock, "now_ms", now.now_ms)
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        await (await alice.create(title="One")).append(Message.user("q"))
        now.set_wall(now.now_ms() + 2 * MARGIN_MS)
        whole = await file_from(alice)
        cursor = json.loads(whole.getvalue().splitlines()[0])["next_cursor"]
        (one,) = await imported(bob, await file_from(alice, since=cursor))
        assert (one.outcome, "unchanged since an earlier export" in one.reason) == ("refused", True)
        assert (await bob.list()).items == ()


@pytest.mark.asyncio
async def test_of_two_of_one_origin_the_one_that_is_not_in_the_bin_counts() -> None:
    """One came from another program's file, the other with an export of ours that had it, too."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        file = json.dumps([chatgpt({"1": None, "2": "1"}, {})]).encode()
        for owner in (alice, bob):
            await owner.import_(BytesIO(file)).finish()
        await imported(bob, await file_from(alice))
        for id_ in sorted(one.id for one in (await bob.list()).items):
            await bob.delete(id_)
            assert [one.outcome async for one in bob.import_(BytesIO(file))] == ["unchanged"]
            await bob.undelete(id_)
