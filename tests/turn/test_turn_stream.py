"""The main path: what is on disk when, what the caller sees, and what the model is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import InvalidTextError, ProviderError, TurnStateError
from convostore.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta, ToolResultDelta
from convostore.parts import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.providers.provider import ChatMessage
from convostore.records import Usage

if TYPE_CHECKING:
    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


@pytest.mark.asyncio
async def test_question_is_on_disk_before_the_request_leaves(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """The moment the turn is entered, question and empty reply are committed; nothing was asked."""
    provider.answer("Hello")
    async with chat.stream("Hi") as turn:
        assert provider.calls == []
        assert watch.messages() == [
            (1, None, "user", "completed", "Hi"),
            (2, 1, "assistant", "streaming", ""),
        ]
        assert watch.heads() == {chat.id: 2}
        await turn.drain()


@pytest.mark.asyncio
async def test_completed_turn_is_returned_as_it_is_stored(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """What `user` and `reply` say after the end is, field by field, what a reader gets."""
    provider.script(
        ReasoningDelta("Hm. "),
        "Hel",
        "lo",
        Finished(model="scripted-2", finish_reason="stop", usage=Usage(input_tokens=3, cost=0.25)),
    )
    async with chat.stream("Hi", author="Ann") as turn:
        seen = [(delta.text, delta.seq) async for delta in turn]
    assert seen == [("", 4), ("Hel", 7), ("lo", 9)]
    assert await chat.history() == (turn.user, turn.reply)
    assert await chat.messages() == (turn.user, turn.reply)
    assert turn.reply.parts == (ReasoningPart("Hm. "), TextPart("Hello"))
    assert (turn.reply.status, turn.finish_reason, turn.reply.model) == (
        "completed",
        "stop",
        "scripted-2",
    )
    assert turn.usage == Usage(input_tokens=3, cost=0.25)
    assert (turn.branched, turn.rehydrated, turn.dropped_turns) == (False, False, 0)
    assert watch.rows("select input_tokens, output_tokens, cost_nano, message_seq from usage") == [
        (3, None, 250_000_000, 2)
    ]
    assert watch.journal() == []


@pytest.mark.asyncio
async def test_record_of_the_conversation_is_replaced_after_a_turn(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The object's record is what the store says, without reading it again."""
    provider.answer("Hello")
    await chat.send("\n  What   is\tthis?\nReally?")
    assert chat.title == "What is this?"
    assert chat.record == (await store.resume(chat.id)).record


@pytest.mark.asyncio
async def test_blank_question_gives_no_title(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """A conversation that has only blanks in it waits for a title."""
    provider.answer("Hello")
    await chat.send("  \n ")
    assert (chat.title, chat.record.title_source) == (None, None)
    assert chat.record == (await store.resume(chat.id)).record


@pytest.mark.asyncio
async def test_model_gets_the_whole_path_and_the_conversation_settings(
    store: Store, provider: ScriptedProvider
) -> None:
    """The system text comes first; settings of the turn go over those of the conversation."""
    chat = await store.create(
        model="m", system="Be brief.", settings={"temperature": 0, "top_p": 1}
    )
    provider.answer("One")
    provider.answer("Two")
    await chat.send("1")
    await chat.send("2", settings={"temperature": 1})
    request = provider.requests[-1]
    assert request.messages == (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "1"),
        ChatMessage("assistant", "One"),
        ChatMessage("user", "2"),
    )
    assert (request.model, request.settings) == ("m", {"temperature": 1, "top_p": 1})
    assert request.anonymous_user_id == chat.anonymous_user_id


@pytest.mark.asyncio
async def test_another_process_goes_on_where_this_one_ended(
    path: Where, provider: ScriptedProvider
) -> None:
    """A store that is closed and opened again knows everything that was said."""
    provider.answer("One")
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create(model="m")
        await chat.send("1")
    provider.answer("Two")
    async with convostore.open(path, provider=provider) as store:
        again = await store.resume(chat.handle)
        assert (await again.send("2")).text == "Two"
    assert [one.text for one in provider.requests[-1].messages] == ["1", "One", "2"]


@pytest.mark.asyncio
async def test_final_text_replaces_the_pieces(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """Where the far side's last word differs from what it streamed, the last word is kept."""
    provider.script("Helo", ToolCallDelta("c", "look", "{}"), " wrld", Finished(text="Hello world"))
    reply = await chat.send("Hi")
    assert reply.text == "Hello world"
    assert reply.parts == (TextPart("Hello world"), ToolCallPart("c", "look", "{}"))
    assert (await chat.history())[-1] == reply


@pytest.mark.asyncio
async def test_all_kinds_of_parts_keep_their_order(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Text, reasoning, calls in interleaved pieces and results are stored in the order they began."""
    provider.script(
        ReasoningDelta("R1"),
        ToolCallDelta("a", "add", '{"x"'),
        ToolCallDelta("b", "sub", "["),
        ToolCallDelta("a", "", ": 1}"),
        "T1",
        ToolCallDelta("b", "", "]"),
        ToolResultDelta("a", "add", "2"),
        "T2",
        ReasoningDelta("R2"),
        Finished(),
    )
    async with chat.stream("Hi") as turn:
        seqs = [delta.seq async for delta in turn]
    assert seqs == [2, 3, 4, 4, 6, 6, 7, 9, 11]
    assert turn.reply.parts == (
        ReasoningPart("R1"),
        ToolCallPart("a", "add", '{"x": 1}'),
        ToolCallPart("b", "sub", "[]"),
        TextPart("T1"),
        ToolResultPart("a", "add", "2"),
        TextPart("T2"),
        ReasoningPart("R2"),
    )
    assert (await chat.history())[-1] == turn.reply


@pytest.mark.asyncio
async def test_empty_and_blank_pieces_arrive_unchanged(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Nothing is trimmed and nothing is left out of what is shown."""
    provider.answer("", " ", "\n", "a\r\n", "")
    async with chat.stream("Hi") as turn:
        assert [delta.text async for delta in turn] == ["", " ", "\n", "a\r\n", ""]
    assert turn.reply.text == " \na\r\n"


@pytest.mark.asyncio
async def test_reply_without_any_text_completes(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """An empty answer is an answer; the next call is not told of it."""
    provider.answer()
    provider.answer("Here")
    assert ((await chat.send("Hi")).status, (await chat.history())[-1].text) == ("completed", "")
    await chat.send("There?")
    assert provider.requests[-1].messages == (ChatMessage("user", "Hi\n\nThere?"),)


@pytest.mark.asyncio
async def test_halves_of_characters_and_nul_are_replaced_not_refused(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Whatever a far side sends can be stored, wherever it stands; what is shown is what is kept."""
    provider.script(
        "a\x00b",
        "\ud83d",
        ReasoningDelta("\udc00"),
        ToolCallDelta("\ud800", "n\x00", '"\udfff"'),
        ToolResultDelta("\ud800", "n", "\x00"),
        Finished(model="m\ud800", finish_reason="st\x00op", usage=Usage(output_tokens=2**70)),
    )
    async with chat.stream("Hi") as turn:
        shown = "".join([delta.text async for delta in turn])
    assert shown == turn.reply.text == "a\ufffdb\ufffd"
    assert (turn.reply.model, turn.finish_reason) == ("m\ufffd", "st\ufffdop")
    assert turn.usage == Usage()
    assert (await chat.history())[-1] == turn.reply


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["a\x00", "\ud800", "x" * (16 * 1024 * 1024 + 1)])
async def test_question_that_cannot_be_stored_is_refused(
    text: str, chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """NUL, half a character and more than 16 MiB are named, and nothing is stored or asked."""
    with pytest.raises(InvalidTextError):
        await chat.send(text)
    for name in ("author", "model", "idempotency_key"):
        with pytest.raises(InvalidTextError, match=name.partition("_")[0]):
            await chat.send("Hi", **{name: text})  # type: ignore[arg-type]  # texts all three
    assert (watch.messages(), provider.calls) == ([], [])


@pytest.mark.asyncio
async def test_refusal_by_the_provider_stores_nothing(
    chat: Conversation, provider: ScriptedProvider, watch: Watch
) -> None:
    """`check` comes before write 1, and a later turn is not held up by it."""
    provider.refusal = ProviderError("too long", provider="scripted")
    with pytest.raises(ProviderError, match="too long") as caught:
        await chat.send("Hi")
    assert caught.value.reply is None
    assert watch.messages() == []
    provider.refusal = None
    provider.answer("Hello")
    assert (await chat.send("Hi")).seq == 2


@pytest.mark.asyncio
async def test_turn_is_used_in_order(chat: Conversation, provider: ScriptedProvider) -> None:
    """Reading or stopping before entering, entering twice: each is a named mistake."""
    provider.answer("Hello")
    turn = chat.stream("Hi")
    with pytest.raises(TurnStateError):
        await anext(turn)
    with pytest.raises(TurnStateError):
        await turn.stop()
    async with turn:
        await turn.drain()
        with pytest.raises(StopAsyncIteration):
            await anext(turn)
    with pytest.raises(TurnStateError):
        await turn.__aenter__()
    assert await turn.stop() == turn.reply


@pytest.mark.asyncio
async def test_conversation_without_a_provider_says_so(path: Where) -> None:
    """The mistake is named at the call, before anything is stored."""
    async with convostore.open(path) as store:
        chat = await store.create()
        with pytest.raises(TurnStateError, match="provider"):
            chat.stream("Hi")


@pytest.mark.asyncio
async def test_provider_of_a_turn_is_not_told_of_the_other_one(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """Another provider gets the history, but neither model nor settings of the first."""
    other = type(provider)(name="other")
    provider.answer("One")
    other.answer("Two")
    await chat.send("1")
    reply = await chat.send("2", provider=other)
    assert reply.provider == "other"
    assert (other.requests[0].model, len(other.requests[0].messages)) == (None, 3)
    assert not other.is_closed


@pytest.mark.asyncio
async def test_ten_megabytes_pass_through(chat: Conversation, provider: ScriptedProvider) -> None:
    """A long question and a long answer in one piece are kept whole."""
    text = "0123456789" * 1024 * 1024
    provider.script(TextDelta(text), Finished())
    reply = await chat.send(text)
    assert reply.text == text
    assert [one.text == text for one in await chat.history()] == [True, True]


@pytest.mark.asyncio
async def test_tool_calls_without_an_id_get_one(
    chat: Conversation, provider: ScriptedProvider
) -> None:
    """A name begins a call, pieces without one go on with it; the caller's deltas tell the id."""
    none: str = None  # type: ignore[assignment]  # what a far side may leave out
    provider.script(
        ToolCallDelta("", "add", '{"x"'),
        ToolCallDelta(none, none, ": 1}"),
        "and ",
        ToolCallDelta("", "sub", "[]"),
        ToolCallDelta("c", "mul", "{"),
        ToolCallDelta("c", "", "}"),
        Finished(),
    )
    async with chat.stream("go") as turn:
        deltas = [delta async for delta in turn]
    calls = [part for part in turn.reply.parts if isinstance(part, ToolCallPart)]
    assert [(one.name, one.args) for one in calls] == [
        ("add", '{"x": 1}'),
        ("sub", "[]"),
        ("mul", "{}"),
    ]
    ids = [one.id for one in calls]
    assert all(ids)
    assert len(set(ids)) == 3
    told = [one.id for one in deltas if isinstance(one, ToolCallDelta)]
    assert told == [ids[0], ids[0], ids[1], "c", "c"]
    assert (await chat.history())[-1] == turn.reply


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "odd",
    [
        TextDelta(None),  # type: ignore[arg-type]  # what a provider may get wrong
        ToolCallDelta("a", "b", {}),  # type: ignore[arg-type]  # as above
        Finished(text=5),  # type: ignore[arg-type]  # as above
        Finished(usage=Usage(cost="much")),  # type: ignore[arg-type]  # as above
        object(),
    ],
)
async def test_an_event_of_an_odd_kind_is_a_fault_of_the_provider(
    odd: Any, chat: Conversation, provider: ScriptedProvider
) -> None:
    """The reply has failed, says so, keeps what it had, and claims no reason of the model's."""
    provider.script("Hel", odd)
    with pytest.raises(ProviderError, match="scripted failed") as caught:
        await chat.send("Hi")
    reply = (await chat.history())[-1]
    assert caught.value.reply == reply
    assert (reply.status, reply.text, reply.finish_reason) == ("failed", "Hel", None)
