"""What `llm logs --json` prints: a row for each exchange, newest or oldest first, of any conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.formats import llm_logs
from convostore.formats.foreign import known, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.formats.foreign import ForeignConversation

SOURCE: Final = "llm-json"
_KEYS: Final = frozenset({"id", "prompt", "response", "conversation_id", "datetime_utc"})


def is_row(value: object) -> bool:
    """Tell whether a parsed value is one exchange of this format."""
    return isinstance(value, dict) and value.keys() >= _KEYS and isinstance(value["id"], str)


def conversation_id(row: dict[str, Any]) -> str:
    """Return the id of the conversation to which a row belongs; an exchange may be one of its own."""
    return known(row["conversation_id"], str) or str(row["id"])


def read(rows: Sequence[dict[str, Any]]) -> ForeignConversation:
    """Return the conversation of rows that belong together, in any order; one that comes twice, once.

    Raises:
        FormatError: there is no row.
    """
    if not rows:
        raise refused(SOURCE, "there is no row")
    once = {row["id"]: row for row in rows}.values()
    rows = sorted(once, key=lambda row: (str(row["datetime_utc"]), row["id"]))
    first = rows[0]
    name = first.get("conversation_name")
    conversation = {
        "id": conversation_id(first),
        "name": first["prompt"] if name is None else name,
        "model": first.get("conversation_model") or first.get("model"),
    }
    beside = llm_logs.Beside(
        attachments=_each(rows, "attachments"),
        fragments={row["id"]: _fragments(row) for row in rows},
        system_fragments=_each(rows, "system_fragments"),
        calls=_each(rows, "tool_calls"),
        results=_each(rows, "tool_results"),
    )
    found = llm_logs.read(conversation, rows, beside)
    return msgspec.structs.replace(found, source=SOURCE)


def _each(rows: Sequence[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    return {row["id"]: _objects(row.get(name)) for row in rows}


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _fragments(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what stands before the prompt; nothing where the prompt has it already."""
    found = _objects(row.get("prompt_fragments"))
    texts = [known(one.get("content"), str) or "" for one in found]
    told = known(row["prompt"], str) or ""
    return [] if told.startswith("".join(f"{text}\n" for text in texts)) else found
