"""A provider of somebody else's that does all that it should not: turns end, the store stays sound."""

from __future__ import annotations

import asyncio
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore import errors
from convostore.events import Finished, RemoteUpdate, TextDelta
from convostore.records import RemoteThread, Usage
from convostore.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore import Conversation, Store
    from convostore.events import Event
    from tests.engines import Where


class OwnError(BaseException):
    """What no `except Exception` catches."""


class UntoldError(Exception):
    """What cannot even be told."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError


ANY: list[Callable[[], BaseException]] = [
    lambda: ValueError("two\nlines"),
    OwnError,
    UntoldError,
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    TimeoutError,
    OSError,
    MemoryError,
    RecursionError,
    lambda: BaseExceptionGroup("both", [OwnError()]),
    lambda: errors.ConvostoreError("x"),
    lambda: errors.StoreClosedError("x"),
    lambda: errors.ProviderConnectError("x", provider="plugin"),
]
REMOTE = RemoteThread(server_url="http://far", dialect="d", remote_id="r", user_remote_id="u")


class Plugin:
    """Raises what it is told, where it is told.

    Attributes:
        where: the method, or the event before which it happens.
        raised: what; None raises nothing.
        events: what it yields otherwise.
    """

    name = "plugin"

    def __init__(self) -> None:
        self.where = ""
        self.raised: BaseException | None = None
        self.events: list[Any] = [TextDelta("one"), TextDelta("two"), Finished()]

    def _here(self, where: str) -> None:
        if self.where == where and self.raised is not None:
            raise self.raised

    def check(self, request: object) -> None:
        self._here("check")

    def stream(self, request: object) -> Events:
        self._here("stream")
        return Events(self)

    async def recover(self, remote: object, anonymous_user_id: str) -> None:
        self._here("recover")

    async def models(self) -> list[Any]:
        return []

    async def aclose(self) -> None:
        self._here("aclose")


class Events:
    """An iterator by hand, for a generator would change some of what it raises."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin, self._left = plugin, list(plugin.events)

    def __aiter__(self) -> Events:  # noqa: D105 - as of any iterator
        return self

    async def __anext__(self) -> Event:  # noqa: D105 - as of any iterator
        self._plugin._here(f"event {len(self._plugin.events) - len(self._left)}")
        event: Event = self._left.pop(0)
        return event

    async def aclose(self) -> None:
        self._plugin._here("close")


@pytest.fixture
def plugin() -> Plugin:
    """Give one that does what it should, until it is told otherwise."""
    return Plugin()


async def failed(chat: Conversation, plugin: Any) -> errors.ProviderError:
    """Ask; return the error. The task goes on, and nobody has cancelled it."""
    with pytest.raises(errors.ProviderError) as caught:
        await chat.send("Go", provider=plugin)
    me = asyncio.current_task()
    assert me is not None
    assert not me.cancelling()
    assert "\n" not in str(caught.value)
    return caught.value


async def after(seconds: float, work: Any, waits: asyncio.Event) -> BaseException | None:
    """Let so much time pass whenever a provider waits; return how *work* ended.

    No time passes while the store works, which takes as long as it takes on this machine.
    """
    with ManualClock() as clock:
        working: asyncio.Future[Any] = asyncio.ensure_future(work)
        while True:
            waiting = asyncio.ensure_future(waits.wait())
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if working.done():
                return working.exception()
            waits.clear()
            await clock.advance(seconds)


async def sound(store: Store, chat: Conversation, plugin: Plugin) -> None:
    """Hold the store to be whole, and the conversation to be gone on with."""
    plugin.raised = None
    plugin.events = [TextDelta("fine"), Finished()]
    assert (await chat.send("And now?", provider=plugin)).text == "fine"
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["stream", "event 0", "event 1", "event 2"])
async def test_whatever_a_provider_raises_is_a_failed_reply_with_what_came(
    store: Store, plugin: Plugin, where: str
) -> None:
    """At the call, and at every event, the last one included; also what is no Exception."""
    chat = await store.create()
    plugin.where = where
    for make in ANY:
        plugin.raised = make()
        error = await failed(chat, plugin)
        assert error.reply is not None
        assert error.reply.status == "failed"
        assert error.reply.text == {"event 1": "one", "event 2": "onetwo"}.get(where, "")
        assert error.reply.error is not None
    assert len(await chat.history()) == 2 * len(ANY)
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_whatever_a_check_raises_stores_nothing(store: Store, plugin: Plugin) -> None:
    """It is asked before anything is stored."""
    chat = await store.create()
    plugin.where = "check"
    for make in ANY:
        plugin.raised = make()
        assert (await failed(chat, plugin)).reply is None
    assert await chat.history() == ()
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_whatever_closing_raises_changes_nothing_of_the_reply(
    store: Store, plugin: Plugin
) -> None:
    """How it ended is decided by then."""
    chat = await store.create()
    plugin.where = "close"
    for make in ANY:
        plugin.raised = make()
        assert (await chat.send("Go", provider=plugin)).status == "completed"
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_whatever_a_recovery_raises_leaves_the_reply_failed(
    store: Store, plugin: Plugin
) -> None:
    """It is asked after a break, and before the next turn."""
    plugin.events = [RemoteUpdate(REMOTE), TextDelta("half")]  # then the stream breaks off
    for make in ANY:
        chat = await store.create()
        plugin.where, plugin.raised = "recover", make()
        error = await failed(chat, plugin)
        assert error.reply is not None
        assert (error.reply.status, error.reply.text) == ("failed", "half")
        plugin.raised = None
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_whatever_a_closed_provider_raises_is_typed_and_the_store_is_closed(
    path: Where, plugin: Plugin
) -> None:
    """The store goes first."""
    plugin.where = "aclose"
    for make in (ValueError, OwnError, asyncio.CancelledError):
        store = convostore.open(path, provider=plugin)
        await store.create()
        plugin.raised = make()
        with pytest.raises(errors.ProviderError, match="plugin failed"):
            await store.aclose()
        with pytest.raises(errors.StoreClosedError):
            await store.create()


@pytest.mark.asyncio
@pytest.mark.parametrize("passing", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_ends_a_program_ends_it_and_the_reply_is_stopped(
    store: Store, plugin: Plugin, passing: type[BaseException]
) -> None:
    """A Ctrl-C may come while a provider runs: it is not the provider's."""
    chat = await store.create()
    plugin.where, plugin.raised = "event 1", passing()

    async def ask() -> None:
        with pytest.raises(passing):
            await chat.send("Go", provider=plugin)

    await ask()
    reply = (await chat.history())[-1]
    assert (reply.status, reply.text) == ("stopped", "one")
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_whatever_stands_in_the_place_of_an_event_is_a_fault(
    store: Store, plugin: Plugin
) -> None:
    """Nothing, values of other kinds, and events with values of other kinds."""
    chat = await store.create()
    odd: list[Any] = [None, 7, "text", {}, TextDelta, TextDelta(None), TextDelta(b"x"), Finished(text=7), Finished(usage=7), RemoteUpdate(None)]  # type: ignore[arg-type]  # so do these  # fmt: skip
    for value in odd:
        plugin.events = [TextDelta("one"), value, Finished()]
        with pytest.raises(errors.ProviderError, match="failed"):
            pytest.fail(f"{value!r}: {await chat.send('Go', provider=plugin)}")
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_usage_as_a_plain_object_is_taken(store: Store, plugin: Plugin) -> None:
    """As most libraries have it; it is kept as what it is."""
    chat = await store.create()
    plugin.events = [Finished(usage={"input_tokens": 5})]  # type: ignore[arg-type]  # on purpose
    async with chat.stream("Go", provider=plugin) as turn:
        await turn.drain()
    assert turn.usage == Usage(input_tokens=5)
    assert (await store.stats()).total.usage == Usage(input_tokens=5)


async def answers(self: object, request: object) -> list[object]:
    """Answer as people do who have not read how."""
    return [TextDelta("one"), Finished()]


async def checks(self: object, request: object) -> None:
    """Check, asynchronously."""


@pytest.mark.asyncio
async def test_whatever_stands_in_the_place_of_a_stream_is_a_fault(
    store: Store, plugin: Plugin
) -> None:
    """A coroutine that answers at once is the usual mistake; so is a check that has to be awaited."""
    chat = await store.create()

    def returning(value: object) -> Callable[[object, object], object]:
        return lambda self, request: value

    for stream in (answers, *map(returning, (None, 7, [], iter([])))):
        wrong = Plugin()
        wrong.stream = types.MethodType(stream, wrong)  # type: ignore[method-assign]  # on purpose
        assert "stream() is no async generator" in str(await failed(chat, wrong))
    wrong = Plugin()
    wrong.check = types.MethodType(checks, wrong)  # type: ignore[method-assign]  # on purpose
    assert "check() is no plain function" in str(await failed(chat, wrong))
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_a_generator_that_hangs_when_it_is_closed_is_left(
    store: Store, plugin: Plugin
) -> None:
    """It is waited for a moment: the reply has ended before."""
    waits = asyncio.Event()

    async def hangs(self: object, request: object) -> Any:
        try:
            while True:
                yield TextDelta("one")
        finally:
            waits.set()
            await asyncio.Event().wait()

    chat = await store.create()
    wrong = Plugin()
    wrong.stream = types.MethodType(hangs, wrong)  # type: ignore[method-assign]  # on purpose
    turn = chat.stream("Go", provider=wrong)
    await turn.__aenter__()
    await anext(turn)
    assert await after(6, turn.__aexit__(None, None, None), waits) is None
    assert (turn.reply.status, turn.reply.text) == ("stopped", "one")
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_what_comes_after_the_end_is_not_heard(store: Store, plugin: Plugin) -> None:
    """The reply is complete: neither more text nor an error counts."""
    chat = await store.create()
    plugin.events = [TextDelta("one"), Finished(), TextDelta("more")]
    plugin.where, plugin.raised = "event 2", ValueError()
    reply = await chat.send("Go", provider=plugin)
    assert (reply.status, reply.text) == ("completed", "one")
    await sound(store, chat, plugin)


@pytest.mark.asyncio
async def test_a_look_at_attachments_that_never_ends_is_left(store: Store, plugin: Plugin) -> None:
    """Whatever it catches: after a silence too long nothing is stored, and the room goes on."""
    freed, waits = asyncio.Event(), asyncio.Event()

    class Deaf(Plugin):
        async def check_attachments(self, request: object) -> None:
            waits.set()
            while not freed.is_set():
                with suppress(asyncio.CancelledError):
                    await freed.wait()

    chat = await store.create()
    error = await after(121, chat.send("Go", provider=Deaf(), attachments=[b"x"]), waits)
    assert isinstance(error, errors.ProviderTimeoutError)
    assert await chat.history() == ()
    freed.set()
    await sound(store, chat, plugin)


@pytest.mark.asyncio
@pytest.mark.parametrize("when", ["after the break", "before the next turn", "at the close"])
async def test_a_recovery_or_a_closing_that_does_not_hear_is_left(
    path: Where, plugin: Plugin, when: str
) -> None:
    """Whatever it catches: the reply has ended, and the store is closed, after a moment."""
    freed, waits = asyncio.Event(), asyncio.Event()

    class Deaf(Plugin):
        async def _hangs(self) -> None:
            waits.set()
            while not freed.is_set():
                with suppress(asyncio.CancelledError):
                    await freed.wait()

        async def recover(self, remote: object, anonymous_user_id: str) -> None:
            await self._hangs()

        async def aclose(self) -> None:
            await self._hangs()

    deaf = Deaf()
    store = convostore.open(path, provider=deaf if when == "at the close" else None)
    chat = await store.create()
    half = [RemoteUpdate(REMOTE), TextDelta("half")]  # then the stream breaks off
    if when != "at the close":
        asked = plugin if when == "before the next turn" else deaf
        asked.events = half
        error = await after(2, chat.send("Go", provider=asked), waits)
        assert isinstance(error, errors.ProviderError)
        assert (await chat.history())[-1].status == "failed"
    if when == "before the next turn":
        late = await after(11, chat.send("And?", provider=deaf), waits)
        assert isinstance(late, errors.ProviderTimeoutError)
        assert late.hint
        assert len(await chat.history()) == 2
    assert await after(6, store.aclose(), waits) is None
    freed.set()


@pytest.mark.asyncio
async def test_a_provider_whose_name_fails_is_refused_before_anything_happens(
    path: Where, store: Store, plugin: Plugin
) -> None:
    """In a turn, and in making a conversation; its store is closed all the same."""

    class Nameless(Plugin):
        @property
        def name(self) -> str:  # type: ignore[override]  # on purpose
            raise ValueError("two\nlines")

    nameless: Any = Nameless()
    chat = await store.create()
    with pytest.raises(errors.ProviderError, match="Nameless failed: ValueError: two lines"):
        await chat.send("Go", provider=nameless)
    assert await chat.history() == ()
    other = convostore.open(path, provider=nameless)
    with pytest.raises(errors.ProviderError, match="Nameless failed"):
        await other.create()
    await other.aclose()
    await sound(store, chat, plugin)


@pytest.mark.asyncio
@pytest.mark.parametrize(("where", "cancelled"), [("body", False), ("body", True), ("end", False)])
async def test_a_generator_that_does_not_hear_is_left(
    store: Store, plugin: Plugin, where: str, cancelled: bool
) -> None:
    """Whatever it catches: the reply ends with what came, its caller and the room go on."""
    freed, waits = asyncio.Event(), asyncio.Event()

    async def deaf(self: object, request: object) -> Any:
        yield TextDelta("one")
        try:
            if where == "end":
                yield Finished()
        finally:
            waits.set()
            while not freed.is_set():
                with suppress(asyncio.CancelledError):
                    await freed.wait()

    chat = await store.create()
    wrong = Plugin()
    wrong.stream = types.MethodType(deaf, wrong)  # type: ignore[method-assign]  # on purpose
    begun = asyncio.Event()

    async def ask() -> None:
        async with chat.stream("Go", provider=wrong) as turn:
            await anext(turn)
            begun.set()
            await turn.drain()

    async def status() -> str:
        return (await chat.history())[-1].status

    with ManualClock() as clock:
        asking = asyncio.ensure_future(ask())
        await begun.wait()
        if cancelled:
            asking.cancel()
        await waits.wait()
        for seconds in (6,) if where == "end" or cancelled else (119, 2, 6):
            await status()  # what is being written has its time
            await clock.advance(seconds)
        await asyncio.wait({asking})
    ended = "completed" if where == "end" else "stopped" if cancelled else "failed"
    assert await status() == ended
    if not cancelled and where == "body":
        assert isinstance(asking.exception(), errors.ProviderTimeoutError)
    freed.set()
    await sound(store, chat, plugin)
