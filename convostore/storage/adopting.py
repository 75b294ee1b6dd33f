"""Adopting: what the far side had kept of a broken reply becomes its sibling and the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.records import RemoteThread
from convostore.storage.canonical import content_hash
from convostore.storage.journal import DeadReply, interrupt_replies, keep_remote
from convostore.storage.replies import STAND, advance, replies, sibling_row
from convostore.storage.retold import stored_message
from convostore.storage.search_marks import add_messages
from convostore.storage.standing import no_conversation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.errors import ConvostoreError
    from convostore.storage.statements import Tx


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply that the far side had kept of a broken one: becomes its sibling and the head.

    Attributes:
        broken_seq: the reply that broke off; nothing is adopted once it has an answer below it
            or is no longer the head.
    """

    conversation_id: str
    broken_seq: int
    id: str
    text: str
    shape: str | None
    now_ms: int
    model: str | None = None
    finish_reason: str | None = None
    remote: RemoteThread | None = None


def adopt_replies(
    tx: Tx, owner_id: str, jobs: Sequence[Adopt]
) -> list[int | ConvostoreError | None]:
    """Store what the far side had kept of broken replies, each as a sibling and the new head.

    Returns:
        For each job the seq at which the conversation now stands.
    """
    return [_adopt(tx, owner_id, job) for job in jobs]


def _adopt(tx: Tx, owner_id: str, job: Adopt) -> int | ConvostoreError | None:
    at = {"owner_id": owner_id, "conversation_id": job.conversation_id}
    standing = tx.rows(STAND, **at)
    place = (job.conversation_id, job.broken_seq)
    broken = replies(tx, owner_id, [place]).get(place)
    if not standing or broken is None:
        return no_conversation(tx, owner_id, job.conversation_id)
    if tx.again and (made := stored_message(tx, owner_id, job.id)):
        return made[0]
    head_seq, last_seq = standing[0]
    if head_seq != job.broken_seq:
        return None  # somebody went on meanwhile: theirs is the newer word
    if broken.status == "streaming":
        dead = DeadReply(
            conversation_id=job.conversation_id, message_seq=job.broken_seq, now_ms=job.now_ms
        )
        if interrupt_replies(tx, owner_id, [dead]) != [True]:
            return None  # its writer lives after all
    elif broken.status not in {"interrupted", "failed"}:
        return None  # it was only slow, and has ended by itself
    seq = int(last_seq) + 1
    row = sibling_row(owner_id, job.conversation_id, seq, job.now_ms)
    new = {
        "id": job.id,
        "parent_seq": broken.parent_seq,
        "role": broken.role,
        "status": "completed",
        "text": job.text,
        "parts": job.shape,
        "provider": broken.provider,
        "model": job.model,
        "finish_reason": job.finish_reason,
        "content_hash": content_hash(broken.above, broken.role, job.text, job.shape),
    }
    add_messages(tx, [row | new])
    advance(tx, owner_id, job.conversation_id, seq, seq)
    if job.remote is not None:
        keep_remote(tx, owner_id, job.conversation_id, seq, job.remote)
    return seq
