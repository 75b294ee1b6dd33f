"""Appending: what is stored, in which order, once, and what is refused whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

import convostore
from convostore.errors import (
    ConversationBusyError,
    DuplicateKeyError,
    HeadMovedError,
    InvalidTextError,
    MessageNotFoundError,
)
from convostore.parts import ReasoningPart, TextPart, ToolCallPart
from convostore.records import Message
from convostore.testing import ScriptedProvider

if TYPE_CHECKING:
    from convostore import Store
    from tests.engines import Where


@pytest.mark.asyncio
async def test_an_append_comes_back_as_it_was_given(store: Store) -> None:
    """Roles, texts, parts, authors, models and ids are kept, in order, below each other."""
    chat = await store.create(system="be brief")
    call = ToolCallPart(id="1", name="look", args="{}")
    given = (
        Message.user("Grüße 🌍\r\n", author="eva"),
        Message.assistant("ab", model="m", parts=(TextPart("a"), call, TextPart("b"))),
        Message.assistant("", parts=(ReasoningPart("hm"),)),
    )
    stored = await chat.append(*given)
    assert [(one.id, one.role, one.text, one.author, one.model) for one in stored] == [
        (one.id, one.role, one.text, one.author, one.model) for one in given
    ]
    assert [one.parts for one in stored[1:]] == [one.parts for one in given[1:]]
    assert [one.seq for one in stored] == [2, 3, 4]
    assert await chat.history() == ((await chat.history())[0], *stored)
    assert all(one.content_hash for one in stored)


@pytest.mark.asyncio
async def test_repeating_an_append_stores_it_once(store: Store) -> None:
    """The same message objects again, as after an unknown outcome, are found and returned."""
    chat = await store.create()
    pair = (Message.user("q"), Message.assistant("a"))
    assert await chat.append(*pair) == await chat.append(*pair)
    await chat.append(Message.user("next"))
    assert [one.seq for one in await chat.append(*pair)] == [1, 2]
    assert [one.text for one in await chat.messages()] == ["q", "a", "next"]


@pytest.mark.asyncio
async def test_the_same_append_by_many_tasks_at_once_is_stored_once(store: Store) -> None:
    """Ten repeats that land in the same transaction are one append."""
    chat = await store.create()
    pair = (Message.user("q"), Message.assistant("a"))
    outcomes = await asyncio.gather(*(chat.append(*pair) for _ in range(10)))
    assert {tuple(one.seq for one in outcome) for outcome in outcomes} == {(1, 2)}
    assert len(await chat.messages()) == 2


@pytest.mark.asyncio
async def test_a_message_that_is_stored_elsewhere_is_refused_whole(store: Store) -> None:
    """An id with other words, in another conversation, or twice in one append, stores nothing."""
    chat, other = await store.create(), await store.create()
    first = Message.user("first")
    await chat.append(first)
    again = Message.user("again")
    for refused in (
        (msgspec.structs.replace(first, text="changed", parts=()),),
        (Message.user("new"), first),
        (again, again),
    ):
        with pytest.raises(DuplicateKeyError):
            await chat.append(*refused)
    with pytest.raises(DuplicateKeyError):
        await other.append(first)
    assert [one.text for one in await chat.messages()] == ["first"]
    assert await other.messages() == ()


@pytest.mark.asyncio
async def test_expected_head_is_compared_where_the_append_is_stored(store: Store) -> None:
    """Of two who saw the same head one is stored; a head that never was is not found."""
    chat = await store.create()
    (first,) = await chat.append(Message.user("first"), expected_head=None)
    one, two = await store.resume(chat.id), await store.resume(chat.id)
    outcomes = await asyncio.gather(
        one.append(Message.user("one"), expected_head=first.id),
        two.append(Message.user("two"), expected_head=first.id),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, HeadMovedError) for outcome in outcomes) == 1
    assert len(await chat.messages()) == 2
    with pytest.raises(MessageNotFoundError):
        await chat.append(Message.user("x"), expected_head="never")


@pytest.mark.asyncio
async def test_nothing_is_appended_below_a_running_reply(path: Where) -> None:
    """A reply that is being written has no child until it has ended."""
    provider = ScriptedProvider()
    provider.script("half", provider.gate("half"))
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        async with chat.stream("go") as turn:
            await anext(turn)
            with pytest.raises(ConversationBusyError):
                await (await store.resume(chat.id)).append(Message.user("too early"))
        await chat.append(Message.user("now"))
        assert [one.text for one in await chat.history()] == ["go", "half", "now"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "bad",
    [
        Message.user("a\x00b"),
        Message.user("a\udce9b"),
        Message.user("x" * (16 * 1024 * 1024 + 1)),
        Message.user("x", author="\udce9"),
        Message.assistant("x", model="\udce9"),
        Message.assistant("", parts=(ToolCallPart("\ud800", "n", "a"),)),
        Message.assistant("other", parts=(TextPart("text"),)),
        msgspec.structs.replace(Message.assistant("x"), status="streaming"),
    ],
    ids=["nul", "half", "long", "author", "model", "half part", "text", "running"],
)
async def test_what_cannot_be_stored_is_refused_with_its_neighbours(
    store: Store, bad: Message
) -> None:
    """One text that cannot be stored refuses the whole append, by a typed error."""
    chat = await store.create()
    with pytest.raises(InvalidTextError):
        await chat.append(Message.user("good"), bad)
    assert await chat.messages() == ()
    with pytest.raises(InvalidTextError):
        await store.create(settings={"stop": "\ud800"})


@pytest.mark.asyncio
async def test_a_text_of_the_largest_size_is_kept(store: Store) -> None:
    """16 MiB go in and come out, alike."""
    chat = await store.create()
    text = "é" * (8 * 1024 * 1024)
    await chat.append(Message.user(text))
    assert (await chat.history())[0].text == text


@pytest.mark.asyncio
async def test_a_thousand_messages_are_one_append(store: Store) -> None:
    """A long append is one transaction, in order."""
    chat = await store.create()
    given = [Message.user(str(number)) for number in range(1000)]
    stored = await chat.append(*given)
    assert [one.text for one in stored] == [str(number) for number in range(1000)]
    assert [one.id for one in await chat.history()] == [one.id for one in given]


@pytest.mark.asyncio
async def test_a_key_belongs_to_one_conversation(store: Store) -> None:
    """Ten tasks that want the same key at once get the same conversation; create refuses."""
    chats = await asyncio.gather(*(store.get_or_create("room") for _ in range(10)))
    assert len({chat.id for chat in chats}) == 1
    with pytest.raises(DuplicateKeyError):
        await store.create(key="room")
    assert len((await store.list()).items) == 1
