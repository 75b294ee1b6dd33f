"""What a crash left behind: replies whose writer died, and what the far side kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore import clock
from convostore.errors import ProviderError
from convostore.ids import new_id
from convostore.records import Part, ReasoningPart, TextPart
from convostore.reply import cleaned
from convostore.storage import reads
from convostore.storage.endings import Adopt, adopt_replies
from convostore.storage.journal import DeadReply, interrupt_replies
from convostore.storage.leases import is_dead
from convostore.storage.rows import encode_parts

if TYPE_CHECKING:
    from convostore.events import Finished
    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord, Message
    from convostore.storage.database import Database


async def close_dead_replies(database: Database, owner_id: str) -> int:
    """Close all of an owner's running replies whose writer died; return how many.

    Raises:
        StoreError: the store cannot be written.
    """
    now_ms = clock.now_ms()
    dead = [
        DeadReply(conversation_id=id_, message_seq=seq, now_ms=now_ms)
        for id_, seq, lease in await reads.running_replies(database, owner_id)
        if is_dead(lease, now_ms)
    ]
    return sum([await database.write(interrupt_replies, owner_id, job) for job in dead])


async def adopt(
    database: Database,
    owner_id: str,
    record: ConversationRecord,
    broken: Message,
    provider: Provider,
) -> int | None:
    """Ask the far side for the whole of a reply that a crash broke off, and store it.

    The broken reply stays as it is; what the far side had kept becomes its sibling and the head.

    Returns:
        The seq at which the conversation now stands; None when nothing was to be had.

    Raises:
        StoreError: the store cannot be read or written.
    """
    remote = await reads.remote_of(database, owner_id, record.id, broken.seq)
    if remote is None or broken.provider != provider.name:
        return None
    try:
        whole = await provider.recover(remote, record.anonymous_user_id or "")
    except ProviderError:
        return None  # the send that follows will tell what is wrong with the far side
    if whole is None or not whole.text:
        return None
    text, shape = encode_parts(parts_of(whole))
    job = Adopt(
        conversation_id=record.id,
        broken_seq=broken.seq,
        id=new_id(),
        text=text,
        shape=shape,
        now_ms=clock.now_ms(),
        model=whole.model or broken.model,
        finish_reason=whole.finish_reason,
        remote=whole.remote or remote,
    )
    seq: int = await database.write(adopt_replies, owner_id, job)
    return seq


def parts_of(whole: Finished) -> tuple[Part, ...]:
    """Return a recovered reply's content: its reasoning, if any, then its text."""
    reasoning, text = cleaned(whole.reasoning), cleaned(whole.text or "")
    parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
    return (*parts, TextPart(text)) if text else tuple(parts)
