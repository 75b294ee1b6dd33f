"""Where the values of a stream of JSON end: brackets are counted outside of strings, piece by piece.

Nothing is parsed here. What stands between two brackets that belong together is one record, however
broken it is inside, so that it never hides the records after it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import accumulate
from typing import Final

_NO_BRACKETS: Final = bytes(code for code in range(256) if code not in b"{}[]")
_STEPS: Final = tuple(1 if code in b"{[" else -1 if code in b"}]" else 0 for code in range(256))
# So many brackets, and what stands before each: to find the place of one that was counted.
_SKIPS: Final = tuple(
    (count, re.compile(rb"(?:[^{}\[\]]*+[{}\[\]]){%d}+" % count)) for count in (1024, 32, 1)
)


class Brackets:
    """Counts brackets over the pieces of a stream.

    Attributes:
        depth: brackets that are open after the last piece.
        in_string: the last piece ended inside a string.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False
        self._escaped = False  # the next byte belongs to a backslash of the last piece

    def cuts(self, piece: bytes) -> tuple[list[int], int | None]:
        """Count on; return where in *piece* a value ends, each time the depth is 0 again.

        Returns:
            The places just behind those brackets, and the place of the bracket that closes what
            was open before the counting began; None if there is none. What is behind it is not
            counted.
        """
        parts = self._without_escapes(piece).split(b'"')
        inside = int(self.in_string)
        self.in_string = bool((inside + len(parts) - 1) % 2)
        outside = b'"'.join(parts[inside::2])
        depths = list(
            accumulate(
                map(_STEPS.__getitem__, outside.translate(None, _NO_BRACKETS)), initial=self.depth
            )
        )
        self.depth = depths[-1]
        numbers = []
        with suppress(ValueError):  # no further one
            numbers.append(depths.index(-1, 1))
        closes, until = len(numbers), numbers[0] if numbers else len(depths)
        at = 0
        with suppress(ValueError):  # no further one
            while True:
                at = depths.index(0, at + 1, until)
                numbers.insert(-1, at) if closes else numbers.append(at)
        places = _places(outside, numbers)
        found = _in_piece(places, outside, parts[1 - inside :: 2], inside)
        return found, found.pop() - 1 if closes else None

    def _without_escapes(self, piece: bytes) -> bytes:
        """Return the piece with every escaped quote and backslash blotted out, of the same length."""
        if self._escaped:
            piece = b"_" + piece[1:]
        if b"\\" not in piece:
            self._escaped = False
            return piece
        clean = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        self._escaped = clean.endswith(b"\\")
        return clean


def _places(outside: bytes, numbers: list[int]) -> list[int]:
    """Return the places just behind the brackets of these ascending numbers, counted from 1."""
    places, passed, at = [], 0, 0
    for number in numbers:
        for count, skip in _SKIPS:
            while number - passed >= count:
                found = skip.match(outside, at)
                at = found.end() if found else at
                passed += count
        places.append(at)
    return places


def _in_piece(places: list[int], outside: bytes, strings: list[bytes], inside: int) -> list[int]:
    """Return the places in the piece for ascending ones in what is outside of its strings.

    Of the two quotes of a string one was kept; of one that had begun before, neither.
    """
    found, at, taken = [], 0, 0
    before = length = 0
    for place in places:
        before += outside.count(b'"', at, place)
        at = place
        length += len(b"".join(strings[taken : before + inside]))
        taken = before + inside
        found.append(place + length + taken)
    return found
