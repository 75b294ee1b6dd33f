"""Drive export: read a store in pages, hand the pages to a format, write the text where it goes.

A file appears whole or not at all: it is written beside its place, synced, and then renamed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from convostore.records import ConversationDossier, ConversationRecord, Message


class ExportSource(Protocol):
    """What an export reads, of one owner. Each call is one short read that leaves nothing open."""

    async def find(self, ref: str) -> ConversationRecord:
        """Look a reference up, as the store does.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: more than one fits.
        """
        ...

    async def conversation_ids(self, after_id: str | None, limit: int) -> tuple[str, ...]:
        """List the ids after *after_id*, ascending: archived ones too, without the bin.

        Ids never move, so a long export neither misses nor doubles a conversation that is
        being used meanwhile.
        """
        ...

    async def dossier(self, conversation_id: str) -> ConversationDossier | None:
        """Read one conversation in one transaction; None when it is gone."""
        ...

    async def messages_between(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Message, ...]:
        """Read messages of the whole tree with after_seq < seq <= last_seq, ascending.

        A running reply comes with its journal as text, a reply whose writer died as
        `interrupted`.
        """
        ...
