"""Each way a reply can end: its status, what the caller sees, the head, the next model call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore import errors
from convostore.events import Finished, TextDelta
from convostore.providers.provider import ChatMessage
from convostore.testing import Fail, ManualClock, ScriptedProvider, Silence, temporary_store
from tests.engines import place
from tests.turn.reading import replies, rows

if TYPE_CHECKING:
    from convostore import Conversation, Store


async def asked_next(chat: Conversation, provider: ScriptedProvider) -> list[ChatMessage]:
    """Ask once more and return what the model was told."""
    provider.answer("next")
    await chat.send("and now?")
    return list(provider.requests[-1].messages)


def told(*texts: str) -> list[ChatMessage]:
    """Return alternating messages, the user's first."""
    roles = ("user", "assistant")
    return [ChatMessage(roles[at % 2], text) for at, text in enumerate(texts)]  # type: ignore[arg-type]  # the two roles


@pytest.mark.asyncio
async def test_question_is_on_disk_before_the_model_is_asked() -> None:
    """When the provider is called, another process already reads the question."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("asked")
        provider.script(gate, "yes", Finished())
        turn = chat.stream("is it there?")
        async with turn:
            reading = asyncio.create_task(turn.drain())
            await gate.arrive()
            stored = rows(place(store), "SELECT role, status, text FROM message ORDER BY seq")
            assert stored == [("user", "completed", "is it there?"), ("assistant", "streaming", "")]
            gate.open()
            await reading


@pytest.mark.asyncio
@pytest.mark.parametrize(("final", "replaced"), [("Kyoto", False), (None, False), ("Nara", True)])
async def test_turn_tells_that_the_final_text_replaced_what_was_shown(
    final: str | None, replaced: bool
) -> None:
    """The provider's last word is what is stored; the turn says whether it is another one."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script("Kyo", "to", Finished(text=final))
        async with chat.stream("where?") as turn:
            assert not turn.replaced
            await turn.drain()
        assert turn.replaced is replaced
        assert (await chat.history())[-1].text == turn.reply.text == (final or "Kyoto")


@pytest.mark.asyncio
async def test_completed_reply_is_stored_whole_and_is_the_head() -> None:
    """The provider's Finished ends a reply as completed; the next call is told its text."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script("Kyo", "to", Finished(model="m-1", finish_reason="stop"))
        async with chat.stream("where?") as turn:
            shown = [(delta.text, delta.seq) async for delta in turn]
        assert shown == [("Kyo", 3), ("to", 5)]
        assert (turn.reply.status, turn.reply.text, turn.finish_reason) == (
            "completed",
            "Kyoto",
            "stop",
        )
        assert (await store.resume(chat.id)).record.head_seq == turn.reply.seq
        assert (await chat.history())[-1] == turn.reply
        assert rows(place(store), "SELECT count(*) FROM journal") == [(0,)]
        assert await asked_next(chat, provider) == told("where?", "Kyoto", "and now?")


@pytest.mark.asyncio
async def test_caller_who_leaves_early_stops_the_reply() -> None:
    """Leaving the block keeps what was shown, as stopped, and raises nothing."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script("one ", "two ", Silence())
        async with chat.stream("count") as turn:
            async for delta in turn:
                if delta.text == "two ":
                    break
        assert replies(place(store)) == [("stopped", "one two ")]
        assert provider.calls[0].closed
        assert await asked_next(chat, provider) == told("count", "one two ", "and now?")


@pytest.mark.asyncio
async def test_stop_from_another_task_ends_the_reading_quietly() -> None:
    """`stop()` ends a loop that waits for the provider, which then sees no error."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("said")
        provider.script("one ", gate, Silence())
        async with chat.stream("count") as turn:
            reading = asyncio.create_task(turn.drain())
            await gate.arrive()
            gate.open()
            await asyncio.sleep(0)
            assert (await turn.stop()).status == "stopped"
            assert (await reading).text == "one "
        assert replies(place(store)) == [("stopped", "one ")]


@pytest.mark.asyncio
async def test_cancelled_task_keeps_what_was_shown_and_is_cancelled() -> None:
    """A cancelled `send` raises CancelledError after the reply is stored as stopped."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("said")
        provider.script("one ", gate, Silence())
        sending = asyncio.create_task(chat.send("count"))
        await gate.arrive()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert replies(place(store)) == [("stopped", "one ")]


@pytest.mark.asyncio
async def test_provider_error_is_raised_after_the_failed_reply_is_stored() -> None:
    """The typed error comes out of the loop, with the stored reply, and the text goes along."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        refused = errors.ModerationRefusedError(
            "no", provider="scripted", status=400, hint="ask else"
        )
        provider.script("half", Fail(refused))
        with pytest.raises(errors.ModerationRefusedError) as raised:
            await chat.send("tell me")
        reply = raised.value.reply
        assert reply is not None
        assert (reply.status, reply.text) == ("failed", "half")
        stored = (await chat.history())[-1]
        assert stored == reply
        assert stored.error is not None
        assert (stored.error.code, stored.error.hint) == ("moderation_refused", "ask else")
        assert await asked_next(chat, provider) == told("tell me", "half", "and now?")


@pytest.mark.asyncio
async def test_reply_without_text_is_left_out_and_the_questions_are_joined() -> None:
    """After a failure without a word, the next call has one user message of both questions."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script(Fail(errors.RateLimitError("slow down", provider="scripted", status=429)))
        with pytest.raises(errors.RateLimitError):
            await chat.send("first")
        assert await asked_next(chat, provider) == told("first\n\nand now?")


@pytest.mark.asyncio
async def test_stream_without_its_end_is_a_failure() -> None:
    """A provider that stops without Finished has broken off, however much it said."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script("all of it")
        with pytest.raises(errors.IncompleteReplyError):
            await chat.send("tell me")
        assert replies(place(store)) == [("failed", "all of it")]


@pytest.mark.asyncio
async def test_fault_in_a_provider_does_not_lose_the_reply() -> None:
    """An exception that is none of ours becomes a ProviderError, with what arrived."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script("half", Fail(KeyError("oops")))
        with pytest.raises(errors.ProviderError, match="KeyError") as raised:
            await chat.send("tell me")
        assert isinstance(raised.value.__cause__, KeyError)
        assert replies(place(store)) == [("failed", "half")]


@pytest.mark.asyncio
async def test_exception_of_the_caller_stops_the_reply_and_comes_out() -> None:
    """What the caller's own loop raises is raised, and the reply is stopped."""
    provider = ScriptedProvider()

    async def read(chat: Conversation) -> None:
        async with chat.stream("count") as turn:
            async for _ in turn:
                raise LookupError("mine")

    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script("one ", Silence())
        with pytest.raises(LookupError, match="mine"):
            await read(chat)
        assert replies(place(store)) == [("stopped", "one ")]


@pytest.mark.asyncio
async def test_refused_request_stores_nothing() -> None:
    """What `check` refuses is refused before the question is stored."""
    provider = ScriptedProvider()
    provider.refusal = errors.ContextLengthError("too long", provider="scripted")
    async with temporary_store(provider) as store:
        chat = await store.create()
        with pytest.raises(errors.ContextLengthError):
            await chat.send("a lot")
        assert rows(place(store), "SELECT count(*) FROM message") == [(0,)]
        assert provider.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("limit", "advance_s"), [("idle", 120.0), ("total", 1800.0)])
async def test_silent_and_endless_providers_end_at_their_limit(
    limit: str, advance_s: float
) -> None:
    """A limit that passes is a timeout, with what had arrived."""

    class Patient(ScriptedProvider):
        idle_timeout_s = 1e6

    provider = Patient() if limit == "total" else ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        gate = provider.gate("said")
        provider.script("one ", gate, Silence())
        async with ManualClock() as clock:
            sending = asyncio.create_task(chat.send("count"))
            await gate.arrive()
            gate.open()
            await asyncio.sleep(0)
            await clock.advance(advance_s + 1)
            with pytest.raises(errors.ProviderTimeoutError, match=f"{advance_s:g} s"):
                await sending
        assert replies(place(store)) == [("failed", "one ")]


@pytest.mark.asyncio
async def test_closing_the_store_stops_the_turns_that_run() -> None:
    """A store that is closed under a running turn keeps its reply as stopped."""
    provider = ScriptedProvider()
    gate = provider.gate("said")
    provider.script("one ", gate, Silence())

    async def run(store: Store) -> str:
        chat = await store.create()
        async with chat.stream("count") as turn:
            reply = await turn.drain()
        return reply.status

    async with temporary_store(provider) as store:
        running = asyncio.create_task(run(store))
        await gate.arrive()
        gate.open()
        await asyncio.sleep(0)
        await store.aclose()
        assert await running == "stopped"
        assert replies(place(store)) == [("stopped", "one ")]


@pytest.mark.asyncio
async def test_nul_and_half_characters_of_a_provider_are_replaced() -> None:
    """What no database stores is shown and stored as U+FFFD; the reply is not lost for it."""
    provider = ScriptedProvider()
    async with temporary_store(provider) as store:
        chat = await store.create()
        provider.script(TextDelta("a\x00b"), TextDelta("c\ud800d"), Finished())
        assert (await chat.send("odd")).text == "a\ufffdbc\ufffdd"
