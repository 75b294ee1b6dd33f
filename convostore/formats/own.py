"""A conversation as our own export tells it: what the reader makes of its lines, and import stores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from convostore.parts import AttachmentPart
from convostore.records import ConversationRecord, Message, UsageRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = "convostore"  # the format, as it is typed
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MOST_SEQ: Final = 2**31 - 1
_FAR_MS: Final = 2**62


def _nothing(sha256: str) -> None:
    del sha256


class OwnConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of an export of ours.

    Attributes:
        where: the line at which it begins.
        messages: by seq, ascending; parents have the lower number.
        originals: the JSON of the program it was imported from, by seq; 0 is its own.
        listed: only how it is listed is told, for no message of it has changed.
        opener: returns what opens the bytes of an attachment, by its sha256, from any thread; None
            where they did not come along.
    """

    where: str
    record: ConversationRecord
    messages: tuple[Message, ...] = ()
    usage: tuple[UsageRecord, ...] = ()
    originals: dict[int, str] = {}
    listed: bool = False
    opener: Callable[[str], Callable[[], BinaryIO] | None] = _nothing

    def attachments(self) -> Iterator[AttachmentPart]:
        """Yield the attachments to which its messages refer, one more than once where it is so."""
        for message in self.messages:
            yield from (part for part in message.parts if isinstance(part, AttachmentPart))


def flaw(one: OwnConversation) -> str | None:
    """Return what is wrong with a conversation, so that it cannot be what a store held; else None."""
    return _flaw_of_record(one) or _flaw_of_tree(one.messages)


def _flaw_of_record(one: OwnConversation) -> str | None:
    record = one.record
    if not _ID.fullmatch(record.id):
        return "its id is none of ours"
    if not all(0 <= at < _FAR_MS for at in (record.created_at_ms, record.updated_at_ms)):
        return "its times are of no calendar"
    seqs = {message.seq for message in one.messages}
    if not one.listed and record.head_seq is not None and record.head_seq not in seqs:
        return "the message at which it stands is not there"
    if any(not _HASH.fullmatch(part.sha256) for part in one.attachments()):
        return "an attachment is named by no sha256"
    return None


def _flaw_of_tree(messages: Iterable[Message]) -> str | None:
    seqs: set[int] = set()
    ids: set[str] = set()
    last = 0
    for message in messages:
        seq = message.seq
        if not last < seq <= _MOST_SEQ or not _ID.fullmatch(message.id) or message.id in ids:
            return f"message {seq} has no number or id of its own"
        if message.parent_seq is not None and message.parent_seq not in seqs:
            return f"message {seq} stands below one that is not there before it"
        if not 0 <= message.created_at_ms < _FAR_MS:
            return f"message {seq} has a time of no calendar"
        seqs.add(seq)
        ids.add(message.id)
        last = seq
    return None
