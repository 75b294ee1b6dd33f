"""The JSON that scripts read: keys are stable, and nothing in it can disturb a terminal."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    from convostore import records
    from convostore.errors import ConvostoreError
    from convostore.storage import fastread

    Record: TypeAlias = records.ConversationRecord | fastread.Conversation
    Message: TypeAlias = records.Message | fastread.Message


def conversation(record: Record) -> dict[str, Any]:
    """Return a conversation as `list --json` shows it."""
    return {
        "id": record.id,
        "handle": record.handle,
        "title": record.title,
        "provider": record.provider,
        "model": record.model,
        **_order(record),
        "message_count": record.message_count,
        "created_at_ms": record.created_at_ms,
        "updated_at_ms": record.updated_at_ms,
        **_going(record),
    }


def _going(record: Record) -> dict[str, Any]:
    """Return when a conversation went to the bin, and when it goes by itself, where it does."""
    times = {name: getattr(record, name) for name in ("deleted_at_ms", "expires_at_ms")}
    return {name: at_ms for name, at_ms in times.items() if at_ms is not None}


def _order(record: Record) -> dict[str, Any]:
    """Return where a conversation stands among the others."""
    return {
        "pinned": record.pinned,
        "tags": list(record.tags),
        "folder": record.folder,
        "archived_at_ms": record.archived_at_ms,
    }


def message(message: Message) -> dict[str, Any]:
    """Return a message as `show --json` and `chat --json` show it."""
    return {
        "id": message.id,
        "parent_id": message.parent_id,
        "role": message.role,
        "status": message.status,
        "text": message.text,
        "attachments": [_attachment(part) for part in attached(message)],
        "model": message.model,
        "finish_reason": message.finish_reason,
        "error": _why(message.error),
        "created_at_ms": message.created_at_ms,
    }


def attached(message: Message) -> Iterator[Mapping[str, Any]]:
    """Yield what is attached to *message*, each part's values by name."""
    from convostore.cli.page import plain_part

    for part in message.parts:
        tag, values = plain_part(part)
        if tag == "attachment":
            yield values


def _attachment(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("name", "media_type", "size", "sha256")}


def _why(error: records.ErrorRecord | fastread.Error | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "retryable": error.retryable,
    }


def document(record: Record, path: Sequence[Message]) -> dict[str, Any]:
    """Return a conversation with its head path, as `show --json` shows it."""
    return {
        "id": record.id,
        "handle": record.handle,
        "title": record.title,
        "provider": record.provider,
        "model": record.model,
        **_order(record),
        "head_id": path[-1].id if path else None,
        "messages": [message(each) for each in path],
    }


def error(error: ConvostoreError) -> dict[str, str]:
    """Return an error as the last line of `chat --json` shows it."""
    return {"type": "error", "code": error.code, "message": error.message, "hint": error.hint}


def to_line(value: object) -> str:
    """Return *value* as one JSON line, in ASCII: the same on every terminal and in every locale."""
    import json

    return json.dumps(value, separators=(",", ":")) + "\n"


def to_text(value: object) -> str:
    """Return *value* as a JSON document for people and programs, in ASCII."""
    import json

    return json.dumps(value, indent=2) + "\n"
