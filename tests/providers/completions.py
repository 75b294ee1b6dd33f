"""A small server of chat completions on loopback, that sends what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiohttp import web

from convostore import errors
from convostore.events import ReasoningDelta, TextDelta, ToolCallDelta
from convostore.providers.openai import OpenAIProvider
from convostore.providers.provider import ChatMessage, ChatRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from convostore.events import Event, Finished

KEY = "sk-test-7Qw9-secret"
STREAM = "text/event-stream"
DONE = b"data: [DONE]\n\n"


class Canned(NamedTuple):
    """An answer: bytes in pieces, each flushed on its own."""

    pieces: tuple[bytes, ...]
    status: int = 200
    kind: str | None = STREAM
    headers: dict[str, str] | None = None
    cut: bool = False
    hangs: bool = False
    late_s: float = 0  # how long after its last piece it ends


class Received(NamedTuple):
    """A request, and from which port it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    port: int


class ChatServer:
    """Answers what was scripted, in order; the last one again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self.gone = asyncio.Event()
        self._script: list[Canned] = []
        self.models: Any = {"data": [{"id": "m"}]}

    def answer(self, *pieces: bytes, **more: Any) -> None:
        """Script an answer."""
        self._script.append(Canned(pieces, **more))

    def refuse(self, status: int, body: object, **headers: str) -> None:
        """Script an error; a text as it is, anything else as JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/plain" if isinstance(body, str) else "application/json"
        self.answer(text.encode(), status=status, kind=kind, headers=headers)

    @property
    def sent(self) -> Any:
        """What was asked last."""
        return next(one.body for one in reversed(self.received) if one.method == "POST")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        raw = await request.read()
        body = json.loads(raw) if raw else None
        assert request.transport is not None
        port = request.transport.get_extra_info("peername")[1]
        headers = dict(request.headers)
        self.received.append(Received(request.method, request.path, headers, body, port))
        if request.method == "GET":
            return web.json_response(self.models)
        canned = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        headers = dict(canned.headers or {})
        if canned.kind is not None:
            headers["Content-Type"] = canned.kind
        response = web.StreamResponse(status=canned.status, headers=headers)
        await response.prepare(request)
        try:
            for piece in canned.pieces:
                await response.write(piece)
            await asyncio.sleep(canned.late_s)
            if canned.hangs:
                await asyncio.sleep(600)
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        if canned.cut:
            request.transport.close()
        return response


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[ChatServer]:
    """Run a server; a request that hangs ends when its client goes."""
    server = ChatServer()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def served() -> Iterator[ChatServer]:
    """Run a server in a thread; its script is to be given before a program asks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = serving()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(20)
    finally:
        closing = server.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(closing, loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Return a chunk as most servers send it."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return event({"object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **more})


def event(value: object) -> bytes:
    """Return an event with a JSON value."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def text(*words: str) -> list[bytes]:
    """Return chunks with text."""
    return [chunk({"content": word}) for word in words]


END = chunk(finish="stop")


def ask(words: str = "hello", **more: Any) -> ChatRequest:
    """Return a request."""
    return ChatRequest(messages=(ChatMessage("user", words),), **{"model": "m", **more})


class Heard(NamedTuple):
    """What came of a request, up to its end or its error."""

    events: list[Event]
    error: errors.ProviderError | None

    @property
    def text(self) -> str:
        return "".join(one.text for one in self.events if isinstance(one, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(one.reasoning for one in self.events if isinstance(one, ReasoningDelta))

    @property
    def calls(self) -> list[tuple[str, str, str]]:
        """The calls: id, name, arguments."""
        found: dict[str, tuple[str, str]] = {}
        for one in self.events:
            if isinstance(one, ToolCallDelta):
                name, args = found.get(one.id, ("", ""))
                found[one.id] = (name + one.name, args + one.args)
        return [(id_, name, args) for id_, (name, args) in found.items()]

    @property
    def end(self) -> Finished:
        assert self.error is None, self.error
        return self.events[-1]  # type: ignore[return-value]  # nothing failed


async def hear(server: ChatServer, request: ChatRequest | None = None, **options: Any) -> Heard:
    """Ask a server, and close the provider."""
    provider = OpenAIProvider("m", server.url, **{"api_key": KEY, **options})
    events: list[Event] = []
    error: errors.ProviderError | None = None
    try:
        async for one in provider.stream(request or ask()):
            events.append(one)  # noqa: PERF401 - what came before an error counts
    except errors.ProviderError as raised:
        error = raised
    finally:
        await provider.aclose()
    if error is not None:
        for shown in (str(error), error.hint, repr(error), getattr(error, "excerpt", "")):
            assert KEY not in shown
            assert "\n" not in shown
        assert error.hint
        assert error.provider == "openai"
    return Heard(events, error)


async def failure(server: ChatServer, kind: type[errors.ProviderError], **options: Any) -> Any:
    """Return the error of a request that must fail."""
    heard = await hear(server, **options)
    assert heard.error is not None
    with pytest.raises(kind):
        raise heard.error
    assert type(heard.error) is kind
    return heard.error
