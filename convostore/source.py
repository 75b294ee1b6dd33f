"""What an export reads of a store."""

from __future__ import annotations

import hashlib
from itertools import starmap
from typing import TYPE_CHECKING

from convostore.carrying import give_out
from convostore.formats.writing import Node
from convostore.storage import dossiers, reads
from convostore.storage.attachments import no_attachment
from convostore.storage.originals import originals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from convostore.records import ConversationDossier, ConversationRecord, Message, UsageRecord
    from convostore.storage.database import Database


class StoredSource:
    """One owner's rows, as `exchange.outgoing.ExportSource` asks for them.

    Args:
        at: finds the rows.
        find: looks a reference up.
        binned: give what is in the bin too.
    """

    def __init__(
        self,
        at: Callable[[], Awaitable[tuple[Database, str] | None]],
        find: Callable[[str], Awaitable[ConversationRecord]],
        *,
        binned: bool = False,
    ) -> None:
        self._at = at
        self._find = find
        self._binned = binned

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
        if at is None:
            return ()
        return await dossiers.conversation_ids(*at, after_id, limit, binned=self._binned)

    async def mark(self) -> str:
        """Return what tells this owner of this store from any other."""
        at = await self._at()
        name = "" if at is None else at[1]
        return hashlib.sha256(f"convostore step {name}".encode()).hexdigest()[:12]

    async def dossiers(self, ids: Sequence[str]) -> tuple[ConversationDossier, ...]:
        """Read conversations with what hangs on them, in the order of *ids*, without those gone."""
        at = await self._at()
        if at is None:
            return ()
        return await dossiers.dossiers(*at, ids, binned=self._binned)

    async def messages_of(self, ids: Sequence[str]) -> dict[str, tuple[Message, ...]]:
        """Read all messages of several conversations."""
        at = await self._at()
        return {} if at is None else await reads.messages_of(*at, ids)

    async def orphaned_usage(
        self, after_id: str | None, limit: int
    ) -> tuple[tuple[str, UsageRecord], ...]:
        """List what was paid in conversations that are gone, with the bin; else nothing."""
        at = await self._at() if self._binned else None
        return () if at is None else await dossiers.orphaned_usage(*at, after_id, limit)

    async def nodes(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Node, ...]:
        """Read where the messages with after_seq < seq <= last_seq stand."""
        at = await self._at()
        if at is None:
            return ()
        rows = await reads.places_between(
            *at, conversation_id, after=after_seq, last=last_seq, most=limit
        )
        return tuple(starmap(Node, rows))

    async def origins(
        self, conversation_id: str, first_seq: int, last_seq: int
    ) -> dict[int, bytes]:
        """Read the origin's own objects, by seq, of what was imported; 0 is the conversation's."""
        at = await self._at()
        if at is None:
            return {}
        return await originals(*at, conversation_id, first_seq, last_seq)

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
