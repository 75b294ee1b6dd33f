"""Each time limit ends what never would, and who leaves lets go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from convostore import errors
from convostore.events import TextDelta
from convostore.providers.playground import Playground
from tests.providers.far import (
    THREADS,
    ask,
    collect,
    failure,
    listening,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.events import Event
    from tests.providers.conftest import RawServer, Recording
    from tests.providers.far import Handler


@pytest.mark.asyncio
async def test_connection_that_is_not_made_ends_at_its_limit() -> None:
    """A full queue of connections: the kernel lets the next one wait."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        error = await failure(Playground(url, connect_timeout_s=0.1), ask())
    assert type(error) is errors.ProviderTimeoutError
    assert "within 0.1 s" in str(error)


@pytest.mark.asyncio
async def test_silent_server_ends_at_the_idle_limit() -> None:
    """No answer at all: the limit counts from the request on."""
    async with listening(_never) as url:
        error = await failure(Playground(url, idle_timeout_s=0.05), ask())
    assert type(error) is errors.ProviderTimeoutError
    assert "nothing came" in str(error)


async def _never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.asyncio
async def test_stream_that_falls_silent_ends_at_the_idle_limit(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Half a line is no event, and an end mark without an end of the body is none either."""
    whole = recording("b/01-first-turn").wire
    raw_server.hang = True
    raw_server.answer("GET", "/v4/models/", recording("b/00-models").wire)
    for raw in (whole[:-5], whole[: len(whole) // 2 + 3]):
        raw_server.answer("POST", THREADS, raw)
        provider = Playground(raw_server.url, idle_timeout_s=0.1)
        error = await failure(provider, ask())
        assert type(error) is errors.ProviderTimeoutError


@pytest.mark.asyncio
async def test_server_that_drips_bytes_without_an_event_ends_at_the_idle_limit() -> None:
    """Bytes alone do not keep a turn alive: only whole objects do."""
    async with listening(_drip(b"x")) as url:
        error = await failure(Playground(url, idle_timeout_s=0.2), ask())
    assert type(error) is errors.ProviderTimeoutError
    assert "nothing came" in str(error)


@pytest.mark.asyncio
async def test_lines_of_unknown_kinds_do_not_keep_a_turn_alive(
    recording: Callable[[str], Recording],
) -> None:
    """They are no news of the reply, so the idle limit ends it."""
    opening = b"".join(recording("b/01-first-turn").body.splitlines(keepends=True)[:2])
    async with listening(_drip(b'{"type":"heartbeat"}\n', opening)) as url:
        error = await failure(Playground(url, idle_timeout_s=0.2, total_timeout_s=5), ask())
    assert type(error) is errors.ProviderTimeoutError
    assert "nothing came" in str(error)


@pytest.mark.asyncio
async def test_server_that_never_stops_ends_at_the_total_limit(
    recording: Callable[[str], Recording],
) -> None:
    """Events for ever keep the idle limit away, and the total limit ends it; the text is kept."""
    opening = b"".join(recording("b/01-first-turn").body.splitlines(keepends=True)[:2])
    more = b'{"type":"modelResponse","content":"la "}\n'
    events: list[Event] = []
    async with listening(_drip(more, opening)) as url:
        provider = Playground(url, idle_timeout_s=5, total_timeout_s=0.3)
        try:
            async for event in provider.stream(ask()):
                events.append(event)  # noqa: PERF401 - what came before the error counts
        except errors.ProviderTimeoutError as error:
            assert str(error) == "the reply took longer than 0.3 s"  # noqa: PT017 - events count
        else:
            pytest.fail("an endless stream came to an end")
        await provider.aclose()
    assert text_of(events).startswith("la la ")


def _drip(piece: bytes, opening: bytes = b"") -> Handler:
    """Make a server that lists no models and then sends pieces for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(b"HTTP/1.1 404 NO\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + opening)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    return serve


@pytest.mark.asyncio
async def test_reader_that_leaves_early_lets_go_of_the_connection(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Closing the events closes the connection, so the server notices."""
    raw_server.answer("POST", THREADS, recording("b/24-client-disconnect").wire)
    raw_server.hang = True
    provider = Playground(raw_server.url)
    events = provider.stream(ask())
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()
    session = provider._connection._session
    assert session is not None
    assert session.connector is not None
    assert not session.connector._acquired
    await provider.aclose()
    await provider.aclose()


@pytest.mark.asyncio
async def test_cancelling_is_not_swallowed_or_renamed(raw_server: RawServer) -> None:
    """A cancelled turn sees CancelledError and nothing else."""
    raw_server.answer("POST", THREADS, b"")
    raw_server.hang = True
    provider = Playground(raw_server.url)
    task = asyncio.create_task(collect(provider, ask()))
    while not raw_server.sends():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
