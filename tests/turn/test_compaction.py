"""Compaction: a summary is told in place of what is older; the messages stay, and nobody waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import convostore
from convostore import Message, Window
from convostore.errors import ProviderConnectError, ProviderError
from convostore.events import Finished, RemoteUpdate
from convostore.parts import ToolCallPart
from convostore.records import RemoteThread, Usage
from convostore.testing import Fail, ManualClock
from convostore.turning import compacting, looking
from convostore.views.viewing import LEAD
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from convostore.turning.place import Past
    from tests.engines import Where

LONG = "word " * 10
SUMMARY = f"{LEAD}They talked."


@pytest_asyncio.fixture
async def store(path: Where, provider: ScriptedProvider) -> AsyncIterator[Store]:
    """Open a store that sums up above 110 tokens: a word is one, and a message has four more."""
    async with convostore.open(
        path,
        provider=provider,
        window=Window(compact_above=110),
        count_tokens=lambda text: len(text.split()),
    ) as opened:
        yield opened


def told(provider: ScriptedProvider) -> list[str]:
    """Return the texts of the last request."""
    return [one.text for one in provider.requests[-1].messages]


async def talk(chat: Conversation, count: int) -> None:
    """Append turns of thirty tokens."""
    for number in range(count):
        await chat.append(Message.user(f"q{number} {LONG}"), Message.assistant(f"a{number} {LONG}"))


async def summed_up(chat: Conversation) -> Exception | None:
    """Wait until what goes on in the background is done; return what went wrong."""
    state = chat._place.opened.summing[chat.id]
    assert state.task is not None
    await asyncio.wait({state.task})
    return state.error


@pytest.mark.asyncio
@pytest.mark.parametrize("short", [128, 1])
async def test_what_is_older_is_summed_up_behind_a_turn_and_told_from_then_on(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    """The record stays whole, is found and shown; what it cost is counted; others see it, too."""
    monkeypatch.setattr(looking, "SHORT", short)
    chat = await store.create(system="Be brief.", model="scripted-1")
    await talk(chat, 5)
    provider.answer("ok")
    usage = Usage(input_tokens=90, output_tokens=2)
    provider.script("<think>hm</think> They talked.\n", Finished(usage=usage))
    await chat.send("new")
    assert len(told(provider)) == 12
    assert await summed_up(chat) is None
    asked = told(provider)[0]
    assert '{"role":"user","content":"q0 word' in asked
    assert "Be brief." not in asked
    (made,) = await chat.summaries()
    assert (made.message_seq, made.text, made.provider) == (7, "They talked.", "scripted")
    for same in (chat, await store.resume(chat.id)):
        provider.answer("ok")
        async with same.stream("more") as turn:
            await turn.drain()
        assert told(provider)[:2] == ["Be brief.", f"{SUMMARY}\n\nq3 {LONG}"]
        assert turn.view is not None
        assert turn.view.summary == made
        assert turn.view.remarks[0] == "a summary stands for the messages up to 7"
    assert [one.text for one in await chat.history()][1] == f"q0 {LONG}"
    assert [hit.seq for hit in (await store.search("q1")).items] == [4]
    assert (await store.stats()).total.usage.input_tokens == 90
    assert (await store.check(deep=True)).problems == ()
    provider.answer("ok")
    await chat.send("all", window=Window(summaries=False))
    assert told(provider)[1] == f"q0 {LONG}"
    await chat.uncompact()
    assert await chat.summaries() == ()
    provider.answer("ok")
    await chat.send("again", window=Window())
    assert told(provider)[1] == f"q0 {LONG}"


@pytest.mark.asyncio
@pytest.mark.parametrize(("system", "most"), [(None, 130), ("word " * 60, 160)])
async def test_conversation_that_grows_is_summed_up_whenever_too_much_would_be_told(
    store: Store, provider: ScriptedProvider, system: str | None, most: int
) -> None:
    """The frames of many short messages count, and a long system text; not each turn sums up."""
    chat = await store.create(system=system)
    provider.otherwise = (LONG, Finished())
    told = []
    for number in range(20):
        async with chat.stream(f"q{number}") as turn:
            await turn.drain()
        assert turn.view is not None
        told.append(turn.view.tokens or 0)
        if chat.id in chat._place.opened.summing:
            assert await summed_up(chat) is None
    assert max(told) <= most
    assert 4 <= len(await chat.summaries()) <= 10


@pytest.mark.asyncio
async def test_what_tools_have_said_is_counted_and_summed_up(
    store: Store, provider: ScriptedProvider
) -> None:
    """By a provider that is told it otherwise, too."""
    provider.takes_tools = True
    chat = await store.create()
    await chat.append(
        Message.user("look"), Message.assistant("", parts=(ToolCallPart("a", "look", '{"at":1}'),))
    )
    await chat.append(Message.tool("a", f"a cat {LONG * 12}"), Message.assistant("I see."))
    provider.answer("ok")
    provider.answer("There is a cat.")
    await chat.send("new")
    assert await summed_up(chat) is None
    call, result = told(provider)[0].splitlines()[1:3]
    assert call.endswith('"calls":[{"name":"look","arguments":"{\\"at\\":1}"}]}')
    assert result.startswith('{"role":"tool","content":"a cat word')
    assert [one.message_seq for one in await chat.summaries()] == [4]


@pytest.mark.asyncio
async def test_summary_of_a_summary_goes_on_from_it(
    store: Store, provider: ScriptedProvider
) -> None:
    """Much at once is summed up piece by piece, and each piece says what was before."""
    chat = await store.create()
    await talk(chat, 12)
    for number in range(5):
        provider.answer(f"part {number}")
    made = await chat.compact(keep_turns=2)
    assert made is not None
    assert [one.message_seq for one in await chat.summaries()] == [6, 12, 18, 20]
    assert told(provider)[0].startswith('{"summary":"part 2"}\n{"role":"user","content":"q9')
    assert (await chat.view("new")).messages[0].text == f"{LEAD}part 3\n\nq10 {LONG}"
    assert await chat.compact(keep_turns=2) is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "script",
    [
        (Fail(ProviderConnectError("gone", provider="scripted")),),
        ("broke off",),
        ("<think>never ends", Finished()),
        ("long " * 1000, Finished()),
        (Fail(RuntimeError("a fault")),),  # what a plugin may raise
    ],
    ids=["gone", "broken", "empty", "too long", "fault"],
)
async def test_failing_summary_harms_nothing(
    store: Store,
    provider: ScriptedProvider,
    path: Where,
    script: tuple[object, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next turn is told everything; it is tried again later, not at every turn, and is logged."""
    chat = await store.create()
    await talk(chat, 5)
    with ManualClock() as clock:
        provider.answer("ok")
        provider.script(*script)  # type: ignore[arg-type]  # steps
        await chat.send("new")
        assert isinstance(await summed_up(chat), ProviderError)
        assert [one.getMessage().partition(" came")[0] for one in caplog.records] == [
            f"no summary of {chat.handle}"
        ]
        assert await asyncio.to_thread(rows, path, "SELECT * FROM summary") == []
        provider.answer("ok")
        await chat.send("more")
        assert len(told(provider)) == 13
        await clock.advance(compacting.PAUSE_S + 1)
        provider.answer("ok")
        provider.answer("They talked.")
        await chat.send("most")
        assert await summed_up(chat) is None
    assert len(await chat.summaries()) == 1


@pytest.mark.asyncio
async def test_turn_does_not_wait_for_a_summary(store: Store, provider: ScriptedProvider) -> None:
    """It begins, runs and ends while one is made; a store that closes waits for none either."""
    chat = await store.create()
    await talk(chat, 5)
    provider.answer("ok")
    provider.script(provider.gate("summing"), "They talked.", Finished())
    await chat.send("new")
    await provider.gate("summing").arrive()
    provider.answer("at once")
    assert (await chat.send("more")).text == "at once"
    await store.aclose()
    assert provider.calls[1].closed


@pytest.mark.asyncio
async def test_summary_made_while_a_turn_runs_is_told_in_the_next_one(
    store: Store, provider: ScriptedProvider
) -> None:
    """What the turn was told does not stand for what is told from then on; so when it is taken away."""
    chat = await store.create()
    await talk(chat, 5)
    provider.answer("ok")
    provider.script(provider.gate("summing"), "They talked.", Finished())
    provider.script(provider.gate("turn"), "ok", Finished())
    await chat.send("new")
    await provider.gate("summing").arrive()
    running = asyncio.create_task(chat.send("more"))
    await provider.gate("turn").arrive()
    provider.gate("summing").open()
    assert await summed_up(chat) is None
    provider.gate("turn").open()
    await running
    provider.script(provider.gate("last"), "ok", Finished())
    running = asyncio.create_task(chat.send("most"))
    await provider.gate("last").arrive()
    assert told(provider)[0].startswith(SUMMARY)
    await chat.uncompact()
    provider.gate("last").open()
    await running
    assert told(provider)[0].startswith(SUMMARY)
    provider.answer("ok")
    await chat.send("again", window=Window())
    assert told(provider)[0] == f"q0 {LONG}"


@pytest.mark.asyncio
async def test_turn_goes_before_a_summary_where_a_model_does_one_thing_at_a_time(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model on this machine would keep people waiting; the summary comes after the next turn."""
    monkeypatch.setattr(type(provider), "one_at_a_time", True, raising=False)
    chat = await store.create()
    await talk(chat, 5)
    provider.answer("ok")
    provider.script(provider.gate("summing"), "They talked.", Finished())
    await chat.send("new")
    await provider.gate("summing").arrive()
    provider.answer("at once")
    provider.answer("They talked.")
    await chat.send("more")
    assert provider.calls[1].closed
    await summed_up(chat)
    assert len(await chat.summaries()) == 1


@pytest.mark.asyncio
async def test_count_that_fails_harms_no_answer(path: Where, provider: ScriptedProvider) -> None:
    """Some tokenizers raise at words that mean something to them: then the next turn does not begin."""

    def count(text: str) -> int:
        if "<|end|>" in text:
            raise ValueError("a special token")
        return len(text)

    window = Window(compact_above=500)
    async with convostore.open(path, provider=provider, window=window, count_tokens=count) as store:
        chat = await store.create()
        provider.answer("<|end|>")
        assert (await chat.send("Say it")).text == "<|end|>"
        with pytest.raises(ValueError, match="special"):
            await chat.send("And now?")
        assert len(await chat.history()) == 2
        provider.answer("ok")
        await chat.send("And now?", window=Window())


@pytest.mark.asyncio
async def test_two_that_sum_up_at_once_make_one_summary(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """The second sees that it is being made; one whose maker died is made by the next."""
    chat = await store.create()
    await talk(chat, 5)
    provider.script(provider.gate("summing"), "They talked.", Finished())
    first = asyncio.create_task(chat.compact())
    await provider.gate("summing").arrive()
    async with convostore.open(path, provider=provider) as other:
        again = await other.resume(chat.id)
        assert await again.compact(keep_turns=1) is None
        dead = "token|x|x|1|1|0"
        await asyncio.to_thread(change, path, "UPDATE summary SET lease = ?", dead)
        provider.answer("The second says so.")
        assert await again.compact(keep_turns=1) is not None
        provider.gate("summing").open()
        assert await first is None
        assert [one.text for one in await again.summaries()] == ["The second says so."]


@pytest.mark.asyncio
async def test_summary_of_what_was_forgotten_does_not_survive(
    store: Store, provider: ScriptedProvider
) -> None:
    """Neither one that is there nor one that is being made; the rest is told again."""
    chat = await store.create()
    await talk(chat, 5)
    provider.answer("They talked.")
    await chat.compact()
    await chat.forget(2)
    assert await chat.summaries() == ()
    provider.script(provider.gate("summing"), "They talked of it.", Finished())
    making = asyncio.create_task(chat.compact())
    await provider.gate("summing").arrive()
    await chat.forget(1)
    provider.gate("summing").open()
    assert await making is None
    assert await chat.summaries() == ()
    assert "They talked" not in str((await chat.view("new")).messages)


@pytest.mark.asyncio
@pytest.mark.parametrize("reading", [1, 2])
async def test_what_is_forgotten_while_it_is_read_is_in_no_summary(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, reading: int
) -> None:
    """Between the reading and the claim it is not asked about; after the claim nothing is stored."""
    chat = await store.create()
    await chat.append(Message.user("canaryxqz"), Message.assistant("a"))
    await talk(chat, 5)
    real, readings = looking.past_of, 0

    async def past_of(*place: Any) -> Past:
        nonlocal readings
        past = await real(*place)
        readings += 1
        if readings == reading:
            await (await store.resume(chat.id)).forget(1)
        return past

    monkeypatch.setattr(compacting, "past_of", past_of)
    provider.answer("They said it.")
    made = await chat.compact()
    assert (made is None) == (reading == 2)
    if made is not None:
        assert "canaryxqz" not in told(provider)[0]
    assert len(await chat.summaries()) == (made is not None)


@pytest.mark.asyncio
@pytest.mark.parametrize("short", [128, 1])
async def test_branch_is_told_the_summary_of_what_is_on_it_alone(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    """A summary that ends on another branch is none of its; it goes with what it ends at."""
    monkeypatch.setattr(looking, "SHORT", short)
    chat = await store.create()
    await talk(chat, 5)
    provider.answer("They began to talk.")
    provider.answer("They talked.")
    await chat.compact(keep_turns=1)
    await chat.switch(4, exactly=True)
    assert (await chat.view("new")).summary is None
    await chat.switch(8, exactly=True)
    assert [one.text for one in (await chat.view("new")).messages] == [f"{SUMMARY}\n\nnew"]
    provider.answer("ok")
    async with chat.stream("new") as turn:
        await turn.drain()
    assert turn.user.parent_seq == 8
    fork = await chat.fork()
    assert await fork.summaries() == ()
    await chat.switch(4, exactly=True)
    await chat.delete_branch(5)
    assert await chat.summaries() == ()
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_far_side_that_keeps_the_conversation_is_not_bothered_with_summaries(
    store: Store, provider: ScriptedProvider
) -> None:
    """It goes on by its own thread; the summary is for when it has forgotten."""
    chat = await store.create()
    await talk(chat, 5)
    thread = RemoteThread(server_url="https://far", dialect="x", remote_id="r1")
    provider.script(RemoteUpdate(thread), "ok", Finished())
    provider.answer("They talked.")
    await chat.send("new")
    assert await summed_up(chat) is None
    provider.answer("ok")
    async with chat.stream("more") as turn:
        await turn.drain()
    assert provider.requests[-1].remote == thread
    assert turn.view is not None
    assert turn.view.goes_on


@pytest.mark.asyncio
async def test_summary_goes_where_its_conversation_goes(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """An ephemeral one is kept with it; a purge and an owner's end take it away."""
    chat = await store.create(ephemeral=True)
    await talk(chat, 5)
    provider.answer("They talked.")
    await chat.compact()
    await chat.keep()
    assert [one.text for one in await chat.summaries()] == ["They talked."]
    assert (await chat.view("new")).summary is not None
    await chat.purge()
    assert await asyncio.to_thread(rows, path, "SELECT * FROM summary") == []


@pytest.mark.asyncio
async def test_window_of_few_turns_is_summed_up_by_all_that_is_said(
    store: Store, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what it leaves out counts; it is not read again until there may be too much."""
    looked = []
    real = looking.past_of

    async def past_of(*args: Any) -> Any:
        looked.append(args)
        return await real(*args)

    monkeypatch.setattr(compacting, "past_of", past_of)
    chat = await store.create()
    chat.window = Window(turns=1, compact_above=100)
    provider.otherwise = (LONG, Finished())
    for number in range(5):
        await chat.send(f"q{number} {LONG}")
        if chat.id in chat._place.opened.summing:
            await summed_up(chat)
    assert len(looked) <= 4  # once more under the claim
    assert [one.message_seq for one in await chat.summaries()] == [6]


@pytest.mark.asyncio
async def test_summary_that_is_cancelled_at_any_time_leaves_no_claim(
    store: Store, provider: ScriptedProvider, path: Where
) -> None:
    """Whoever comes next may try at once."""
    chat = await store.create()
    await talk(chat, 5)
    provider.otherwise = (provider.gate("summing"), "They talked.", Finished())
    for steps in range(12):
        making = asyncio.create_task(chat.compact())
        for _ in range(steps):
            await asyncio.sleep(0)
        making.cancel()
        await asyncio.wait({making})
        left = await asyncio.to_thread(rows, path, "SELECT * FROM summary WHERE text IS NULL")
        assert left == [], steps
    making = asyncio.create_task(chat.compact())
    await provider.gate("summing").arrive()
    assert len(await asyncio.to_thread(rows, path, "SELECT * FROM summary")) == 1
    making.cancel()
    await asyncio.wait({making})
    provider.gate("summing").open()
    assert await chat.compact() is not None


@pytest.mark.asyncio
async def test_model_that_goes_on_from_a_tool_is_told_its_call(
    store: Store, provider: ScriptedProvider
) -> None:
    """However small the window: the last turn is told whole."""
    provider.takes_tools = True
    chat = await store.create()
    await talk(chat, 2)
    await chat.append(
        Message.user("look"), Message.assistant("", parts=(ToolCallPart("a", "look", "{}"),))
    )
    await chat.append(Message.tool("a", "a cat", name="look"))
    provider.answer("A cat.")
    async with chat.proceed(window=Window(turns=0)) as turn:
        await turn.drain()
    assert [one.role for one in provider.requests[-1].messages] == ["user", "assistant", "tool"]
    assert told(provider) == ["look", "", "a cat"]


@pytest.mark.asyncio
async def test_who_begins_a_room_anew_that_others_have_begun_anew_knows_what_they_have_summed_up(
    store: Store, provider: ScriptedProvider
) -> None:
    """It stands in their conversation then, and tells the summary."""
    late, first = await store.get_or_create("room"), await store.get_or_create("room")
    await talk(late, 1)
    await first.reset()
    await talk(first, 3)
    provider.answer("<think>hm</think> They talked.")
    await first.compact(keep_turns=1)
    await late.reset()
    assert late.id == first.id
    assert (await late.view()).summary is not None
