"""A server of chat completions that breaks on demand, and judges who asks it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llmock.scenarios import Fail, Reply, StreamFault, ToolCall
from llmock.testing import LLMockServer
from llmock.verdict import judge

import convostore
from convostore import errors
from convostore.parts import ToolCallPart
from convostore.providers import OpenAIProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmock.verdict import Verdict

    from convostore import Message


@pytest.fixture(scope="module")
def running() -> Iterator[LLMockServer]:
    """Run it once."""
    with LLMockServer() as server:
        yield server


@pytest.fixture
def chaos(running: LLMockServer) -> LLMockServer:
    """Give it, with nothing scripted and nothing judged."""
    running.state.reset()
    return running


def verdict(chaos: LLMockServer) -> Verdict:
    """Return what it says of all that it was asked."""
    return judge(chaos.state.journal.records(wait=2))


async def asked(chaos: LLMockServer, path: Path, *faults: Any, idle_s: float = 30) -> list[Message]:
    """Ask once, and after an error that may pass once more; return all answers, the first one first."""
    chaos.state.scenarios.add(*faults)
    provider = OpenAIProvider(
        "gpt-4o", chaos.base_url("openai"), api_key="x", idle_timeout_s=idle_s
    )
    async with convostore.open(path, provider=provider) as store:
        chat = await store.create()
        try:
            await chat.send("Tell me of Kyoto")
        except errors.ProviderError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(error.retry_after_s or 0)
            async with chat.regenerate() as turn:
                await turn.drain()
        return list(await chat.siblings())


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["disconnect", "truncate", "malformed", "stall"])
async def test_no_broken_stream_passes_for_an_answer(
    chaos: LLMockServer, tmp_path: Path, kind: Any
) -> None:
    """The half is kept as failed, the whole stands beside it; malformed chunks are permanent."""
    fault = StreamFault(kind, after_chunks=3, stall_seconds=5)
    if kind == "malformed":
        with pytest.raises(errors.ProviderProtocolError):
            await asked(chaos, tmp_path / "s.db", fault)
        verdict(chaos).assert_ok()  # strictly, it wants to be asked again, which is the caller's
        return
    idle_s = 0.3 if kind == "stall" else 30
    failed, whole = await asked(chaos, tmp_path / "s.db", fault, idle_s=idle_s)
    assert (failed.status, whole.status) == ("failed", "completed")
    assert failed.text
    assert whole.text.startswith(failed.text)
    verdict(chaos).assert_ok(strict=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_told_as_such(
    chaos: LLMockServer, tmp_path: Path, status: int
) -> None:
    """Asking again is the caller's: nothing was repeated before."""
    failed, whole = await asked(chaos, tmp_path / "s.db", Fail(status, retry_after=0.1))
    assert (failed.status, failed.text, whole.status) == ("failed", "", "completed")
    assert failed.error is not None
    assert failed.error.retryable
    assert verdict(chaos).attempts == 2
    verdict(chaos).assert_ok(strict=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_what_cannot_pass_is_asked_once(
    chaos: LLMockServer, tmp_path: Path, status: int
) -> None:
    """As the error says."""
    with pytest.raises(errors.ProviderError):
        await asked(chaos, tmp_path / "s.db", Fail(status))
    assert verdict(chaos).attempts == 1
    verdict(chaos).assert_ok(strict=True)


@pytest.mark.asyncio
async def test_a_conversation_that_is_too_long_is_known_there(
    chaos: LLMockServer, tmp_path: Path
) -> None:
    """By its code."""
    with pytest.raises(errors.ContextLengthError):
        await asked(chaos, tmp_path / "s.db", Fail(400, code="context_length_exceeded"))


@pytest.mark.asyncio
async def test_a_call_of_a_tool_is_read(chaos: LLMockServer, tmp_path: Path) -> None:
    """In the pieces in which it streams them."""
    (reply,) = await asked(chaos, tmp_path / "s.db", Reply(tool_calls=(ToolCall("rain", {"at": "Kyoto"}),)))  # fmt: skip
    (call,) = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    assert (call.name, reply.finish_reason) == ("rain", "tool_calls")
    assert '"Kyoto"' in call.args
