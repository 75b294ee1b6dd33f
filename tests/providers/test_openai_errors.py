"""What servers of chat completions refuse has its own error, with a hint, and without the key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from convostore import errors
from convostore.providers.keys import Key
from convostore.providers.openai_errors import Server, http_error
from tests.providers.completions import KEY, failure, serving

SERVER = Server("the server at x", "http://x", Key(KEY))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (301, errors.ProviderProtocolError, False),
        (307, errors.ProviderProtocolError, False),
        (400, errors.ProviderError, False),
        (401, errors.ProviderAuthError, False),
        (402, errors.ProviderAuthError, False),
        (403, errors.ProviderAuthError, False),
        (404, errors.ProviderProtocolError, False),
        (405, errors.ProviderProtocolError, False),
        (408, errors.ProviderTimeoutError, True),
        (409, errors.ProviderError, True),
        (413, errors.ContextLengthError, False),
        (422, errors.ProviderError, False),
        (429, errors.RateLimitError, True),
        (500, errors.ProviderError, True),
        (502, errors.ProviderConnectError, True),
        (503, errors.ProviderConnectError, True),
        (504, errors.ProviderTimeoutError, True),
        (507, errors.ProviderProtocolError, True),
        (529, errors.ProviderConnectError, True),
    ],
)
async def test_each_status_has_its_error_and_nothing_is_repeated(
    status: int, kind: type[errors.ProviderError], retryable: bool
) -> None:
    """Whether to ask again is for the caller to decide."""
    async with serving() as server:
        server.refuse(status, {"error": {"message": f"no, {KEY}", "type": "x"}})
        error = await failure(server, kind)
        assert len(server.received) == 1
    assert (error.status, error.retryable) == (status, retryable)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "too odd", "type": "invalid_request_error", "code": 400}}',
        b'{"error": {"message": "too odd", "code": "bad"}}',
        b'{"error": "too odd"}',
        b'{"detail": "too odd"}',
        b'{"detail": [{"loc": ["body", "top_p"], "msg": "too odd"}]}',
        b'{"object": "error", "message": "too odd", "code": 400}',
        b'[{"error": {"message": "too odd", "code": 400, "status": "INVALID_ARGUMENT"}}]',
        b'{"error": {"message": "Provider returned error", "metadata": {"raw": "too odd"}}}',
        b'"too odd"',
        b"too\n odd",
    ],
)
def test_the_words_of_a_refusal_are_found_in_any_form(body: bytes) -> None:
    """OpenAI, llama.cpp, Ollama, FastAPI, routers and gateways all wrap them differently."""
    error = http_error(SERVER, 400, {}, body)
    assert type(error) is errors.ProviderError
    assert "too odd" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad request", b"\xff\xfe", b"[[[[", b"7", b"[]", b"{}", b'{"error": 7}']
)
def test_a_refusal_without_words_is_one_all_the_same(body: bytes) -> None:
    """The status alone says something, and a page is not repeated."""
    error = http_error(SERVER, 400, {}, body)
    assert isinstance(error, errors.ProviderError)
    assert "400" in str(error)
    assert "html" not in str(error)


def test_no_more_than_200_characters_are_repeated_on_one_line() -> None:
    """A server may echo the whole conversation."""
    error = http_error(SERVER, 400, {}, b"secret\nwords " * 500)
    assert len(str(error)) < 300
    assert "\n" not in str(error)


@pytest.mark.parametrize("key", [KEY, "none"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500])
def test_the_key_is_not_repeated(key: str, status: int) -> None:
    """A short one is a word such as `none`, and is left inside of others."""
    server = Server("the server at x", "http://x", Key(key))
    error = http_error(server, status, {}, f'{{"error": "bad {key}, nonexistent"}}'.encode())
    words = f"{error} {error.hint} {error!r} {getattr(error, 'excerpt', '')}"
    assert f" {key}," not in words


TOO_LONG: dict[str, tuple[int, Any]] = {
    "OpenAI": (400, {"error": {"message": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}),
    "OpenAI, newer": (400, {"error": {"message": "Your input exceeds the context window of this model.", "code": None}}),
    "llama.cpp": (400, {"error": {"code": 400, "message": "request (9001 tokens) exceeds the available context size (8192 tokens), try increasing it", "type": "exceed_context_size_error", "n_prompt_tokens": 9001, "n_ctx": 8192}}),
    "llama-cpp-python": (400, {"error": {"message": "This model's maximum context length is 512 tokens, however you requested 600", "code": "context_length_exceeded"}}),
    "llama-cpp-python, older": (500, {"error": {"message": "Requested tokens (600) exceed context window of 512", "type": "internal_server_error"}}),
    "vLLM": (400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", "type": "BadRequestError", "code": 400}),
    "vLLM, newer": (400, {"error": {"message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.", "type": "BadRequestError", "code": 400}}),
    "Ollama": (400, {"error": {"message": "the input length exceeds the context length", "type": "api_error"}}),
    "LM Studio": (400, {"error": "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}),
    "LM Studio, newer": (400, {"error": "Reached context length of 4096 tokens with this model"}),
    "OpenRouter": (400, {"error": {"message": "This endpoint's maximum context length is 131072 tokens. However, you requested about 200000 tokens", "code": 400}}),
    "TGI": (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000", "error_type": "validation"}),
    "SGLang": (400, {"object": "error", "message": "The input (5000 tokens) is longer than the model's context length (4096 tokens).", "code": 400}),
    "Mistral": (400, {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length", "type": "invalid_request_error"}),
    "Groq": (400, {"error": {"message": "Please reduce the length of the messages or completion.", "code": "context_length_exceeded"}}),
    "Gemini": (400, [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", "status": "INVALID_ARGUMENT"}}]),
    "xAI": (400, {"code": "invalid", "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}),
    "Cohere": (400, {"message": "too many tokens: size limit exceeded by 100 tokens."}),
    "Anthropic's, through a proxy": (400, {"error": {"message": "prompt is too long: 209500 tokens > 200000 maximum"}}),
}  # fmt: skip


@pytest.mark.parametrize("who", TOO_LONG)
@pytest.mark.asyncio
async def test_a_conversation_that_is_too_long_is_told_by_all_of_them(who: str) -> None:
    """Each has its own words for it; none is asked again."""
    status, body = TOO_LONG[who]
    async with serving() as server:
        server.refuse(status, body)
        error = await failure(server, errors.ContextLengthError)
    assert error.status == status
    assert not error.retryable


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens is too large: 99999. This model supports at most 4096 completion tokens",
        "temperature must be below 2",
        "Unknown parameter: context",
        "the model's context menu is closed",
    ],
)
def test_other_refusals_are_not_about_length(words: str) -> None:
    """An option to correct is no conversation to shorten."""
    error = http_error(SERVER, 400, {}, words.encode())
    assert type(error) is errors.ProviderError


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}),
        (404, {"error": {"message": 'model "x" not found, try pulling it first', "type": "api_error"}}),
        (404, {"object": "error", "message": "The model `x` does not exist.", "code": 404}),
        (400, {"error": {"message": "x is not a valid model ID", "code": 400}}),
    ],
)  # fmt: skip
def test_an_unknown_model_is_no_unknown_path(status: int, body: dict[str, Any]) -> None:
    """The hint says where the names of models are."""
    error = http_error(SERVER, status, {}, json.dumps(body).encode())
    assert type(error) is errors.ProviderError
    assert "convostore models" in error.hint


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"retry-after-ms": "soon"}, None),
        ({"Retry-After": "999999"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_told(headers: dict[str, str], wait_s: float | None) -> None:
    """In seconds, whatever the server says it in."""
    error = http_error(SERVER, 429, CIMultiDict(headers), b"{}")
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after_s == wait_s


def test_a_quota_that_is_spent_does_not_come_back_by_waiting() -> None:
    """OpenAI tells it by the same status; Groq tells a limit of its rate by that of a size."""
    spent = http_error(
        SERVER, 429, {}, b'{"error": {"message": "x", "code": "insufficient_quota"}}'
    )
    assert (type(spent), spent.retryable) == (errors.RateLimitError, False)
    fast = http_error(
        SERVER, 413, {}, b'{"error": {"message": "x", "code": "rate_limit_exceeded"}}'
    )
    assert (type(fast), fast.retryable) == (errors.RateLimitError, True)


def test_a_text_that_is_refused_is_a_refusal() -> None:
    """A router says so by reasons, others by a code."""
    for status, body in (
        (403, b'{"error": {"message": "x", "code": 403, "metadata": {"reasons": ["violence"]}}}'),
        (400, b'{"error": {"message": "x", "code": "content_policy_violation"}}'),
        (400, b'{"error": {"message": "x", "code": "content_filter"}}'),
    ):
        assert type(http_error(SERVER, status, {}, body)) is errors.ModerationRefusedError
