"""The verb of a conversation that begins it anew, and keeps what was said before."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from convostore import clock
from convostore.ids import new_id
from convostore.storage import lookup
from convostore.storage.rooms import Reset, reset_conversations
from convostore.turning.place import Placed

if TYPE_CHECKING:
    from convostore.records import ConversationRecord


class Renewing(Placed):
    """How a room of a bot forgets nothing and begins anew; `Conversation` has this verb."""

    async def reset(self) -> ConversationRecord:
        """Begin a new conversation under the same key, go on there, and return the old one's record.

        The old one stays in lists and search, without its key. A reply that is running, and
        questions that wait for it, go on there; whoever asks for the key from now on gets the new
        one, and other objects of the room move there with their next question or append. It has
        the old one's system text, model, settings, metadata, tags, folder and a title that somebody
        chose. A repeat of a question from before is answered as it was then.

        Said by two at once, it is done once. Where nothing was said yet, nothing changes.

        Raises:
            ConversationNotFoundError: the conversation is gone, or in the bin.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        await place.settled()
        job = Reset(
            conversation_id=place.record.id,
            id=new_id(),
            system_id=new_id(),
            anonymous_user_id=str(uuid4()),
            now_ms=clock.now_ms(),
        )
        at = (place.database, place.owner_id)
        id_: str = await place.database.write(reset_conversations, place.owner_id, job)
        old = await lookup.conversation_by_id(*at, place.record.id)
        # A turn that runs keeps the old place, and ends in the old conversation.
        place.goes_on(*await lookup.standing_of_id(*at, id_))
        return old
