"""Our own export, line by line: all but secrets, and where the bytes of attachments go."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from convostore.formats import jsonl
from convostore.parts import AttachmentPart

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterator,
        Sequence,
    )
    from typing import TypeAlias

    from convostore.exchange.counted import Count
    from convostore.exchange.outgoing import Passage
    from convostore.exchange.steps import Step
    from convostore.records import ConversationDossier, Message

    Beside: TypeAlias = Callable[[AttachmentPart], Awaitable[None]]

_USAGES_PER_READ = 200


class OwnLines:
    """One file of our own format.

    Args:
        passage: reads.
        count: counts what goes out.
        first: the first line.
        step: what has changed, where not all is told.
        beside: puts the bytes of an attachment beside the file.
    """

    def __init__(
        self,
        passage: Passage,
        count: Count,
        first: jsonl.Header,
        *,
        step: Step | None = None,
        beside: Beside | None = None,
    ) -> None:
        self._passage, self._count, self._first = passage, count, first
        self._source = passage.source
        self._step, self._beside = step, beside
        self._told: set[str] = set()  # attachments whose bytes are in this file

    async def told(self, ones: AsyncIterator[ConversationDossier]) -> AsyncGenerator[str]:
        """Yield the file: its header, the conversations, its end.

        Raises:
            AttachmentNotFoundError: one was removed meanwhile.
            StoreError: the store cannot be read.
        """
        count = self._count
        conversations, messages = count.conversations, count.messages
        yield jsonl.header(self._first)
        async for one in ones:
            if self._step is not None and not self._step.changed(one):
                count.unchanged += 1
                yield jsonl.unchanged(one.record)
                continue
            async with aclosing(self._conversation(one)) as pieces:
                async for piece in pieces:
                    yield piece
        if self._first.scope == "all":
            async for piece in self._orphaned_usage():
                yield piece
        yield jsonl.end(
            conversations=count.conversations - conversations, messages=count.messages - messages
        )

    async def _orphaned_usage(self) -> AsyncGenerator[str]:
        after: str | None = None
        while page := await self._source.orphaned_usage(after, _USAGES_PER_READ):
            yield "".join(jsonl.usage(owner, usage) for owner, usage in page)
            after = page[-1][1].id

    async def _conversation(self, one: ConversationDossier) -> AsyncGenerator[str]:
        owner = one.record.id
        self._count.conversations += 1
        yield jsonl.conversation(one.record)
        if one.record.source is not None:
            yield jsonl.originals(owner, await self._source.origins(owner, 0, 0))
        async for page in self._passage.pages(one.record):
            yield jsonl.messages(owner, page)
            self._count.told_message(len(page))
            if one.record.source is not None:
                origins = await self._source.origins(owner, page[0].seq, page[-1].seq)
                yield jsonl.originals(owner, origins)
            for part in _attachments(page):
                async for piece in self._attachment(owner, part):
                    yield piece
        yield "".join(jsonl.usage(owner, usage) for usage in one.usage)
        yield "".join(jsonl.remote_thread(owner, remote) for remote in one.remotes)

    async def _attachment(self, owner: str, part: AttachmentPart) -> AsyncGenerator[str]:
        """Yield the lines of an attachment that is not in this file yet; or put it beside it."""
        if self._first.attachments == "reference" or part.sha256 in self._told:
            return
        self._told.add(part.sha256)
        self._count.attachments += 1
        if self._beside is not None:
            await self._beside(part)
            return
        number = 0
        async with aclosing(self._source.attachment(part.sha256)) as pieces:
            async for data in pieces:
                yield jsonl.attachment(owner, _piece(part, number, data))
                number += 1
        if not number:  # of no bytes, and told all the same
            yield jsonl.attachment(owner, _piece(part, 0, b""))


def _piece(part: AttachmentPart, number: int, data: bytes) -> jsonl.AttachmentPiece:
    return jsonl.AttachmentPiece(sha256=part.sha256, size=part.size, number=number, data=data)


def _attachments(page: Sequence[Message]) -> Iterator[AttachmentPart]:
    for message in page:
        for part in message.parts:
            if isinstance(part, AttachmentPart):
                yield part
