"""What an export asks of a store, one short read at a time; nothing stays open in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from convostore.errors import ConversationNotFoundError
from convostore.formats.writing import Node, Outline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from convostore.records import ConversationDossier, ConversationRecord, Message, UsageRecord

MESSAGES_PER_READ: Final = 256
_IDS_PER_READ: Final = 200
_NODES_PER_READ: Final = 4096


class ExportSource(Protocol):
    """What an export reads, of one owner. Each call is one short read that leaves nothing open."""

    async def find(self, ref: str) -> ConversationRecord:
        """Look a reference up, as the store does.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: more than one fits.
        """
        ...

    async def mark(self) -> str:
        """Return what tells this owner of this store from any other; no secret, and no name."""
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

    async def orphaned_usage(
        self, after_id: str | None, limit: int
    ) -> tuple[tuple[str, UsageRecord], ...]:
        """List, by id, what was paid in conversations that are gone; nothing where only some of
        an owner's rows are wanted.
        """
        ...

    async def nodes(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Node, ...]:
        """Read where the messages with after_seq < seq <= last_seq stand, ascending."""
        ...

    async def messages_between(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Message, ...]:
        """Read messages of the whole tree with after_seq < seq <= last_seq, ascending.

        A running reply comes with its journal as text, a reply whose writer died as
        `interrupted`.
        """
        ...

    async def origins(
        self, conversation_id: str, first_seq: int, last_seq: int
    ) -> dict[int, bytes]:
        """Read the origin's own objects, by seq, of what was imported; 0 is the conversation's."""
        ...

    def attachment(self, sha256: str) -> AsyncGenerator[bytes]:
        """Yield the bytes of an attachment, piece by piece.

        Raises:
            AttachmentNotFoundError: it is gone.
        """
        ...


async def each(
    source: ExportSource, ids: Sequence[str] | None
) -> AsyncGenerator[ConversationDossier]:
    """Read the conversations one after the other.

    Of all of them, one that is purged meanwhile is no longer one of all; a chosen one is missed.

    Raises:
        ConversationNotFoundError: a chosen one was deleted meanwhile.
        StoreError: the store cannot be read.
    """
    if ids is not None:
        for chosen in ids:
            one = await source.dossier(chosen)
            if one is None:
                raise ConversationNotFoundError(
                    f"conversation {chosen} was deleted during the export"
                )
            yield one
        return
    page = await source.conversation_ids(None, _IDS_PER_READ)
    while page:
        for listed in page:
            one = await source.dossier(listed)
            if one is not None:
                yield one
        page = await source.conversation_ids(page[-1], _IDS_PER_READ)


async def pages(
    source: ExportSource, record: ConversationRecord
) -> AsyncGenerator[tuple[Message, ...]]:
    """Read the messages that were there when *record* was read.

    Raises:
        StoreError: the store cannot be read.
    """
    after = 0
    while after < record.last_seq:
        page = await source.messages_between(record.id, after, record.last_seq, MESSAGES_PER_READ)
        if not page:
            return
        yield page
        after = page[-1].seq


async def outline(source: ExportSource, record: ConversationRecord, *, originals: bool) -> Outline:
    """Read the shape of a conversation as it was when *record* was read.

    Args:
        source: where to read.
        record: the conversation.
        originals: it goes back to where it was imported from: its messages' ids there count.

    Raises:
        StoreError: the store cannot be read.
    """
    found: list[Node] = []
    after = 0
    while after < record.last_seq:
        page = await source.nodes(record.id, after, record.last_seq, _NODES_PER_READ)
        if not page:
            break
        found += page if originals else (Node(one.seq, one.parent_seq, one.id) for one in page)
        after = page[-1].seq
    return Outline(found, record.head_seq)


class Fetching:
    """The messages of one conversation, in whatever order they are asked for; a page is held.

    Args:
        source: where to read.
        record: the conversation.
        originals: the origin's own objects are wanted too.
    """

    def __init__(
        self, source: ExportSource, record: ConversationRecord, *, originals: bool
    ) -> None:
        self._source, self._record, self._originals = source, record, originals
        self._page: dict[int, Message] = {}
        self._raws: dict[int, bytes] = {}

    async def conversation_raw(self) -> bytes:
        """Return the origin's own object of the conversation; empty where there is none.

        Raises:
            StoreError: the store cannot be read.
        """
        if not self._originals:
            return b""
        return (await self._source.origins(self._record.id, 0, 0)).get(0, b"")

    async def message(self, seq: int) -> tuple[Message, bytes] | None:
        """Return a message and what it was at its origin; None when it was removed meanwhile.

        Raises:
            StoreError: the store cannot be read.
        """
        if seq not in self._page:
            record = self._record
            page = await self._source.messages_between(
                record.id, seq - 1, record.last_seq, MESSAGES_PER_READ
            )
            self._page = {one.seq: one for one in page}
            if self._originals and page:
                self._raws = await self._source.origins(record.id, seq, page[-1].seq)
        one = self._page.get(seq)
        if one is None:
            return None
        return one, b"" if one.status == "erased" else self._raws.get(seq, b"")
