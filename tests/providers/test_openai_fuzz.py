"""Whatever a server of chat completions sends, in whatever pieces: read, or a typed error."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostore import errors
from convostore.events import TextDelta
from convostore.providers import openai_stream
from convostore.providers.ndjson import BadLineError
from convostore.providers.openai_errors import Server, http_error
from convostore.providers.openai_stream import ReplyDecoder
from convostore.providers.sse import EventReader, ServerEvent
from convostore.turning.listening import sound
from tests.providers.completions import DONE, END, chunk, failure, hear, serving, text


@pytest.mark.asyncio
async def test_a_line_and_an_answer_have_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never ends fills no memory: it is left with a clear error."""
    async with serving() as server:
        server.answer(b"data: " + b"x" * 9_000_000, hangs=True)
        error = await failure(server, errors.ProviderProtocolError)
        assert "longer than" in str(error)
        monkeypatch.setattr(openai_stream, "ANSWER_LIMIT_BYTES", 10)
        server.answer(*text("12345", "67890", "1"), hangs=True)
        server._script.pop(0)
        heard = await hear(server)
    assert isinstance(heard.error, errors.IncompleteReplyError)
    assert heard.text == "1234567890"


@pytest.mark.asyncio
async def test_whoever_leaves_early_lets_the_server_go() -> None:
    """Closing the events closes the connection, so that the model stops."""
    async with serving() as server:
        server.answer(*text("a"), hangs=True)
        task = asyncio.ensure_future(hear(server))
        while not server.received:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.gone.wait(), 10)


@given(cuts=st.lists(st.integers(0, 400), max_size=20))
def test_any_chunking_gives_the_same_reply(cuts: list[int]) -> None:
    """Where a read ends means nothing to the reply."""
    body = b": ping\r\n\r\n" + b"".join(
        [*text("Grüße", " 🌍"), chunk({"reasoning": "Hm."}), END, DONE]
    )
    ends = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    reader, reply = EventReader(), ReplyDecoder(Server("the server", "http://x"))
    found = [
        one
        for a, b in pairwise(ends)
        for sent in reader.feed(body[a:b])
        for one in reply.feed(sent)
    ]
    assert "".join(one.text for one in found if isinstance(one, TextDelta)) == "Grüße 🌍"
    assert reply.finished().finish_reason == "stop"


@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from(
            [b"data: ", b"\n\n", b'{"choices":[{"delta":{"tool_calls":[{}]}}]}', b'{"error":[]}']
        ),
        max_size=12,
    )
)
def test_whatever_comes_has_a_typed_error_or_is_read(pieces: list[bytes]) -> None:
    """No bytes of a server raise anything else."""
    reader, reply = EventReader(limit_bytes=50), ReplyDecoder(Server("the server", "http://x"))
    try:
        for piece in pieces:
            for sent in reader.feed(piece):
                list(reply.feed(sent))
        reply.finished()
    except (errors.ProviderError, BadLineError):
        pass


_KEYS = st.sampled_from(["error", "code", "type", "message", "metadata", "raw", "detail", "choices", "delta", "message", "content", "reasoning", "tool_calls", "function", "name", "arguments", "id", "index", "finish_reason", "usage", "prompt_tokens", "cost", "model", "text", "thinking"])  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 600) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(_VALUES, st.sampled_from([200, 301, 400, 401, 404, 413, 429, 500, 503, 599]))
def test_whatever_json_comes_is_read_or_a_typed_error(value: object, status: int) -> None:
    """Of any shape that is made of the protocol's own words, in a stream, whole, or as an error."""
    raw = json.dumps(value).encode()
    server = Server("the server", "http://x")
    told = http_error(server, status, {}, raw)
    assert isinstance(told, errors.ProviderError)
    assert "\n" not in f"{told}{told.hint}"
    for whole in (False, True):
        reply = ReplyDecoder(server)
        with suppress(errors.ProviderError):
            for one in reply.whole(raw) if whole else reply.feed(ServerEvent(raw)):
                assert sound(one) == one
            assert sound(reply.finished())
