"""JSON laid out for people: every number, text and key stands as it was written."""

from __future__ import annotations

import json
import re
from typing import Final

_LONGEST_CHARS: Final = 20_000  # of JSON that is laid out: it grows with its depth
_DEEPEST: Final = 40
_MOST_CHARS: Final = 200_000  # that may come of it
_STEP: Final = "  "
_EMPTY: Final = frozenset({"[]", "{}"})
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s"\[\]{}:,]+')


def laid_out(text: str) -> str:
    """Return JSON with a line for each of its values; what is none, long or deep as it is."""
    if len(text) > _LONGEST_CHARS:
        return text
    try:  # to know that it is JSON; what comes of it may have other numbers and fewer keys
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return text
    return _indented(_WORD.findall(text)) or text


def _indented(words: list[str]) -> str | None:
    """Return the words of JSON over many lines; None where that would be too deep or too much."""
    pieces: list[str] = []
    depth = length = 0
    before = ""
    for word in words:
        depth -= word in {"]", "}"}
        piece = ": " if word == ":" else word
        if (before in {"[", "{", ","} or word in {"]", "}"}) and before + word not in _EMPTY:
            piece = "\n" + _STEP * depth + piece
        pieces.append(piece)
        depth += word in {"[", "{"}
        length += len(piece)
        if depth > _DEEPEST or length > _MOST_CHARS:
            return None
        before = word
    return "".join(pieces)
