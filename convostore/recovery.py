"""What a crash left behind: replies whose writer died, and what the far side kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore import clock
from convostore.ids import new_id
from convostore.records import Part, ReasoningPart, TextPart
from convostore.reply import cleaned, storable
from convostore.storage import reads
from convostore.storage.adopting import Adopt, adopt_replies
from convostore.storage.journal import DeadReply, interrupt_replies
from convostore.storage.leases import is_dead
from convostore.storage.rows import encode_parts

if TYPE_CHECKING:
    from convostore.events import Finished
    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord, Message, RemoteThread
    from convostore.storage.database import Database

PATIENCE_S: Final = 60.0  # for the far side's word on a broken reply


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


async def ask_for_the_whole(
    provider: Provider, remote: RemoteThread, anonymous_user_id: str
) -> Finished | None:
    """Ask the far side for the whole of a reply that broke off; None when that is not to be had.

    Whatever keeps the far side from answering, the error that broke the reply, or the send that
    follows, tells more.
    """
    try:
        async with clock.timeout(PATIENCE_S):
            whole = await provider.recover(remote, anonymous_user_id)
    except Exception:  # noqa: BLE001 - a fault in a provider must not keep the reply from its end
        return None
    return storable(whole) if whole is not None and whole.text else None


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
    whole = await ask_for_the_whole(provider, remote, record.anonymous_user_id or "")
    if whole is None:
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
