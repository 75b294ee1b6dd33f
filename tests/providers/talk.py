"""A conversation with the test server, as a turn would hold it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from convostore import errors
from convostore.events import Finished, TextDelta
from convostore.providers.playground import Playground
from convostore.providers.provider import ChatMessage, ChatRequest
from convostore.testing.playground import PlaygroundServer

if TYPE_CHECKING:
    from convostore.events import Event
    from convostore.records import RemoteThread

USER = "u-alice"
MODEL: dict[str, str] = {"threads": "qwen3-openai", "stream": "tulu3-405b"}


@dataclass
class Talk:
    """A conversation as a turn holds it: the messages, and the remote thread to continue."""

    provider: Playground
    model: str | None
    remote: RemoteThread | None = None
    messages: list[ChatMessage] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    def request(self, text: str) -> ChatRequest:
        return ChatRequest(
            messages=(*self.messages, ChatMessage("user", text)),
            model=self.model,
            settings=self.settings,
            remote=self.remote,
            anonymous_user_id=USER,
        )

    async def say(self, text: str) -> str:
        """Run one exchange, keep what it said, and return the answer."""
        self.events = []
        async for event in self.provider.stream(self.request(text)):
            self.events.append(event)
        finished = self.events[-1]
        assert isinstance(finished, Finished)
        self.remote = finished.remote
        answer = finished.text if finished.text is not None else self.shown()
        self.messages += [ChatMessage("user", text), ChatMessage("assistant", answer)]
        return answer

    async def fail(self, text: str) -> errors.ProviderError:
        """Run one exchange that must fail, and return its error."""
        self.events = []
        try:
            async for event in self.provider.stream(self.request(text)):
                self.events.append(event)
        except errors.ProviderError as error:
            return error
        pytest.fail("the exchange did not fail")

    def shown(self) -> str:
        """Return the streamed text."""
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


class Far:
    """A server and a provider for it, closed together."""

    def __init__(self, dialect: Literal["threads", "stream", "mid"]) -> None:
        self.server = PlaygroundServer(dialect)
        self.dialect = dialect

    async def __aenter__(self) -> Talk:
        """Open both."""
        await self.server.__aenter__()
        self.provider = Playground(self.server.url)
        return Talk(self.provider, MODEL.get(self.dialect, "tulu3-405b"))

    async def __aexit__(self, *_: object) -> None:
        """Close both."""
        await self.provider.aclose()
        await self.server.__aexit__(None, None, None)
