"""ShareGPT rows and their kin: turns of `from` and `value`, in a line, without times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, known, refused
from convostore.formats.openai_chat import content_id
from convostore.parts import OpaquePart, Part, TextPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from convostore.records import Role

SOURCE: Final = "sharegpt"
_ROLES: Final[dict[str, Role]] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
    "tool": "tool",
}
_OURS: Final = frozenset({"human", "gpt", "system"})  # names that say no more than the role


def is_one(value: object) -> bool:
    """Tell whether a parsed value is a row of this format."""
    return isinstance(value, dict) and _turns(value) is not None


def read(value: dict[str, Any]) -> ForeignConversation:
    """Return a row as a conversation; ids repeat in this format, so one is made of the content.

    Raises:
        FormatError: it is no such row.
    """
    turns = _turns(value)
    if turns is None:
        raise refused(SOURCE, "the row has no list of turns with from and value")
    system = known(value.get("system"), str)
    if system:
        turns = [{"from": "system", "value": system}, *turns]
    messages: list[ForeignMessage] = []
    for at, turn in enumerate(turns, 1):
        messages.append(_message(str(at), str(at - 1) if at > 1 else None, turn))
    images = known(value.get("images"), list) or []
    if images and messages:
        first = messages[0]
        more = tuple(OpaquePart("image", image) for image in images)
        messages[0] = msgspec.structs.replace(first, parts=first.parts + more)
    bare = {name: kept for name, kept in value.items() if name not in {"conversations", "items"}}
    return ForeignConversation(
        source=SOURCE,
        source_id=content_id(value),
        messages=tuple(messages),
        head=messages[-1].source_id if messages else None,
        title=known(value.get("title"), str),
        model=known(value.get("model"), str) or None,
        raw=msgspec.json.encode(bare),
    )


def _turns(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    turns = value.get("conversations", value.get("items"))
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict) and isinstance(turn.get("from"), str) and "value" in turn
        for turn in turns
    ):
        return None
    return turns


def _message(id_: str, parent: str | None, turn: dict[str, Any]) -> ForeignMessage:
    speaker: str = turn["from"]
    return ForeignMessage(
        source_id=id_,
        parent=parent,
        role=_ROLES.get(speaker, "tool"),
        author=None if speaker in _OURS else speaker,
        parts=_parts(speaker, turn["value"]),
        raw=msgspec.json.encode(turn),
    )


def _parts(speaker: str, value: object) -> tuple[Part, ...]:
    if not isinstance(value, str):
        return (OpaquePart("value", value),) if value is not None else ()
    if speaker == "function_call":
        return (ToolCallPart("", _name_in(value), value),)
    if _ROLES.get(speaker) == "tool":
        return (ToolResultPart("", "", value),)
    return (TextPart(value),) if value else ()


def _name_in(call: str) -> str:
    """Return the name in the JSON of a call; empty where it is none."""
    try:
        found = msgspec.json.decode(call)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return str(found.get("name") or "") if isinstance(found, dict) else ""
