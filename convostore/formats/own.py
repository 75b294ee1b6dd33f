"""A conversation as our own export tells it: what the reader makes of its lines, and import stores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from convostore.parts import AttachmentPart
from convostore.records import ConversationRecord, Message, UsageRecord
from convostore.text import FAR_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = "convostore"  # the format, as it is typed
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MOST_SEQ: Final = 2**30  # it leaves room below 2**31 for what is said later
_MOST_COUNT: Final = 2**63 - 1
_MOST_COST: Final = 2**63 // 10**9  # costs are kept as billionths


def _nothing(sha256: str) -> None:
    del sha256


class OwnConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of an export of ours.

    Attributes:
        where: the line at which it begins.
        messages: by seq, ascending; parents have the lower number.
        originals: the JSON of the program it was imported from, by seq; 0 is its own.
        told_at_ms: when the export was written.
        listed: only how it is listed is told, for no message of it has changed.
        opener: returns what opens the bytes of an attachment, by its sha256, from any thread; None
            where they did not come along.
    """

    where: str
    record: ConversationRecord
    messages: tuple[Message, ...] = ()
    usage: tuple[UsageRecord, ...] = ()
    originals: dict[int, str] = {}
    told_at_ms: int = 0
    listed: bool = False
    opener: Callable[[str], Callable[[], BinaryIO] | None] = _nothing

    def attachments(self) -> Iterator[AttachmentPart]:
        """Yield the attachments to which its messages refer, one more than once where it is so."""
        for message in self.messages:
            yield from (part for part in message.parts if isinstance(part, AttachmentPart))


def flaw(one: OwnConversation) -> str | None:
    """Return what is wrong with a conversation, so that it cannot be what a store held; else None."""
    return (
        _flaw_of_record(one)
        or _flaw_of_tree(one.messages)
        or _flaw_of_originals(one)
        or _flaw_of_usage(one)
    )


def _flaw_of_record(one: OwnConversation) -> str | None:
    record = one.record
    if not _ID.fullmatch(record.id):
        return "its id is none of ours"
    times = (record.created_at_ms, record.updated_at_ms, record.archived_at_ms)
    if not _are_times(*times, record.deleted_at_ms, record.expires_at_ms):
        return "its times are of no calendar"
    if not 0 <= record.last_seq <= _MOST_SEQ:
        return "its last number is none that a store hands out"
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
        if not last < seq <= _MOST_SEQ or not message.id or message.id in ids:
            return f"message {seq} has no number or id of its own"
        if message.parent_seq is not None and message.parent_seq not in seqs:
            return f"message {seq} stands below one that is not there before it"
        if not _are_times(message.created_at_ms, message.finished_at_ms):
            return f"message {seq} has a time of no calendar"
        seqs.add(seq)
        ids.add(message.id)
        last = seq
    return None


def _flaw_of_usage(one: OwnConversation) -> str | None:
    """Return what is wrong with what was paid; None where nothing is."""
    for call in one.usage:
        if not _are_times(call.created_at_ms) or not 0 <= (call.message_seq or 0) <= _MOST_SEQ:
            return f"what was paid ({call.id:.36}) has a time or a number of no message"
        if any(not 0 <= (count or 0) <= _MOST_COUNT for count in _counts(call)):
            return f"what was paid ({call.id:.36}) has a count that is none"
        if not abs(call.usage.cost or 0) < _MOST_COST:
            return f"what was paid ({call.id:.36}) is no price"
    return None


def _flaw_of_originals(one: OwnConversation) -> str | None:
    """Return what is wrong with what the origin said: it is read again when it goes back there."""
    if not one.originals.keys() <= {0, *(message.seq for message in one.messages)}:
        return "an original is of a message that is not there"
    for seq, data in one.originals.items():
        try:
            msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return f"original {seq} cannot be read as JSON"
    return None


def _counts(call: UsageRecord) -> tuple[int | None, ...]:
    spent = call.usage
    tokens = (spent.input_tokens, spent.output_tokens)
    return (*tokens, spent.cached_tokens, spent.reasoning_tokens)


def _are_times(*times: int | None) -> bool:
    """Tell whether a calendar shows each of *times*."""
    return all(at is None or 0 <= at <= FAR_MS for at in times)
