"""What a caller may append: each field is looked at, and what is wrong is named."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from convostore.carrying import checked, contents_of
from convostore.errors import InvalidTextError
from convostore.ids import new_id
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import ROLES, ErrorRecord, Message, Status
from convostore.storage.canonical import encode_parts, to_json
from convostore.storage.exchanges import NewMessage
from convostore.storage.rows import decode_parts
from convostore.text import gate, gate_json, gate_mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convostore.parts import Part
    from convostore.storage.appends import Append, Appended
    from convostore.turning.place import Place

_OPTIONAL: Final = (
    *("author", "author_id", "provider", "model", "finish_reason", "idempotency_key", "source_id"),
)
_FOUND_BY: Final = frozenset({"id", "idempotency_key", "source_id", "author", "author_id"})
MOST_OF_A_KEY: Final = 400  # bytes of a part of an idempotency key, as JSON; a longer one is hashed
_FINAL: Final = tuple(one for one in get_args(Status) if one != "streaming")
_TEXTS: Final[dict[type, tuple[str, ...]]] = {
    TextPart: ("text",),
    ReasoningPart: ("text",),
    ToolCallPart: ("id", "name", "args"),
    ToolResultPart: ("id", "name", "content"),
    OpaquePart: ("kind",),
    AttachmentPart: ("sha256", "media_type", "name"),
}


def once_key(place: Place, key: str | None, *version: str) -> str | None:
    """Return the key of something that is stored only once, as it is stored.

    It holds within its conversation: what is called so elsewhere has nothing to do with it.

    Args:
        place: the conversation; what it was called first, or its id where it has no key, is the scope.
        key: the caller's, already looked at; None is no key.
        version: which of the things that have this key, where there may be several.
    """
    if key is None:
        return None
    record = place.record
    scope = record.scope or record.key or record.id
    return to_json([_short(part) for part in (scope, key, *version)])


def _short(part: str) -> str:
    """Return a part of a key, as it is up to some length: all of them stand in one index."""
    if len(part) <= MOST_OF_A_KEY // 6 or len(to_json(part).encode()) <= MOST_OF_A_KEY:
        return part
    return "sha256:" + hashlib.sha256(part.encode()).hexdigest()


def new_messages(place: Place, messages: Sequence[Message]) -> tuple[NewMessage, ...]:
    """Return a caller's messages as they will be stored.

    Raises:
        InvalidTextError: a message or a field of it cannot be stored; the error names it.
    """
    return tuple(_new(place, one, f"message {at}") for at, one in enumerate(messages, start=1))


def stored(messages: Sequence[Message], job: Append, done: Appended) -> Iterator[Message]:
    """Yield the messages of an append as they are stored."""
    above_seq, above_id = done.parent_seq, done.parent_id
    for message, new, seq, hash_ in zip(
        messages, job.messages, done.seqs, done.hashes, strict=True
    ):
        yield msgspec.structs.replace(
            message,
            id=new.id,
            seq=seq,
            parent_seq=above_seq,
            parent_id=above_id,
            parts=tuple(message.parts) or decode_parts(new.text, None),
            idempotency_key=new.idempotency_key,
            author_id=new.author_id or new.author,
            created_at_ms=job.now_ms,
            finished_at_ms=job.now_ms,
            content_hash=hash_,
        )
        above_seq, above_id = seq, new.id


def _new(place: Place, message: Message, what: str) -> NewMessage:
    if not isinstance(message, Message):
        raise InvalidTextError(
            f"{what} is no Message but {type(message).__name__}",
            hint="make it with Message.user(...) or Message.assistant(...)",
        )
    for name in ("id", "text", *_OPTIONAL):
        if (said := getattr(message, name)) is not None or name in {"id", "text"}:
            (gate_mark if name in _FOUND_BY else gate)(said, f"the {name} of {what}")
    _one_of(message.role, ROLES, f"the role of {what}")
    if message.status == "streaming":
        raise InvalidTextError(
            f"{what} is not finished: only finished messages can be appended",
            hint="stream() makes running ones",
        )
    _one_of(message.status, _FINAL, f"the status of {what}")
    text, shape = _content(message, what)
    return NewMessage(
        id=message.id or new_id(),
        role=message.role,
        text=text,
        shape=shape,
        author=message.author,
        author_id=message.author_id,
        status=message.status,
        provider=message.provider,
        model=message.model,
        finish_reason=message.finish_reason,
        error=_error(message.error, what),
        idempotency_key=once_key(place, message.idempotency_key),
        source_id=message.source_id,
        attachments=contents_of(message.parts),
    )


def _one_of(value: object, known: Sequence[str], what: str) -> None:
    if not isinstance(value, str) or value not in known:
        shown = repr(value) if isinstance(value, str) else type(value).__name__
        raise InvalidTextError(f"{what} is {shown}", hint=f"take one of: {', '.join(known)}")


def _content(message: Message, what: str) -> tuple[str, str | None]:
    """Return text and shape of a message's content."""
    if not isinstance(message.parts, tuple | list):
        raise InvalidTextError(
            f"the parts of {what} are no tuple but {type(message.parts).__name__}",
            hint="give a tuple of TextPart, ToolCallPart ...",
        )
    for at, part in enumerate(message.parts, start=1):
        _check(part, f"part {at} of {what}")
    if not message.parts:
        return message.text, None
    text, shape = encode_parts(message.parts)
    if shape is not None:
        gate(shape, f"the parts of {what}")
    if text != message.text:
        raise InvalidTextError(
            f"the text of {what} is not the joined text of its parts",
            hint="give parts whose TextParts say exactly the text",
        )
    return text, shape


def _check(part: Part, what: str) -> None:
    names = _TEXTS.get(type(part))
    if names is None:
        raise InvalidTextError(
            f"{what} is no part but {type(part).__name__}",
            hint="take TextPart, AttachmentPart (see store.attach), ToolCallPart or another of them",
        )
    for name in names:
        gate(getattr(part, name), f"the {name} of {what}")
    if isinstance(part, ToolCallPart) and not part.id:
        raise InvalidTextError(
            f"the id of {what}, a tool call, is empty",
            hint="give each call an id: its result names it",
        )
    if isinstance(part, AttachmentPart):
        checked(part, what)
    if isinstance(part, OpaquePart):
        gate_json(part.data, f"the data of {what}")


def _error(error: ErrorRecord | None, what: str) -> str | None:
    if error is None:
        return None
    try:
        msgspec.convert(msgspec.to_builtins(error), ErrorRecord)
    except (msgspec.ValidationError, TypeError) as wrong:
        raise InvalidTextError(
            f"the error of {what} is no ErrorRecord: {wrong}", hint="give an ErrorRecord, or none"
        ) from wrong
    return to_json(error)
