"""The verbs of a conversation that take it out of sight, and bring it back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from convostore import clock
from convostore.storage import reads
from convostore.storage.deleting import Binned, MoveBin, move_bins
from convostore.storage.forgetting import Forget, Forgotten, forget_messages
from convostore.storage.purging import Purge, Purged, purge_conversations
from convostore.storage.scrub_note import scrub_after, scrub_soon
from convostore.turning.lines import in_line, when_free
from convostore.turning.naming import named
from convostore.turning.place import Placed

if TYPE_CHECKING:
    from convostore.records import ConversationRecord
    from convostore.turning.place import Place


class Deleting(Placed):
    """How a conversation goes; `Conversation` has these verbs. Each may be said again."""

    async def delete(self) -> ConversationRecord:
        """Move it to the bin: out of lists, search and reach, until it is brought back or purged.

        Nothing of it changes. Its handle stays its own; its key goes to the next conversation that
        asks for it. A reply that is running is ended at its next flush: what had come of it is
        kept, and its turn raises ConversationNotFoundError.

        Raises:
            ConversationNotFoundError: the conversation is gone for good.
            StoreError: the store cannot be written.
        """
        return await self._bin(clock.now_ms())

    async def undelete(self) -> ConversationRecord:
        """Bring it back from the bin, as it was; without its key, if that was given away.

        Raises:
            ConversationNotFoundError: the conversation is gone for good.
            StoreError: the store cannot be written.
        """
        return await self._bin(None)

    async def purge(self, *, scrub: bool | None = None) -> int:
        """Remove it for good, from the bin or from where it is; return how many messages went.

        No verb of this object works afterwards. What the model calls cost stays counted.

        Args:
            scrub: get it out of the store's files too, as `Store.scrub` does; by default for a
                file, and not on a server.

        Raises:
            ConversationNotFoundError: the conversation is gone already.
            ConversationBusyError: a reply of it is still being written.
            StoreBusyError: from scrubbing: everything is out of reach, but others kept traces of it
                in the file.
            StoreError: the store cannot be written.
        """
        place = self._place
        await place.settled()
        job = Purge(conversation_id=place.record.id, now_ms=clock.now_ms())
        purged: Purged = await place.database.write(purge_conversations, place.owner_id, job)
        await scrub_after(place.database, scrub)
        return purged.messages

    async def forget(
        self, message: str | int, *, scrub: bool | None = None, wait_s: float | None = None
    ) -> bool:
        """Empty one message for good: text, parts, author, attachments, search words.

        It stays in the tree, with the status `erased`; what hangs below it stays too, and so does
        its idempotency key. Models are not told it any more: what the far side keeps of this branch
        is not gone on with. A title that was made of it goes; one that somebody chose, or a model
        made, stays. Copies in forks stay.

        Args:
            message: its id, its number, or the idempotency key with which it was stored: then all
                that it was edited to goes as well, also where that was before a `reset`.
            scrub: get it out of the store's files too, as `Store.scrub` does; by default for a
                file of up to 16 MiB, as a larger one is held for long: there it stays owed until
                `Store.scrub` or `convostore db scrub`. Not by default on a server.
            wait_s: how long to wait for a reply that is running, and for what is in line before,
                among which it may be; by default 60 with a key, else 0.

        Returns:
            Whether there was anything to forget.

        Raises:
            MessageNotFoundError: the conversation has no such message.
            ConversationNotFoundError: the conversation is gone, or in the bin.
            ConversationBusyError: it is a reply that is still being written, or such a one hangs
                below it, and still did after `wait_s`.
            StoreBusyError: from scrubbing: it is forgotten, but others kept traces of it in the
                file.
            StoreError: the store cannot be read or written.
        """
        place = self._place
        async with in_line(place, wait_s) as deadline_s:
            await place.settled()
            changed = await when_free(partial(_forget, place, message), deadline_s)
        await scrub_soon(place.database, scrub)
        return changed

    async def _bin(self, deleted_at_ms: int | None) -> ConversationRecord:
        place = self._place
        job = MoveBin(conversation_id=place.record.id, deleted_at_ms=deleted_at_ms)
        binned: Binned = await place.database.write(move_bins, place.owner_id, job)
        place.record = msgspec.structs.replace(
            place.record, deleted_at_ms=binned.deleted_at_ms, key=binned.key
        )
        place.room = binned.key
        return place.record


async def _forget(place: Place, message: str | int) -> bool:
    """Forget all that a message was told as; those that are forgotten already stay so."""
    found, changed = await named(place, message), False
    id_ = found.conversation_id
    for seq in found.seqs:
        job = Forget(conversation_id=id_, message_seq=seq, now_ms=clock.now_ms())
        forgotten: Forgotten = await place.database.write(forget_messages, place.owner_id, job)
        changed = changed or forgotten.changed
    if id_ == place.record.id:
        stood = place.head_seq
        place.changed(forgotten.change)
        place.head_seq, place.said = stood, None
        at = (place.database, place.owner_id, id_)
        place.remote, place.home_url, place.compacted = await reads.far_side(*at, stood)
    return changed
