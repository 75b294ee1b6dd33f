"""Bring a conversation of our own export into the store, with the attachments that came along."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec

from convostore import clock
from convostore.carrying import take_in
from convostore.errors import AttachmentError, InvalidTextError
from convostore.handles import HANDLE_LENGTH, is_handle_like
from convostore.ids import new_handle
from convostore.parts import AttachmentPart, OpaquePart, Part
from convostore.storage.canonical import content_hash, encode_parts, to_json
from convostore.storage.newcomers import ContentsMissing, Imported
from convostore.storage.ordering import refused_metadata
from convostore.storage.owner_rows import OwnerGone
from convostore.storage.packing import packed
from convostore.storage.rejoining import OwnRows
from convostore.storage.restoring import restore_conversations
from convostore.storage.rows import NANO
from convostore.text import (
    MOST_TAGS,
    gate,
    gate_key,
    gate_mark,
    gate_name,
    gate_object,
    gate_settings,
    gate_tag,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping
    from typing import BinaryIO

    from convostore.exchange.fitting import Wish
    from convostore.formats.own import OwnConversation
    from convostore.owned import Owned
    from convostore.records import ConversationRecord, Message, UsageRecord

_PIECE_BYTES: Final = 256 * 1024
_NAMES: Final = (
    *("id", "author", "author_id", "provider", "model"),
    *("finish_reason", "idempotency_key", "source_id"),
)
_KNOWN_BY: Final = ("author", "author_id", "idempotency_key")
_COUNTS: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


async def restored(
    owned: Owned, one: OwnConversation, wish: Wish, *, most_bytes: int
) -> tuple[Imported, tuple[str, ...]]:
    """Store a conversation, or what came to it; return what became of it, and what had to be mended.

    Args:
        owned: whose it will be.
        one: as it was read.
        wish: what the caller of the import wants.
        most_bytes: of one attachment.

    Raises:
        InvalidTextError: no store can hold it.
        ConflictError: it goes against what is stored.
        AttachmentError: an attachment is damaged, or larger than this store takes.
        StoreError: the store cannot be read or written.
    """
    nowhere: set[str] = set()
    while True:
        at = await (owned.for_reading() if wish.dry_run else owned.for_writing())
        job = rows_of(one, wish, nowhere=nowhere)
        if at is None:  # nobody has anything yet
            return Imported(kept="added", messages=len(one.messages), title=one.record.title), ()
        outcome = await at[0].write(restore_conversations, at[1], job)
        if isinstance(outcome, ContentsMissing):
            for sha256 in outcome.contents:
                if (opened := one.opener(sha256)) is None:
                    nowhere.add(sha256)
                else:
                    await _take_in(owned, sha256, opened, most_bytes)
        elif isinstance(outcome, Imported):
            lost = f"attachments of which the export has no bytes: {len(nowhere)}"
            return outcome, (lost,) if nowhere else ()
        else:  # erased by somebody else: one of that name is made anew
            assert isinstance(outcome, OwnerGone)  # noqa: S101 - all that is left
            owned.forget()


async def _take_in(
    owned: Owned, sha256: str, opened: Callable[[], BinaryIO], most_bytes: int
) -> None:
    at = await owned.for_writing()
    part = await take_in(*at, _pieces(opened), name=None, media_type=None, most_bytes=most_bytes)
    if isinstance(part, AttachmentPart) and part.sha256 != sha256:
        raise AttachmentError(f"the bytes of attachment {sha256[:12]} are not those that it had")


async def _pieces(opened: Callable[[], BinaryIO]) -> AsyncGenerator[bytes]:
    file = await asyncio.to_thread(opened)
    try:
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece
    finally:
        file.close()


def rows_of(one: OwnConversation, wish: Wish, *, nowhere: Collection[str] = ()) -> OwnRows:
    """Return a conversation as rows.

    Args:
        one: as it was read.
        wish: what the caller of the import wants.
        nowhere: attachments that are named, but whose bytes nobody has.

    Raises:
        InvalidTextError: no store can hold it.
    """
    messages: list[dict[str, Any]] = []
    attached: dict[int, tuple[str, ...]] = {}
    hashes: dict[int | None, str | None] = {None: None}
    for message in one.messages:
        row, contents = _message(message, hashes, nowhere)
        messages.append(row)
        if contents:
            attached[message.seq] = contents
    now_ms = clock.now_ms()
    return OwnRows(
        conversation=_conversation(one.record, messages),
        messages=messages,
        tags=_tags(one, wish),
        calls=[_call(call) for call in one.usage],
        attached=attached,
        originals={seq: packed(data.encode()) for seq, data in one.originals.items()},
        more_tags=tuple(gate_tag(name) for name in wish.tags),
        now_ms=now_ms,
        told_at_ms=max(0, min(one.told_at_ms, now_ms)),
        listed=one.listed,
        restore=wish.restore,
        dry_run=wish.dry_run,
    )


def _tags(one: OwnConversation, wish: Wish) -> tuple[str, ...]:
    """Return the tags, told and wished, as they are kept; see that they are no more than any has."""
    told = (*one.record.tags, *wish.tags)
    tags = {gate_tag(name) for name in told} if len(told) <= 2 * MOST_TAGS else told
    if len(tags) > MOST_TAGS:
        raise InvalidTextError(
            f"it would have {len(tags):,} tags, more than the {MOST_TAGS} that it may have",
            hint="take some out, or leave --tag out",
        )
    return tuple(sorted(tags))


def _gate(texts: Mapping[str, str | None], whose: str, *, found_by: Collection[str]) -> None:
    """See that texts beside the words can be stored; those in *found_by* stand in an index."""
    for name, text in texts.items():
        if text:
            (gate_mark if name in found_by else gate)(text, f"the {name} of {whose}")


def _conversation(record: ConversationRecord, messages: list[dict[str, Any]]) -> dict[str, Any]:
    fields = msgspec.structs.asdict(record)
    del fields["tags"]
    if record.key is not None:
        gate_key(record.key)
    names = ("provider", "model", "source", "source_id", "title_source", "scope")
    texts = {name: fields[name] for name in names}
    _gate(texts, "a conversation", found_by={"source", "source_id", "scope"})
    for name in ("settings", "metadata"):
        checked = gate_settings if name == "settings" else gate_object
        said = checked(fields[name], f"the {name} of a conversation")
        fields[name] = to_json(said) if said else None
    if (refused := refused_metadata(record.metadata)) is not None:
        raise refused
    handle = record.handle
    whole = len(handle) == HANDLE_LENGTH and is_handle_like(handle)
    return fields | {
        "title": None if record.title is None else gate(record.title, "the title"),
        "folder": None if record.folder is None else gate_name(record.folder, "the folder"),
        "handle": handle if whole else new_handle(),
        "anonymous_user_id": str(uuid4()),
        "pinned": int(record.pinned),
        "message_count": len(messages),
        "interrupted_count": sum(row["status"] == "interrupted" for row in messages),
        "last_seq": max(record.last_seq, messages[-1]["seq"] if messages else 0),
        "deleted_at_ms": record.deleted_at_ms,
    }


def _message(
    message: Message, hashes: dict[int | None, str | None], nowhere: Collection[str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a message's row, and the attachments to which it refers."""
    parts = tuple(_kept(part, nowhere) for part in message.parts)
    text, shape = encode_parts(parts)
    running = message.status == "streaming"
    status = "interrupted" if running else message.status  # whoever wrote it is elsewhere
    hash_ = message.content_hash
    if status != "erased" or hash_ is None:
        hash_ = content_hash(hashes[message.parent_seq], message.role, text, shape)
    hashes[message.seq] = hash_
    texts = {name: getattr(message, name) for name in _NAMES}
    _gate(texts, "a message", found_by={"id", "source_id", *_KNOWN_BY})
    row = {
        "seq": message.seq,
        "id": message.id,
        "parent_seq": message.parent_seq,
        "role": message.role,
        "author": message.author,
        "status": status,
        "text": gate(text, "the text of a message"),
        "parts": shape,
        "provider": message.provider,
        "model": message.model,
        "finish_reason": message.finish_reason,
        "error": None if message.error is None else to_json(message.error),
        "idempotency_key": message.idempotency_key,
        "lease": None,
        "created_at_ms": message.created_at_ms,
        "finished_at_ms": message.created_at_ms if running else message.finished_at_ms,
        "content_hash": hash_,
        "source_id": message.source_id,
        "author_id": message.author_id or message.author,
    }
    return row, tuple(part.sha256 for part in parts if isinstance(part, AttachmentPart))


def _kept(part: Part, nowhere: Collection[str]) -> Part:
    if isinstance(part, AttachmentPart) and part.sha256 in nowhere:
        return OpaquePart("attachment", msgspec.to_builtins(part))
    return part


def _call(call: UsageRecord) -> dict[str, Any]:
    spent = call.usage
    texts = {"id": call.id, "provider": call.provider, "model": call.model}
    _gate(texts, "what was paid", found_by={"id"})
    return {
        "id": call.id,
        "message_seq": call.message_seq or 0,
        "provider": call.provider,
        "model": call.model,
        "created_at_ms": call.created_at_ms,
        **{name: getattr(spent, name) for name in _COUNTS},
        "cost_nano": None if spent.cost is None else round(spent.cost * NANO),
    }
