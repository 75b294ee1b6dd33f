"""A real server of chat completions with a real model: llama.cpp's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import convostore
from convostore import errors
from convostore.events import Finished
from convostore.parts import ToolCallPart, ToolResultPart
from convostore.providers import OpenAIProvider
from convostore.providers.provider import ChatMessage, ChatRequest
from tests.providers.near import SHORT, ask, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

KEY = "k-of-the-trial"


@pytest.fixture(scope="module")
def url(model: Path) -> Iterator[str]:
    """Run the server."""
    program = Path(__file__).with_name("llama_server.py")
    with subprocess.Popen(
        [sys.executable, program, model, KEY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


@pytest_asyncio.fixture
async def llama(url: str) -> AsyncIterator[OpenAIProvider]:
    """Give the provider that asks it."""
    provider = OpenAIProvider(base_url=url, api_key=KEY)
    yield provider
    await provider.aclose()


@pytest.mark.asyncio
async def test_an_answer_has_its_model_its_reason_and_its_tokens(llama: OpenAIProvider) -> None:
    """The only model of the server is asked, and names itself."""
    (listed,) = await llama.models()
    text, end = await ask(llama, request("What is the capital of France?", **SHORT))
    assert text
    assert end.finish_reason in {"length", "stop"}
    assert end.usage is not None
    assert (end.usage.input_tokens or 0) > 10
    assert 0 < (end.usage.output_tokens or 0) <= SHORT["max_tokens"]
    assert end.model == listed.id


@pytest.mark.asyncio
async def test_options_reach_the_model(llama: OpenAIProvider) -> None:
    """A form for the answer is one that only the server can keep."""
    schema = {"type": "string", "enum": ["umbrella"]}
    form: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    asked = request("What is 2 and 2?", temperature=0, max_tokens=16, response_format=form)
    text, _ = await ask(llama, asked)
    assert json.loads(text) == "umbrella"


@pytest.mark.asyncio
async def test_a_call_and_its_result_are_taken(llama: OpenAIProvider) -> None:
    """Also with the name of whoever called, and nothing of text."""
    call = ToolCallPart("c1", "rain", '{"at": "Kyoto"}')
    messages = (
        ChatMessage("user", "Will it rain?"),
        ChatMessage("assistant", "", parts=(call,)),
        ChatMessage("tool", "No.", parts=(ToolResultPart("c1", "rain", "No."),)),
    )
    *_, end = [one async for one in llama.stream(ChatRequest(messages=messages, settings=SHORT))]
    assert isinstance(end, Finished)


@pytest.mark.asyncio
async def test_a_conversation_that_is_too_long_is_known(llama: OpenAIProvider) -> None:
    """The server has 512 tokens, and says so in words of its own."""
    with pytest.raises(errors.ContextLengthError) as caught:
        await ask(llama, request("word " * 900))
    assert "context" in str(caught.value)


@pytest.mark.asyncio
async def test_a_wrong_key_is_refused(url: str) -> None:
    """And not repeated."""
    provider = OpenAIProvider("m", base_url=url, api_key="another-key")
    with pytest.raises(errors.ProviderAuthError) as caught:
        await ask(provider, request("Hi", **SHORT))
    await provider.aclose()
    assert "another-key" not in f"{caught.value!r} {caught.value.hint}"


@pytest.mark.asyncio
async def test_an_option_that_it_refuses_is_told(llama: OpenAIProvider) -> None:
    """In its words."""
    with pytest.raises(errors.ProviderError) as caught:
        await ask(llama, request("Hi", response_format={"type": "nonsense"}))
    assert "nonsense" in str(caught.value) or "response_format" in str(caught.value)


@pytest.mark.asyncio
async def test_a_conversation_is_gone_on_with(llama: OpenAIProvider, tmp_path: Path) -> None:
    """The second turn takes the first one along: it has more tokens."""
    async with convostore.open(tmp_path / "s.db", provider=llama) as store:
        chat = await store.create(settings=SHORT)
        used = []
        for words in ("My name is Ada.", "What is my name?"):
            async with chat.stream(words) as turn:
                await turn.drain()
            assert turn.usage is not None
            used.append(turn.usage.input_tokens or 0)
    assert used[1] > used[0] + 10
