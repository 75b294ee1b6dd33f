"""llm's log of its first generation: one row is one exchange, a prompt and its response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from convostore.formats.foreign import ForeignConversation, ForeignMessage, iso_ms, known, refused
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

Row: TypeAlias = Mapping[str, Any]
ByResponse: TypeAlias = Mapping[str, Sequence[Row]]

SOURCE: Final = "llm"
ATTACHMENT: Final = "attachment"  # the kind of part that refers to one


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside the rows of responses, by the id of the response, each in order.

    Attributes:
        attachments: id, type, path, url of each.
        fragments: content of each, that comes before the prompt.
        system_fragments: the same before the system prompt.
        calls: name, arguments, tool_call_id.
        results: name, output, exception, tool_call_id: answers that the prompt brings.
    """

    attachments: ByResponse = {}
    fragments: ByResponse = {}
    system_fragments: ByResponse = {}
    calls: ByResponse = {}
    results: ByResponse = {}


def read(conversation: Row, responses: Sequence[Row], beside: Beside) -> ForeignConversation:
    """Return a conversation.

    Args:
        conversation: its row: id, name, model.
        responses: its rows, in order.
        beside: what belongs to them.

    Raises:
        FormatError: it has no id.
    """
    source_id = known(conversation.get("id"), str)
    if not source_id:
        raise refused(SOURCE, "the conversation has no id")
    messages: list[ForeignMessage] = []
    system: str | None = None
    for row in responses:
        told = _system(row, beside)
        if told and told != system:
            system = told
            _append(messages, row, "system", [TextPart(told)])
        if results := beside.results.get(row["id"]):
            _append(messages, row, "results", [result(one) for one in results])
        if prompt := _prompt(row, beside):
            _append(messages, row, "prompt", prompt)
        _append(messages, row, "response", _response(row, beside))
    times = [one.created_at_ms for one in messages if one.created_at_ms is not None]
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=tuple(messages),
        head=messages[-1].source_id if messages else None,
        title=known(conversation.get("name"), str),
        model=known(conversation.get("model"), str),
        created_at_ms=min(times, default=None),
        updated_at_ms=max(times, default=None),
    )


def attachment(row: Row) -> OpaquePart:
    """Return a reference to an attachment; its bytes, where there are any, are not in it."""
    kept = {name: row.get(name) for name in ("id", "type", "path", "url")}
    return OpaquePart(ATTACHMENT, {name: told for name, told in kept.items() if told is not None})


def result(row: Row) -> ToolResultPart:
    """Return what a tool answered, or how it failed."""
    said = known(row.get("output"), str) or known(row.get("exception"), str) or ""
    id_, name = known(row.get("tool_call_id"), str), known(row.get("name"), str)
    return ToolResultPart(id_ or "", name or "", said)


def _append(messages: list[ForeignMessage], row: Row, what: str, parts: list[Part]) -> None:
    """Put a message behind the last one; a response has its row's own id."""
    of_model = what == "response"
    id_ = str(row["id"]) if of_model else f"{row['id']}:{what}"
    model = known(row.get("resolved_model"), str) or known(row.get("model"), str)
    role = {"system": "system", "results": "tool", "prompt": "user", "response": "assistant"}[what]
    messages.append(
        ForeignMessage(
            source_id=id_,
            parent=messages[-1].source_id if messages else None,
            role=role,  # type: ignore[arg-type]  # one of four roles
            parts=tuple(parts),
            model=model if of_model else None,
            created_at_ms=iso_ms(row.get("datetime_utc")),
            raw=msgspec.json.encode(row) if of_model else b"",
        )
    )


def _system(row: Row, beside: Beside) -> str:
    pieces = [_content(one) for one in beside.system_fragments.get(row["id"], ())]
    return "\n\n".join(one for one in [*pieces, known(row.get("system"), str) or ""] if one)


def _prompt(row: Row, beside: Beside) -> list[Part]:
    pieces = [_content(one) for one in beside.fragments.get(row["id"], ())]
    own = known(row.get("prompt"), str)
    text = "\n".join([*pieces, *([own] if own else [])])
    parts: list[Part] = [TextPart(text)] if text else []
    return [*parts, *(attachment(one) for one in beside.attachments.get(row["id"], ()))]


def _response(row: Row, beside: Beside) -> list[Part]:
    parts: list[Part] = []
    if thought := known(row.get("reasoning"), str):
        parts.append(ReasoningPart(thought))
    if said := known(row.get("response"), str):
        parts.append(TextPart(said))
    for one in beside.calls.get(row["id"], ()):
        id_, name = known(one.get("tool_call_id"), str), known(one.get("name"), str)
        parts.append(ToolCallPart(id_ or "", name or "", known(one.get("arguments"), str) or ""))
    return parts


def _content(fragment: Row) -> str:
    return known(fragment.get("content"), str) or ""
