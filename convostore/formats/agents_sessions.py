"""OpenAI Agents SDK sessions: rows of items, one after the other, or in branches that share rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats.foreign import (
    HEAD_GUESSED,
    ForeignConversation,
    ForeignMessage,
    in_order,
    iso_ms,
    known,
    refused,
)
from convostore.formats.response_items import parts_of, role_of
from convostore.parts import OpaquePart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE: Final = "openai-agents"


def read(
    session: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    structure: Sequence[Mapping[str, Any]] = (),
) -> ForeignConversation:
    """Return a session.

    Args:
        session: its row: session_id, created_at, updated_at.
        rows: of its messages, by id: id, message_data, created_at.
        structure: of its branches, where there are any: message_id, branch_id, each branch in order.

    Raises:
        FormatError: it has no id.
    """
    source_id = known(session.get("session_id"), str)
    if not source_id:
        raise refused(SOURCE, "the session has no id")
    parents = _parents(rows, structure)
    spoiled: list[str] = []
    found = [_message(row, parents, spoiled) for row in rows]
    messages, remarks = in_order(found)
    if spoiled:
        remarks.append(f"messages that are no JSON, kept as they are: {len(spoiled)}")
    if len({place.get("branch_id") for place in structure}) > 1:
        remarks.append(HEAD_GUESSED)
    return ForeignConversation(
        source=SOURCE,
        source_id=source_id,
        messages=messages,
        head=str(rows[-1]["id"]) if rows else None,
        created_at_ms=iso_ms(session.get("created_at")),
        updated_at_ms=iso_ms(session.get("updated_at")),
        remarks=tuple(remarks),
    )


def _parents(
    rows: Sequence[Mapping[str, Any]], structure: Sequence[Mapping[str, Any]]
) -> dict[str, str | None]:
    """Return each message's parent: the one before it in its branch; without branches, by id."""
    parents: dict[str, str | None] = {}
    here = {str(row["id"]) for row in rows}
    before: dict[object, str] = {}  # the last message of each branch
    for place in structure:
        id_, branch = str(place.get("message_id")), place.get("branch_id")
        if id_ in here:
            parents.setdefault(id_, before.get(branch))
            before[branch] = id_
    last: str | None = None
    for row in rows:  # what stands in no branch follows the one with the id before
        last_id, last = last, str(row["id"])
        parents.setdefault(last, last_id)
    return parents


def _message(
    row: Mapping[str, Any], parents: Mapping[str, str | None], spoiled: list[str]
) -> ForeignMessage:
    id_, data = str(row["id"]), row.get("message_data")
    text = data if isinstance(data, str) else ""
    item = _decoded(text)
    if item is None:
        spoiled.append(id_)
    return ForeignMessage(
        source_id=id_,
        parent=parents[id_],
        role=role_of(item),
        parts=tuple(parts_of(item)) if item is not None else (OpaquePart("item", text),),
        created_at_ms=iso_ms(row.get("created_at")),
        raw=text.encode() if item is not None else b"",
    )


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return None
