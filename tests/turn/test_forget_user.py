"""Forgetting a person: what they said in all rooms, and what they alone were answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from convostore import Message, forgetting
from convostore.errors import InvalidTextError
from convostore.events import Finished
from convostore.forgetting import ForgetReport
from convostore.storage.forgetting_users import ForgetSaid, forget_said
from convostore.storage.statements import Tx
from tests.engines import rows
from tests.turn.talking import asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.testing import ManualClock, ScriptedProvider

ANN, BOB = "telegram:1", "telegram:2"


async def ask(chat: Conversation, who: str, text: str, key: str | None = None) -> Message:
    """Ask as somebody; their name may be another one each time."""
    return await chat.send(text, author=f"name in {text}", author_id=who, idempotency_key=key)


async def shape(chat: Conversation) -> list[str]:
    """Return the texts of the whole tree; what was erased is a dash."""
    return [one.text or "-" for one in await chat.messages()]


@pytest.mark.asyncio
async def test_person_is_forgotten_in_all_rooms_and_others_are_not(
    store: Store, provider: ScriptedProvider, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the id that stays; answers to them alone go, too; their own rooms go as a whole. As counted."""
    provider.otherwise = ("answer", Finished())
    group, private = await store.get_or_create("room:g"), await store.get_or_create("room:1")
    await ask(group, ANN, "plum", "1")
    await ask(group, BOB, "pear", "2")
    await ask(group, ANN, "fig", "3")
    await ask(private, ANN, "lime", "4")
    binned = await group.fork(title="copy")
    await binned.delete()
    other = store.for_owner("somebody else")
    elsewhere = await other.create()
    await ask(elsewhere, ANN, "kiwi")
    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "_AT_ONCE", 1)
        meant = await store.forget(user=ANN, dry_run=True)
    assert await shape(private) == ["lime", "answer"]
    report = await store.forget(user=ANN)
    assert report == meant == ForgetReport(messages=10, conversations=1)
    assert await shape(group) == ["-", "-", "pear", "answer", "-", "-"]
    assert await shape(elsewhere) == ["kiwi", "answer"]
    assert group.key == "room:g"
    assert (await store.matching(), await store.matching(deleted=True)) == (
        (group.id,),
        (binned.id,),
    )
    undeleted = await store.undelete(binned.id)
    assert undeleted.changed == 1
    assert await shape(await store.resume(binned.id)) == ["-", "-", "pear", "answer", "-", "-"]
    assert (await store.search("plum fig lime")).items == ()
    kept = (
        "SELECT author, author_id, idempotency_key FROM message WHERE idempotency_key IS NOT NULL"
    )
    assert rows(watch.path, kept) == [("name in pear", BOB, '["room:g","2"]')]
    assert (await store.check(deep=True)).problems == ()
    assert await store.forget(user=ANN) == ForgetReport()
    await ask(group, BOB, "and now?")
    told = asked(provider)
    assert told == ["name in pear: pear", "answer", "name in and now?: and now?"]


@pytest.mark.asyncio
async def test_answer_to_several_people_stays(store: Store) -> None:
    """What one of them asked goes; a reply to both, and what follows it, is not theirs alone."""
    chat = await store.create()
    said = [
        Message.user("ann 1", author="Ann"),
        Message.user("bob 1", author="Bob"),
        Message.user("ann 2", author="Ann"),
        Message.assistant("to both"),
        Message.user("ann 3", author="Ann"),
        Message.assistant("to ann"),
        Message.assistant("and more to ann"),
    ]
    await chat.append(*said)
    report = await store.forget(user="Ann")
    assert report.messages == 5
    assert await shape(chat) == ["-", "bob 1", "-", "to both", "-", "-", "-"]


@pytest.mark.asyncio
async def test_titles_made_of_what_was_forgotten_go(
    store: Store, provider: ScriptedProvider
) -> None:
    """The first line of it, and what a model made of it; what somebody chose stays."""
    provider.otherwise = ("Plums", Finished())
    made, lined, chosen = [
        await store.create(),
        await store.create(),
        await store.create(title="x"),
    ]
    for chat in (made, lined, chosen):
        await ask(chat, ANN, "plums?")
        await ask(chat, BOB, "pears?")
    await made.generate_title()
    await store.search("plums")
    await store.forget(user=ANN)
    titles = {one.id: one.title for one in (await store.list()).items}
    assert titles == {made.id: None, lined.id: None, chosen.id: "x"}
    hits = await store.search("plums")
    assert {one.seq for one in hits.items} == {4}  # what Bob was answered
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_reply_that_is_being_written_is_waited_for(
    store: Store, provider: ScriptedProvider, manual: ManualClock
) -> None:
    """What it knows of stays till then, and is counted as busy where it takes longer than that."""
    group, other = await store.get_or_create("room:g"), await store.get_or_create("room:h")
    for chat in (group, other):
        await chat.append(Message.user("plum", author_id=ANN), Message.user("pear", author_id=BOB))
    gate = provider.gate("running")
    provider.script("half", gate, " whole", Finished())
    running = asyncio.create_task(ask(group, BOB, "and?"))
    await gate.arrive()
    report = await store.forget(user=ANN, wait_s=0)
    assert report == ForgetReport(messages=1, busy=1)
    forgetting = asyncio.create_task(store.forget(user=ANN))
    await asyncio.sleep(0)
    gate.open()
    await running
    while not forgetting.done():
        await manual.advance(0.1)
        await shape(group)  # a trip of its own, so that those of the other task have their time
    assert await forgetting == ForgetReport(messages=1)
    assert await shape(group) == ["-", "pear", "and?", "half whole"]


@pytest.mark.asyncio
async def test_thousands_of_messages_go_a_part_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off by a failure, it goes on where it was; every part is a commit of its own."""
    chats = [await store.create(title=f"{number}") for number in range(3)]
    for chat in chats:
        await chat.append(Message.user("bob", author_id=BOB))
        await chat.append(*(Message.user(f"ann {one}", author_id=ANN) for one in range(7)))
    monkeypatch.setattr("convostore.forgetting._AT_ONCE", 5)
    database = (await store._opener.opened()).database
    write, left = database.write, 2

    async def failing(function: Any, owner_id: str, job: Any) -> Any:
        nonlocal left
        if function is forget_said:
            assert len(job.seqs) <= 5
            left -= 1
            if not left:
                raise OSError("gone")
        return await write(function, owner_id, job)

    monkeypatch.setattr(database, "write", failing)
    with pytest.raises(OSError, match="gone"):
        await store.forget(user=ANN)
    report = await store.forget(user=ANN)
    assert report.messages == 21 - 5
    assert [await shape(chat) for chat in chats] == [["bob"] + ["-"] * 7] * 3


@pytest.mark.asyncio
async def test_nobody_is_forgotten_by_a_blank_name(store: Store) -> None:
    """An empty user, or one that no store can have, is refused; where nobody is, nothing is done."""
    for bad in ("", " ", "a\x00"):
        with pytest.raises(InvalidTextError, match="the user"):
            await store.forget(user=bad)
    assert await store.forget(user="nobody") == ForgetReport()


@pytest.mark.asyncio
async def test_forgetting_a_person_whose_answer_was_lost_is_done_once(store: Store) -> None:
    """Run again, it finds nothing left to do."""
    chat = await store.create(title="one")
    await chat.append(Message.user("plum", author_id=ANN), Message.user("pear", author_id=BOB))
    database, owner_id = await store._owned.for_writing()
    job = ForgetSaid(conversation_id=chat.id, seqs=(1,), author_id=ANN, now_ms=0)

    def twice(tx: Tx, owner_id: str, jobs: Sequence[ForgetSaid]) -> list[Any]:
        forget_said(tx, owner_id, jobs)
        return forget_said(Tx(tx.cursor, tx.dialect, again=True), owner_id, jobs)

    await database.write(twice, owner_id, job)
    assert await shape(chat) == ["-", "pear"]
    assert (await store.check(deep=True)).problems == ()
