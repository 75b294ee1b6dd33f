"""Titles that the conversation's provider makes: apart from the conversation, or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from convostore import Message
from convostore.errors import (
    ConversationNotFoundError,
    ProviderConnectError,
    ProviderTimeoutError,
    TurnStateError,
)
from convostore.events import Finished, ReasoningDelta, RemoteUpdate
from convostore.records import RemoteThread, Usage
from convostore.testing import Endless, Fail, ScriptedProvider, Silence
from convostore.titling import title_in
from tests.engines import change, rows

if TYPE_CHECKING:
    from convostore import Conversation, Store
    from tests.engines import Where

QUESTION = "Plan three days in Kyoto,\nwith children"


@pytest.mark.asyncio
async def test_generated_title_is_kept_and_leaves_no_trace_in_the_conversation(
    path: Where, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The title alone changes: no message, no head, no remote thread, no activity."""
    provider.answer("Of course")
    await chat.send(QUESTION)
    assert chat.record.title_source == "fallback"
    before, stored = chat.record, rows(path, "SELECT * FROM message ORDER BY seq")
    remote = RemoteThread(server_url="http://far", dialect="threads", remote_id="x")
    provider.script(
        RemoteUpdate(remote),
        ReasoningDelta("A title? Hm."),
        '"Kyoto with',
        ' children"',
        Finished(),
    )
    made = await chat.generate_title()
    assert (made.title, made.source, made.error) == ("Kyoto with children", "generated", None)
    assert chat.title == "Kyoto with children"
    assert rows(path, "SELECT * FROM message ORDER BY seq") == stored
    assert rows(path, "SELECT count(*) FROM remote_thread") == [(0,)]
    after = chat.record
    assert (after.updated_at_ms, after.head_seq) == (before.updated_at_ms, before.head_seq)
    asked = provider.requests[-1]
    assert (asked.remote, asked.model, len(asked.messages)) == (None, "scripted-1", 1)
    assert '{"role":"user","content":"Plan three days in Kyoto,\\nwith children"}' in asked.question
    provider.answer("Better")
    assert (await chat.generate_title(model="other")).title == "Better"
    assert provider.requests[-1].model == "other"


@pytest.mark.asyncio
async def test_what_a_title_cost_is_counted_however_it_ends(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Told by the far side, or unknown: left early, failed, cancelled; a refused request is none."""
    await chat.append(Message.user(QUESTION))
    used = Usage(input_tokens=30, output_tokens=2**70, cost=0.25)  # what no column holds is unknown
    provider.script("Kyoto", Finished(model="small", usage=used))
    provider.script("Kyoto\n", Endless("and on\n"))
    provider.script(Fail(ProviderConnectError("no way there", provider="scripted")))
    for _ in range(3):
        await chat.generate_title()
    gate = provider.gate("thinking")
    provider.script(gate, "Made", Finished())
    making = asyncio.create_task(chat.generate_title())
    await gate.reached.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await asyncio.gather(*chat._place.pulse._writes)
    provider.refusal = ProviderConnectError("too long", provider="scripted")
    await chat.generate_title()
    report = await store.stats(by="model", conversation=chat.handle)
    assert [(row.name, row.calls) for row in report.rows] == [("small", 1), ("scripted-1", 3)]
    assert report.total.usage == Usage(input_tokens=30, cost=0.25)
    assert report.total.unknown.input_tokens == 3
    text = "".join([piece async for piece in await store.export(chat.id)])  # type: ignore[union-attr] # without `to` it yields text
    assert text.count('"type":"usage"') == text.count('"message_seq":null') == 4


@pytest.mark.asyncio
async def test_listening_ends_with_the_first_whole_line(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A model that does not stop by itself is left as soon as there is a title."""
    await chat.append(Message.user(QUESTION))
    provider.script("<think>\nHm\n</think>\n", "Title:\n", "Kyoto\n", Endless("and on\n"))
    assert (await chat.generate_title()).title == "Kyoto"
    assert provider.calls[-1].closed
    provider.script(Endless("no line, "))
    made = await chat.generate_title()
    assert (made.title or "").startswith("no line, no line")
    assert len(made.title or "") == 80
    provider.script("<think>", Endless("on and on\n"))
    assert (await chat.generate_title()).error is not None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "script",
    [
        (Fail(ProviderConnectError("no way there", provider="scripted", hint="look")),),
        ("Kyo",),
        ("<think>no end of thought", Finished()),
        ("", Finished()),
        (ReasoningDelta("only thought"), Finished()),
        ("***\n...\n", Finished()),
        (Fail(ZeroDivisionError()),),
    ],
)
async def test_without_a_title_the_first_line_stays(
    chat: Conversation, provider: ScriptedProvider, script: tuple[object, ...]
) -> None:
    """Whatever goes wrong is returned as an error; the conversation is called as before."""
    await chat.append(Message.user(QUESTION))
    provider.script(*script)  # type: ignore[arg-type]  # steps of every kind
    made = await chat.generate_title()
    assert made.error is not None
    assert made.error.hint
    assert (made.title, made.source) == ("Plan three days in Kyoto,", "fallback")
    assert (chat.title, chat.record.title_source) == (made.title, made.source)


@pytest.mark.asyncio
async def test_refused_request_asks_nothing(chat: Conversation, provider: ScriptedProvider) -> None:
    """What the provider would not take is its error, and the title stays."""
    await chat.append(Message.user(QUESTION))
    provider.refusal = ProviderConnectError("too long", provider="scripted", hint="shorten it")
    assert (await chat.generate_title()).error is provider.refusal
    assert provider.calls == []


@pytest.mark.asyncio
async def test_silent_provider_is_waited_for_within_the_bound(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """The time that is given is for all of it."""
    await chat.append(Message.user(QUESTION))
    provider.script("Kyo", Silence())
    made = await chat.generate_title(timeout_s=0.02)
    assert isinstance(made.error, ProviderTimeoutError)
    assert "kept" not in made.error.hint
    assert made.source == "fallback"


@pytest.mark.asyncio
@pytest.mark.parametrize("source", ["user", "imported"])
async def test_title_that_somebody_chose_is_not_even_asked_about(
    path: Where, chat: Conversation, provider: ScriptedProvider, source: str
) -> None:
    """No model call for a title that would not be taken."""
    await chat.append(Message.user(QUESTION))
    await chat.rename("Mine")
    change(path, "UPDATE conversation SET title_source = ?", source)
    made = await chat.generate_title()
    assert (made.title, made.source, made.error) == ("Mine", source, None)
    assert provider.calls == []


@pytest.mark.asyncio
async def test_title_given_while_the_model_thinks_stays(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The write looks again: who renames meanwhile is not overruled."""
    await chat.append(Message.user(QUESTION))
    gate = provider.gate("thinking")
    provider.script(gate, "Made", Finished())
    making = asyncio.create_task(chat.generate_title())
    await gate.reached.wait()
    await (await store.resume(chat.id)).rename("Mine")
    gate.open()
    assert (await making).title == "Mine"
    assert chat.record.title_source == "user"


@pytest.mark.asyncio
async def test_turn_begins_and_ends_while_a_title_is_made(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """It holds up no turn, of a room with a key either, and no turn holds it up or branches."""
    room = await store.get_or_create("room:1")
    for one in (chat, room):
        await one.append(Message.user(QUESTION), Message.assistant("Well"))
        gate, half = provider.gate(f"title {one.id}"), provider.gate(f"turn {one.id}")
        provider.script(gate, "Made", Finished())
        making = asyncio.create_task(one.generate_title())
        await gate.reached.wait()
        provider.script("So ", half, "far", Finished())
        async with one.stream("And then?", wait_s=0) as turn:
            draining = asyncio.create_task(turn.drain())
            await half.reached.wait()
            gate.open()
            assert (await making).source == "generated"
            half.open()
            assert (await draining).status == "completed"
            assert not turn.branched
        assert [message.text for message in await one.history()][-2:] == ["And then?", "So far"]
        assert (await store.find(one.id)).title == "Made"
        assert one.title == "Made"


@pytest.mark.asyncio
async def test_cancelled_asking_lets_go_of_the_provider_and_changes_nothing(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Whoever no longer waits leaves no connection behind."""
    await chat.append(Message.user(QUESTION))
    gate = provider.gate("thinking")
    provider.script(gate, "Made", Finished())
    making = asyncio.create_task(chat.generate_title())
    await gate.reached.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not provider.calls[-1].running
    assert chat.record.title_source == "fallback"


@pytest.mark.asyncio
async def test_nothing_to_name_or_nobody_to_ask(
    path: Where, store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """An empty conversation has no title; a store without a provider cannot ask; gone is gone."""
    made = await chat.generate_title()
    assert (made.title, made.source, made.error) == (None, None, None)
    assert provider.calls == []
    store._opener.provider = None
    with pytest.raises(TurnStateError):
        await (await store.resume(chat.id)).generate_title()
    store._opener.provider = provider
    change(path, "UPDATE conversation SET deleted_at_ms = 1")
    with pytest.raises(ConversationNotFoundError):
        await chat.generate_title()


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Kyoto", "Kyoto"),
        ('  "Three days in Kyoto."  ', "Three days in Kyoto"),
        ("**Title:** Kyoto", "Kyoto"),
        ("# Kyoto\n\nIs that good?", "Kyoto"),
        ("Title: «Хлеб на закваске»", "Хлеб на закваске"),
        ("Title：京都三日間", "京都三日間"),
        ("Conversation Title - Bread", "Bread"),
        ("<think>Kyoto? Tokyo?</think>\nTokyo", "Tokyo"),
        ("<THINKING>a</THINKING><think>b</think>Tokyo", "Tokyo"),
        ("thinks on, without a beginning</think>\n\nTokyo", "Tokyo"),
        ("Entitled to more", "Entitled to more"),
        ("Title insurance", "Title insurance"),
        ("a\x00b\x1b[2Jc\u202ed\ud800", "a b [2Jc d"),
        ("x" * 200, "x" * 79 + "…"),
        ("<think>never ends", None),
        ("Title:", None),
        ("\n \n***\n", None),
        ("", None),
    ],
    ids=ascii,
)
def test_title_is_what_is_left_of_an_answer(said: str, title: str | None) -> None:
    """Reasoning, labels, quotation marks, markup, control characters and further lines are not it."""
    assert title_in(said) == title
