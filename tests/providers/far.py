"""Requests, and small servers on loopback, for the tests of the Playground."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from convostore import errors
from convostore.events import TextDelta
from convostore.providers.provider import ChatMessage, ChatRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from convostore.events import Event
    from convostore.providers.playground import Playground

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

USER = "u-secret-7"
THREADS = "/v4/threads/"
STREAM = "/v4/message/stream"


def ask(text: str = "hello", *earlier: ChatMessage, **more: Any) -> ChatRequest:
    """Return a request for the recorded model."""
    settings = {"model": "tulu3-405b", "anonymous_user_id": USER, **more}
    return ChatRequest(messages=(*earlier, ChatMessage("user", text)), **settings)


async def collect(provider: Playground, request: ChatRequest) -> list[Event]:
    """Return all events of a request, and close the provider."""
    try:
        return [event async for event in provider.stream(request)]
    finally:
        await provider.aclose()


async def failure(provider: Playground, request: ChatRequest) -> errors.ProviderError:
    """Return the error of a request that must fail."""
    with pytest.raises(errors.ProviderError) as caught:
        await collect(provider, request)
    for shown in (str(caught.value), caught.value.hint, repr(caught.value)):
        assert USER not in shown
        assert "\n" not in shown
    return caught.value


def text_of(events: list[Event]) -> str:
    """Return the streamed answer."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@contextlib.asynccontextmanager
async def listening(handle: Handler) -> AsyncIterator[str]:
    """Run a server of one handler on a free port, and end its connections with the block."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client gave up, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
