"""Windows of turns: who chooses, what is sent, what is read, and what a caller can see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message, Window
from convostore.errors import ContextLengthError
from convostore.events import Finished, RemoteUpdate
from convostore.providers.provider import ChatMessage
from convostore.records import RemoteThread, Usage
from convostore.turning import looking, place

if TYPE_CHECKING:
    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


def told(provider: ScriptedProvider) -> list[str]:
    """Return the texts of the last request."""
    return [one.text for one in provider.requests[-1].messages]


async def talk(chat: Conversation, count: int, first: int = 1) -> None:
    """Append turns."""
    for number in range(first, first + count):
        await chat.append(Message.user(f"q{number}"), Message.assistant(f"a{number}"))


@pytest.mark.asyncio
async def test_turn_says_more_than_its_conversation_and_that_more_than_the_store(
    path: Where, provider: ScriptedProvider
) -> None:
    """Nobody's choice is mixed with another's."""
    provider.otherwise = ("ok", Finished())
    async with convostore.open(path, provider=provider, window=Window(turns=2)) as store:
        chat = await store.create(system="Be brief.")
        await talk(chat, 3)
        await chat.send("new")
        assert told(provider) == ["Be brief.", "q2", "a2", "q3", "a3", "new"]
        assert chat.window == Window(turns=2)
        chat.window = Window(turns=1)
        await chat.send("more")
        assert told(provider) == ["Be brief.", "new", "ok", "more"]
        await chat.send("most", window=Window(turns=0))
        assert told(provider) == ["Be brief.", "most"]
        again = await store.resume(chat.id)
        await again.send("all", window=Window())
        assert len(told(provider)) == 14
        async with again.regenerate(window=Window(turns=1)) as turn:
            await turn.drain()
        assert told(provider) == ["Be brief.", "most", "ok", "all"]
        async with again.edit(2, "first", window=Window(turns=1)) as turn:
            await turn.drain()
        assert told(provider) == ["Be brief.", "first"]


@pytest.mark.asyncio
async def test_window_of_tokens_uses_what_the_provider_counted(
    path: Where, provider: ScriptedProvider
) -> None:
    """A reply that it counted as ten tokens has ten; of another model's, nobody knows."""
    usage = Usage(output_tokens=30, reasoning_tokens=20)
    provider.otherwise = ("a b c d", Finished(model="scripted-1", usage=usage))
    words = Window(tokens=(4 + 1) + (4 + 1 + 4 + 10))
    async with convostore.open(
        path, provider=provider, window=words, count_tokens=lambda text: len(text.split())
    ) as store:
        chat = await store.create(model="scripted-1")
        await chat.send("one")
        async with chat.stream("two") as turn:
            await turn.drain()
        assert turn.view is not None
        assert (turn.view.tokens, turn.view.dropped_turns) == (words.tokens, 0)
        other = await store.resume(chat.id)
        assert (await other.view("three", window=Window(tokens=23))).dropped_turns == 2
        assert (await other.view("three", window=words)).dropped_turns == 1
        assert (await other.view("three", model="m2", window=Window(tokens=23))).dropped_turns == 1


@pytest.mark.asyncio
async def test_view_can_be_seen_without_asking(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """With a question or without one; it is what would be sent."""
    await talk(chat, 2)
    seen = await chat.view(window=Window(turns=0))
    assert [one.text for one in seen.messages] == ["q2", "a2"]
    seen = await chat.view("new", author="Anna")
    assert seen.messages[-1] == ChatMessage("user", "Anna: new", author="Anna")
    assert (len(seen.messages), seen.tokens, seen.goes_on) == (5, 31, False)
    assert provider.requests == []
    assert (await chat.history())[-1].text == "a2"


@pytest.mark.asyncio
async def test_question_larger_than_the_window_stores_nothing(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """It is refused before anything happens; the next one may fit."""
    with pytest.raises(ContextLengthError):
        await chat.send("word " * 100, window=Window(tokens=50))
    assert await chat.history() == ()
    provider.answer("ok")
    await chat.send("word", window=Window(tokens=50))


@pytest.mark.asyncio
async def test_far_side_that_keeps_the_conversation_goes_on_by_its_own_thread(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A window changes nothing of that; it is there for when the far side has forgotten."""
    thread = RemoteThread(server_url="https://far", dialect="x", remote_id="r1")
    provider.script(RemoteUpdate(thread), "one", Finished())
    await chat.send("1")
    provider.answer("two")
    async with chat.stream("2", window=Window(turns=0)) as turn:
        await turn.drain()
    assert provider.requests[-1].remote == thread
    assert told(provider) == ["2"]
    assert turn.view is not None
    assert turn.view.goes_on


@pytest.mark.asyncio
async def test_of_a_long_conversation_only_what_is_wanted_is_read(
    store: Store, chat: Conversation, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent is the same as where all of it is read, on a branch too."""
    monkeypatch.setattr(looking, "_PIECE", 4)
    await chat.append(Message.system("Be brief."))
    await talk(chat, 30)
    await chat.switch(41)  # an answer in the middle: the rest becomes another branch
    await chat.switch(41, exactly=True)
    await talk(chat, 10, 100)
    await chat.append(Message(role="tool", text="nobody called"))
    windows = [
        Window(turns=0),
        Window(turns=3),
        Window(turns=500),
        Window(tokens=40),
        Window(tokens=300),
        Window(turns=12, tokens=100_000),
    ]
    for window in windows:
        monkeypatch.setattr(looking, "SHORT", 1_000)
        whole = await chat.view("new", window=window)
        monkeypatch.setattr(looking, "SHORT", 1)
        part = await chat.view("new", window=window)
        assert (part.messages, part.dropped_turns) == (whole.messages, whole.dropped_turns), window
    past = await looking.past_of(chat._place, Window(turns=3), chat._place.head_seq)
    assert len(past.path) == 1 + 4 * 2 + 1  # one more turn: the last may be what is asked
    assert past.path[-1].text == "nobody called"


@pytest.mark.asyncio
async def test_part_that_is_remembered_serves_the_same_window_alone(
    store: Store, chat: Conversation, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wider one reads again; a turn in the same one need not."""
    monkeypatch.setattr(looking, "SHORT", 1)
    provider.otherwise = ("ok", Finished())
    await talk(chat, 5)
    chat = await store.resume(chat.id)
    chat.window = Window(turns=2)
    await chat.send("x")
    assert told(provider) == ["q4", "a4", "q5", "a5", "x"]
    said = chat._place.said
    assert isinstance(said, place.Said)
    assert [one.text for one in said.past.path][-6:] == ["q4", "a4", "q5", "a5", "x", "ok"]
    await chat.send("y")
    assert told(provider) == ["q5", "a5", "x", "ok", "y"]
    await chat.send("z", window=Window(turns=5))
    assert told(provider) == ["q3", "a3", "q4", "a4", "q5", "a5", "x", "ok", "y", "ok", "z"]


@pytest.mark.asyncio
async def test_forgotten_message_is_in_no_window(
    store: Store, chat: Conversation, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another object forgot it after this one had read it."""
    monkeypatch.setattr(looking, "SHORT", 1)
    provider.otherwise = ("ok", Finished())
    await talk(chat, 5)
    chat.window = Window(turns=2)
    await chat.send("x")
    await (await store.resume(chat.id)).forget(9)
    await chat.send("y")
    assert told(provider) == ["a5", "x", "ok", "y"]


@pytest.mark.asyncio
@pytest.mark.parametrize("short", [128, 1])
async def test_question_that_is_stored_already_is_no_earlier_turn(
    chat: Conversation, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    """A window tells as many turns before it as before any other, however long the path is."""
    monkeypatch.setattr(looking, "SHORT", short)
    await talk(chat, 5)
    await chat.append(Message.user("new"))
    chat.window = Window(turns=3)
    provider.answer("ok")
    async with chat.proceed() as turn:
        await turn.drain()
    assert told(provider) == ["q3", "a3", "q4", "a4", "q5", "a5", "new"]
    assert turn.view is not None
    assert turn.view.dropped_turns == 2
