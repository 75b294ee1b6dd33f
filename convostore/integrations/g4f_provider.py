"""Any provider of gpt4free as a provider of ours, so that whoever it asks has a memory that lasts.

.. code-block:: python

    import convostore
    from convostore.integrations.g4f_provider import G4FProvider
    from g4f.Provider import AnyProvider

    async with convostore.open("chats.db", provider=G4FProvider(AnyProvider)) as store:
        chat = await store.get_or_create("telegram:42", model="gpt-4o-mini")
        print((await chat.send("Hello")).text)

Nothing of g4f is imported here: its answers are known by the names of their classes.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from convostore.errors import (
    ConvostoreError,
    IncompleteReplyError,
    ProviderAuthError,
    ProviderConnectError,
    ProviderError,
    ProviderOptionError,
    ProviderTimeoutError,
    RateLimitError,
)
from convostore.events import Finished, ReasoningDelta, TextDelta, ToolCallDelta
from convostore.providers.keys import Key, redacted
from convostore.providers.provider import ModelInfo
from convostore.records import Usage
from convostore.text import secrets_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from convostore.events import Event
    from convostore.providers.provider import ChatRequest
    from convostore.records import RemoteThread

NAME: Final = "g4f"
_OURS: Final = frozenset({"model", "messages", "stream"})  # what a request says itself
_KINDS: Final[dict[str, type[ProviderError]]] = {
    "RateLimitError": RateLimitError,
    "MissingAuthError": ProviderAuthError,
    "NoValidHarFileError": ProviderAuthError,
    "CloudflareError": ProviderAuthError,
    "TimeoutError": ProviderTimeoutError,
    "ClientConnectionError": ProviderConnectError,
    "ConnectionError": ProviderConnectError,
}


class G4FProvider:
    """Ask a provider of gpt4free: the whole view each time, as messages of role and content.

    Settings are handed to it by its own names: `temperature`, `timeout` ... A conversation's are stored,
    so a key goes into *options*: there it is in no store, and no error repeats it.

    Args:
        provider: a class of `g4f.Provider`, such as `AnyProvider`, or an object like it.
        options: for each call, below the conversation's own settings: `api_key`, `proxy` ...

    Attributes:
        name: g4f.
    """

    name = NAME

    def __init__(self, provider: Any, **options: Any) -> None:
        self._provider = provider
        self._options = options

    @property
    def default_model(self) -> str | None:
        """What the provider takes where nobody names a model: it may choose anew each time."""
        own = getattr(self._provider, "default_model", None)
        return own if isinstance(own, str) and own else None

    def check(self, request: ChatRequest) -> None:
        """Refuse settings that would stand in the place of what a request itself says.

        Raises:
            ProviderOptionError: with a hint; permanent.
        """
        for name in request.settings.keys() & _OURS:
            raise ProviderOptionError(
                f"{name} is no option of {self._called}",
                provider=NAME,
                hint="give the model to create() or stream(); messages come from the conversation",
            )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Yield what the provider answers. An end without an error is the end of the answer.

        Raises:
            ProviderError: whatever it raised, by its kind; an answer without anything in it.
        """
        self.check(request)
        answer = _Answer()
        asked = {**self._options, **request.settings, "stream": True}
        messages = [{"role": one.role, "content": one.text} for one in request.messages]
        try:
            async with aclosing(self._ask(request.model or "", messages, asked)) as chunks:
                async for chunk in chunks:
                    for event in answer.take(chunk):
                        yield event
        except (ConvostoreError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes one of ours
            ours = _ours(error, self._called, asked)
            raise ours from ours.__cause__
        yield answer.finished(self._called, request.model)

    async def recover(
        self,
        remote: RemoteThread,  # noqa: ARG002 - as the protocol says
        anonymous_user_id: str,  # noqa: ARG002 - as the protocol says
    ) -> Finished | None:
        """Return None: nothing is kept there that could be asked for."""
        return None

    async def models(self) -> list[ModelInfo]:
        """List the models that the provider offers, its default first.

        Raises:
            ProviderError: it could not be asked.
        """
        try:
            found = await asyncio.to_thread(self._listed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes one of ours
            ours = _ours(error, self._called, self._options)
            raise ours from ours.__cause__
        return [ModelInfo(id=one) for one in found]

    async def aclose(self) -> None:
        """Do nothing: each call closes what it opened."""

    @property
    def _called(self) -> str:
        return str(getattr(self._provider, "__name__", None) or type(self._provider).__name__)

    def _listed(self) -> list[str]:
        get = getattr(self._provider, "get_models", None)
        default = getattr(self._provider, "default_model", None)
        found = list(get() if get else getattr(self._provider, "models", ()) or ())
        return list(dict.fromkeys(str(one) for one in [default, *found] if one))

    async def _ask(
        self, model: str, messages: list[dict[str, str]], options: dict[str, Any]
    ) -> AsyncGenerator[Any]:
        """Yield what the provider yields, in whichever way it can be asked."""
        provider = self._provider
        if hasattr(provider, "create_async_generator"):
            chunks: AsyncIterator[Any] = provider.create_async_generator(
                model=model, messages=messages, **options
            )
            try:
                async for chunk in chunks:
                    yield chunk
            finally:
                if hasattr(chunks, "aclose"):
                    await chunks.aclose()
        elif hasattr(provider, "create_async"):
            yield await provider.create_async(model=model, messages=messages, **options)
        else:
            raise ProviderError(f"{self._called} cannot be asked without blocking", provider=NAME)


class _Answer:
    """What was answered so far."""

    def __init__(self) -> None:
        self._said = False
        self._calls = 0
        self._reason: str | None = None
        self._usage: Usage | None = None
        self._model: str | None = None

    def take(self, chunk: Any) -> list[Event]:
        """Return what a chunk says to the caller; what is told beside that is remembered."""
        kinds = {one.__name__ for one in type(chunk).__mro__}
        if "Reasoning" in kinds:
            thought = getattr(chunk, "token", None)
            return [ReasoningDelta(str(thought))] if thought else []
        if "ToolCalls" in kinds:
            return self._called(chunk.list)
        if "FinishReason" in kinds:
            self._reason = str(chunk.reason) if chunk.reason else self._reason
        elif "Usage" in kinds:
            self._usage = _usage(vars(chunk))
        elif "ProviderInfo" in kinds:
            self._model = vars(chunk).get("model") or self._model
        text = str(chunk)  # of what is for the program alone it is empty
        self._said = self._said or bool(text)
        return [TextDelta(text)] if text else []

    def finished(self, who: str, model: str | None) -> Finished:
        """Return the end.

        Raises:
            IncompleteReplyError: nothing was answered.
        """
        if not self._said and not self._calls and self._reason is None:
            raise IncompleteReplyError(
                f"{who} answered nothing", provider=NAME, hint="ask again, or another model"
            )
        return Finished(model=self._model or model, finish_reason=self._reason, usage=self._usage)

    def _called(self, calls: list[Any]) -> list[Event]:
        found: list[Event] = []
        for call in calls:
            self._calls += 1
            function = call.get("function") or {}
            id_ = str(call.get("id") or f"call_{self._calls}")
            found.append(
                ToolCallDelta(
                    id_, str(function.get("name") or ""), str(function.get("arguments") or "")
                )
            )
        return found


def _usage(told: Mapping[str, Any]) -> Usage:
    def count(name: str, within: str | None = None) -> int | None:
        told_in = told.get(within) if within else told
        value = told_in.get(name) if isinstance(told_in, dict) else None
        return value if isinstance(value, int) and value >= 0 else None

    return Usage(
        input_tokens=count("prompt_tokens"),
        output_tokens=count("completion_tokens"),
        cached_tokens=count("cached_tokens", "prompt_tokens_details"),
        reasoning_tokens=count("reasoning_tokens"),
    )


def _ours(error: Exception, who: str, options: Mapping[str, Any]) -> ProviderError:
    """Return the error of ours for one of theirs, of whatever kind it is, without keys in *options*."""
    names = [one.__name__ for one in type(error).__mro__]
    kind = next((_KINDS[name] for name in names if name in _KINDS), ProviderError)
    said = " ".join(str(error).split()) or type(error).__name__
    shown = said
    for secret in secrets_in(dict(options)):
        shown = redacted(shown, Key(secret))
    ours = kind(f"{who}: {shown}"[:500], provider=NAME, hint="another provider or model may answer")
    ours.__cause__ = error if shown == said else None  # a traceback would show what it says
    return ours
