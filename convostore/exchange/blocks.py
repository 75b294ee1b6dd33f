"""Several values of an array cut out of a block at once, where they begin alike: the quick way.

Most exports are arrays of objects whose first key is always the same, so the last seam between two of them
is easily found. It is a guess, which the parser then proves: only if all before it is whole values does
that parse as an array. Whatever does not is cut value by value, by counting brackets.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SEAM: Final = re.compile(rb'\s*,\s*\{\s*"(?:[^"\\]++|\\.)*+"\s*:', re.DOTALL)


class Blocks:
    """Knows how the values of one array begin."""

    def __init__(self) -> None:
        self._seam: bytes | None = None

    def learn(self, block: bytes, place: int) -> None:
        """Look how the next value begins behind one that ends at *place*."""
        found = _SEAM.match(block, place)
        if found is not None:
            self._seam = b"}" + found[0]

    def values_of(self, block: bytes) -> tuple[list[bytes], int]:
        """Return the values with which a block begins, and where the last of them ends; or none."""
        at = block.rfind(self._seam) if self._seam is not None else -1
        if at < 0:
            return [], 0
        end = at + 1
        return values_in(block[:end]) or [], end


def values_in(text: bytes) -> list[bytes] | None:
    """Return the values with commas between them; None if it is anything else."""
    try:
        return [bytes(one) for one in _LIST.decode(b"[" + text + b"]")]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
