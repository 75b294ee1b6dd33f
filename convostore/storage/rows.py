"""Rows to records and back: the only place that knows how a value lies in its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from convostore.errors import StoreCorruptError
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import ConversationRecord, ErrorRecord, Message, RemoteThread, Usage
from convostore.storage.canonical import to_json
from convostore.storage.leases import is_dead
from convostore.storage.statements import json_rows
from convostore.storage.tables import conversation, message, remote_thread, tag, usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.storage.statements import Row

NANO = 1_000_000_000
_parts = msgspec.json.Decoder(
    list[int | ReasoningPart | ToolCallPart | ToolResultPart | OpaquePart | AttachmentPart]
)
_piece = msgspec.json.Decoder(ToolCallPart | ToolResultPart | OpaquePart)
_object = msgspec.json.Decoder(dict[str, Any])
_error = msgspec.json.Decoder(ErrorRecord)
_journal = msgspec.json.Decoder(list[tuple[int, str, str]])
_leases = msgspec.json.Decoder(list[tuple[int, str | None]])
_tags = msgspec.json.Decoder(list[tuple[str]])

_OF_THIS_STORE = {"owner_id", "changed_at_ms", "listed_at_ms"}  # in no record, and in no export
_own_columns = tuple(c for c in conversation.c if c.name not in _OF_THIS_STORE)
TAG_ROWS = (
    select(json_rows(tag.c.name))
    .where(tag.c.owner_id == conversation.c.owner_id, tag.c.conversation_id == conversation.c.id)
    .scalar_subquery()
)
RECORD_COLUMNS = (*_own_columns, TAG_ROWS)
RECORD_NAMES = (*(c.name for c in _own_columns), "tags")
MESSAGE_COLUMNS = tuple(c for c in message.c if c.name not in {"owner_id", "conversation_id"})
REMOTE_COLUMNS = (
    remote_thread.c.message_seq,
    remote_thread.c.server_url,
    remote_thread.c.dialect,
    remote_thread.c.remote_id,
    remote_thread.c.user_remote_id,
    remote_thread.c.root_id,
    remote_thread.c.same_text,
    remote_thread.c.expires_at_ms,
)
USAGE_COLUMNS = (
    usage.c.message_seq,
    usage.c.provider,
    usage.c.model,
    usage.c.created_at_ms,
    usage.c.input_tokens,
    usage.c.output_tokens,
    usage.c.cached_tokens,
    usage.c.reasoning_tokens,
    usage.c.cost_nano,
)


def decode_parts(text: str, shape: str | None) -> tuple[Part, ...]:
    """Return the parts that *shape* cuts out of *text*.

    Raises:
        StoreCorruptError: the stored shape cannot be read.
    """
    if shape is None:
        return (TextPart(text),) if text else ()
    parts: list[Part] = []
    at = 0
    for item in _decode(_parts, shape, "parts"):
        if isinstance(item, int):
            parts.append(TextPart(text[at : at + item]))
            at += item
        else:
            parts.append(item)
    return tuple(parts)


def encode_piece(part: ToolCallPart | ToolResultPart | OpaquePart) -> str:
    """Write a part that is not text as a journal row's text."""
    return to_json(part)


def fold_journal(rows: Iterable[tuple[int, str, str]]) -> tuple[Part, ...]:
    """Join journal rows (seq, kind, text), in any order, into the parts they are pieces of."""
    parts: list[Part] = []
    run: list[str] = []
    run_kind = ""

    def end_run() -> None:
        if run:
            joined = "".join(run)
            parts.append(TextPart(joined) if run_kind == "text" else ReasoningPart(joined))
            run.clear()

    for _, kind, text in sorted(rows):
        if kind in {"text", "reasoning"}:
            if kind != run_kind:
                end_run()
            run.append(text)
        else:
            end_run()
            parts.append(_decode(_piece, text, "journal"))
        run_kind = kind
    end_run()
    return tuple(parts)


def leases_from(running: str | None) -> dict[int, str | None]:
    """Return seq to lease of a JSON array of such pairs, as `json_rows` makes it."""
    return {} if running in {None, "[]"} else dict(_decode(_leases, running or "", "lease"))


def conversation_from(row: Row) -> ConversationRecord:
    """Make a record of a row of RECORD_COLUMNS."""
    values = dict(zip(RECORD_NAMES, row, strict=True))
    for name in ("settings", "metadata"):
        values[name] = object_from(values[name], name)
    values["pinned"] = bool(values["pinned"])
    values["tags"] = tags_from(values["tags"])
    return ConversationRecord(**values)


def object_from(text: str | None, name: str) -> dict[str, Any]:
    """Return the JSON object in the column *name*; NULL is an empty one."""
    found: dict[str, Any] = _decode(_object, text, name) if text else {}
    return found


def tags_from(rows: str | None) -> tuple[str, ...]:
    """Return the names in a JSON array of rows of tags, in order."""
    if rows in {None, "[]"}:
        return ()
    return tuple(sorted(name for (name,) in _decode(_tags, rows or "", "tag")))


def messages_from(rows: Iterable[Row], now_ms: int) -> list[Message]:
    """Make messages of rows of MESSAGE_COLUMNS plus the journal, in order of seq.

    A running reply shows its journal; if its writer is dead it shows as interrupted.
    """
    ids: dict[int, str] = {}
    messages = []
    for row in rows:
        # fmt: off
        (
            seq, id_, parent_seq, role, author, status, text, shape, provider, model, reason,
            error, key, lease, created_ms, finished_ms, hash_, source_id, author_id, journal,
        ) = row
        # fmt: on
        if status == "streaming":
            parts = fold_journal(_decode(_journal, journal or "[]", "journal"))
            text = "".join(part.text for part in parts if isinstance(part, TextPart))
            status = "interrupted" if is_dead(lease, now_ms) else status
        else:
            parts = decode_parts(text, shape)
        ids[seq] = id_
        # fmt: off
        messages.append(Message(  # by place: see `Message`
            role, text, id_, None if parent_seq is None else ids.get(parent_seq), seq, parent_seq,
            author, status, parts, provider, model, reason,
            None if error is None else _decode(_error, error, "error"),
            key, created_ms, finished_ms, hash_, source_id, author_id,
        ))
        # fmt: on
    return messages


def remote_from(row: Row) -> RemoteThread:
    """Make a remote thread of a row of REMOTE_COLUMNS."""
    _, server_url, dialect, remote_id, user_remote_id, root_id, same_text, expires_at_ms = row
    return RemoteThread(
        server_url=server_url,
        dialect=dialect,
        remote_id=remote_id,
        user_remote_id=user_remote_id,
        root_id=root_id,
        same_text=bool(same_text),
        expires_at_ms=expires_at_ms,
    )


def usage_from(row: Row) -> Usage:
    """Make a usage of a row of USAGE_COLUMNS."""
    cost_nano = row[8]
    return Usage(
        input_tokens=row[4],
        output_tokens=row[5],
        cached_tokens=row[6],
        reasoning_tokens=row[7],
        cost=None if cost_nano is None else cost_nano / NANO,
    )


def _decode(decoder: Any, text: str, what: str) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as error:
        raise StoreCorruptError(
            f"a stored {what} value cannot be read ({error})",
            hint="look: convostore db check --deep",
        ) from error
