"""What is told again: after a writer's death, edited to and fro, deleted while it is answered."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.errors import InvalidTextError, MessageNotFoundError, ProviderConnectError
from convostore.events import Finished, ToolCallDelta
from convostore.storage import scrub_note
from convostore.turning.opening import Opening
from tests.engines import change, rows
from tests.turn.talking import BROKEN, BROKEN_OFF, asked, keyed, said, write_elsewhere

if TYPE_CHECKING:
    from convostore import Store
    from convostore.testing import ScriptedProvider
    from convostore.turning.begun import BegunTurn
    from convostore.turning.place import Place
    from tests.engines import Where

HALF = (
    "INSERT INTO journal (owner_id, conversation_id, message_seq, seq, kind, text) "
    "SELECT owner_id, conversation_id, seq, 0, 'text', 'half ' FROM message WHERE status = 'streaming'"
)


@pytest.mark.asyncio
async def test_paced_answer_after_a_broken_one_begins_anew(
    path: Where, store: Store, provider: ScriptedProvider
) -> None:
    """Two processes: the one that asked fails; who follows asks again, and shows that text alone."""
    gate = provider.gate("running")
    provider.script("half ", gate, BROKEN)
    provider.answer("whole")
    async with convostore.open(path, provider=provider) as elsewhere:
        theirs = (await elsewhere.get_or_create("room")).stream("q", idempotency_key="1")
        async with theirs:
            await anext(theirs)
            await theirs._journal.catch_up()
            chat = await store.get_or_create("room")
            shown: list[str] = []
            async with chat.stream("q", idempotency_key="1", every_s=0.0) as turn:
                shown.append((await anext(turn)).text)
                gate.open()
                with pytest.raises(ProviderConnectError):
                    await theirs.drain()
                shown += [delta.text async for delta in turn]
    assert (shown[0], shown[-1]) == ("half ", "whole")
    assert not any("half" in text for text in shown[1:])


@pytest.mark.asyncio
async def test_message_whose_writer_dies_while_it_is_followed_is_asked_anew_in_its_place_in_line(
    path: Where, store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process on another machine, which was killed: what came into the room since is asked next."""
    begin = Opening.begin

    async def slowly(opening: Opening, place: Place) -> BegunTurn:
        turn.tick()  # it takes so long that the pulse comes by
        return await begin(opening, place)

    provider.answer("whole")
    provider.answer("next")
    chat = await store.get_or_create("room")
    await chat.append(keyed("q", "1"), BROKEN_OFF)
    await asyncio.to_thread(write_elsewhere, path)
    await asyncio.to_thread(change, path, HALF)
    async with chat.stream("q", idempotency_key="1") as turn:
        assert (await anext(turn)).text == "half "
        room = await store.get_or_create("room")
        later = asyncio.create_task(room.send("later"))
        await asyncio.sleep(0)
        monkeypatch.setattr(Opening, "begin", slowly)
        await asyncio.to_thread(write_elsewhere, path, lives=False)
        rest = [delta.text async for delta in turn]
    assert (rest, turn.replaced) == (["whole"], True)
    assert (await later).text == "next"
    ended = [(one.parent_seq, one.status, one.text) for one in await room.messages()]
    assert ended == [
        (None, "completed", "q"),
        (1, "interrupted", "half "),
        (1, "completed", "whole"),
        (3, "completed", "later"),
        (4, "completed", "next"),
    ]


@pytest.mark.asyncio
async def test_message_edited_back_is_what_the_conversation_goes_on_with(
    store: Store, provider: ScriptedProvider
) -> None:
    """Rome, Oslo, Bern, Oslo: asked four times, told twice once; Oslo is the newest, and on the path."""
    provider.otherwise = ("answer", Finished())
    await (await store.get_or_create("room")).send("Rome", idempotency_key="1")
    for words in ("Oslo", "Bern", "Oslo", "Oslo"):
        chat = await store.get_or_create("room")
        async with chat.edit("1", words, idempotency_key="1") as turn:
            await turn.drain()
    assert len(provider.calls) == 4
    chat = await store.get_or_create("room")
    assert (await chat.message("1")).text == "Oslo"
    await chat.send("where?", idempotency_key="2")
    assert asked(provider) == ["Oslo", "answer", "where?"]


@pytest.mark.asyncio
async def test_no_hash_of_forgotten_words_is_left(
    path: Where, store: Store, provider: ScriptedProvider
) -> None:
    """An edit is known by a hash of its words; once they are forgotten it is asked no more."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create("room")
    await chat.send("4711", idempotency_key="1")
    async with chat.edit("1", "0815") as turn:
        await turn.drain()
    assert await chat.forget("1")
    kept = await asyncio.to_thread(rows, path, "select idempotency_key from message")
    assert hashlib.sha256(b"0815").hexdigest() not in str(kept)
    assert (await chat.message("1")).status == "erased"
    with pytest.raises(MessageNotFoundError, match="was forgotten"):
        await chat.edit("1", "0815").__aenter__()
    assert not await chat.forget("1")
    assert len(provider.calls) == 2


@pytest.mark.asyncio
async def test_message_is_forgotten_once_its_answer_and_those_in_line_have_ended(
    store: Store, provider: ScriptedProvider
) -> None:
    """One that is being answered, and one that waits: neither is too early, nor an error."""
    gate = provider.gate("running")
    provider.script("one", gate, Finished())
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create("room")
    asking = [asyncio.create_task(chat.send(f"m{at}", idempotency_key=f"{at}")) for at in (1, 2)]
    await gate.arrive()
    deleting = [asyncio.create_task((await store.get_or_create("room")).forget("1"))]
    deleting.append(asyncio.create_task(chat.forget("2")))
    looking = asyncio.create_task(chat.message("2", wait_s=60))
    await asyncio.sleep(0.02)
    gate.open()
    assert await asyncio.gather(*deleting) == [True, True]
    await asyncio.gather(*asking)
    assert (await looking).status == "erased"
    assert await said(chat) == ["", "one", "", "answer"]


@pytest.mark.asyncio
async def test_large_file_is_not_scrubbed_for_one_message(
    path: Where, store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold up who writes for seconds: it stays owed, and `scrub` does it."""
    provider.otherwise = ("answer", Finished())
    chat = await store.get_or_create("room")
    for at in (1, 2, 3):
        await chat.send(f"m{at}", idempotency_key=f"{at}", author_id=f"person {at}")
    await chat.forget("1")
    assert (await store.scrub()).was_owed == (not hasattr(path, "exists"))  # a server's is
    monkeypatch.setattr(scrub_note, "SOON_BYTES", 1)
    await chat.forget("2")
    assert (await store.scrub()).was_owed
    await store.forget(user="person 3")
    assert (await store.scrub()).was_owed


@pytest.mark.asyncio
async def test_tool_answers_whoever_had_it_called_in_a_room_of_several(
    store: Store, provider: ScriptedProvider
) -> None:
    """Its result waits for the answer that is running, and is what is answered next, not the other's."""
    provider.takes_tools = True
    gate = provider.gate("running")
    provider.script(ToolCallDelta("c1", "weather", "{}"), Finished())
    provider.script("ball", gate, Finished())
    provider.answer("dry it is")
    ann, bob = await store.get_or_create("room"), await store.get_or_create("room")
    await ann.send("weather?", author="Ann")
    asking = asyncio.create_task(bob.send("football?", author="Bob"))
    await gate.arrive()
    appending = asyncio.create_task(ann.append(Message.tool("c1", "dry")))
    await asyncio.sleep(0.02)
    gate.open()
    await asking
    (result,) = await appending
    provider.answer("chess it is")
    async with ann.proceed(below=result.id) as turn:
        assert (await turn.drain()).text == "dry it is"
    assert (await bob.send("chess?", author="Bob")).text == "chess it is"
    async with ann.proceed(below=result.seq) as turn:
        assert (await turn.drain()).text == "dry it is"


@pytest.mark.asyncio
async def test_result_is_answered_though_somebody_asked_since(
    store: Store, provider: ScriptedProvider
) -> None:
    """Who has appended it goes on from there, beside the others."""
    provider.takes_tools = True
    provider.script(ToolCallDelta("c1", "weather", "{}"), Finished())
    provider.answer("ball")
    provider.answer("dry it is")
    ann, bob = await store.get_or_create("room"), await store.get_or_create("room")
    await ann.send("weather?", author="Ann")
    await ann.append(Message.tool("c1", "dry"))
    await bob.send("football?", author="Bob")
    async with ann.proceed() as turn:
        assert (await turn.drain()).text == "dry it is"
        assert turn.user.role == "tool"


@pytest.mark.asyncio
async def test_result_of_a_call_that_nobody_made_is_refused(
    store: Store, provider: ScriptedProvider
) -> None:
    """One clear line, and no model is asked."""
    provider.takes_tools = True
    chat = await store.get_or_create("room")
    await chat.append(Message.user("weather?"), Message.tool("c9", "dry"))
    with pytest.raises(MessageNotFoundError, match="a call that nobody made: 'c9'") as caught:
        await chat.proceed().__aenter__()
    assert caught.value.hint
    assert not provider.calls


@pytest.mark.asyncio
async def test_messages_without_an_id_are_not_taken_for_one(
    store: Store, provider: ScriptedProvider
) -> None:
    """An empty key is refused: a second message would be answered as a repeat of the first."""
    chat = await store.get_or_create("room")
    with pytest.raises(InvalidTextError, match="the idempotency key is empty"):
        await chat.send("plums?", idempotency_key="")
    assert (await chat.history(), len(provider.calls)) == ((), 0)
