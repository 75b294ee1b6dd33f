"""Each way a reply can end: its status, what the caller sees, and what the next call is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from watching import until  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.errors import (
    ConvostoreError,
    IncompleteReplyError,
    ProviderError,
    StoreClosedError,
    TurnStateError,
)
from convostore.events import Finished, RemoteUpdate, TextDelta
from convostore.providers.provider import ChatMessage
from convostore.records import RemoteThread
from convostore.testing import Fail, Silence

if TYPE_CHECKING:
    from watching import Watch

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


async def next_call(chat: Conversation, provider: ScriptedProvider) -> list[str]:
    """Ask once more and return what the model was told."""
    provider.answer("next")
    await chat.send("And?")
    return [f"{one.role}: {one.text}" for one in provider.requests[-1].messages]


@pytest.mark.asyncio
async def test_leaving_early_is_stopped_with_the_text_as_shown(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """Nothing is raised, the head is the reply, and the model is told what was shown."""
    provider.script("Hel", "lo", Silence())
    async with chat.stream("Hi") as turn:
        assert (await anext(turn)).text == "Hel"
    assert (turn.reply.status, turn.reply.text) == ("stopped", "Hel")
    assert provider.calls[0].closed
    assert not provider.calls[0].running
    assert watch.heads() == {chat.id: 2}
    assert await next_call(chat, provider) == ["user: Hi", "assistant: Hel", "user: And?"]


@pytest.mark.asyncio
async def test_leaving_before_the_first_piece_is_stopped_without_text(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The question stays; the model is told it joined with the next one."""
    async with chat.stream("Hi") as turn:
        pass
    assert (turn.reply.status, turn.reply.text, provider.calls) == ("stopped", "", [])
    assert await next_call(chat, provider) == ["user: Hi\n\nAnd?"]


@pytest.mark.asyncio
async def test_exception_in_the_body_passes_and_the_reply_is_stopped(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """What the caller's own code raises is not changed."""
    provider.script("Hel", Silence())

    async def ask() -> None:
        async with chat.stream("Hi") as turn:
            async for _ in turn:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask()
    assert watch.messages()[1][3:] == ("stopped", "Hel")


@pytest.mark.asyncio
async def test_stop_from_another_task_ends_the_loop(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """The reading task just sees the end, is not cancelled, and both have the reply as stored."""
    provider.script("Hel", provider.gate("half"), Silence())
    turn = chat.stream("Hi")

    async def read() -> str:
        async with turn:
            shown = [delta.text async for delta in turn]
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(0)  # would raise in a task that is still being cancelled
        return "".join(shown)

    reader = asyncio.create_task(read())
    await provider.gate("half").arrive()
    stopped, again = await asyncio.gather(turn.stop(), turn.stop())
    assert stopped == again == turn.reply
    assert await reader == "Hel"
    assert (stopped.status, stopped.text) == ("stopped", "Hel")
    assert stopped.content_hash is not None
    assert await chat.history() == (turn.user, stopped)


@pytest.mark.asyncio
async def test_stop_in_the_body_ends_the_loop(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The loop that stops its own turn gets no more deltas."""
    provider.answer("Hel", "lo")
    async with chat.stream("Hi") as turn:
        async for _ in turn:
            assert (await turn.stop()).text == "Hel"
    assert (turn.reply.status, turn.reply.text) == ("stopped", "Hel")
    assert await turn.stop() == turn.reply


@pytest.mark.asyncio
async def test_reader_sees_the_end_only_when_a_stop_elsewhere_is_on_disk(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """A stop between two reads: the next read waits for write 2."""
    provider.answer("Hel", "lo")
    async with chat.stream("Hi") as turn:
        await anext(turn)
        stopping = asyncio.create_task(turn.stop())
        await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await anext(turn)
        assert watch.statuses() == ["stopped"]
        await stopping


@pytest.mark.asyncio
async def test_turn_stopped_while_it_begins_asks_nothing(
    store: Store, provider: ScriptedProvider, watch: Watch
) -> None:
    """A turn that waits for another one can be stopped too; it leaves nothing behind."""
    chat = await store.create(key="room")
    provider.script("Hel", provider.gate("half"))
    async with chat.stream("1") as first:
        await anext(first)
        second = chat.stream("2")
        entering = asyncio.create_task(second.__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(TurnStateError):
            await second.stop()
        with pytest.raises(TurnStateError, match="before it began"):
            await entering
    assert [text for *_, text in watch.messages()] == ["1", "Hel"]
    provider.answer("ok")
    assert (await chat.send("3")).status == "completed"


@pytest.mark.asyncio
async def test_failure_is_raised_after_the_commit_with_the_reply(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """The typed error carries the stored reply, and the record carries the error."""
    error = ProviderError("blown", provider="scripted", hint="wait", status=502, retryable=True)
    provider.script("Hel", Fail(error))
    async with chat.stream("Hi") as turn:
        await anext(turn)
        with pytest.raises(ProviderError) as caught:
            await anext(turn)
        assert watch.messages()[1][3:] == ("failed", "Hel")
        with pytest.raises(StopAsyncIteration):
            await anext(turn)
    assert caught.value is error
    assert error.reply == turn.reply == (await chat.history())[-1]
    kept = turn.reply.error
    assert kept is not None
    assert (kept.code, kept.message, kept.hint, kept.retryable) == (
        "provider",
        "blown",
        "wait",
        True,
    )
    assert await next_call(chat, provider) == ["user: Hi", "assistant: Hel", "user: And?"]


@pytest.mark.asyncio
async def test_what_a_provider_puts_into_its_error_can_be_read_again(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Values of other kinds than the record has do not make the conversation unreadable."""
    error = ProviderError(ValueError("odd"), provider="scripted", hint=None)  # type: ignore[arg-type]  # what a provider may get wrong
    error.retryable = "yes"  # type: ignore[assignment]  # as above
    provider.script("Hel", Fail(error))
    with pytest.raises(ProviderError):
        await chat.send("Hi")
    kept = (await chat.history())[-1].error
    assert kept is not None
    assert (kept.message, kept.retryable, kept.unsettled) == ("odd", True, False)


@pytest.mark.asyncio
async def test_an_odd_answer_to_what_became_of_a_reply_is_none(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """What cannot be stored is not taken for the whole of a broken reply: it has failed."""
    remote = RemoteThread(server_url="http://far", dialect="d", remote_id="r")
    provider.recovery = Finished(text=5)  # type: ignore[arg-type]  # what a provider may get wrong
    provider.script(RemoteUpdate(remote), "Hel")
    with pytest.raises(IncompleteReplyError):
        await chat.send("Hi")
    reply = (await chat.history())[-1]
    assert (reply.status, reply.text) == ("failed", "Hel")


@pytest.mark.asyncio
async def test_failure_without_text_is_left_out_of_the_next_call(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A failed reply stays in the record as the head, and out of the view."""
    provider.script(Fail(ProviderError("blown", provider="scripted", status=500)))
    with pytest.raises(ProviderError) as caught:
        await chat.send("Hi")
    assert caught.value.reply is not None
    assert (await chat.history())[-1] == caught.value.reply
    provider.answer("next")
    await chat.send("And?")
    assert provider.requests[-1].messages == (ChatMessage("user", "Hi\n\nAnd?"),)


@pytest.mark.asyncio
async def test_stream_without_an_end_has_failed(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Text that just stops coming is never shown as complete."""
    provider.script("Hel")
    with pytest.raises(IncompleteReplyError) as caught:
        await chat.send("Hi")
    assert caught.value.reply is not None
    assert (caught.value.reply.status, caught.value.reply.text) == ("failed", "Hel")


@pytest.mark.asyncio
@pytest.mark.parametrize("raised", [ValueError("odd \ud800\x00"), TimeoutError(), OSError(5, "x")])
async def test_fault_in_a_provider_is_a_failure_like_any_other(
    raised: Exception, chat: Conversation, provider: ScriptedProvider
) -> None:
    """An exception that is no ProviderError becomes one, says so, and can be stored."""
    provider.script("Hel", Fail(raised))
    with pytest.raises(ProviderError, match=type(raised).__name__) as caught:
        await chat.send("Hi")
    assert caught.value.__cause__ is raised
    assert "fault" in caught.value.hint
    assert caught.value.reply == (await chat.history())[-1]
    assert (await chat.history())[-1].status == "failed"


@pytest.mark.asyncio
async def test_fault_before_the_first_event_is_a_failure_too(
    chat: Conversation, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider whose `stream` itself raises leaves no running reply."""

    def broken(*_: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(type(provider), "stream", broken)
    with pytest.raises(ProviderError, match="not today"):
        await chat.send("Hi")
    assert [one.status for one in await chat.history()] == ["completed", "failed"]


@pytest.mark.asyncio
async def test_fault_while_closing_changes_nothing_of_the_reply(
    chat: Conversation, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How a reply ended is decided; a provider that cannot let go does not undo it."""

    class Stubborn:
        def __aiter__(self) -> Stubborn:
            return self

        async def __anext__(self) -> object:
            return TextDelta("Hel")

        async def aclose(self) -> None:
            raise OSError("stuck")

    monkeypatch.setattr(type(provider), "stream", lambda *_: Stubborn())
    async with chat.stream("Hi") as turn:
        await anext(turn)
    assert turn.reply.status == "stopped"


@pytest.mark.asyncio
async def test_closing_the_store_stops_what_runs(
    path: Where, provider: ScriptedProvider, watch: Watch
) -> None:
    """Turns being read, idle and just beginning all end before the file is closed."""
    store = convostore.open(path, provider=provider)
    chats = [await store.create() for _ in range(3)]
    for _ in range(2):
        provider.script("Hel", Silence())
    read = asyncio.create_task(chats[0].stream("1").__aenter__())
    first = await read
    second = await chats[1].stream("2").__aenter__()
    await anext(first)
    await anext(second)
    reading = asyncio.create_task(first.drain())
    beginning = asyncio.create_task(chats[2].send("3"))
    await asyncio.sleep(0)
    await store.aclose()
    assert (await reading).status == "stopped"
    assert second.reply.status == "stopped"
    with pytest.raises((TurnStateError, StoreClosedError)):
        await beginning
    assert set(watch.statuses()) == {"stopped"}
    with pytest.raises(StoreClosedError):
        await chats[0].send("4")
    for turn in (first, second):
        await turn.__aexit__(None, None, None)


@pytest.mark.asyncio
async def test_closing_the_store_at_any_moment_leaves_no_running_reply(
    path: Where, provider: ScriptedProvider, watch: Watch
) -> None:
    """However far a turn has come when its store is closed, its reply is final or not there."""
    provider.otherwise = ("Hel", "lo", Silence())
    for steps in range(0, 60, 2):
        store = convostore.open(path, provider=provider)
        chat = await store.create()
        task = asyncio.create_task(chat.send("Hi"))
        for _ in range(steps):
            await asyncio.sleep(0.0002 if steps % 4 else 0)
        await store.aclose()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert not isinstance(outcome, asyncio.CancelledError | ConvostoreError), outcome
        assert "streaming" not in watch.statuses()
    await until(lambda: len(asyncio.all_tasks()) == 1)
