"""The verbs of a conversation that take it out of sight, and bring it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore import clock
from convostore.storage.deleting import Binned, MoveBin, move_bins

if TYPE_CHECKING:
    from convostore.records import ConversationRecord
    from convostore.turning.place import Place


class Deleting:
    """How a conversation goes; `Conversation` has these verbs. Each may be said again."""

    _place: Place

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

    async def _bin(self, deleted_at_ms: int | None) -> ConversationRecord:
        place = self._place
        job = MoveBin(conversation_id=place.record.id, deleted_at_ms=deleted_at_ms)
        binned: Binned = await place.database.write(move_bins, place.owner_id, job)
        place.record = msgspec.structs.replace(
            place.record, deleted_at_ms=binned.deleted_at_ms, key=binned.key
        )
        return place.record
