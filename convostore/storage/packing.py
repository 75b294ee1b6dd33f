"""The JSON of another program, packed: from a length on that pays. No JSON begins as a zlib stream does."""

from __future__ import annotations

import zlib
from typing import Final

from convostore.errors import StoreCorruptError

_PAYS_FROM: Final = 16_384  # bytes: shorter ones take several times as long to pack as to store
_LEVEL: Final = 1  # 6 saves a tenth more, and takes thrice as long
_COMPRESSED: Final = b"\x78"  # Source: RFC 1950, 2.2: deflate with a window of 32 KiB


def packed(raw: bytes) -> bytes:
    """Return *raw*, a JSON text, as it is stored."""
    if len(raw) < _PAYS_FROM:
        return raw
    small = zlib.compress(raw, _LEVEL)
    return small if len(small) < len(raw) else raw


def unpacked(data: bytes) -> bytes:
    """Return the JSON text that is stored as *data*.

    Raises:
        StoreCorruptError: it cannot be unpacked.
    """
    data = bytes(data)  # of one driver it is a view
    if not data.startswith(_COMPRESSED):
        return data
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise StoreCorruptError(
            f"what is kept of another program's file cannot be read ({error})",
            hint="look: convostore db check --deep",
        ) from error
