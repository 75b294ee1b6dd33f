"""Requests for the model on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostore.events import Finished, TextDelta
from convostore.providers.provider import ChatMessage, ChatRequest

if TYPE_CHECKING:
    from convostore.providers.provider import Provider

SHORT: dict[str, Any] = {"temperature": 0, "max_tokens": 6}


def request(*texts: str, model: str | None = None, **settings: Any) -> ChatRequest:
    """Ask with *texts*, by turns of the user and the assistant."""
    roles = ("user", "assistant")
    messages = tuple(ChatMessage(roles[n % 2], text) for n, text in enumerate(texts))  # type: ignore[arg-type]  # mypy widens the roles
    return ChatRequest(messages=messages, model=model, settings=settings)


async def ask(provider: Provider, asked: ChatRequest) -> tuple[str, Finished]:
    """Return the answer's text and its end."""
    *deltas, end = [event async for event in provider.stream(asked)]
    assert isinstance(end, Finished)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), end
