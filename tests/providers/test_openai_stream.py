"""How servers of chat completions differ: one test for each of their ways."""

from __future__ import annotations

import json

import pytest

from convostore import errors
from convostore.events import TextDelta
from convostore.records import Usage
from tests.providers.completions import (
    DONE,
    END,
    STREAM,
    chunk,
    event,
    failure,
    hear,
    serving,
    text,
)

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@pytest.mark.asyncio
async def test_a_plain_stream_is_its_text_its_model_and_its_reason() -> None:
    """The model that answered is told, which need not be the one that was asked."""
    async with serving() as server:
        server.answer(*text("Good ", "day"), END, DONE)
        heard = await hear(server)
    assert heard.text == "Good day"
    assert (heard.end.model, heard.end.finish_reason, heard.end.usage) == ("m-1", "stop", None)


@pytest.mark.asyncio
async def test_a_last_chunk_without_choices_has_the_usage() -> None:
    """OpenAI, vLLM and llama.cpp send it after the finish reason; llama.cpp adds timings."""
    details = {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    async with serving() as server:
        last = {"choices": [], "usage": {**USAGE, **details}, "timings": {"prompt_n": 9}}
        server.answer(*text("a"), END, event(last), DONE)
        heard = await hear(server)
    assert heard.end.usage == Usage(
        input_tokens=9, output_tokens=2, cached_tokens=4, reasoning_tokens=1
    )


@pytest.mark.asyncio
async def test_usage_that_never_comes_is_unknown() -> None:
    """Some servers do not know the wish for it: nothing is made up, least of all zeros."""
    async with serving() as server:
        server.answer(*text("a"), chunk(finish="stop", usage=None), DONE)
        heard = await hear(server)
        assert server.sent["stream_options"] == {"include_usage": True}
    assert heard.end.usage is None


@pytest.mark.asyncio
async def test_of_usage_in_every_chunk_the_last_counts() -> None:
    """It is what was used so far, and is not added up."""
    async with serving() as server:
        sent = [chunk({"content": "a"}, usage={"completion_tokens": n}) for n in (1, 2)]
        server.answer(*sent, chunk(finish="stop", usage=USAGE), DONE)
        heard = await hear(server)
    assert heard.end.usage == Usage(input_tokens=9, output_tokens=2)


@pytest.mark.parametrize(
    ("usage", "known"),
    [
        ({"prompt_tokens": 9, "cost": 0.00014}, Usage(input_tokens=9, cost=0.00014)),
        ({"prompt_cache_hit_tokens": 3}, Usage(cached_tokens=3)),
        ({"prompt_tokens": "9", "completion_tokens": -1, "cost": True}, Usage()),
        ({"prompt_tokens_details": None, "completion_tokens_details": 7}, Usage()),
    ],
)
@pytest.mark.asyncio
async def test_what_usage_leaves_out_or_gets_wrong_is_unknown(
    usage: dict[str, object], known: Usage
) -> None:
    """OpenRouter tells the cost, DeepSeek its cache; what is no number of tokens is none."""
    async with serving() as server:
        server.answer(END, event({"choices": [], "usage": usage}), DONE)
        assert (await hear(server)).end.usage == known


@pytest.mark.parametrize(
    "first", [{"role": "assistant", "content": None}, {"role": "assistant"}, {"content": ""}]
)
@pytest.mark.asyncio
async def test_a_first_delta_without_text_is_none(first: dict[str, object]) -> None:
    """Null, a role alone or an empty text begin the streams of three servers."""
    async with serving() as server:
        server.answer(chunk(first), *text("a"), END, DONE)
        assert (await hear(server)).text == "a"


@pytest.mark.parametrize(
    ("delta", "thought"),
    [
        ({"reasoning_content": "Hm."}, "Hm."),
        ({"reasoning": "Hm."}, "Hm."),
        ({"reasoning_content": "Hm.", "reasoning": "Hm."}, "Hm."),
        ({"reasoning_content": "", "reasoning": "Hm."}, "Hm."),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, "Hm."),
    ],
)
@pytest.mark.asyncio
async def test_reasoning_is_kept_apart_from_the_answer(
    delta: dict[str, object], thought: str
) -> None:
    """It has two names and a form of its own, and is told once."""
    async with serving() as server:
        server.answer(chunk(delta), *text("4"), END, DONE)
        heard = await hear(server)
    assert (heard.reasoning, heard.text) == (thought, "4")


@pytest.mark.asyncio
async def test_thoughts_in_the_text_stay_text() -> None:
    """A server that leaves its marks in the text is not second-guessed."""
    async with serving() as server:
        server.answer(*text("<think>Hm.</think>4"), END, DONE)
        assert (await hear(server)).text == "<think>Hm.</think>4"


@pytest.mark.asyncio
async def test_comments_are_signs_of_life() -> None:
    """A router that waits for its upstream is not silent: a turn hears of it, as of an empty piece."""
    async with serving() as server:
        server.answer(b": OPENROUTER PROCESSING\n\n:\n\n: ping - 12:00\r\n\r\n", *text("a"), END)
        heard = await hear(server)
    assert heard.events[:3] == [TextDelta("")] * 3
    assert heard.text == "a"


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n"])
@pytest.mark.asyncio
async def test_any_line_ends_split_lines_and_split_characters(end: bytes) -> None:
    """Proxies change the ends of lines, and cut wherever they like."""
    lines = [
        b"\xef\xbb\xbfdata:{",
        b'data: "choices":',
        'data: [{"delta":{"content":"Grüße 🌍"}}]}'.encode(),
        b"",
        b"",
    ]
    body = end.join(lines) + END.replace(b"\n", end)
    async with serving() as server:
        server.answer(*(body[at : at + 7] for at in range(0, len(body), 7)))
        assert (await hear(server)).text == "Grüße 🌍"


@pytest.mark.asyncio
async def test_halves_of_a_character_in_two_chunks_are_put_together() -> None:
    """Servers that cut text between them send each half as an escape."""
    halves = (
        rb'data: {"choices":[{"delta":{"content":"%s"}}]}' % half
        for half in (rb"a\ud83c", rb"\udf0d b")
    )
    async with serving() as server:
        server.answer(*(half + b"\n\n" for half in halves), END)
        assert (await hear(server)).text == "a🌍 b"


@pytest.mark.asyncio
async def test_a_finish_reason_without_done_is_an_end() -> None:
    """Some proxies leave the last mark out."""
    async with serving() as server:
        server.answer(*text("a"), END)
        assert (await hear(server)).end.finish_reason == "stop"


@pytest.mark.parametrize("last", [b"", DONE, chunk({}), event({"choices": [], "usage": USAGE})])
@pytest.mark.asyncio
async def test_a_clean_end_without_a_finish_reason_is_a_failure(last: bytes) -> None:
    """The upstream was cut, whoever closed the body; a last mark alone says nothing of the model."""
    async with serving() as server:
        server.answer(*text("half "), last)
        heard = await hear(server)
    assert isinstance(heard.error, errors.IncompleteReplyError)
    assert heard.error.retryable
    assert heard.text == "half "


@pytest.mark.parametrize("pieces", [(), (DONE,), (b": ping\n\n",)])
@pytest.mark.asyncio
async def test_an_answer_with_nothing_in_it_is_a_failure(pieces: tuple[bytes, ...]) -> None:
    """An empty reply is never shown as complete."""
    async with serving() as server:
        server.answer(*pieces)
        await failure(server, errors.IncompleteReplyError)


@pytest.mark.asyncio
async def test_a_reset_in_the_middle_keeps_what_came() -> None:
    """It is a typed error, after the text."""
    async with serving() as server:
        server.answer(*text("half "), cut=True)
        heard = await hear(server)
    assert isinstance(heard.error, errors.IncompleteReplyError)
    assert heard.text == "half "


@pytest.mark.asyncio
async def test_a_reset_after_the_finish_reason_breaks_nothing() -> None:
    """The reply is whole; what it cost is unknown."""
    async with serving() as server:
        server.answer(*text("a"), END, cut=True)
        heard = await hear(server)
    assert (heard.text, heard.end.finish_reason) == ("a", "stop")


@pytest.mark.parametrize("bad", [b'data: {"choices": [{"de\n\n', b"data: 7\n\n", b"data: \xff\n\n"])
@pytest.mark.asyncio
async def test_a_chunk_that_is_none_is_a_typed_error(bad: bytes) -> None:
    """What came before it is kept, and of it some characters are shown."""
    async with serving() as server:
        server.answer(*text("half "), bad, *text("never"), END)
        heard = await hear(server)
    assert isinstance(heard.error, errors.ProviderProtocolError)
    assert heard.error.excerpt
    assert heard.text == "half "


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"choices": None},
        {"choices": [None, 7]},
        {"choices": [{"delta": 7}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"id": "x", "object": "ping"},
        {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]},
    ],
)
@pytest.mark.asyncio
async def test_chunks_of_another_shape_bring_nothing(odd: dict[str, object]) -> None:
    """Whatever a server adds, and another answer than the first, is left aside."""
    async with serving() as server:
        server.answer(event(odd), *text("a"), END)
        assert (await hear(server)).text == "a"


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (event({"error": {"message": "no", "code": 502}}), errors.IncompleteReplyError),
        (event({"error": {"message": "no", "code": "server_error"}}), errors.IncompleteReplyError),
        (event({"error": "no"}), errors.IncompleteReplyError),
        (event({"object": "error", "message": "no", "code": 400}), errors.ProviderError),
        (event({"error": {"message": "no", "code": "429"}}), errors.RateLimitError),
        (event({"error": {"message": "no", "type": "rate_limit_error"}}), errors.RateLimitError),
        (event({"error": {"message": "no", "code": 401}}), errors.ProviderAuthError),
        (event({"error": {"message": "no", "code": "context_length_exceeded"}}), errors.ContextLengthError),
        (b"event: error\ndata: no\n\n", errors.IncompleteReplyError),
        (chunk({"content": ""}, "error", error={"message": "no", "code": 502}), errors.IncompleteReplyError),
        (chunk({"content": ""}, "error"), errors.IncompleteReplyError),
    ],
)  # fmt: skip
@pytest.mark.asyncio
async def test_an_error_inside_a_200_is_a_typed_error(
    sent: bytes, kind: type[errors.ProviderError]
) -> None:
    """Its code is a number or a word, and it may stand beside a finish reason."""
    async with serving() as server:
        server.answer(sent, DONE)
        error = await failure(server, kind)
    assert "no" in str(error)


@pytest.mark.asyncio
async def test_an_error_after_some_text_keeps_the_text() -> None:
    """Also where it stands in the same chunk."""
    async with serving() as server:
        server.answer(*text("half"), chunk({"content": " more"}, "error", error={"message": "x"}))
        heard = await hear(server)
    assert isinstance(heard.error, errors.IncompleteReplyError)
    assert heard.text == "half more"


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/plain", None])
@pytest.mark.asyncio
async def test_an_answer_in_one_piece_is_read(kind: str | None) -> None:
    """Older proxies do not stream, and do not always say so."""
    message = {"role": "assistant", "content": "Good day", "reasoning": "Hm."}
    body = {
        "model": "m-1",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    raw = json.dumps(body, indent=1).encode()
    async with serving() as server:
        server.answer(raw[:20], raw[20:], kind=kind)
        heard = await hear(server)
    assert (heard.reasoning, heard.text) == ("Hm.", "Good day")
    assert heard.end.usage == Usage(input_tokens=9, output_tokens=2)


@pytest.mark.parametrize("kind", ["application/json", STREAM, None])
@pytest.mark.asyncio
async def test_an_error_in_one_piece_is_read_after_a_200(kind: str | None) -> None:
    """Some gateways report every error so."""
    async with serving() as server:
        server.answer(b'{"error": {"message": "no"}}', kind=kind)
        assert "no" in str(await failure(server, errors.IncompleteReplyError))


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"ok": true}', b"null"])
@pytest.mark.asyncio
async def test_json_that_is_no_completion_is_refused(body: bytes) -> None:
    """Something else answers at that address."""
    async with serving() as server:
        server.answer(body, kind="application/json")
        await failure(server, errors.ProviderProtocolError)


@pytest.mark.asyncio
async def test_a_web_page_is_refused() -> None:
    """A captive network, or the front of a site."""
    async with serving() as server:
        server.answer(b"<html>Hi", kind="text/html; charset=utf-8")
        await failure(server, errors.ProviderProtocolError)


@pytest.mark.asyncio
async def test_a_last_event_without_its_empty_line_counts_if_it_is_whole() -> None:
    """The text of a cut stream is kept as far as it came, and its finish reason holds."""
    async with serving() as server:
        server.answer(*text("a"), chunk({"content": "b"}, "stop").rstrip())
        heard = await hear(server)
        assert (heard.text, heard.end.finish_reason) == ("ab", "stop")
        server.answer(*text("a"), chunk({"content": "b"}).rstrip()[:-9])
        server._script.pop(0)
        heard = await hear(server)
    assert isinstance(heard.error, errors.IncompleteReplyError)
    assert heard.text == "a"


@pytest.mark.asyncio
async def test_a_refusal_is_what_the_model_says() -> None:
    """A model that declines does so in a field of its own."""
    async with serving() as server:
        server.answer(chunk({"refusal": "I can"}), chunk({"refusal": "not."}), END)
        assert (await hear(server)).text == "I cannot."


@pytest.mark.asyncio
async def test_an_answer_that_a_filter_took_is_a_refusal() -> None:
    """With text it is an end as others are, and the reason tells."""
    filtered = chunk(finish="content_filter")
    async with serving() as server:
        server.answer(filtered)
        server.answer(*text("a"), filtered)
        await failure(server, errors.ModerationRefusedError)
        assert (await hear(server)).end.finish_reason == "content_filter"
