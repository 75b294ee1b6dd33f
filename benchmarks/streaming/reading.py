"""Reading the paced stream: bytes, split into lines, parsed with msgspec. Both sides use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp


class Piece(msgspec.Struct):
    """One delta as the server sends it, and when it did."""

    text: str
    at: float


_decode = msgspec.json.Decoder(Piece).decode


async def pieces(http: aiohttp.ClientSession, url: str) -> AsyncGenerator[Piece]:
    """Ask *url* and yield the deltas as they come."""
    rest = b""
    async with http.get(url) as response:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield _decode(line)
