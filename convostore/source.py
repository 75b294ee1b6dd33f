"""What an export reads of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.carrying import give_out
from convostore.storage import reads
from convostore.storage.attachments import no_attachment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from convostore.records import ConversationDossier, ConversationRecord, Message
    from convostore.storage.database import Database


class StoredSource:
    """One owner's rows, as `exchange.ExportSource` asks for them."""

    def __init__(
        self,
        at: Callable[[], Awaitable[tuple[Database, str] | None]],
        find: Callable[[str], Awaitable[ConversationRecord]],
    ) -> None:
        self._at = at
        self._find = find

    async def find(self, ref: str) -> ConversationRecord:
        """Look a reference up, as the store does.

        Raises:
            NotFoundError: nothing fits.
            AmbiguousHandleError: more than one fits.
        """
        return await self._find(ref)

    async def conversation_ids(self, after_id: str | None, limit: int) -> tuple[str, ...]:
        """List the ids after *after_id*, ascending."""
        at = await self._at()
        return () if at is None else await reads.conversation_ids(*at, after_id, limit)

    async def dossier(self, conversation_id: str) -> ConversationDossier | None:
        """Read one conversation with what hangs on it; None when it is gone."""
        at = await self._at()
        return None if at is None else await reads.dossier(*at, conversation_id)

    async def messages_between(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Message, ...]:
        """Read messages of the whole tree with after_seq < seq <= last_seq."""
        at = await self._at()
        if at is None:
            return ()
        return await reads.messages_between(
            *at, conversation_id, after=after_seq, last=last_seq, most=limit
        )

    async def attachment(self, sha256: str) -> AsyncGenerator[bytes]:
        """Yield the bytes of an attachment, piece by piece.

        Raises:
            AttachmentNotFoundError: it is gone.
        """
        at = await self._at()
        if at is None:
            raise no_attachment(sha256)
        async for piece in give_out(*at, sha256):
            yield piece
