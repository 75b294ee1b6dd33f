r"""Our own export: one JSON object a line, complete but for secrets.

.. code-block:: text

    {"type": "convostore", "version": 1, "program", "created_at_ms", "scope", "branches", ...}
    {"type": "conversation", ...}      everything but the anonymous user id
    {"type": "message", ...}           of the whole tree, by seq; `text` always,
                                       `parts` when the message is more than that text
    {"type": "attachment", ...}        a piece of what a message just told has attached: `data` in
                                       base64, pieces from `number` 0, once in a file for each sha256
    {"type": "original", ...}          of what was imported: the origin's own JSON, by the message's
                                       seq; 0 is the conversation's
    {"type": "usage", ...}             what its model calls cost
    {"type": "remote_thread", ...}     where the far side kept it, without the far side's ids
    {"type": "unchanged", ...}         in a step: a conversation of which no message has changed,
                                       as its own line would be; what no line names is gone
    ...                                the next conversation
    {"type": "usage", ...}             of an owner's whole export: what was paid in conversations
                                       that are gone
    {"type": "end", "conversations", "messages"}

A file without its `end` is cut off. Lines end with a line feed and are UTF-8; they must be split at
line feeds alone, for a text may hold other line separators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from convostore.errors import FormatError
from convostore.formats.writing import dumps
from convostore.parts import TextPart
from convostore.records import ConversationRecord, Message, RemoteThreadNote, UsageRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT: Final = "jsonl"
VERSION: Final = 1
_COMMA: Final = ord(",")
_encoder: Final = msgspec.json.Encoder()
NOT_A_LINE: Final = (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError)
Scope: TypeAlias = Literal["all", "chosen"]
Attachments: TypeAlias = Literal["base64", "beside", "reference"]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: what this file is.

    Attributes:
        version: of the format; a reader refuses one that it does not know.
        program: who wrote it.
        created_at_ms: when.
        scope: every conversation outside the bin, or chosen ones.
        branches: always the whole tree.
        attachments: where the bytes are: in base64, in lines of their own; beside this file, in
            the folder `attachments_folder`, each by its sha256; or in the store alone.
        attachments_folder: its name, in the folder of this file.
        since_ms: of a step: what has changed since then stands here whole; of the other
            conversations a line each says that they are there. None is no step.
        next_cursor: for the next step; None where chosen conversations are told.
    """

    version: int
    program: str
    created_at_ms: int
    scope: Scope
    branches: Literal["all"] = "all"
    attachments: Attachments = "base64"
    attachments_folder: str | None = None
    since_ms: int | None = None
    next_cursor: str | None = None


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last line: what the file holds when it is whole."""

    conversations: int
    messages: int


class AttachmentPiece(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the bytes of an attachment; the pieces of one follow each other.

    Attributes:
        sha256: of the whole, in hex.
        size: of the whole, in bytes.
        number: from 0.
        data: as base64 in the file.
    """

    sha256: str
    size: int
    number: int
    data: bytes


class Original(msgspec.Struct, frozen=True):
    """What a message, or as number 0 the conversation, was where it was imported from.

    Attributes:
        seq: the message's.
        data: the origin's JSON, as a text.
    """

    seq: int
    data: str


class Owned(msgspec.Struct, frozen=True):
    """A value together with the id of the conversation that it belongs to."""

    conversation_id: str
    value: Message | AttachmentPiece | UsageRecord | RemoteThreadNote | Original


class Unchanged(msgspec.Struct, frozen=True):
    """In a step: a conversation of which no message has changed; how it is listed may have."""

    record: ConversationRecord


Entry: TypeAlias = Header | ConversationRecord | Unchanged | Owned | End

_OWNED: Final[
    dict[str, type[Message | AttachmentPiece | UsageRecord | RemoteThreadNote | Original]]
] = {
    "original": Original,
    "message": Message,
    "attachment": AttachmentPiece,
    "usage": UsageRecord,
    "remote_thread": RemoteThreadNote,
}


def header(first: Header) -> str:
    """Write the first line."""
    return _line("convostore", msgspec.to_builtins(first))


def conversation(record: ConversationRecord) -> str:
    """Write a conversation's line, without the anonymous user id: it is a credential."""
    fields = msgspec.to_builtins(record)
    del fields["anonymous_user_id"]
    return _line("conversation", fields)


def unchanged(record: ConversationRecord) -> str:
    """Write the line of a conversation of which no message has changed, as `conversation` does."""
    fields = msgspec.to_builtins(record)
    del fields["anonymous_user_id"]
    return _line("unchanged", fields)


def messages(conversation_id: str, values: Iterable[Message]) -> str:
    """Write the lines of messages; of a plain message its text stands there once."""
    begin = f'{{"type":"message","conversation_id":{dumps(conversation_id)}'.encode()
    lines = bytearray()
    for value in values:
        lines += begin
        at = len(lines)
        _encoder.encode_into(_plain(value) if _says_text_alone(value) else value, lines, at)
        lines[at] = _COMMA  # in the place of the brace
        lines += b"\n"
    return lines.decode()


def message(conversation_id: str, value: Message) -> str:
    """Write a message's line, as `messages` does."""
    return messages(conversation_id, (value,))


def _says_text_alone(value: Message) -> bool:
    parts = value.parts
    return len(parts) == 1 and type(parts[0]) is TextPart and parts[0].text == value.text


def _plain(value: Message) -> Message:
    """Return a message whose line has no parts."""
    return msgspec.structs.replace(value, parts=msgspec.UNSET)


def originals(conversation_id: str, found: dict[int, bytes]) -> str:
    """Write the lines of what was imported, as it was there."""
    return "".join(
        _line("original", {"conversation_id": conversation_id, "seq": seq, "data": raw.decode()})
        for seq, raw in found.items()
    )


def attachment(conversation_id: str, value: AttachmentPiece) -> str:
    """Write the line of a piece of an attachment."""
    return _line("attachment", {"conversation_id": conversation_id, **msgspec.to_builtins(value)})


def usage(conversation_id: str, value: UsageRecord) -> str:
    """Write the line of one model call's cost."""
    return _line("usage", {"conversation_id": conversation_id, **msgspec.to_builtins(value)})


def remote_thread(conversation_id: str, value: RemoteThreadNote) -> str:
    """Write the line of what may be told of a remote thread."""
    fields = msgspec.to_builtins(value)
    return _line("remote_thread", {"conversation_id": conversation_id, **fields})


def end(*, conversations: int, messages: int) -> str:
    """Write the last line."""
    return _line("end", {"conversations": conversations, "messages": messages})


def decode(lines: Iterable[str]) -> Iterator[Entry]:
    """Read the lines of an export back, in order.

    Raises:
        FormatError: with the number of the line, counted from 1.
    """
    last: Entry | None = None
    number = 0
    for number, line in enumerate(lines, 1):
        try:
            found = entry(line)
        except NOT_A_LINE as error:
            raise _broken(number, f"not a line of this format: {error}") from error
        if (number == 1) != isinstance(found, Header):
            raise _broken(number, "the first line, and no other, says what the file is")
        if isinstance(found, Header) and found.version != VERSION:
            raise _broken(number, f"version {found.version} is not known here")
        if isinstance(last, End):
            raise _broken(number, "a line after the end")
        yield (last := found)
    if not isinstance(last, End):
        raise _broken(number, "the end is missing: the file is cut off")


def _line(kind: str, fields: dict[str, Any]) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode() + "\n"


def entry(line: str | bytes) -> Entry:
    """Read one line.

    Raises:
        NOT_A_LINE: it is none of this format.
    """
    fields: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    match fields.pop("type"):
        case "convostore":
            return msgspec.convert(fields, Header)
        case "conversation":
            return msgspec.convert(fields, ConversationRecord)
        case "unchanged":
            return Unchanged(msgspec.convert(fields, ConversationRecord))
        case "end":
            return msgspec.convert(fields, End)
        case kind:
            owner = msgspec.convert(fields.pop("conversation_id"), str)
            value = msgspec.convert(fields, _OWNED[kind])
            if isinstance(value, Message) and "parts" not in fields:
                value = msgspec.structs.replace(value, parts=(TextPart(value.text),))
            return Owned(owner, value)


def _broken(number: int, reason: str) -> FormatError:
    return FormatError(f"line {number}: {reason}", format=FORMAT, record=number, reason=reason)
