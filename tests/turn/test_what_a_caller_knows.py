"""What a conversation object remembers of its path: the next turn reads nothing that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convostore import Message
from convostore.errors import MessageNotFoundError
from convostore.events import Finished
from convostore.storage import reads
from convostore.turning import place
from tests.turn.talking import asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note each reading of a path."""
    found: list[object] = []
    read: Callable[..., Any] = reads.path

    async def path(*args: Any) -> Any:
        found.append(args)
        return await read(*args)

    monkeypatch.setattr(reads, "path", path)
    return found


@pytest.mark.asyncio
async def test_turns_on_one_object_read_the_path_once(
    store: Store, chat: Conversation, provider: ScriptedProvider, reading: list[object]
) -> None:
    """A resumed conversation is read at its first turn; all that follow know what was said."""
    provider.otherwise = ("a", Finished())
    await chat.send("q1")
    again = await store.resume(chat.id)
    reading.clear()
    for number in (2, 3, 4):
        await again.send(f"q{number}")
    assert len(reading) == 1
    assert asked(provider) == ["q1", "a", "q2", "a", "q3", "a", "q4"]


@pytest.mark.asyncio
async def test_a_long_path_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
    chat: Conversation,
    provider: ScriptedProvider,
    reading: list[object],
) -> None:
    """More characters than an object may hold are read again at each turn."""
    monkeypatch.setattr(place, "KEPT_CHARS", 5)
    provider.otherwise = ("a", Finished())
    await chat.send("q1")
    await chat.send("q2")
    await chat.send("q3")
    assert len(reading) == 1  # at q3; at q1 there was nothing to read
    assert asked(provider) == ["q1", "a", "q2", "a", "q3"]


@pytest.mark.asyncio
async def test_what_was_said_elsewhere_is_asked_along(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """An object that remembers sees what another one has added, where it follows."""
    provider.otherwise = ("a", Finished())
    await chat.send("q1")
    elsewhere = await store.resume(chat.id)
    await elsewhere.append(Message.user("q2"), Message.assistant("b"))
    await chat.send("q3", on_moved="follow")
    assert asked(provider) == ["q1", "a", "q2", "b", "q3"]


@pytest.mark.asyncio
async def test_what_was_removed_elsewhere_is_not_asked_any_more(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """A remembered path is checked in the write itself: what is gone goes to no model."""
    provider.otherwise = ("a", Finished())
    await chat.send("q1")
    await chat.send("secret")
    elsewhere = await store.resume(chat.id)
    await elsewhere.delete_branch(3)
    with pytest.raises(MessageNotFoundError):
        await chat.send("q3")
    assert "secret" in asked(provider)  # of the turn before: nothing was asked since
    assert len(provider.requests) == 2
    assert [one.text for one in await elsewhere.messages()] == ["q1", "a"]
    await chat.send("q4", on_moved="follow")
    assert asked(provider) == ["q1", "a", "q4"]


@pytest.mark.asyncio
async def test_what_was_forgotten_elsewhere_goes_to_no_model(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The head is where it was, and so is all that was removed; what is remembered of it is old."""
    provider.otherwise = ("a", Finished())
    await chat.send("secret")
    await chat.send("q2")
    elsewhere = await store.resume(chat.id)
    await elsewhere.forget(1)
    await chat.send("q3")
    assert "secret" not in " ".join(asked(provider))
    assert asked(provider)[-3:] == ["q2", "a", "q3"]


@pytest.mark.asyncio
async def test_a_branch_removed_beside_the_path_makes_the_path_be_read_again(
    store: Store, chat: Conversation, provider: ScriptedProvider, reading: list[object]
) -> None:
    """Whatever was taken out of a conversation, what others know of it counts as old."""
    provider.otherwise = ("a", Finished())
    await chat.send("q1")
    elsewhere = await store.resume(chat.id)
    async with elsewhere.regenerate() as turn:
        await turn.drain()
    await chat.send("q2")
    await elsewhere.delete_branch(turn.reply.id)
    reading.clear()
    await chat.send("q3")
    assert len(reading) == 1
    assert asked(provider) == ["q1", "a", "q2", "a", "q3"]
