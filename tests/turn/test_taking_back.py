"""Taking back what was said, without removing it; and the end of what was said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.errors import ConversationNotFoundError, InvalidTextError
from tests.turn.talking import said

if TYPE_CHECKING:
    from convostore import Conversation, Store


@pytest.mark.asyncio
async def test_head_goes_back_message_by_message(store: Store, chat: Conversation) -> None:
    """For whoever resumes, too; what is said then stands beside what was left."""
    stored = await chat.append(Message.user("q"), Message.assistant("a"), Message.user("slip"))
    left = await chat.back()
    assert left == stored[-1]
    assert await said(chat) == await said(await store.resume(chat.id)) == ["q", "a"]
    await chat.append(Message.user("better"))
    assert [one.parent_seq for one in await chat.messages()] == [None, 1, 2, 2]
    assert [one.text for one in await chat.siblings()] == ["slip", "better"]
    assert [one and one.text for one in [await chat.back() for _ in range(4)]] == [
        *("better", "a", "q", None),
    ]
    assert await said(chat) == []
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_of_those_who_go_back_at_once_each_leaves_another_message(
    store: Store, chat: Conversation
) -> None:
    """Whatever each of them had read before."""
    await chat.append(*[Message.user(str(number)) for number in range(6)])
    others = [await store.resume(chat.id) for _ in range(3)]
    left = await asyncio.gather(*(one.back() for one in [chat, *others]))
    assert sorted(one.text for one in left if one) == ["2", "3", "4", "5"]
    assert await said(await store.resume(chat.id)) == ["0", "1"]


@pytest.mark.asyncio
async def test_rewound_conversation_begins_anew_beside_what_was_said(
    store: Store, chat: Conversation
) -> None:
    """Its place in lists, its title and its messages stay; a search of all branches finds them."""
    await chat.append(Message.user("the question"), Message.assistant("the answer"))
    await chat.rewind()
    await chat.rewind()
    assert await said(await store.resume(chat.id)) == []
    await chat.append(Message.user("anew"))
    assert await said(chat) == ["anew"]
    assert [branch.leaf.text for branch in await chat.branches()] == ["the answer", "anew"]
    assert chat.title == "the question"
    assert (await store.search("answer")).items == ()
    assert len((await store.search("answer", all_branches=True)).items) == 1
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_conversation_that_is_gone_cannot_go_back(store: Store, chat: Conversation) -> None:
    """Nor be rewound."""
    await chat.append(Message.user("q"))
    await store.delete(chat.id)
    for verb in (chat.back, chat.rewind):
        with pytest.raises(ConversationNotFoundError):
            await verb()


@pytest.mark.asyncio
async def test_conversation_is_got_by_its_key_alone(store: Store) -> None:
    """By the whole of it, and by nothing else that it is called; nothing is made."""
    chat = await store.create(key="@2")
    found = await store.get("@2")
    assert found is not None
    assert found.id == chat.id
    assert [await store.get(ref) for ref in (chat.id, chat.handle, "@", "other")] == [None] * 4
    with pytest.raises(InvalidTextError):
        await store.get("")
    assert len((await store.list()).items) == 1


@pytest.mark.asyncio
async def test_last_messages_are_the_end_of_the_path(chat: Conversation) -> None:
    """At whichever message it stands, with branches and gaps before it."""
    await chat.append(*[Message.user(str(number)) for number in range(4)])
    await chat.switch(2, exactly=True)
    await chat.append(*[Message.user(f"other {number}") for number in range(3)])
    await chat.switch(4)
    await chat.append(Message.user("end"))
    await chat.delete_branch(6)
    for message in await chat.messages():
        await chat.switch(message.seq, exactly=True)
        path = await chat.history()
        for limit in range(7):
            assert await chat.history(limit) == path[max(0, len(path) - limit) :]
