"""Requests over a real socket: what is sent, what may come back, and when it is given up."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from convostore import errors
from convostore.events import Finished, RemoteUpdate, TextDelta
from convostore.providers.playground import Playground
from convostore.providers.provider import ChatMessage, ChatRequest, Provider
from convostore.records import RemoteThread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from convostore.events import Event
    from tests.providers.conftest import RawServer, Recording

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


def test_playground_is_a_provider_that_shows_no_secret() -> None:
    """It has the verbs of a provider, and its picture names the server alone."""
    provider = Playground(proxy="http://me:password@127.0.0.1:1")
    assert isinstance(provider, Provider)
    assert repr(provider) == "<Playground at https://olmo-api.allen.ai>"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "olmo-api.allen.ai",
        "ftp://a",
        "http://",
        "http://a b",
        "http://a:99999",
        "http://me:word@a",
        "http://a/v4",
        "http://a?x=1",
        "http://[::1",
    ],
)
def test_address_that_is_none_is_refused_at_once(url: str) -> None:
    """The message says what to correct and does not repeat the address."""
    with pytest.raises(errors.ProviderError, match="address must be like") as caught:
        Playground(url)
    assert "word" not in str(caught.value)
    with pytest.raises(errors.ProviderError, match="proxy's address"):
        Playground(proxy="socks5://127.0.0.1:1")


@pytest.mark.parametrize(
    "url", ["http://EXAMPLE.org", "http://example.org/", " http://example.org "]
)
def test_one_server_has_one_url(url: str) -> None:
    """Remote threads name their server by it, so spelling must not matter."""
    assert Playground(url).server_url == "http://example.org"


@pytest.mark.asyncio
async def test_form_has_all_fields_and_options_every_time(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Host and defaults come from the list, the rest from settings; the boundary is random."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    provider = Playground(raw_server.url)
    text = "é 汉 🙂\r\n--boundary\r\n\t "
    for settings in ({}, {"temperature": 0, "max_tokens": 7, "stop": ["a", "b"], "host": "x"}):
        _ = [event async for event in provider.stream(ask(text, settings=settings))]
    await provider.aclose()
    first, second = raw_server.sends()
    fixed = [("model", "tulu3-405b"), ("host", "inferd"), ("content", text), ("private", "true")]
    assert first.fields() == [
        *fixed,
        ("temperature", "0.7"),
        ("top_p", "1.0"),
        ("max_tokens", "2048"),
    ]
    assert second.fields() == [
        *fixed,
        ("temperature", "0"),
        ("top_p", "1.0"),
        ("max_tokens", "7"),
        ("stop", "a"),
        ("stop", "b"),
    ]
    assert first.headers["x-anonymous-user-id"] == USER
    assert first.headers["accept"] == "application/json"
    assert first.headers["content-type"] != second.headers["content-type"]
    models = [one for one in raw_server.received if one.method == "GET"]
    assert [one.path for one in models] == ["/v4/models/"]
    assert "x-anonymous-user-id" not in models[0].headers


@pytest.mark.asyncio
async def test_remote_thread_of_this_server_is_continued_with_the_new_text_alone(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """The server carries the context; the parent is the last reply."""
    raw_server.answer("POST", THREADS, recording("b/02-second-turn").wire)
    remote = RemoteThread(
        server_url=raw_server.url,
        dialect="threads",
        remote_id="msg_Z4E1C2V2G7",
        root_id="msg_V4Z1S8O2S0",
        expires_at_ms=32_503_680_000_000,
    )
    earlier = (ChatMessage("user", "one"), ChatMessage("assistant", "two"))
    events = await collect(Playground(raw_server.url), ask("three", *earlier, remote=remote))
    fields = dict(raw_server.sends()[0].fields())
    assert (fields["parent"], fields["content"]) == ("msg_Z4E1C2V2G7", "three")
    assert isinstance(events[0], RemoteUpdate)
    assert not events[0].rehydrated


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change",
    [
        {"server_url": "http://127.0.0.1:9"},
        {"dialect": "stream"},
        {"dialect": "other"},
        {"expires_at_ms": 1},
        {"remote_id": ""},
    ],
)
async def test_remote_thread_that_cannot_be_continued_is_told_as_text(
    raw_server: RawServer, recording: Callable[[str], Recording], change: dict[str, Any]
) -> None:
    """Another server, another dialect, expired: a new thread, and its ids go nowhere."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    about: dict[str, Any] = {
        "server_url": raw_server.url,
        "dialect": "threads",
        "remote_id": "msg_OLD",
        "root_id": "msg_OLDROOT",
    } | change
    earlier = (ChatMessage("user", "one"), ChatMessage("assistant", "two"))
    request = ask("three", *earlier, remote=RemoteThread(**about))
    events = await collect(Playground(raw_server.url), request)
    sent = raw_server.sends()[-1]
    fields = dict(sent.fields())
    assert "parent" not in fields
    assert b"msg_OLD" not in sent.body
    lines = fields["content"].split("\n")
    assert [json.loads(line) for line in lines[1:3]] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
    ]
    assert lines[3:] == ["", "three"]
    assert isinstance(events[0], RemoteUpdate)
    assert (events[0].rehydrated, events[0].dropped_turns) == (True, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [404, 405])
async def test_older_dialect_is_found_and_remembered(
    raw_server: RawServer,
    recording: Callable[[str], Recording],
    plain_answer: Callable[..., bytes],
    status: int,
) -> None:
    """The newer path is tried once; the next request goes straight to the older one."""
    raw_server.answer("POST", THREADS, plain_answer(status, b"{}", "application/json"))
    raw_server.answer("POST", STREAM, recording("a/01-first-turn").wire)
    provider = Playground(raw_server.url)
    for _ in range(2):
        events = [event async for event in provider.stream(ask())]
    await provider.aclose()
    assert [one.path for one in raw_server.sends()] == [THREADS, STREAM, STREAM]
    assert isinstance(events[-1], Finished)
    assert events[-1].remote is not None
    assert events[-1].remote.dialect == "stream"


@pytest.mark.asyncio
async def test_dialect_of_the_remote_thread_is_tried_first(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """A fresh process needs no second request to continue on an older server."""
    raw_server.answer("POST", STREAM, recording("a/02-second-turn").wire)
    remote = RemoteThread(server_url=raw_server.url, dialect="stream", remote_id="msg_F1D8Q0X9E5")
    await collect(Playground(raw_server.url), ask(remote=remote))
    assert [one.path for one in raw_server.sends()] == [STREAM]
    assert dict(raw_server.sends()[0].fields())["parent"] == "msg_F1D8Q0X9E5"


@pytest.mark.asyncio
async def test_server_that_changed_its_dialect_is_told_the_history(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Ids of the older dialect are not sent to the newer path."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    remote = RemoteThread(server_url=raw_server.url, dialect="stream", remote_id="msg_OLD")
    events = await collect(
        Playground(raw_server.url), ask("two", ChatMessage("user", "one"), remote=remote)
    )
    assert [one.path for one in raw_server.sends()] == [STREAM, THREADS]
    assert b"msg_OLD" not in raw_server.sends()[1].body
    assert isinstance(events[0], RemoteUpdate)
    assert events[0].rehydrated


@pytest.mark.asyncio
async def test_dialect_can_be_chosen_by_an_option(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """`-o dialect=stream` goes to the older path and to no other."""
    raw_server.answer("POST", STREAM, recording("a/01-first-turn").wire)
    await collect(Playground(raw_server.url), ask(settings={"dialect": "stream"}))
    assert [one.path for one in raw_server.sends()] == [STREAM]
    error = await failure(Playground(raw_server.url, dialect="threads"), ask())
    assert isinstance(error, errors.ProviderProtocolError)
    assert "another version" in str(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed_and_the_id_stays_here(
    raw_server: RawServer, plain_answer: Callable[..., bytes], status: int
) -> None:
    """Not to another host, and not to this one: the address is to be corrected."""
    other = Playground(raw_server.url)
    raw_server.answer(
        "POST", THREADS, plain_answer(status, b"", extra=f"Location: {other.server_url}/taken\r\n")
    )
    error = await failure(other, ask())
    assert isinstance(error, errors.ProviderProtocolError)
    assert "redirects" in str(error)
    assert [one.path for one in raw_server.sends()] == [THREADS]
    assert not any(one.path == "/taken" for one in raw_server.received)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "extra", "kind", "retryable"),
    [
        (401, "", errors.ProviderAuthError, False),
        (403, "", errors.ProviderAuthError, False),
        (413, "", errors.ContextLengthError, False),
        (415, "", errors.ProviderProtocolError, False),
        (422, "", errors.ProviderProtocolError, False),
        (429, "Retry-After: 7\r\n", errors.RateLimitError, True),
        (500, "", errors.ProviderError, True),
        (502, "", errors.ProviderConnectError, True),
        (503, "", errors.ProviderConnectError, True),
        (504, "", errors.ProviderTimeoutError, True),
        (599, "", errors.ProviderProtocolError, True),
        (200, "", errors.ProviderProtocolError, False),
        (204, "", errors.ProviderProtocolError, False),
        (400, "", errors.ProviderProtocolError, False),
    ],
)
async def test_page_of_the_front_is_the_error_of_its_status(
    raw_server: RawServer,
    plain_answer: Callable[..., bytes],
    status: int,
    extra: str,
    kind: type[errors.ProviderError],
    retryable: bool,
) -> None:
    """A front answers with pages; the status says what is the matter, the hint what to do."""
    page = b"" if status == 204 else b"<html>\n<h1>sorry</h1>\n</html>" * 1000
    raw_server.answer("POST", THREADS, plain_answer(status, page, extra=extra))
    error = await failure(Playground(raw_server.url), ask())
    assert type(error) is kind
    assert (error.status, error.retryable) == (status, retryable)
    assert error.hint
    assert len(raw_server.sends()) == 1
    if isinstance(error, errors.RateLimitError):
        assert error.retry_after_s == 7
    if status == 403:
        assert "--proxy" in error.hint


@pytest.mark.asyncio
async def test_gzip_is_understood_and_a_bomb_ends(
    raw_server: RawServer, recording: Callable[[str], Recording], plain_answer: Callable[..., bytes]
) -> None:
    """A front may compress; a megabyte that unpacks to very much more is given up."""
    packed = gzip.compress(recording("b/01-first-turn").body)
    gzipped = "Content-Encoding: gzip\r\n"
    raw_server.answer("POST", THREADS, plain_answer(200, packed, "application/jsonl", gzipped))
    assert text_of(await collect(Playground(raw_server.url), ask())).startswith("I was sent 1")
    bomb = gzip.compress(b"x" * 100_000_000)
    raw_server.answer("POST", THREADS, plain_answer(200, bomb, "application/jsonl", gzipped))
    error = await failure(Playground(raw_server.url), ask())
    assert isinstance(error, errors.ProviderProtocolError)
    assert "longer than 8,388,608 bytes" in str(error)
    raw_server.answer("POST", THREADS, plain_answer(200, b"no gzip", "application/jsonl", gzipped))
    assert isinstance(await failure(Playground(raw_server.url), ask()), errors.IncompleteReplyError)


@pytest.mark.asyncio
async def test_body_that_ends_early_is_broken_off(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """A short length, a cut chunk, a closed connection without length: none is complete."""
    body = recording("b/01-first-turn").body
    whole = recording("b/01-first-turn").wire
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\nConnection: close\r\n"
    cut_bodies = [
        head + f"Content-Length: {len(body) + 5}\r\n\r\n".encode() + body,
        whole[:-5],  # everything, the end mark too, but not the last chunk
        whole[: len(whole) // 2],
        head + b"\r\n" + body[: len(body) // 2],
        head + b"\r\n" + body[: body.rindex(b'{"message"')],
        head + b"\r\n",
    ]
    for raw in cut_bodies:
        raw_server.answer("POST", THREADS, raw)
        error = await failure(Playground(raw_server.url), ask())
        assert type(error) is errors.IncompleteReplyError
        assert error.retryable
    raw_server.answer("POST", THREADS, head + b"\r\n" + body)
    events = await collect(Playground(raw_server.url), ask())
    assert isinstance(events[-1], Finished)


@pytest.mark.asyncio
async def test_server_that_is_not_there_names_the_local_model(raw_server: RawServer) -> None:
    """Nobody listens, no such host, no HTTP, a closed connection: one line, and what to do."""
    async with listening(_hang_up) as closing:
        for url in ("http://127.0.0.1:1", "http://no-such-host.invalid", closing):
            error = await failure(Playground(url), ask())
            assert type(error) is errors.ProviderConnectError
            assert error.retryable
            assert "-p local" in error.hint
            assert url.removeprefix("http://") in str(error)
    for method, path in (("GET", "/v4/models/"), ("POST", THREADS)):
        raw_server.answer(method, path, b"220 mail ready\r\n\r\n")
    error = await failure(Playground(raw_server.url), ask())
    assert type(error) is errors.ProviderProtocolError
    assert "does not speak HTTP" in str(error)


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
async def test_server_without_tls_is_not_talked_to_in_the_clear() -> None:
    """An https address stays https."""
    received = bytearray()

    async def plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(65_536))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(plain_text) as url:
        error = await failure(Playground(url.replace("http:", "https:")), ask())
    assert type(error) is errors.ProviderConnectError
    assert "TLS" in str(error)
    assert received.startswith(b"\x16\x03")  # a TLS handshake, and nothing after it
    assert USER.encode() not in received


def test_network_layer_is_loaded_with_the_first_request_only() -> None:
    """Naming the provider, building and checking it stay light."""
    code = (
        "import sys, convostore.providers; assert 'msgspec' not in sys.modules;"
        "convostore.providers.make('playground'); assert 'aiohttp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.asyncio
async def test_proxy_is_used_and_its_password_not_shown(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Requests go to the proxy with the whole address; a proxy that is down is named as such."""
    target = "http://playground.invalid"
    raw_server.answer("GET", f"{target}/v4/models/", recording("b/00-models").wire)
    raw_server.answer("POST", f"{target}{THREADS}", recording("b/01-first-turn").wire)
    proxy = raw_server.url.replace("//", "//me:password@")
    events = await collect(Playground(target, proxy=proxy), ask())
    assert isinstance(events[-1], Finished)
    assert "proxy-authorization" in raw_server.received[-1].headers
    error = await failure(Playground(target, proxy="http://me:password@127.0.0.1:1"), ask())
    assert type(error) is errors.ProviderConnectError
    assert "proxy" in str(error)
    assert "password" not in str(error)


@pytest.mark.asyncio
async def test_silent_server_ends_at_the_idle_limit() -> None:
    """No answer at all: the limit counts from the request on."""
    async with listening(_never) as url:
        error = await failure(Playground(url, idle_timeout_s=0.05), ask())
    assert type(error) is errors.ProviderTimeoutError
    assert "nothing came" in str(error)


async def _hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


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


@pytest.mark.asyncio
async def test_lines_of_the_older_limits_are_read(
    raw_server: RawServer, ok_answer: Callable[..., bytes]
) -> None:
    """A prompt of 90,000 Chinese characters makes lines of half a megabyte and more."""
    text = "汉" * 90_000
    user = {"id": "msg_U", "role": "user", "content": text, "root": "msg_U"}
    reply = {"id": "msg_A", "role": "assistant", "content": "", "parent": "msg_U"}
    lines: list[dict[str, Any]] = [
        {"message": "msg_U", "type": "start"},
        {"id": "msg_U", "messages": [user, reply]},
        {"type": "modelResponse", "message": "msg_A", "content": text},
        {"id": "msg_U", "messages": [user, {**reply, "content": text, "final": True}]},
        {"message": "msg_U", "type": "end"},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    assert max(map(len, body.split(b"\n"))) > 1_000_000
    raw_server.answer("POST", THREADS, ok_answer(body))
    assert text_of(await collect(Playground(raw_server.url), ask())) == text


@pytest.mark.asyncio
async def test_provider_serves_several_turns_at_once(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Twenty turns side by side each get their own whole answer."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    provider = Playground(raw_server.url)

    async def one() -> str:
        return text_of([event async for event in provider.stream(ask())])

    texts = await asyncio.gather(*(one() for _ in range(20)))
    await provider.aclose()
    assert len(set(texts)) == 1
    assert texts[0] == "I was sent 1 message(s): user='My name is Ada. Remember it.'"
    assert await one() == texts[0]  # it opens again after it was closed
    await provider.aclose()
