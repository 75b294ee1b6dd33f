"""The two writes of a turn, and the append of finished messages.

Each function takes a list of jobs: it reads all it needs, decides in Python, then writes. A
conflict is returned before the job's first row changes, so it needs no rollback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from convostore.errors import (
    ConversationBusyError,
    ConversationNotFoundError,
    ConvostoreError,
    DuplicateKeyError,
    HeadMovedError,
    MessageNotFoundError,
)
from convostore.storage.journal import DeadReply, interrupt_replies, parent_hash
from convostore.storage.leases import is_dead
from convostore.storage.rows import content_hash, to_json
from convostore.storage.statements import Hot, Tx, one_of
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    from collections.abc import Sequence

OnMoved: TypeAlias = Literal["branch", "follow", "error"]
ANY_HEAD = -1  # an append that goes on wherever the conversation stands


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message about to be stored; its text has passed the gate.

    Attributes:
        shape: the parts as stored, or None when the text says it all (`rows.encode_parts`).
        error: as JSON.
    """

    id: str
    role: str
    text: str
    shape: str | None = None
    author: str | None = None
    status: str = "completed"
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error: str | None = None
    idempotency_key: str | None = None
    lease: str | None = None
    source_id: str | None = None


class BeginTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Write 1 of a turn: the user's message and the empty reply.

    Attributes:
        head_seq: where the caller believes the conversation to stand; None is empty.
        on_moved: what to do when it stands elsewhere.
        one_at_a_time: refuse while any reply of the conversation runs, not only the parent.
        user: None adds a reply under the message `head_seq`, as its sibling answer.
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
    """

    parent_seq: int | None
    user_seq: int
    reply_seq: int
    branched: bool
    user_hash: str | None


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """The idempotency key is stored already, with this user message."""

    conversation_id: str
    user_seq: int
    text: str


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Finished messages to be stored one after the other.

    Attributes:
        head_seq: where the conversation must stand; ANY_HEAD goes on wherever it does.
    """

    conversation_id: str
    messages: tuple[NewMessage, ...]
    now_ms: int
    head_seq: int | None = ANY_HEAD
    title: str | None = None


class Standing(msgspec.Struct):
    """How a conversation stands while a group of jobs is being decided."""

    head_seq: int | None
    last_seq: int
    running: dict[int, str | None]
    """seq to lease of the replies that run"""
    hashes: dict[int, str | None]
    """content hashes of messages made by this group"""


_STANDINGS = Hot(
    select(conversation.c.id, conversation.c.head_seq, conversation.c.last_seq).where(
        conversation.c.owner_id == bindparam("owner_id"),
        one_of(conversation.c.id, "ids"),
        conversation.c.deleted_at_ms.is_(None),
    )
)
_RUNNING = Hot(
    select(message.c.conversation_id, message.c.seq, message.c.lease).where(
        message.c.owner_id == bindparam("owner_id"),
        one_of(message.c.conversation_id, "ids"),
        message.c.status == "streaming",
    )
)
_BY_KEY = Hot(
    select(
        message.c.idempotency_key, message.c.conversation_id, message.c.seq, message.c.text
    ).where(message.c.owner_id == bindparam("owner_id"), one_of(message.c.idempotency_key, "keys"))
)
_BY_ID = Hot(
    select(message.c.id, message.c.conversation_id, message.c.seq, message.c.text).where(
        message.c.owner_id == bindparam("owner_id"), one_of(message.c.id, "ids")
    )
)
ADD_MESSAGE = Hot(insert(message))
ADVANCE = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        head_seq=bindparam("new_head_seq"),
        last_seq=bindparam("new_last_seq"),
        message_count=conversation.c.message_count + bindparam("more"),
        updated_at_ms=func.max(conversation.c.updated_at_ms, bindparam("now_ms")),
        title=func.coalesce(conversation.c.title, bindparam("new_title")),
        title_source=func.coalesce(conversation.c.title_source, bindparam("new_title_source")),
    )
)
ANSWERED_BY = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(provider=bindparam("new_provider"), model=bindparam("new_model"))
)


def standings(tx: Tx, owner_id: str, ids: list[str]) -> dict[str, Standing]:
    """Read how the named conversations stand; missing and deleted ones are left out."""
    names = to_json(sorted(set(ids)))
    found = {
        id_: Standing(head_seq=head, last_seq=last, running={}, hashes={})
        for id_, head, last in tx.rows(_STANDINGS, owner_id=owner_id, ids=names)
    }
    for id_, seq, lease in tx.rows(_RUNNING, owner_id=owner_id, ids=names):
        if id_ in found:
            found[id_].running[seq] = lease
    return found


def begin_turns(
    tx: Tx, owner_id: str, jobs: Sequence[BeginTurn]
) -> list[Begun | KnownKey | ConvostoreError]:
    """Store each turn's question and its empty reply, and move the head."""
    standing = standings(tx, owner_id, [job.conversation_id for job in jobs])
    known = _known_keys(tx, owner_id, jobs)
    outcomes: list[Begun | KnownKey | ConvostoreError] = []
    rows: list[dict[str, Any]] = []
    for job in jobs:
        stands = standing.get(job.conversation_id)
        key = job.user.idempotency_key if job.user else None
        if key in known:
            outcomes.append(known[key])
        elif stands is None:
            outcomes.append(no_conversation(job.conversation_id))
        else:
            outcome = _begin(tx, owner_id, job, stands, rows)
            outcomes.append(outcome)
            if key is not None and job.user is not None and isinstance(outcome, Begun):
                known[key] = KnownKey(
                    conversation_id=job.conversation_id,
                    user_seq=outcome.user_seq,
                    text=job.user.text,
                )
    tx.many(ADD_MESSAGE, rows)
    return outcomes


def _known_keys(tx: Tx, owner_id: str, jobs: Sequence[BeginTurn]) -> dict[str | None, KnownKey]:
    keys = [job.user.idempotency_key for job in jobs if job.user and job.user.idempotency_key]
    if not keys:
        return {}
    return {
        key: KnownKey(conversation_id=conversation_id, user_seq=seq, text=text)
        for key, conversation_id, seq, text in tx.rows(
            _BY_KEY, owner_id=owner_id, keys=to_json(keys)
        )
    }


def _begin(
    tx: Tx, owner_id: str, job: BeginTurn, stands: Standing, rows: list[dict[str, Any]]
) -> Begun | ConvostoreError:
    moved = stands.head_seq != job.head_seq and job.user is not None
    if moved and job.on_moved == "error":
        return head_moved()
    parent_seq = stands.head_seq if moved and job.on_moved == "follow" else job.head_seq
    if conflict := refuse_running(
        tx, owner_id, job.conversation_id, stands, parent_seq, job.now_ms, job.one_at_a_time
    ):
        return conflict
    branched = moved and job.on_moved == "branch"
    add = _Adding(tx, owner_id, job.conversation_id, stands, job.now_ms, rows)
    user_seq = parent_seq if job.user is None else add.message(job.user, parent_seq)
    if user_seq is None:
        return MessageNotFoundError("there is no message to answer")
    reply_seq = add.message(job.reply, user_seq)
    stands.running[reply_seq] = job.reply.lease
    add.advance(stands.head_seq if branched else reply_seq, 1 if job.user is None else 2, job.title)
    tx.run(
        ANSWERED_BY,
        of_owner_id=owner_id,
        of_id=job.conversation_id,
        new_provider=job.reply.provider,
        new_model=job.model,
    )
    return Begun(
        parent_seq=parent_seq,
        user_seq=user_seq,
        reply_seq=reply_seq,
        branched=branched,
        user_hash=stands.hashes.get(user_seq),
    )


def append_messages(
    tx: Tx, owner_id: str, jobs: Sequence[Append]
) -> list[tuple[int, ...] | ConvostoreError]:
    """Store finished messages and move the head; return their seqs.

    Message ids are the caller's: an append that is repeated finds its messages stored and
    returns the same seqs.
    """
    standing = standings(tx, owner_id, [job.conversation_id for job in jobs])
    ids = [new.id for job in jobs for new in job.messages]
    known = {
        id_: (conversation_id, seq, text)
        for id_, conversation_id, seq, text in tx.rows(_BY_ID, owner_id=owner_id, ids=to_json(ids))
    }
    outcomes: list[tuple[int, ...] | ConvostoreError] = []
    rows: list[dict[str, Any]] = []
    for job in jobs:
        stands = standing.get(job.conversation_id)
        if stands is None:
            outcomes.append(no_conversation(job.conversation_id))
        elif any(new.id in known for new in job.messages):
            outcomes.append(_stored_before(job, known))
        else:
            outcome = _append(tx, owner_id, job, stands, rows)
            outcomes.append(outcome)
            if isinstance(outcome, tuple):
                for new, seq in zip(job.messages, outcome, strict=True):
                    known[new.id] = (job.conversation_id, seq, new.text)
    tx.many(ADD_MESSAGE, rows)
    return outcomes


def _stored_before(
    job: Append, known: dict[str, tuple[str, int, str]]
) -> tuple[int, ...] | ConvostoreError:
    found = [known.get(new.id) for new in job.messages]
    same = all(
        at is not None and at[0] == job.conversation_id and at[2] == new.text
        for at, new in zip(found, job.messages, strict=True)
    )
    if same:
        return tuple(at[1] for at in found if at is not None)
    return DuplicateKeyError(
        "a message with the same id is stored already, with other content or elsewhere",
        hint="make a new message (Message.user, Message.assistant) for each append",
    )


def _append(
    tx: Tx, owner_id: str, job: Append, stands: Standing, rows: list[dict[str, Any]]
) -> tuple[int, ...] | ConvostoreError:
    if job.head_seq not in {ANY_HEAD, stands.head_seq}:
        return head_moved()
    if conflict := refuse_running(
        tx, owner_id, job.conversation_id, stands, stands.head_seq, job.now_ms, False
    ):
        return conflict
    add = _Adding(tx, owner_id, job.conversation_id, stands, job.now_ms, rows)
    seqs = []
    parent_seq = stands.head_seq
    for new in job.messages:
        parent_seq = add.message(new, parent_seq)
        seqs.append(parent_seq)
    add.advance(parent_seq, len(seqs), job.title)
    return tuple(seqs)


class _Adding:
    """Adds one job's messages to a conversation whose standing is known."""

    def __init__(
        self,
        tx: Tx,
        owner_id: str,
        conversation_id: str,
        stands: Standing,
        now_ms: int,
        rows: list[dict[str, Any]],
    ) -> None:
        self.tx, self.owner_id, self.conversation_id = tx, owner_id, conversation_id
        self.stands, self.now_ms, self.rows = stands, now_ms, rows

    def message(self, new: NewMessage, parent_seq: int | None) -> int:
        self.stands.last_seq += 1
        seq = self.stands.last_seq
        final = new.status != "streaming"
        hash_ = (
            content_hash(self._hash(parent_seq), new.role, new.text, new.shape) if final else None
        )
        self.stands.hashes[seq] = hash_
        self.rows.append(
            {
                "owner_id": self.owner_id,
                "conversation_id": self.conversation_id,
                "seq": seq,
                "id": new.id,
                "parent_seq": parent_seq,
                "role": new.role,
                "author": new.author,
                "status": new.status,
                "text": new.text,
                "parts": new.shape,
                "provider": new.provider,
                "model": new.model,
                "finish_reason": new.finish_reason,
                "error": new.error,
                "idempotency_key": new.idempotency_key,
                "lease": new.lease,
                "created_at_ms": self.now_ms,
                "finished_at_ms": self.now_ms if final else None,
                "content_hash": hash_,
                "source_id": new.source_id,
            }
        )
        return seq

    def _hash(self, seq: int | None) -> str | None:
        if seq in self.stands.hashes:
            return self.stands.hashes[seq]
        return parent_hash(self.tx, self.owner_id, self.conversation_id, seq)

    def advance(self, head_seq: int | None, more: int, title: str | None) -> None:
        self.stands.head_seq = head_seq
        self.tx.run(
            ADVANCE,
            of_owner_id=self.owner_id,
            of_id=self.conversation_id,
            new_head_seq=head_seq,
            new_last_seq=self.stands.last_seq,
            more=more,
            now_ms=self.now_ms,
            new_title=title,
            new_title_source=None if title is None else "fallback",
        )


def refuse_running(
    tx: Tx,
    owner_id: str,
    conversation_id: str,
    stands: Standing,
    parent_seq: int | None,
    now_ms: int,
    one_at_a_time: bool,
) -> ConvostoreError | None:
    """Return the conflict with a running reply, if any; close those whose writer died."""
    for seq, lease in list(stands.running.items()):
        if is_dead(lease, now_ms):
            dead = DeadReply(conversation_id=conversation_id, message_seq=seq, now_ms=now_ms)
            interrupt_replies(tx, owner_id, [dead])
            del stands.running[seq]
        elif one_at_a_time or seq == parent_seq:
            return ConversationBusyError(
                "a reply of this conversation is still running",
                hint="wait until it has ended, or stop it",
            )
    return None


def no_conversation(conversation_id: str) -> ConversationNotFoundError:
    """Return the error for a conversation that this owner does not have."""
    return ConversationNotFoundError(
        f"there is no conversation {conversation_id}", hint="see them all: convostore list"
    )


def head_moved() -> HeadMovedError:
    """Return the error for a write that insisted on the head it had read."""
    return HeadMovedError(
        "somebody else wrote to this conversation since it was read",
        hint="read it again with resume(), then decide",
    )
