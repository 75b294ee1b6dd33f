"""Values as they lie in the columns, and a message's hash over them; SQLAlchemy is not asked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from convostore.errors import InvalidTextError
from convostore.parts import Part, TextPart

if TYPE_CHECKING:
    from collections.abc import Sequence

_json = msgspec.json.Encoder(order="sorted")


def to_json(value: object) -> str:
    """Write a value as canonical JSON: keys sorted, no spaces.

    Raises:
        InvalidTextError: a text in it holds half a character.
    """
    try:
        return _json.encode(value).decode()
    except UnicodeEncodeError as error:
        raise InvalidTextError(
            "a value holds half a character (a lone surrogate)",
            hint="decode the input as UTF-8 before it comes here",
        ) from error


def encode_parts(parts: Sequence[Part]) -> tuple[str, str | None]:
    """Return the joined text of *parts*, and their shape with each text part as its length.

    The shape is None when the text says it all, which is the common case.
    """
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    if not parts or (len(parts) == 1 and isinstance(parts[0], TextPart)):
        return text, None
    return text, to_json([len(p.text) if isinstance(p, TextPart) else p for p in parts])


def content_hash(parent_hash: str | None, role: str, text: str, shape: str | None) -> str:
    """Return the sha256, in hex, over the canonical JSON of a message and its parent's hash."""
    raw = None if shape is None else msgspec.Raw(shape.encode())
    return hashlib.sha256(_json.encode([parent_hash, role, text, raw])).hexdigest()
