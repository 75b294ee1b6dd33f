"""The verbs of a conversation that say where it stands among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convostore import clock
from convostore.arranging import arrange
from convostore.storage.canonical import to_json
from convostore.storage.ordering import Arrange, Arranged, arrange_conversations
from convostore.text import gate_expiry, gate_object
from convostore.titling import TITLE_TIMEOUT_S, Titled, generate_title
from convostore.turning.asking import who_answers
from convostore.turning.place import Placed

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import ConversationRecord


class Ordering(Placed):
    """What a conversation can be told about its place in lists; `Conversation` has these verbs.

    Each is on disk when it returns, changes only what it names, and may be said again. None is
    activity: the time of the newest activity stays.
    """

    _provider: Provider | None

    async def rename(self, title: str) -> ConversationRecord:
        """Give a title; it is the user's own, and no generated one takes its place.

        Raises:
            InvalidTextError: it is blank, longer than 200 characters, or cannot be stored.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, title=title))

    async def generate_title(
        self,
        *,
        provider: Provider | None = None,
        model: str | None = None,
        timeout_s: float = TITLE_TIMEOUT_S,
    ) -> Titled:
        """Ask the provider for a title, and keep it unless somebody has chosen one.

        Nothing of this is in the conversation: it is no turn, and holds up none. Where no title
        comes of it, the first line of the first question stays, and `error` says why.

        Args:
            provider: instead of the store's; it stays the caller's to close.
            model: instead of the conversation's.
            timeout_s: how long all of it may take.

        Raises:
            TurnStateError: neither the store nor the call has a provider.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be read or written.
        """
        asked = who_answers(provider, self._provider)
        return await generate_title(self._place, asked, model=model, timeout_s=timeout_s)

    async def pin(self) -> ConversationRecord:
        """List it before those that are not pinned.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, pin=True))

    async def unpin(self) -> ConversationRecord:
        """List it by its activity alone.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, pin=False))

    async def archive(self) -> ConversationRecord:
        """Take it out of the list into the archive; pin, tags and folder stay with it.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, archive=True))

    async def unarchive(self) -> ConversationRecord:
        """Take it back into the list, as it was.

        Raises:
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, archive=False))

    async def tag(self, *names: str) -> ConversationRecord:
        """Add tags. They are kept in small letters; those that it has already stay.

        Raises:
            InvalidTextError: a name is blank, too long or not storable, or it would have more
                than 64.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, tag=names))

    async def untag(self, *names: str) -> ConversationRecord:
        """Take tags away; those that it does not have are no error.

        Raises:
            InvalidTextError: a name is blank, too long, or cannot be stored.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, untag=names))

    async def move(self, folder: str | None) -> ConversationRecord:
        """Put it into a folder, out of the one it was in; None is out of any.

        Raises:
            InvalidTextError: the name is blank, too long, or cannot be stored.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        return await self._arrange(arrange(self._place.record.id, folder=folder or ""))

    async def expire(self, at_ms: int | None) -> ConversationRecord:
        """Let it go for good by itself; see `Upkeep.purge_expired`.

        From that time on it is in no list and no search, and no name finds it, as if it were
        purged; its rows go when somebody next opens the store to write.

        Args:
            at_ms: when, in milliseconds UTC; None is never.

        Raises:
            ValueError: it is no time to come.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        job = Arrange(
            conversation_id=self._place.record.id,
            now_ms=clock.now_ms(),
            expires_at_ms=gate_expiry(at_ms),
        )
        return await self._arrange(job)

    async def set_metadata(
        self, metadata: dict[str, Any], *, merge: bool = False
    ) -> ConversationRecord:
        """Keep a JSON object of the caller's own with the conversation, up to 64 KiB.

        Args:
            metadata: any JSON values by name.
            merge: keep what is there under other names; None takes a name out.

        Raises:
            InvalidTextError: it is longer, or no JSON object, or something in it is no JSON.
            ConversationNotFoundError: the conversation is gone.
            StoreError: the store cannot be written.
            StoreClosedError: the store is closed.
        """
        gate_object(metadata, "the metadata")
        values = msgspec.json.decode(to_json(metadata), type=dict[str, Any])
        job = Arrange(conversation_id=self._place.record.id, now_ms=clock.now_ms())
        wanted = {"changes": values} if merge else {"metadata": values}
        return await self._arrange(msgspec.structs.replace(job, **wanted))

    async def _arrange(self, job: Arrange) -> ConversationRecord:
        place = self._place
        arranged: Arranged = await place.database.write(arrange_conversations, place.owner_id, job)
        place.record = msgspec.structs.replace(place.record, **arranged.fields())
        return place.record
