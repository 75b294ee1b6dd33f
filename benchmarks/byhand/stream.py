"""Reading a reply and keeping nothing: split lines, parse, join. What a turn is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import aiohttp

from benchmarks.streaming import measuring
from benchmarks.streaming.reading import pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Stream:
    """Reads paced replies without a store."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("aiohttp", "msgspec")

    async def open(self, path: str) -> None:
        """Make the HTTP session."""
        self.folder = Path(path).parent
        self.http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        """Close it."""
        await self.http.close()

    async def replies(self, url: str, number: int) -> AsyncGenerator[float]:  # noqa: ARG002 - the protocol's
        """Read one reply, joining its text."""
        texts = []
        async for piece in pieces(self.http, url):
            texts.append(piece.text)
            yield piece.at
        "".join(texts)

    async def one_stream(self, url: str) -> dict[str, Any]:
        """Measure one reply."""
        return await measuring.one(self, url)

    async def many_streams(self, url: str, turns: int, nominal_s: float) -> dict[str, Any]:
        """Measure many replies at once."""
        return await measuring.many(self, url, turns, nominal_s)

    async def first_delta(self, url: str, times: int) -> dict[str, Any]:
        """Measure the time to the first delta."""
        return await measuring.first(self, url, times, self.folder)
