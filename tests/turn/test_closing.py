"""Closing a store: once, to its end, within a bound, whoever waits for it or no longer does."""

from __future__ import annotations

import asyncio
import gc
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from watching import until  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import turn as turn_module
from convostore.errors import ConversationBusyError, StoreBusyError, StoreClosedError, StoreError
from convostore.events import Finished
from convostore.storage import group_writer, sqlite
from convostore.storage.database import Database
from convostore.testing import Gate, ManualClock, ScriptedProvider, Silence
from convostore.turning import pulse as pulse_module
from convostore.turning.pulse import CLOSE_S, LAST_S, STILL_BUSY_S, TICK_S, Pulse
from tests.engines import held

if TYPE_CHECKING:
    from watching import Watch

    from convostore import Conversation, Store
    from tests.engines import Where


class SlowToClose(ScriptedProvider):
    """A provider whose closing waits at a gate, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = Gate()
        self.closings = 0

    async def aclose(self) -> None:
        """Wait at the gate."""
        self.closings += 1
        self.closing.reached.set()
        await self.closing.released.wait()
        await super().aclose()


async def streaming(store: Store, provider: ScriptedProvider) -> convostore.Turn:
    """Begin a turn that never ends by itself, and read its first piece."""
    provider.script("Hel", Silence())
    turn = await (await store.create()).stream("Hi").__aenter__()
    await anext(turn)
    return turn


@pytest.mark.asyncio
async def test_closing_twice_at_once_closes_once(path: Where) -> None:
    """Both callers come back when the store is closed, and the provider is closed once."""
    provider = SlowToClose()
    store = convostore.open(path, provider=provider)
    turn = await streaming(store, provider)
    closers = [asyncio.create_task(store.aclose()) for _ in range(2)]
    await provider.closing.arrive()
    assert not any(closer.done() for closer in closers)
    provider.closing.open()
    await asyncio.gather(*closers)
    await store.aclose()
    assert (provider.closings, provider.is_closed) == (1, True)
    assert turn.reply.status == "stopped"


@pytest.mark.asyncio
@pytest.mark.parametrize("cancels", [1, 2])
async def test_cancelled_closing_goes_on_to_its_end(
    cancels: int, path: Where, watch: Watch
) -> None:
    """Who closes may be cancelled; the turn is stopped, and everything closed all the same."""
    provider = SlowToClose()
    store = convostore.open(path, provider=provider)
    await streaming(store, provider)
    closer = asyncio.create_task(store.aclose())
    waiter = asyncio.create_task(store.aclose())
    await asyncio.sleep(0)
    for _ in range(cancels):
        closer.cancel()
        await asyncio.sleep(0)
    await provider.closing.arrive()
    provider.closing.open()
    await waiter
    with pytest.raises(asyncio.CancelledError):
        await closer
    assert (provider.closings, provider.is_closed) == (1, True)
    assert watch.statuses() == ["stopped"]
    with pytest.raises(StoreClosedError):
        await store.create()


@pytest.mark.asyncio
async def test_a_provider_that_never_closes_holds_nobody_up(path: Where) -> None:
    """After five seconds the store is closed without it."""
    provider = SlowToClose()
    store = await convostore.open(path, provider=provider)
    with ManualClock() as clock:
        closer = asyncio.create_task(store.aclose())
        await provider.closing.arrive()
        await clock.advance(4.9)
        assert not closer.done()
        await clock.advance(0.2)
        await closer


@pytest.mark.asyncio
async def test_closing_does_not_wait_for_a_foreign_program_without_end(
    path: Where, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that is held for ever holds up the closing for a bounded time, and later nobody."""
    for module in (pulse_module, sqlite, group_writer):
        monkeypatch.setattr(module, "CLOSE_S", 0.1)
    store = convostore.open(path, provider=provider, busy_timeout_s=3600)
    await streaming(store, provider)
    with held(path):
        async with asyncio.timeout(60):
            await store.aclose()
    async with convostore.open(path, provider=provider) as again:
        provider.script("ok", Finished())
        reply = await (await again.resume("@")).send("And?", wait_s=60)
    assert (reply.status, reply.text) == ("completed", "ok")


@pytest.mark.asyncio
async def test_closing_does_not_wait_again_for_an_end_that_a_cancelled_caller_waited_for(
    path: Where, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C at a store that is held, the last write has its bound once; the text is kept."""
    monkeypatch.setattr(turn_module, "LAST_WRITE_S", 0.1)
    monkeypatch.setattr(pulse_module, "CLOSE_S", 3600)
    monkeypatch.setattr(sqlite, "CLOSE_S", 3600)
    monkeypatch.setattr(group_writer, "CLOSE_S", 3600)
    store = convostore.open(path, provider=provider, busy_timeout_s=3600)
    turn = await streaming(store, provider)
    await turn._journal.catch_up()
    reading = asyncio.create_task(turn.drain())
    with held(path):
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            ending = asyncio.create_task(turn.__aexit__(None, None, None))
            await asyncio.sleep(0)
            ending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await ending
            await store.aclose()
    async with convostore.open(path) as again:
        *_, reply = await (await again.resume("@")).history()
    assert (reply.status, reply.text) == ("interrupted", "Hel")


@pytest.mark.asyncio
async def test_what_is_not_begun_when_its_store_is_closed_is_not_stored(
    path: Where, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller gets an error that says so, and it does not turn up later."""
    for module in (pulse_module, sqlite, group_writer):
        monkeypatch.setattr(module, "CLOSE_S", 0.1)
    store = convostore.open(path, busy_timeout_s=3600)
    chat = await store.create()
    with held(path):
        appending = asyncio.create_task(chat.append(convostore.Message.user("late")))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            await store.aclose()
            with pytest.raises(StoreError, match="nothing was stored"):
                await appending
    assert watch.messages() == []


class Counted:
    """A turn that counts its ticks, and does not end."""

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self) -> None:
        """Count."""
        self.ticks += 1

    async def stop(self) -> None:
        """Hang."""
        await asyncio.Event().wait()


async def never() -> None:
    """Hang, as a write does whose store hangs."""
    await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_an_ending_that_hangs_does_not_hold_up_the_ticks() -> None:
    """All other turns are flushed, and keep their leases, while one write does not come back."""
    with ManualClock() as clock:
        pulse, turn = Pulse(), Counted()
        pulse.add(turn)
        pulse.write_later("hanging", never)
        await clock.advance(20 * TICK_S + 0.01)
        assert turn.ticks == 20
        pulse.remove(turn)
        await clock_out(pulse, clock)


@pytest.mark.asyncio
async def test_closing_the_pulse_takes_a_bounded_time() -> None:
    """Turns that do not end, and writes that do not come back, are waited for five seconds."""
    with ManualClock() as clock:
        pulse = Pulse()
        pulse.add(Counted())
        pulse.write_later("hanging", never)
        hanging = asyncio.ensure_future(never())
        pulse.see_through(hanging)
        await clock_out(pulse, clock)
        hanging.cancel()


async def clock_out(pulse: Pulse, clock: ManualClock) -> None:
    """Close *pulse*, which has something that hangs."""
    closing = asyncio.create_task(pulse.aclose())
    await clock.advance(CLOSE_S - 0.1)
    assert not closing.done()
    await clock.advance(LAST_S + 0.2)
    await closing


@pytest.mark.asyncio
async def test_closing_gives_an_ending_that_had_its_time_a_moment_more() -> None:
    """Where the store was busy for as long as a write waits, the closing does not wait as long."""
    pulse = Pulse()
    with ManualClock() as clock:
        pulse.write_later("hanging", never, why=StoreBusyError("busy"))
        pulse.write_later("too", never, why=StoreBusyError("busy"))
        closing = asyncio.create_task(pulse.aclose())
        await clock.advance(STILL_BUSY_S + 0.1)
        await clock.advance(LAST_S + 0.1)
        assert closing.done()
        await closing


@pytest.mark.asyncio
async def test_a_cancelled_closing_of_the_pulse_is_a_cancellation() -> None:
    """The caller's own cancellation is not taken for that of the ticking task."""
    with ManualClock() as clock:
        pulse = Pulse()
        pulse.add(Counted())
        closing = asyncio.create_task(pulse.aclose())
        await clock.advance(0.5)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing


def test_a_pulse_beats_on_in_another_event_loop() -> None:
    """What ran in a loop that was closed is let go: its turns, its tick, and its places in line."""
    pulse, dead, alive = Pulse(), Counted(), Counted()

    async def begin() -> None:
        pulse.add(dead)
        await pulse.line_up("owner", "chat").first()

    async def go_on() -> None:
        with ManualClock() as clock:
            pulse.add(alive)
            ticket = pulse.line_up("owner", "chat")
            await ticket.first()
            await clock.advance(5 * TICK_S + 0.01)
            ticket.leave()
            pulse.remove(alive)
            await pulse.aclose()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    task = pulse._task
    assert task is not None
    task.cancel()  # its end is not looked at: the loop is closed before it comes
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own, for this case
    loop.close()
    asyncio.run(go_on())
    assert (dead.ticks, alive.ticks) == (0, 5)


@pytest.mark.asyncio
@pytest.mark.parametrize("again", ["Hi", "And?"])
async def test_a_turn_whose_first_write_may_be_stored_ends(
    again: str,
    chat: Conversation,
    provider: ScriptedProvider,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answer to its commit was lost: the chat goes on at once, or asks again by the same key."""
    submit = Database.submit

    async def lost(stored: asyncio.Future[Any]) -> None:
        await stored
        raise StoreError("whether this is stored is not known")

    def losing(database: Database, *job: Any) -> SimpleNamespace:
        return SimpleNamespace(future=asyncio.ensure_future(lost(submit(database, *job).future)))

    with monkeypatch.context() as patch:
        patch.setattr(Database, "submit", losing)
        with pytest.raises(StoreError, match="not known"):
            await chat.send("Hi", idempotency_key="Hi")
    assert watch.statuses() == ["streaming"]
    provider.answer("ok")
    assert (await chat.send(again, idempotency_key=again, on_moved="follow")).text == "ok"
    assert watch.statuses() == ["interrupted", "completed"]
    assert [one for _, _, role, _, one in watch.messages() if role == "user"] == [
        *dict.fromkeys(["Hi", again])
    ]


@pytest.mark.asyncio
async def test_what_was_left_running_is_ended_in_the_background(
    chat: Conversation, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For other processes too, though nobody here comes back to it."""
    submit = Database.submit

    async def lost(stored: asyncio.Future[Any]) -> None:
        await stored
        raise StoreError("whether this is stored is not known")

    def losing(database: Database, *job: Any) -> SimpleNamespace:
        return SimpleNamespace(future=asyncio.ensure_future(lost(submit(database, *job).future)))

    with monkeypatch.context() as patch:
        patch.setattr(Database, "submit", losing)
        with pytest.raises(StoreError, match="not known"):
            await chat.send("Hi")
    await until(lambda: watch.statuses() == ["stopped"])


@pytest.mark.asyncio
async def test_a_turn_whose_first_write_was_lost_ends_nothing_else(
    chat: Conversation, provider: ScriptedProvider, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was stored, looking for it changes nothing."""

    async def lost() -> None:
        raise StoreError("whether this is stored is not known")

    def losing(*_: object) -> SimpleNamespace:
        return SimpleNamespace(future=asyncio.ensure_future(lost()))

    with monkeypatch.context() as patch:
        patch.setattr(Database, "submit", losing)
        with pytest.raises(StoreError, match="not known"):
            await chat.send("Hi")
    pulse = chat._place.pulse
    await until(lambda: not pulse._unwritten)
    provider.answer("ok")
    assert (await chat.send("And?")).text == "ok"
    assert watch.statuses() == ["completed"]


@pytest.mark.parametrize("keyed", [False, True])
def test_a_turn_whose_event_loop_was_closed_keeps_nobody_waiting(
    keyed: bool, path: Where, provider: ScriptedProvider
) -> None:
    """The process lives, its turn does not: another loop of the same process goes on at once."""

    async def begin() -> tuple[convostore.Turn, Conversation]:
        store = await convostore.open(path, provider=provider)
        chat = await store.create(key="room" if keyed else None)
        provider.script("Hel", Silence())
        turn = await chat.stream("Hi").__aenter__()
        await anext(turn)
        await turn._catch_up()
        return turn, chat

    async def go_on() -> list[tuple[str, str]]:
        async with convostore.open(path, provider=provider) as store:
            chat = await store.resume("room" if keyed else "@")
            provider.script("ok", Finished())
            await chat.send("And?", wait_s=0)
            return [(one.status, one.text) for one in await chat.history()]

    async def look(chat: Conversation) -> None:
        with pytest.raises(ConversationBusyError):
            await chat.send("too soon", wait_s=0)

    loop = asyncio.new_event_loop()
    turn, chat = loop.run_until_complete(begin())
    loop.run_until_complete(look(chat))
    loop.run_until_complete(_let_threads_go(chat))
    loop.close()
    assert asyncio.run(go_on()) == [
        ("completed", "Hi"),
        ("interrupted", "Hel"),
        ("completed", "And?"),
        ("completed", "ok"),
    ]
    assert turn.reply.status == "streaming"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_store_is_closed_in_another_event_loop(path: Where, provider: ScriptedProvider) -> None:
    """Where its own runs no more: the provider is closed, and the store refuses from then on."""
    store = convostore.open(path, provider=provider)

    async def use() -> None:
        provider.answer("ok")
        await (await store.create()).send("Hi")

    async def close() -> None:
        await store.aclose()
        with pytest.raises(StoreClosedError):
            await store.create()

    asyncio.run(use())
    asyncio.run(close())
    assert provider.is_closed
    gc.collect()  # the connections that nobody could close in good order


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.asyncio
async def test_a_forked_child_closes_nothing_of_its_parent(
    path: Where, provider: ScriptedProvider
) -> None:
    """Closing there is no more than leaving: the parent goes on."""
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        child = os.fork()
        if child == 0:
            closing = store.aclose()
            try:
                closing.send(None)  # it ends at once, and needs no event loop for it
            except StopIteration:
                os._exit(int(provider.is_closed))
            os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        await chat.append(convostore.Message.user("still here"))


async def _let_threads_go(chat: Conversation) -> None:
    """Close what would outlive the loop: connections and tasks; the turn learns nothing of it."""
    await chat._place.database.aclose()
    pulse = chat._place.pulse
    if pulse._task is not None:
        pulse._task.cancel()
        await asyncio.wait({pulse._task})
