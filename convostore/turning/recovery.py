"""What a crash left behind: replies whose writer died, and what the far side kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convostore import clock
from convostore.errors import ProviderError, ProviderTimeoutError
from convostore.events import Finished
from convostore.ids import new_id
from convostore.parts import Part, ReasoningPart, TextPart
from convostore.providers.faults import passes
from convostore.storage import reads
from convostore.storage.adopting import Adopt, adopt_replies
from convostore.storage.canonical import encode_parts
from convostore.storage.journal import DeadReply, interrupt_replies
from convostore.storage.leases import is_dead
from convostore.turning.heeding import within
from convostore.turning.reply import cleaned, storable

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import Message, RemoteThread
    from convostore.storage.database import Database
    from convostore.turning.place import Place

PATIENCE_S: Final = 10.0  # for the far side's word on a broken reply, before the next turn
SHORT_PATIENCE_S: Final = 1.5  # the same right after it broke, with a caller waiting for the error


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


def is_unsettled(reply: Message) -> bool:
    """Tell whether the far side may have the whole of a reply that broke off here."""
    if reply.status == "failed":
        return reply.error is not None and reply.error.unsettled
    return reply.status == "interrupted"


def is_answer(reply: Message) -> bool:
    """Tell whether a reply answers its question, so that a repeat of it need not be asked again.

    One that was stopped before anything came does not: the model may never have been asked.
    """
    return reply.status == "completed" or (reply.status == "stopped" and bool(reply.parts))


async def ask_for_the_whole(
    provider: Provider, remote: RemoteThread, identity: str, *, patience_s: float = PATIENCE_S
) -> Finished | None:
    """Ask the far side for the whole of a reply that broke off; None when it has none.

    Args:
        provider: whom to ask.
        remote: what the far side keeps of the reply.
        identity: who the conversation is at that server.
        patience_s: how long to wait for the answer.

    Raises:
        ProviderError: it could not be asked.
    """
    try:
        whole = await within(patience_s, provider.recover(remote, identity))
        if whole is not None:
            msgspec.convert(msgspec.to_builtins(whole), Finished)  # of the right kinds
    except ProviderError:
        raise
    except TimeoutError:
        raise ProviderTimeoutError(
            "the far side does not say whether it has the rest of the last answer",
            provider=provider.name,
            hint="try again in a moment",
            retryable=True,
        ) from None
    except BaseException as raised:
        if passes(raised):
            raise
        return None  # a fault in a provider must not keep the reply from its end
    return storable(whole) if whole is not None and whole.text else None


async def adopt(place: Place, broken: Message, provider: Provider) -> int | None:
    """Ask the far side for the whole of a reply that broke off unsettled, and store it.

    The broken reply stays as it is; what the far side had kept becomes its sibling and the head.

    Returns:
        The seq of that sibling; None when nothing was to be had, or was wanted any more.

    Raises:
        ProviderError: it could not be asked now, but may be later; till then nothing may be sent.
        StoreError: the store cannot be read or written.
    """
    database, owner_id, record = place.database, place.owner_id, place.record
    remote = await reads.remote_of(database, owner_id, record.id, broken.seq)
    if remote is None or broken.provider != provider.name or _is_over(remote):
        return None
    try:
        whole = await ask_for_the_whole(provider, remote, place.identity_at(remote.server_url))
    except ProviderError as error:
        if error.retryable:
            raise
        return None  # it will not answer this question, today or tomorrow
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
    seq: int | None = await database.write(adopt_replies, owner_id, job)
    return seq


def _is_over(remote: RemoteThread) -> bool:
    """Tell whether the far side has forgotten a thread by now."""
    return remote.expires_at_ms is not None and remote.expires_at_ms <= clock.now_ms()


def parts_of(whole: Finished) -> tuple[Part, ...]:
    """Return a recovered reply's content: its reasoning, if any, then its text."""
    reasoning, text = cleaned(whole.reasoning), cleaned(whole.text or "")
    parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
    return (*parts, TextPart(text)) if text else tuple(parts)
