"""A real model on this machine, from a GGUF file (extra `local`)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from convostore import clock
from convostore.errors import ContextLengthError, IncompleteReplyError, ProviderError
from convostore.events import Finished, ReasoningDelta, TextDelta
from convostore.providers.local_model import NAME, find_model, list_models
from convostore.providers.local_talk import ModelProcess
from convostore.providers.options import Option, check_options
from convostore.providers.provider import ModelInfo
from convostore.records import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from convostore.events import Event
    from convostore.providers.provider import ChatRequest
    from convostore.records import RemoteThread

_OPTIONS = {
    "temperature": Option(0, 5),
    "top_p": Option(0, 1),
    "max_tokens": Option(1, 1_000_000, whole=True),
    "seed": Option(0, 2**32 - 1, whole=True),
}
_MOST_CHARS_PER_TOKEN = 128  # vocabularies hold no longer words, nor runs of blanks
_LIFE_SIGN_S = 1.0  # while a turn waits for others; less than any sensible limit of silence
_MAX_TOKENS = 1024  # a small model may never find an end by itself


class Local:
    """Ask a model on this machine; nothing leaves it.

    The model runs in a process of its own, started with the first turn and ended by `aclose`, or
    with this process, however that ends. It answers one turn at a time, in the order of asking,
    and is loaded once; a turn that asks for another model file changes it.

    Options (`settings`): `temperature`, `top_p`, `max_tokens` (1024 unless set) and `seed`.

    Args:
        model_path: the GGUF file; None is the configured one, else the first in the cache folder.
        context_tokens: the most that a question and its answer may have together, where the
            model can take as much. Memory is taken for all of it.
    """

    name = NAME
    one_at_a_time = True

    def __init__(self, model_path: str | Path | None = None, *, context_tokens: int = 8192) -> None:
        self._chosen = model_path
        self._context_tokens = context_tokens
        self._turn = asyncio.Lock()
        self._process: ModelProcess | None = None

    def check(self, request: ChatRequest) -> None:
        """Refuse what cannot work before anything is stored: no library, no model, bad options.

        Raises:
            ContextLengthError: the messages cannot fit, whatever the model makes of them.
            ProviderError: with a hint; permanent.
        """
        if find_spec("xllamacpp") is None:
            raise ProviderError(
                "local models need a library that is not installed",
                provider=NAME,
                hint="in the folder of convostore's source: pip install '.[local]'",
            )
        check_options(NAME, request.settings, _OPTIONS)
        _check_size(request, self._context_tokens)
        find_model(request.model, self._chosen)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Wait for one's turn, then yield the answer as the model makes it.

        Leaving early stops the model. While other turns have the model an empty piece comes every
        second, so that waiting for them does not count as silence.

        Raises:
            ContextLengthError: the messages are longer than the context.
            IncompleteReplyError: the model's process ended.
            ProviderError: as `check`, or the model cannot be loaded.
        """
        self.check(request)
        path = find_model(request.model, self._chosen)
        reply = _Reply(path.stem)
        place = asyncio.ensure_future(self._turn.acquire())
        try:
            while not await _has_come(place):
                yield TextDelta("")
            process = await self._ready(path)
            async with aclosing(process.ask(_body(request))) as chunks:
                async for chunk in chunks:
                    for event in reply.events(chunk):
                        yield event
        finally:
            self._leave(place)
        yield reply.finished()

    async def recover(
        self,
        remote: RemoteThread,  # noqa: ARG002 - as the protocol says
        anonymous_user_id: str,  # noqa: ARG002 - as the protocol says
    ) -> Finished | None:
        """Return None: a local model keeps nothing."""
        return None

    async def models(self) -> list[ModelInfo]:
        """List the model files on this machine, the default one first.

        Raises:
            ProviderError: there are none.
        """
        find_model(None, self._chosen)
        return [
            ModelInfo(id=path.stem, description=str(path)) for path in list_models(self._chosen)
        ]

    async def aclose(self) -> None:
        """End the model's process, at once. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            await process.close()

    def _leave(self, place: asyncio.Future[Literal[True]]) -> None:
        """Let the next turn have the model, or leave the queue before one's own has come."""
        if place.cancel() or place.cancelled():
            return  # the lock itself lets the next one in
        if place.exception() is None:
            self._turn.release()

    async def _ready(self, path: Path) -> ModelProcess:
        """Return the process with the model at *path* loaded."""
        if self._process is None or not self._process.runs(path):
            await self.aclose()
            self._process = await ModelProcess.start(path, self._context_tokens)
        return self._process


async def _has_come(place: asyncio.Future[Literal[True]]) -> bool:
    """Wait for *place* in the queue, for a second; tell whether it has come."""
    with suppress(TimeoutError):
        async with clock.timeout(_LIFE_SIGN_S):
            await asyncio.wait({place})
    return place.done() and place.result()


def _check_size(request: ChatRequest, context_tokens: int) -> None:
    """Refuse what is hopeless here, as counting the tokens of megabytes takes the model long."""
    size = sum(len(said.text) for said in request.messages)
    if size > context_tokens * _MOST_CHARS_PER_TOKEN:
        raise _too_long(f"it has {size} characters")


def _body(request: ChatRequest) -> dict[str, Any]:
    """Return *request* in the words of OpenAI's chat completions, which the library speaks."""
    return {
        "messages": [{"role": said.role, "content": said.text} for said in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": _MAX_TOKENS,
        **request.settings,
    }


class _Reply:
    """What the chunks of one answer come to."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def events(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """Yield what *chunk* brings of the answer.

        Raises:
            ProviderError: it is an error.
        """
        if "error" in chunk:
            raise _error(chunk["error"])
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        for choice in chunk.get("choices", ()):
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            delta = choice.get("delta", {})
            if reasoning := delta.get("reasoning_content"):
                yield ReasoningDelta(reasoning)
            if text := delta.get("content"):
                yield TextDelta(text)

    def finished(self) -> Finished:
        """Return the end of the answer.

        Raises:
            IncompleteReplyError: the model never said that it was one.
        """
        if self._finish_reason is None:
            raise IncompleteReplyError("the local model's answer has no end", provider=NAME)
        return Finished(model=self._model, finish_reason=self._finish_reason, usage=self._usage)


def _usage(usage: dict[str, Any]) -> Usage:
    return Usage(
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
    )


def _error(error: dict[str, Any]) -> ProviderError:
    message = str(error.get("message", "no reason given"))
    if error.get("type") == "exceed_context_size_error":
        return _too_long(message)
    return ProviderError(
        f"the local model refused: {message}",
        provider=NAME,
        status=error.get("code"),
        hint="another model file may take it: -m FILE.gguf",
    )


def _too_long(why: str) -> ContextLengthError:
    return ContextLengthError(
        f"the conversation is too long for the local model: {why}",
        provider=NAME,
        hint="start a new conversation, or send less text",
    )
