"""What an export asks of a store, one short read at a time; nothing stays open in between."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from convostore.errors import ConversationNotFoundError
from convostore.formats.writing import Node, Outline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

    from convostore.records import ConversationDossier, ConversationRecord, Message, UsageRecord

MESSAGES_PER_READ: Final = 512
_FIRST_MESSAGES: Final = 64
_FEWEST_MESSAGES: Final = 4
_MOST_CHARS: Final = (
    4 * 1024 * 1024
)  # of the texts that are read together, where it can be foreseen
_IDS_PER_READ: Final = 200
_NODES_PER_READ: Final = 4096
ItemT = TypeVar("ItemT")


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

    async def dossiers(self, ids: Sequence[str]) -> tuple[ConversationDossier, ...]:
        """Read conversations, in the order of *ids*, all in one transaction; without those gone."""
        ...

    async def messages_of(self, ids: Sequence[str]) -> dict[str, tuple[Message, ...]]:
        """Read all messages of several conversations, each's ascending."""
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


class Passage:
    """One way through conversations: each once, in order, the next ones read while one is told.

    Conversations are read some at a time, and small ones with their messages.

    Args:
        source: where to read.
        named: somebody named them: one that is deleted meanwhile is missed.
    """

    def __init__(self, source: ExportSource, *, named: bool = True) -> None:
        self.source, self._named = source, named
        self._held: dict[str, tuple[Message, ...]] = {}
        self._most = _FIRST_MESSAGES

    async def each(self, ids: Sequence[str] | None) -> AsyncGenerator[ConversationDossier]:
        """Read the conversations one after the other; None is all of them.

        Raises:
            ConversationNotFoundError: one that somebody named was deleted meanwhile.
            StoreError: the store cannot be read.
        """
        async with aclosing(ahead(self._groups(ids))) as groups:
            async for group, held in groups:
                self._held = held
                for one in group:
                    yield one

    async def _groups(
        self, ids: Sequence[str] | None
    ) -> AsyncGenerator[tuple[list[ConversationDossier], dict[str, tuple[Message, ...]]]]:
        """Yield conversations that are read together, with the messages of those that are small."""
        async for part in self._ids(ids):
            found = await self.source.dossiers(part)
            if self._named and ids is not None and len(found) < len(part):
                there = {one.record.id for one in found}
                gone = next(id_ for id_ in part if id_ not in there)
                raise ConversationNotFoundError(
                    f"conversation {gone} was deleted during the export"
                )
            for group in self._grouped(found):
                said = [one.record.id for one in group if one.record.message_count]
                small = len(group) > 1 or group[0].record.last_seq <= self._most
                held: dict[str, tuple[Message, ...]] = {}
                if said and small:
                    held = await self.source.messages_of(said)
                    self._weigh(chain.from_iterable(held.values()))
                yield group, held

    async def _ids(self, ids: Sequence[str] | None) -> AsyncGenerator[Sequence[str]]:
        if ids is not None:
            for at in range(0, len(ids), _IDS_PER_READ):
                yield ids[at : at + _IDS_PER_READ]
            return
        page = await self.source.conversation_ids(None, _IDS_PER_READ)
        while page:
            yield page
            page = await self.source.conversation_ids(page[-1], _IDS_PER_READ)

    def _grouped(self, found: Sequence[ConversationDossier]) -> Iterator[list[ConversationDossier]]:
        """Yield conversations whose messages are read together: a large one is alone."""
        group: list[ConversationDossier] = []
        messages = 0
        for one in found:
            count = one.record.last_seq
            if group and messages + count > self._most:
                yield group
                group, messages = [], 0
            group.append(one)
            messages += count
        if group:
            yield group

    def _weigh(self, messages: Iterable[Message]) -> None:
        """Read more messages at a time where they are short, and few where they are long."""
        chars = sum(len(one.text) for one in messages)
        if chars > _MOST_CHARS:
            self._most = max(_FEWEST_MESSAGES, self._most // 8)
        elif chars < _MOST_CHARS // 4:
            self._most = min(MESSAGES_PER_READ, self._most * 2)

    async def pages(self, record: ConversationRecord) -> AsyncGenerator[tuple[Message, ...]]:
        """Read the messages that were there when *record* was read.

        Raises:
            StoreError: the store cannot be read.
        """
        if (held := self.held(record)) is not None:
            if held:
                yield held
            return
        async with aclosing(ahead(self._pages(record))) as pages:
            async for page in pages:
                yield page

    async def _pages(self, record: ConversationRecord) -> AsyncGenerator[tuple[Message, ...]]:
        after, last = 0, record.last_seq
        while after < last:
            page = await self.source.messages_between(record.id, after, last, self._most)
            if not page:
                return
            self._weigh(page)
            yield page
            after = page[-1].seq

    async def messages_from(self, record: ConversationRecord, seq: int) -> tuple[Message, ...]:
        """Read a page of messages from that one on.

        Raises:
            StoreError: the store cannot be read.
        """
        page = await self.source.messages_between(record.id, seq - 1, record.last_seq, self._most)
        self._weigh(page)
        return page

    def held(self, record: ConversationRecord) -> tuple[Message, ...] | None:
        """Return the messages of a small conversation; None where they have to be read."""
        found = self._held.get(record.id)
        if found and found[-1].seq > record.last_seq:  # said meanwhile
            return tuple(one for one in found if one.seq <= record.last_seq)
        return found

    async def outline(self, record: ConversationRecord, *, originals: bool) -> Outline:
        """Read the shape of a conversation as it was when *record* was read.

        Args:
            record: the conversation.
            originals: it goes back to where it was imported from: its messages' ids there count.

        Raises:
            StoreError: the store cannot be read.
        """
        found: list[Node] = []
        if (held := self.held(record)) is not None:
            found = [
                Node(one.seq, one.parent_seq, one.id, one.source_id if originals else None)
                for one in held
            ]
        after = record.last_seq if held is not None else 0
        while after < record.last_seq:
            page = await self.source.nodes(record.id, after, record.last_seq, _NODES_PER_READ)
            if not page:
                break
            found += page if originals else [Node(one.seq, one.parent_seq, one.id) for one in page]
            after = page[-1].seq
        return Outline(found, record.head_seq)


async def ahead(found: AsyncGenerator[ItemT]) -> AsyncGenerator[ItemT]:
    """Yield what *found* does, and let it look for the next one meanwhile."""
    reading = asyncio.ensure_future(_next(found))
    try:
        while (one := await reading) is not None:
            reading = asyncio.ensure_future(_next(found))
            yield one[0]
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled():
            reading.exception()  # whoever left earlier does not want to know
        await found.aclose()


async def _next(found: AsyncGenerator[ItemT]) -> tuple[ItemT] | None:
    async for one in found:
        return (one,)
    return None


class Fetching:
    """The messages of one conversation, in whatever order they are asked for; a page is held.

    Args:
        passage: reads.
        record: the conversation.
        originals: the origin's own objects are wanted too.
    """

    def __init__(self, passage: Passage, record: ConversationRecord, *, originals: bool) -> None:
        self._passage, self._source = passage, passage.source
        self._record, self._originals = record, originals
        self._page = {one.seq: one for one in passage.held(record) or ()}
        self._raws: dict[int, bytes] = {}
        self._raws_wanted = originals  # those of the page that is held

    async def conversation_raw(self) -> bytes:
        """Return the origin's own object of the conversation; empty where there is none.

        Raises:
            StoreError: the store cannot be read.
        """
        if not self._originals:
            return b""
        return (await self._source.origins(self._record.id, 0, 0)).get(0, b"")

    def held(self, seq: int) -> tuple[Message, bytes] | None:
        """Return what `message` does, where it is at hand; else None."""
        one = None if self._raws_wanted else self._page.get(seq)
        if one is None:
            return None
        return one, b"" if one.status == "erased" else self._raws.get(seq, b"")

    async def message(self, seq: int) -> tuple[Message, bytes] | None:
        """Return a message and what it was at its origin; None when it was removed meanwhile.

        Raises:
            StoreError: the store cannot be read.
        """
        if seq not in self._page:
            page = await self._passage.messages_from(self._record, seq)
            self._page = {one.seq: one for one in page}
            self._raws_wanted = self._originals
        if self._raws_wanted and self._page:
            first, last = min(self._page), max(self._page)
            self._raws = await self._source.origins(self._record.id, first, last)
            self._raws_wanted = False
        return self.held(seq)
