"""What is counted in a conversation that was read, as the expected counts name it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.formats.foreign import ForeignConversation


def conversations(file: Path) -> list[dict[str, Any]]:
    """Return the conversations of a file."""
    found = json.loads(file.read_text(encoding="utf-8-sig"))
    if isinstance(found, dict):
        found = found.get("conversations", [found])
    return list(found)


def path_of(one: ForeignConversation) -> list[str]:
    """Return the ids from the root to the head."""
    above = {message.source_id: message.parent for message in one.messages}
    way, at = [], one.head
    while at is not None:
        way.append(at)
        at = above[at]
    return way[::-1]


def counted(one: ForeignConversation) -> dict[str, Any]:
    """Count what the expected counts name."""
    children = Counter(message.parent for message in one.messages if message.parent)
    return {
        "messages": len(one.messages),
        "message_roots": sum(message.parent is None for message in one.messages),
        "message_leaves": sum(message.source_id not in children for message in one.messages),
        "message_branch_points": sum(count > 1 for count in children.values()),
        "roles": dict(Counter(message.role for message in one.messages)),
    }


def shape(one: ForeignConversation) -> list[Any]:
    """Return all that is read of a conversation but what the origin wrote."""
    return [
        one.head,
        *((m.source_id, m.parent, m.role, m.parts, m.created_at_ms) for m in one.messages),
    ]
