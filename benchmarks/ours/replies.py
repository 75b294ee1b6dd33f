"""Providers for measuring: one that answers at once, one that reads the paced stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from benchmarks.streaming.reading import pieces
from convostore.events import Finished, TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.events import Event
    from convostore.providers.provider import ChatRequest, ModelInfo
    from convostore.records import RemoteThread


class Instant:
    """Answers every question at once, with one delta."""

    name = "instant"

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def check(self, request: ChatRequest) -> None:
        """Refuse nothing."""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:  # noqa: ARG002 - the protocol's
        """Answer."""
        yield TextDelta(self._answer)
        yield Finished(model="instant-1", finish_reason="stop")

    async def recover(self, remote: RemoteThread, anonymous_user_id: str) -> Finished | None:  # noqa: ARG002 - the protocol's
        """Keep nothing on the far side."""
        return None

    async def models(self) -> list[ModelInfo]:
        """Offer no list."""
        return []

    async def aclose(self) -> None:
        """Hold nothing."""


class Paced(Instant):
    """Reads the paced stream, and remembers when each delta was sent."""

    name = "paced"

    def __init__(self) -> None:
        super().__init__("")
        self._expected: dict[str, tuple[str, list[float]]] = {}
        self._http: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        """Make the HTTP session."""
        self._http = self._http or aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    def expect(self, question: str, url: str) -> list[float]:
        """Say where the answer to *question* comes from; its deltas' times will be in the list."""
        sent: list[float] = []
        self._expected[question] = (url, sent)
        return sent

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Read the stream that was expected for the question."""
        url, sent = self._expected.pop(request.messages[-1].text)
        assert self._http is not None
        async for piece in pieces(self._http, url):
            sent.append(piece.at)
            yield TextDelta(piece.text)
        yield Finished(model="paced-1", finish_reason="stop")

    async def aclose(self) -> None:
        """Close the HTTP session."""
        if self._http is not None:
            await self._http.close()
            self._http = None
