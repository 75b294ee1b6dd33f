"""How long a server of chat completions is waited for, and what is asked of it again."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from convostore import clock, errors
from convostore.events import TextDelta
from convostore.providers.openai import OpenAIProvider
from tests.providers.completions import (
    DONE,
    END,
    KEY,
    ask,
    failure,
    hear,
    serving,
    text,
)
from tests.providers.far import listening

if TYPE_CHECKING:
    from tests.providers.far import Handler

LOADING = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}


class Time:
    """A clock that pauses move, and nothing else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(clock, "monotonic_s", lambda: self.now_s)
        monkeypatch.setattr(clock, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.pauses.append(seconds)
        self.now_s += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Give a clock of the test's own."""
    return Time(monkeypatch)


@pytest.mark.asyncio
async def test_a_server_that_loads_its_model_is_asked_again(time: Time) -> None:
    """With longer and longer pauses; to a turn each of them is a sign of life."""
    async with serving() as server:
        for _ in range(3):
            server.refuse(503, LOADING)
        server.answer(*text("a"), END, DONE)
        heard = await hear(server)
        assert len(server.received) == 4
        assert {str(one.body) for one in server.received} == {str(server.sent)}
    assert (heard.text, heard.events[:3]) == ("a", [TextDelta("")] * 3)
    assert time.pauses == [0.25, 0.5, 1]


@pytest.mark.asyncio
async def test_it_is_asked_again_within_a_bound(time: Time) -> None:
    """A server that never has its model loaded is a server that is not available."""
    async with serving() as server:
        server.refuse(503, "model is currently loading")
        error = await failure(server, errors.ProviderConnectError, loading_timeout_s=20)
        assert 5 < len(server.received) < 10
    assert "20 s" in str(error)
    assert error.retryable


@pytest.mark.asyncio
async def test_nothing_else_is_asked_again() -> None:
    """Neither a server with too much to do, nor one that broke off before its first word."""
    async with serving() as server:
        server.refuse(503, {"error": {"message": "overloaded"}})
        await failure(server, errors.ProviderConnectError)
        server.answer(cut=True)
        server._script.pop(0)
        await failure(server, errors.IncompleteReplyError)
        assert len(server.received) == 2


@pytest.mark.asyncio
async def test_silence_and_length_have_limits() -> None:
    """Of the first answer, of each event after it, and of the whole."""
    async with serving() as server:
        server.answer(*text("a"), hangs=True)
        error = await failure(server, errors.ProviderTimeoutError, idle_timeout_s=0.05)
        assert "nothing came from the server for 0.05 s" in str(error)
        error = await failure(server, errors.ProviderTimeoutError, total_timeout_s=0.05)
        assert "longer than 0.05 s" in str(error)


@pytest.mark.asyncio
async def test_half_an_event_is_no_sign_of_life(time: Time) -> None:
    """A comment is one: a server that thinks for long is waited for."""

    def dripping(drop: bytes) -> Handler:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for _ in range(5):
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.01)
                time.now_s += 0.4
            writer.write(END)

        return drip

    async with listening(dripping(b": ping\n")) as url:
        provider = OpenAIProvider("m", url, idle_timeout_s=1)
        assert [one async for one in provider.stream(ask())][-2] == TextDelta("")
        await provider.aclose()
    async with listening(dripping(b"data: ")) as url:
        provider = OpenAIProvider("m", url, idle_timeout_s=1)
        with pytest.raises(errors.ProviderTimeoutError):
            [one async for one in provider.stream(ask())]
        await provider.aclose()


@pytest.mark.asyncio
async def test_nobody_there_is_a_typed_error() -> None:
    """Its hint asks whether the server runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        provider = OpenAIProvider("m", f"http://127.0.0.1:{taken.getsockname()[1]}", api_key=KEY)
        with pytest.raises(errors.ProviderConnectError, match="connection refused") as caught:
            [one async for one in provider.stream(ask())]
        await provider.aclose()
    assert "does it run" in caught.value.hint


@pytest.mark.asyncio
async def test_a_proxy_is_gone_through() -> None:
    """It sees the whole address, and it alone is connected to."""
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + END)
        await writer.drain()

    async with listening(proxy) as url:
        provider = OpenAIProvider("m", "http://far.example/v1", proxy=url)
        assert [one async for one in provider.stream(ask())]
        await provider.aclose()
    assert seen[0].startswith(b"POST http://far.example/v1/chat/completions HTTP/1.1")


def test_a_proxy_that_cannot_be_one_is_refused() -> None:
    """As with the other providers that go over the network."""
    with pytest.raises(errors.ProviderOptionError):
        OpenAIProvider("m", proxy="socks5://x")


@pytest.mark.asyncio
async def test_turns_in_a_row_use_one_connection() -> None:
    """Making a secure one anew each time would cost more than the rest of the waiting."""
    async with serving() as server:
        server.answer(*text("a"), END, DONE, late_s=0.01)
        provider = OpenAIProvider("m", server.url)
        for _ in range(3):
            assert [one async for one in provider.stream(ask())]
        await provider.aclose()
    assert len({one.port for one in server.received}) == 1


@pytest.mark.asyncio
async def test_a_server_that_goes_on_after_its_last_mark_is_left() -> None:
    """All that counts has come."""
    async with serving() as server:
        server.answer(*text("a"), END, DONE, hangs=True)
        heard = await asyncio.wait_for(hear(server), 10)
        assert heard.end.finish_reason == "stop"
        await asyncio.wait_for(server.gone.wait(), 10)


@pytest.mark.asyncio
@pytest.mark.parametrize("last", [b"", b": alive\n\n"])
async def test_a_server_that_says_nothing_after_the_end_has_ended(
    monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    """The model has ended, though neither an end mark nor the end of the body comes."""
    monkeypatch.setattr("convostore.providers.openai._USAGE_S", 0.05)
    async with serving() as server:
        server.answer(*text("all of it"), END, *([last] if last else []), hangs=True)
        heard = await hear(server, idle_timeout_s=5.0)
    assert heard.error is None
    assert heard.text == "all of it"


@pytest.mark.asyncio
async def test_many_signs_of_life_leave_others_their_turn() -> None:
    """A small answer may hold millions of them; it is asked for as it is, too."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving() as server:
        server.answer(b": x\n" * 20_000, *text("a"), END, DONE)
        other = asyncio.create_task(others())
        heard = await hear(server)
        other.cancel()
        assert server.received[-1].headers["Accept-Encoding"] == "identity"
    assert heard.text == "a"
    assert turns > 70
