"""What the two writes of an exchange are given, and what they return."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from convostore.records import RemoteThread, Usage

OnMoved: TypeAlias = Literal["branch", "follow", "error"]
AT_HEAD: Final = -1  # no message has this number


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about to be stored; its text has passed the gate.

    Attributes:
        shape: the parts as stored, or None when the text says it all (`rows.encode_parts`).
        author_id: None is the author's name, where there is one.
        error: as JSON.
        attachments: the sha256 of each attachment among the parts, in order.
    """

    id: str
    role: str
    text: str
    shape: str | None = None
    author: str | None = None
    author_id: str | None = None
    status: str = "completed"
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    idempotency_key: str | None = None
    lease: str | None = None
    source_id: str | None = None
    attachments: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a write made of a conversation's row: the fields of its record that writes move."""

    head_seq: int | None
    last_seq: int
    message_count: int
    updated_at_ms: int
    title: str | None
    title_source: str | None
    provider: str | None
    model: str | None


class BeginTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Write 1 of a turn: the user's message and the empty reply.

    Attributes:
        head_seq: where the caller believes the conversation to stand; None is empty.
        below_seq: the message that the new ones go below, None is a new root; AT_HEAD is the head:
            the caller's, or the stored one where that moved and `on_moved` is "follow".
        on_moved: what to do when it stands elsewhere; "branch" leaves the stored head there.
        one_at_a_time: refuse while any reply of the conversation runs, not only the parent.
        user: None adds a reply alone, as a sibling answer to the question `below_seq`.
        as_of: the last_seq by which the caller knows what was said; where the conversation has
            another, nothing is written. None is read just now, and may be behind.
        again: with a reply alone, also where one that answers it runs or stands there already.
        reply: with status `streaming` and the writer's lease.
        title: the conversation's title, if it has none yet.
        model: the conversation's model from now on, and so the reply's provider; None is the
            provider's first.
    """

    conversation_id: str
    head_seq: int | None
    on_moved: OnMoved
    one_at_a_time: bool
    user: NewMessage | None
    reply: NewMessage
    now_ms: int
    below_seq: int | None = AT_HEAD
    again: bool = False
    as_of: int | None = None
    title: str | None = None
    model: str | None = None


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Write 1 is on disk.

    Attributes:
        parent_seq: the message that the user's message answers.
        user_seq: the user's message.
        reply_seq: the running reply.
        branched: the head had moved, and this turn made a sibling branch.
        user_hash: the user message's content hash.
        change: what became of the conversation.
    """

    parent_seq: int | None
    user_seq: int
    reply_seq: int
    branched: bool
    user_hash: str | None
    change: Change


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """The idempotency key is stored already, with this user message."""

    conversation_id: str
    user_seq: int
    text: str


class Outdated(msgspec.Struct, frozen=True):
    """Nothing was written: the conversation has changed since what the caller knows of it."""


class FinishTurn(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a reply.

    Attributes:
        message_seq: the running reply.
        token: the writer's lease token.
        spare_id: the id of the sibling, should the reply have been closed and gone on from.
        call_id: the reply's id, under which its call is counted; None where nobody was asked.
        shape: the parts as stored, or None when the text says it all.
        error: as JSON.
        remote: the remote thread at the end, if it is newer than what was flushed.
        journaled: False where no flush of this writer has reached the disk: nothing to clear.
    """

    conversation_id: str
    message_seq: int
    token: str
    spare_id: str
    call_id: str | None
    status: str
    text: str
    shape: str | None
    now_ms: int
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    usage: Usage | None = None
    remote: RemoteThread | None = None
    journaled: bool = True


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Write 2 is on disk.

    Attributes:
        message_seq: where the text is now: the reply, or the sibling made for it.
        sibling: a sibling had to be made, for the reply had been closed and gone on from.
        content_hash: of the text as stored; None when an earlier try had stored it already.
    """

    message_seq: int
    sibling: bool
    content_hash: str | None


class EndUnbegun(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to be ended whose beginning nobody could confirm.

    Attributes:
        reply_id: it may be stored or not.
        end: how it ends where it is; its `message_seq` is not known yet.
    """

    conversation_id: str
    reply_id: str
    end: FinishTurn
