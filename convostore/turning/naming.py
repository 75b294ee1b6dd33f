"""Which message is meant: by its id, its number, or the idempotency key with which it was stored.

A platform's message that was edited has several versions here, all of one key: the first question,
and each that was asked in its place (`Editing`). The newest is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convostore.errors import MessageNotFoundError
from convostore.storage import reads
from convostore.turning.appending import once_key

if TYPE_CHECKING:
    from convostore.records import Message
    from convostore.turning.place import Place


class Named(NamedTuple):
    """A message as it was named.

    Attributes:
        seqs: its own number last; before it those of its earlier versions.
        by_key: it was named by its idempotency key.
    """

    conversation_id: str
    seqs: tuple[int, ...]
    by_key: bool


async def named(place: Place, at: str | int) -> Named:
    """Find a message, also in a conversation of the same key that was set aside.

    Raises:
        MessageNotFoundError: there is no such message.
        StoreError: the store cannot be read.
    """
    where = (place.database, place.owner_id, place.record.id)
    if isinstance(at, str) and (key := once_key(place, at)) is not None:
        if (seq := await reads.seq_of(*where, at)) is not None:
            return Named(place.record.id, (seq,), by_key=False)
        if versions := await reads.versions_of(place.database, place.owner_id, key):
            return Named(versions[0][0], tuple(seq for _, seq in versions), by_key=True)
    return Named(place.record.id, (await reads.number_of(*where, at),), by_key=False)


def number_here(place: Place, at: str | int, found: Named) -> int:
    """Return the seq of a message that was found, if it is in this very conversation.

    Raises:
        MessageNotFoundError: it is in one that was set aside.
    """
    if found.conversation_id != place.record.id:
        raise MessageNotFoundError(
            f"message {at} is in a conversation of this key that was set aside",
            hint="reset() has begun this one since",
        )
    return found.seqs[-1]


async def number_of(place: Place, at: str | int) -> int:
    """Return the seq of a message of this conversation.

    Raises:
        MessageNotFoundError: the conversation has no such message.
        StoreError: the store cannot be read.
    """
    return number_here(place, at, await named(place, at))


async def message_of(place: Place, at: str | int) -> Message:
    """Read one message; a running reply as far as it is.

    Raises:
        MessageNotFoundError: the conversation has no such message.
        StoreError: the store cannot be read.
    """
    seq = await number_of(place, at)
    return await reads.message_at(place.database, place.owner_id, place.record.id, seq)
