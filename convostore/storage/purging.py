"""Removing whole conversations for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy import and_, bindparam, select

from convostore.errors import ConversationBusyError
from convostore.storage.canonical import to_json
from convostore.storage.journal import close_dead
from convostore.storage.leases import is_dead
from convostore.storage.removal import remove_conversations
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import IS_RUNNING, conversation, message
from convostore.storage.tombstones import add_tombstones, hashes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.errors import ConvostoreError
    from convostore.storage.statements import Tx


class Purge(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a conversation for good.

    Attributes:
        only: leave it where it is not in the bin any more, or has not expired by now.
        now_ms: to tell which running replies are dead, and what has expired.
        tombstone: no later import brings it back by itself.
    """

    conversation_id: str
    now_ms: int
    only: Literal["binned", "expired"] | None = None
    tombstone: bool = True

    def means(self, deleted_at_ms: int | None, expires_at_ms: int | None) -> bool:
        """Tell whether one that stands so is meant."""
        if self.only == "binned":
            return deleted_at_ms is not None
        has_expired = expires_at_ms is not None and expires_at_ms <= self.now_ms
        return self.only is None or has_expired


class Purged(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation is gone for good.

    Attributes:
        messages: how many went with it.
        changed: it went; always.
    """

    messages: int
    changed: bool = True


_STANDS = Hot(
    select(
        conversation.c.id,
        conversation.c.handle,
        conversation.c.deleted_at_ms,
        conversation.c.expires_at_ms,
        conversation.c.message_count,
        conversation.c.source,
        conversation.c.source_id,
        message.c.lease,
        message.c.seq,
    )
    .select_from(
        conversation.outerjoin(
            message,
            and_(
                message.c.owner_id == conversation.c.owner_id,
                message.c.conversation_id == conversation.c.id,
                IS_RUNNING,
            ),
        )
    )
    .where(conversation.c.owner_id == bindparam("owner_id"), one_of(conversation.c.id, "ids"))
)


class _Stands:
    """How a conversation stands: its handle, when it went or goes, and whether it is busy.

    Attributes:
        came_from: source and source id.
    """

    def __init__(
        self,
        handle: str,
        times: tuple[int | None, int | None],
        messages: int,
        came_from: tuple[str | None, str | None],
    ) -> None:
        self.handle, self.times, self.messages = handle, times, messages
        self.came_from = came_from
        self.running: list[tuple[int, str | None]] = []  # replies by number, with their leases


EXPIRED = Hot(
    select(conversation.c.id)
    .where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.expires_at_ms.is_not(None),  # as its index has it
        conversation.c.expires_at_ms <= bindparam("now_ms"),
    )
    .order_by(conversation.c.expires_at_ms)
    .limit(bindparam("most"))
)


def purge_conversations(
    tx: Tx, owner_id: str, jobs: Sequence[Purge]
) -> list[Purged | ConvostoreError]:
    """Remove each conversation with everything that is kept of it, but for what was paid.

    One whose reply is being written stays as it is.
    """
    stands = _standings(tx, owner_id, jobs)
    outcomes: list[Purged | ConvostoreError] = []
    gone: dict[str, Purged] = {}
    stay_gone: list[str] = []
    for job in jobs:
        id_ = job.conversation_id
        found = stands.get(id_)
        if found is None:
            # Gone by an earlier try of this same write, most likely.
            again = Purged(messages=0) if tx.again else None
            outcomes.append(again or no_conversation(tx, owner_id, id_))
        elif not job.means(*found.times):
            outcomes.append(no_conversation(tx, owner_id, id_))
        elif any(not is_dead(lease, job.now_ms) for _, lease in found.running):
            outcomes.append(_busy(found.handle))
        else:
            close_dead(tx, owner_id, id_, [seq for seq, _ in found.running], job.now_ms)
            gone[id_] = Purged(messages=found.messages)
            outcomes.append(gone[id_])
            stay_gone += hashes_of(owner_id, id_, *found.came_from) if job.tombstone else []
    add_tombstones(tx, owner_id, stay_gone)
    remove_conversations(tx, owner_id, list(gone))
    return outcomes


def _standings(tx: Tx, owner_id: str, jobs: Sequence[Purge]) -> dict[str, _Stands]:
    ids = to_json(sorted({job.conversation_id for job in jobs}))
    stands: dict[str, _Stands] = {}
    for row in tx.rows(_STANDS, owner_id=owner_id, ids=ids):
        id_, handle, deleted_at_ms, expires_at_ms, messages, source, source_id, lease, seq = row
        times, came_from = (deleted_at_ms, expires_at_ms), (source, source_id)
        one = stands.setdefault(id_, _Stands(handle, times, messages, came_from))
        if seq is not None:
            one.running.append((seq, lease))
    return stands


def _busy(handle: str) -> ConversationBusyError:
    return ConversationBusyError(
        f"a reply of {handle} is still being written",
        hint="wait until it has ended, or stop it; then try again",
    )
