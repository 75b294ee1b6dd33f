"""How many tokens a text has: a guess by its script, and what a provider has counted itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from convostore.media_types import is_text
from convostore.parts import OpaquePart, ReasoningPart, ToolCallPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convostore.parts import AttachmentPart
    from convostore.providers.provider import ChatMessage

CountTokens: TypeAlias = Callable[[str], int]

ATTACHED_TOKENS: Final = 1_000  # an image or a document: what models make of them differs widely
_A_BYTE: Final = 0.8  # of an attached text, which is not read: as many as of numbers and signs
_FRAME_TOKENS: Final = 4  # a message's role and ends
_CALL_TOKENS: Final = 8  # a call's id and frame
_MARGIN: Final = 1.15
_MOST_OFF: Final = 3.0  # a count that is further off than this says something else


def _bytes(*ranges: tuple[int, int]) -> bytes:
    return bytes(one for low, high in ranges for one in range(low, high + 1))


# The first bytes of UTF-8 tell the script. How many tokens each character has was fitted to the
# vocabularies o200k and cl100k, on prose, code, logs and twelve languages.
_LETTERS: Final = _bytes((0x20, 0x20), (0x41, 0x5A), (0x61, 0x7A))
_DIGITS: Final = _bytes((0x30, 0x39))
_ASCII: Final = _bytes((0x00, 0x7F))
_LETTER, _DIGIT, _SIGN = 1 / 4.3, 0.65, 0.55
_OTHERS: Final = (
    (_bytes((0xC2, 0xDF)), 1 / 2.2),  # Latin with accents, Greek, Cyrillic, Hebrew, Arabic
    (_bytes((0xE0, 0xE2)), 1 / 1.4),  # of India and South East Asia; typographic signs
    (_bytes((0xE3, 0xEF)), 0.9),  # Chinese, Japanese, Korean
    (_bytes((0xF0, 0xF4)), 2.2),  # emoji, rare characters
)


def estimate_tokens(text: str) -> int:
    """Guess how many tokens *text* has, by its script, 15 % added: rather too many than too few."""
    raw = text.encode(errors="replace")
    letters, digits = _count(raw, _LETTERS), _count(raw, _DIGITS)
    is_ascii = text.isascii()
    signs = (len(raw) if is_ascii else _count(raw, _ASCII)) - letters - digits
    tokens = letters * _LETTER + digits * _DIGIT + signs * _SIGN
    if not is_ascii:
        tokens += sum(_count(raw, first) * each for first, each in _OTHERS)
    return int(tokens * _MARGIN) + (tokens > 0)


def _count(raw: bytes, which: bytes) -> int:
    return len(raw) - len(raw.translate(None, which))


class Counter:
    """Counts the messages of a view.

    Args:
        count: counts a text.
        known: texts of replies, as whoever is asked has counted them when they made them.
    """

    def __init__(self, count: CountTokens, known: Mapping[str, int]) -> None:
        self._count, self._known = count, known

    def text(self, text: str) -> int:
        """Count a text; one that was counted by the provider is what it said, if that can be."""
        guess = self._count(text)
        known = self._known.get(text)
        if known is None or not guess / _MOST_OFF <= known <= guess * _MOST_OFF:
            return guess
        return known

    def json(self, value: Any) -> int:
        """Count a value that is told as JSON."""
        return self._count(msgspec.json.encode(value, enc_hook=str).decode())

    def all(self, told: Iterable[ChatMessage]) -> int:
        """Count messages."""
        return sum(map(self.one, told))

    def one(self, told: ChatMessage) -> int:
        """Count a message, with its frame."""
        tokens = _FRAME_TOKENS + self.text(told.text)
        for part in told.parts:
            if isinstance(part, ReasoningPart):
                tokens += self._count(part.text)
            elif isinstance(part, ToolCallPart):
                tokens += _CALL_TOKENS + self._count(part.name) + self._count(part.args)
            elif isinstance(part, OpaquePart):
                tokens += self.json(part.data)
        return tokens + sum(map(self._attached, told.attachments))

    @staticmethod
    def _attached(part: AttachmentPart) -> int:
        return round(part.size * _A_BYTE) if is_text(part.media_type) else ATTACHED_TOKENS
