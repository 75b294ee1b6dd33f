"""What model calls came to: kept when messages go, and what is unknown stays unknown."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import ConversationNotFoundError, InvalidTextError, NotFoundError
from convostore.events import Finished
from convostore.providers import Echo
from convostore.records import Usage
from convostore.tally import BY, Unknown
from convostore.testing import ManualClock, Silence
from tests.engines import change, rows

if TYPE_CHECKING:
    from pathlib import Path

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.tally import By, UsageReport
    from convostore.testing import ScriptedProvider
    from tests.engines import Where

DAY_MS = 24 * 3600 * 1000
DEAD = "othertokenothert|-|-|1|1|0"


def said(report: UsageReport) -> list[tuple[str | None, int, int | None, int | None]]:
    """Return name, calls, input and output of every row."""
    return [
        (row.name, row.calls, row.usage.input_tokens, row.usage.output_tokens)
        for row in report.rows
    ]


@pytest.mark.asyncio
async def test_sums_say_what_they_do_not_know(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """What a provider left out is in no sum and is counted as unknown; nothing becomes zero."""
    for model, usage in (
        ("big", Usage(input_tokens=10, output_tokens=0, cost=0.25)),
        ("big", Usage(input_tokens=5, cached_tokens=2, cost=0.5)),
        ("small", None),
        (None, Usage(output_tokens=7)),
    ):
        provider.script("answer", Finished(model=model, usage=usage))
        await chat.send("question")
    total = (await store.stats()).total
    assert (total.name, total.calls, total.tokens) == (None, 4, 22)
    assert total.usage == Usage(input_tokens=15, output_tokens=7, cached_tokens=2, cost=0.75)
    assert total.unknown == Unknown(
        input_tokens=2, output_tokens=2, cached_tokens=3, reasoning_tokens=4, cost=2
    )
    by_model = await store.stats(by="model")
    assert said(by_model) == [
        ("big", 2, 15, 0),
        ("scripted-1", 1, None, 7),  # it did not say who answered: the one that was asked
        ("small", 1, None, None),
    ]
    assert by_model.rows[2].tokens is None
    assert by_model.total == total
    assert said(await store.stats(by="provider")) == [("scripted", 4, 15, 7)]
    assert said(await store.stats(by="model", model="small")) == [("small", 1, None, None)]
    assert said(await store.stats(provider="nobody")) == []


@pytest.mark.asyncio
async def test_days_are_those_of_the_machine_and_newest_first(
    path: Where, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of one day are one row, wherever that day begins; since and until are moments."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")  # half an hour off the hour
    time.tzset()
    provider.otherwise = ("a", Finished(usage=Usage(input_tokens=1)))
    midnight_ms = 1_700_000_000_000 // DAY_MS * DAY_MS - 19_800_000
    try:
        with ManualClock(midnight_ms - 1000) as manual:
            async with convostore.open(path, provider=provider) as store:
                chat = await store.create()
                await chat.send("before midnight")
                await manual.advance(1.0)
                await chat.send("after midnight")
                await manual.advance(3600.0)
                await chat.send("an hour later")
                assert said(await store.stats()) == [
                    ("2023-11-14", 2, 2, None),
                    ("2023-11-13", 1, 1, None),
                ]
                assert said(await store.stats(since_ms=midnight_ms)) == [("2023-11-14", 2, 2, None)]
                assert said(await store.stats(until_ms=midnight_ms)) == [("2023-11-13", 1, 1, None)]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.asyncio
async def test_calls_count_when_their_messages_are_gone(
    store: Store, chat: Conversation, provider: ScriptedProvider, path: Where
) -> None:
    """By conversation there are names as long as it is in the list; the numbers stay."""
    provider.otherwise = ("a", Finished(usage=Usage(input_tokens=3, output_tokens=4)))
    await chat.rename("Kyoto")
    await chat.send("question")
    async with chat.regenerate() as turn:
        other = await turn.drain()
    await chat.delete_branch(other.id)
    second = await store.create(title="Nara")
    await second.send("question")
    report = await store.stats(by="conversation")
    assert said(report) == [(chat.id, 2, 6, 8), (second.id, 1, 3, 4)]
    assert [(row.handle, row.title) for row in report.rows] == [
        (chat.handle, "Kyoto"),
        (second.handle, "Nara"),
    ]
    assert said(await store.stats(by="conversation", conversation=second.handle[:6])) == [
        (second.id, 1, 3, 4)
    ]
    await chat.delete()
    (gone, _) = (await store.stats(by="conversation")).rows
    assert (gone.name, gone.handle, gone.title, gone.calls) == (chat.id, None, None, 2)
    assert rows(path, "SELECT count(*) FROM usage") == [(3,)]


@pytest.mark.asyncio
async def test_call_counts_once_however_it_ends(
    store: Store,
    chat: Conversation,
    provider: ScriptedProvider,
    watch: Watch,
    path: Where,
    manual: ManualClock,  # no tick renews the lease
) -> None:
    """Left early, failed and died: each one call of unknown cost; a late end makes it known."""
    gate = provider.gate("running")
    provider.script("half", Silence())
    async with chat.stream("left early") as turn:
        await anext(turn)
    provider.script("half")  # breaks off
    with pytest.raises(convostore.ConvostoreError):
        await chat.send("breaks off")
    assert (await store.stats()).total.unknown.input_tokens == 2
    provider.script("one ", gate, "two", Finished(usage=Usage(input_tokens=5)))
    sending = asyncio.create_task(chat.send("died, it seems"))
    await gate.arrive()
    lease = watch.rows("SELECT lease FROM message WHERE status = 'streaming'")[0][0]
    change(path, "UPDATE message SET lease = ? WHERE status = 'streaming'", DEAD)
    other = await store.resume(chat.id)
    await _close_the_dead(store)
    total = (await store.stats()).total
    assert (total.calls, total.unknown.input_tokens, total.usage.input_tokens) == (3, 3, None)
    change(path, "UPDATE message SET lease = ? WHERE status = 'interrupted'", lease)
    gate.open()
    await sending
    total = (await store.stats(conversation=other.id)).total
    assert (total.calls, total.unknown.input_tokens, total.usage.input_tokens) == (3, 2, 5)


async def _close_the_dead(store: Store) -> None:
    from convostore.turning.recovery import close_dead_replies

    at = await store.rows_of()
    assert at is not None
    assert await close_dead_replies(*at) == 1


@pytest.mark.asyncio
async def test_turn_that_never_asked_is_no_call(store: Store, chat: Conversation) -> None:
    """A question that was stored and then left alone cost nothing."""
    async with chat.stream("never mind"):
        pass
    assert (await store.stats()).total.calls == 0


@pytest.mark.asyncio
async def test_nobody_counts_another_owners_calls(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Each owner has sums of its own; one that has nothing has no row."""
    provider.otherwise = ("a", Finished(usage=Usage(input_tokens=3)))
    await chat.send("question")
    alice = store.for_owner("alice")
    assert said(await alice.stats()) == []
    with pytest.raises(ConversationNotFoundError):
        await alice.stats(conversation=chat.id)
    await (await alice.create()).send("question")
    for by in BY:
        assert (await alice.stats(by=by)).total.calls == 1
        assert (await store.stats(by=by)).total.calls == 1


@pytest.mark.asyncio
async def test_absurd_numbers_of_a_far_side_break_no_sum(
    store: Store, chat: Conversation, provider: ScriptedProvider
) -> None:
    """Two of the greatest numbers that a column takes are added up."""
    provider.otherwise = ("a", Finished(usage=Usage(input_tokens=2**62)))
    for _ in range(3):
        await chat.send("question")
    assert (await store.stats()).total.usage.input_tokens == 3 * 2**62


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["week", "", None])
async def test_unknown_way_to_add_up_is_refused(store: Store, by: By) -> None:
    """The message names those there are; a text that no store can hold is refused too."""
    with pytest.raises(ValueError, match="day, model, provider, conversation"):
        await store.stats(by=by)
    with pytest.raises(InvalidTextError):
        await store.stats(model="half \ud800")


@pytest.mark.asyncio
@pytest.mark.only("sqlite", reason="where no owner has rows is the same on both")
async def test_new_store_has_no_calls(tmp_path: Path) -> None:
    """Nothing was asked: no rows, no calls, nothing known."""
    async with convostore.open(tmp_path / "new.db", provider=Echo()) as store:
        report = await store.stats(by="model")
    assert (report.by, report.rows, report.total.calls) == ("model", (), 0)
    assert report.total.usage == Usage()


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["purge", "branch"])
async def test_call_whose_writer_died_counts_though_it_goes_before_anybody_closed_it(
    store: Store, chat: Conversation, provider: ScriptedProvider, watch: Watch, way: str
) -> None:
    """What it cost is unknown, and that it was made is not."""
    provider.script("half", Silence())
    async with chat.stream("Hi") as turn:
        await anext(turn)
        change(watch.path, f"UPDATE message SET lease = '{DEAD}' WHERE status = 'streaming'")
        other = await store.resume(chat.id)
        await (other.purge() if way == "purge" else other.delete_branch(1))
        total = (await store.stats()).total
        assert (total.calls, total.tokens) == (1, None)
        if way == "branch":
            assert (await store.find(chat.id)).interrupted_count == 0
        with pytest.raises(NotFoundError):
            await turn.stop()
