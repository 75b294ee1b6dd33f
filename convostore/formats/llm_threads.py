"""llm's log of its second generation: messages by their hashes, and threads that end at one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, iso_ms, known, refused
from convostore.formats.llm_logs import SOURCE, attachment, result
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart

if TYPE_CHECKING:
    from convostore.records import Role

Row: TypeAlias = Mapping[str, Any]

_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
}


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of a thread and what belongs to them.

    Attributes:
        messages: rows from the first to the tip: hash, role, provider_metadata.
        parts: rows by the hash of their message, in order: id, type, text, payload.
        turns: the row of the call that ended at a message, by its hash: model, datetime_utc ...
        attachments: rows by the id of their part, in order.
        fragments: their texts by their ids.
        whole: the first message is one that follows no other.
    """

    messages: Sequence[Row]
    parts: Mapping[str, Sequence[Row]]
    turns: Mapping[str, Row]
    attachments: Mapping[int, Sequence[Row]]
    fragments: Mapping[int, str]
    whole: bool = True


def read(thread: Row, path: Path) -> ForeignConversation:
    """Return a thread; a fork is a thread of its own, which begins with the same messages.

    Messages have neither time nor model there: both are those of the call that ended with them.

    Raises:
        FormatError: it has no id.
    """
    source_id = known(thread.get("id"), str)
    if not source_id:
        raise refused(SOURCE, "the thread has no id")
    messages: list[ForeignMessage] = []
    turn: Row = {}
    for row in reversed(path.messages):
        turn = path.turns.get(row["hash"], turn)
        messages.append(_message(row, path, turn))
    messages.reverse()
    for at in range(1, len(messages)):
        messages[at] = msgspec.structs.replace(messages[at], parent=messages[at - 1].source_id)
    models = [one.model for one in messages if one.model]
    times = [one.created_at_ms for one in messages if one.created_at_ms is not None]
    forked_from = known(thread.get("forked_from"), str)
    remarks = [] if path.whole else ["its first messages are missing"]
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=tuple(messages),
        head=messages[-1].source_id if messages else None,
        title=known(thread.get("name"), str),
        model=models[-1] if models else None,
        created_at_ms=iso_ms(thread.get("datetime_utc")),
        updated_at_ms=max(times, default=None),
        remarks=(*remarks, *([f"it is a fork of {forked_from}"] if forked_from else [])),
        raw=msgspec.json.encode(thread),
    )


def _message(row: Row, path: Path, turn: Row) -> ForeignMessage:
    there = known(row.get("role"), str) or ""
    role = _ROLES.get(there, "tool")
    model = known(turn.get("resolved_model"), str) or known(turn.get("model"), str)
    ends_turn = path.turns.get(row["hash"])
    raw = {**row, "turn": ends_turn} if ends_turn else row
    return ForeignMessage(
        source_id=str(row["hash"]),
        parent=None,
        role=role,
        author=None if there in _ROLES else there or None,
        parts=tuple(part for one in path.parts.get(row["hash"], ()) for part in _parts(one, path)),
        model=model if role == "assistant" else None,
        created_at_ms=iso_ms(turn.get("datetime_utc")),
        raw=msgspec.json.encode(raw),
    )


def _parts(row: Row, path: Path) -> list[Part]:
    payload = _payload(row)
    text = known(row.get("text"), str) or _referred(payload, path) or ""
    attached = [attachment(one) for one in path.attachments.get(row["id"], ())]
    match row.get("type"):
        case "text":
            return [TextPart(text)] if text else []
        case "reasoning":
            return [ReasoningPart(text)] if text else []
        case "tool_call":
            id_, name = known(payload.get("tool_call_id"), str), known(payload.get("name"), str)
            args = msgspec.json.encode(payload.get("arguments")).decode()
            return [ToolCallPart(id_ or "", name or "", args)]
        case "tool_result":
            return [result(payload), *attached]
        case "attachment":
            return [*attached] or [OpaquePart("attachment", payload)]
    return [OpaquePart(str(row.get("type") or "part"), {**payload, "text": text}), *attached]


def _payload(row: Row) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(known(row.get("payload"), str) or "{}")
    except (msgspec.MsgspecError, RecursionError):
        return {"payload": row.get("payload")}
    return found if isinstance(found, dict) else {"payload": found}


def _referred(payload: dict[str, Any], path: Path) -> str:
    """Return the text that is put together of fragments and what stands between them."""
    texts = []
    for piece in known(payload.get("text_ref"), list) or []:
        literal = piece.get("literal") if isinstance(piece, dict) else None
        fragment = piece.get("fragment") if isinstance(piece, dict) else None
        if isinstance(literal, str):
            texts.append(literal)
        elif isinstance(fragment, int):
            texts.append(path.fragments.get(fragment, ""))
    return "".join(texts)
