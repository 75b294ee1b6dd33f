"""A message as a framework has it, beside the parts that were made of it: its frame.

It is kept as JSON text, in an opaque part of the kind `frame`: with the order of its keys, its numbers and
its characters as they were, whatever they are. What the parts say already is named there by their
places and not written twice.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.errors import InvalidTextError
from convostore.parts import (
    FRAME,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.text import MOST_DEEP, gate_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.records import Message

_LONG: Final = 24  # characters: a shorter text is about as long as its place is
# {"$part": [2]} stands for what that part says, [2, "url"] for what stands there in its data
_PLACE, _AS_IT_IS = "$part", "$is"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MARK: Final = "\ufffd"


def storable(parts: Iterable[Part]) -> list[Part]:
    """Return parts that can be stored: what cannot be becomes U+FFFD, an id that is missing `?`."""
    return [_storable(part) for part in parts]


def framed(value: Any, parts: Sequence[Part]) -> OpaquePart:
    """Return the part that keeps *value*, of which *parts* were made.

    Raises:
        InvalidTextError: it is more than 100 levels deep, or holds what JSON does not have.
    """
    places: dict[str, list[Any]] = {}
    for at, part in enumerate(parts):
        _find(_said(part), [at], places)
    try:
        return OpaquePart(FRAME, _text(_put(value, places, 0)))
    except (TypeError, ValueError) as wrong:
        raise InvalidTextError(
            f"a message cannot be written as JSON: {wrong}",
            hint="give text, numbers, true, false, null, lists and objects",
        ) from wrong


def unframed(parts: Sequence[Part]) -> Any:
    """Return what `framed` was given.

    Raises:
        LookupError: nothing is kept among *parts*, or it cannot be read.
    """
    kept = next(part for part in parts if is_frame(part)) if any(map(is_frame, parts)) else None
    if kept is None or not isinstance(kept, OpaquePart):
        raise LookupError("no frame is kept")
    said = [_said(part) for part in parts if not is_frame(part)]
    try:
        return _take(json.loads(kept.data), said)
    except (LookupError, TypeError, ValueError, RecursionError) as wrong:
        raise LookupError("the frame cannot be read") from wrong


def is_frame(part: Part) -> bool:
    """Tell whether a part is a frame: it says nothing to a reader."""
    return isinstance(part, OpaquePart) and part.kind == FRAME


def without_frame(message: Message) -> Message:
    """Return a message as a reader wants it, or another program than the one that its frame is for."""
    if not any(map(is_frame, message.parts)):
        return message
    parts = tuple(part for part in message.parts if not is_frame(part))
    return msgspec.structs.replace(message, parts=parts)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON text, the order of their keys included."""
    try:
        return _text(one) == _text(other)
    except (TypeError, ValueError, RecursionError):
        return False


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))  # ASCII: it holds every character


def _said(part: Part) -> Any:
    match part:
        case TextPart(text) | ReasoningPart(text):
            return text
        case ToolCallPart():
            return part.args
        case ToolResultPart():
            return part.content
        case OpaquePart():
            return part.data
    return None


def _find(said: Any, place: list[Any], places: dict[str, list[Any]]) -> None:
    """Write down where each long text is said."""
    if isinstance(said, str):
        if len(said) >= _LONG:
            places.setdefault(said, place)
    elif isinstance(said, list):
        for at, one in enumerate(said):
            _find(one, [*place, at], places)
    elif isinstance(said, dict):
        for key, one in said.items():
            _find(one, [*place, key], places)


def _put(value: Any, places: dict[str, list[Any]], deep: int) -> Any:
    """Return *value* with the places of what is said in the stead of what is said."""
    if deep > MOST_DEEP:
        raise InvalidTextError(
            f"a message is more than {MOST_DEEP} levels deep", hint="make it flatter"
        )
    if isinstance(value, str):
        return {_PLACE: places[value]} if value in places else value
    if isinstance(value, list | tuple):
        return [_put(one, places, deep + 1) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {key: _put(one, places, deep + 1) for key, one in value.items()}
    return {_AS_IT_IS: inner} if inner.keys() & {_PLACE, _AS_IT_IS} else inner


def _take(value: Any, said: list[Any]) -> Any:
    if isinstance(value, list):
        return [_take(one, said) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_PLACE}:
        return _said_at(said, value[_PLACE])
    if value.keys() == {_AS_IT_IS}:
        value = value[_AS_IT_IS]
    return {key: _take(one, said) for key, one in value.items()}


def _said_at(said: Any, place: list[Any]) -> Any:
    for step in place:
        said = said[step]
    return said


def _storable(part: Part) -> Part:
    match part:
        case TextPart(text):
            return TextPart(_mended(text))
        case ReasoningPart(text):
            return ReasoningPart(_mended(text))
        case ToolCallPart():
            return ToolCallPart(_mended(part.id) or "?", _mended(part.name), _mended(part.args))
        case ToolResultPart():
            return ToolResultPart(_mended(part.id), _mended(part.name), _mended(part.content))
        case OpaquePart():
            return OpaquePart(_mended(part.kind), _plain(part.data))
    return part


def _mended(text: str) -> str:
    return _UNSTORABLE.sub(_MARK, text)


def _plain(data: Any) -> Any:
    """Return what of an opaque part can stand in a store by itself; the frame has all of it."""
    try:
        gate_json(data, "it")
    except InvalidTextError:
        return None
    return data
