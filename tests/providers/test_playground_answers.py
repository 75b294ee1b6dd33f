"""Whatever may answer in the place of a Playground server has its own error."""

from __future__ import annotations

import asyncio
import gzip
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import aiohttp.base_protocol
import pytest

from convostore import errors
from convostore.events import Finished
from convostore.providers.connection import Answer, BrokenBodyError, Limits
from convostore.providers.playground import Playground
from convostore.providers.playground_http import WORDS
from tests.providers.far import (
    THREADS,
    USER,
    ask,
    collect,
    failure,
    listening,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.conftest import RawServer, Recording


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
            assert "(" not in str(error)
    for method, path in (("GET", "/v4/models/"), ("POST", THREADS)):
        raw_server.answer(method, path, b"220 mail ready\r\n\r\n")
    error = await failure(Playground(raw_server.url), ask())
    assert type(error) is errors.ProviderProtocolError
    assert "does not speak HTTP" in str(error)


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


async def _hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


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
async def test_bytes_that_arrived_with_the_break_are_read_before_it() -> None:
    """What the connection brought together with its break is handed over, then the break."""
    body = aiohttp.StreamReader(
        aiohttp.base_protocol.BaseProtocol(asyncio.get_running_loop()), limit=2**16
    )
    body.feed_data(b"half a line")
    body.set_exception(aiohttp.ClientPayloadError("cut"))
    answer = Answer(SimpleNamespace(content=body, status=200, headers={}))  # type: ignore[arg-type]  # the three that are read
    limits = Limits(idle_s=1, total_s=1, words=WORDS)
    assert await answer.read(limits) == b"half a line"
    with pytest.raises(BrokenBodyError):
        await answer.read(limits)
