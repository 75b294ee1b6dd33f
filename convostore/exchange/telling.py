"""Feed a writer what it asks for, and yield its text in pieces of a good size."""

from __future__ import annotations

import base64
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from convostore.exchange.outgoing import Fetching
from convostore.formats.framed import without_frame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from convostore.exchange.counted import Count
    from convostore.exchange.outgoing import ExportSource, Passage
    from convostore.formats.writing import Writer
    from convostore.parts import AttachmentPart
    from convostore.records import ConversationDossier

_PIECE_CHARS: Final = 1 << 16


class _Sheet:
    """Text that has been written, until it is enough to be handed on."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._chars = 0

    def add(self, text: str) -> bool:
        """Add *text*, and tell whether it is enough."""
        self._texts.append(text)
        self._chars += len(text)
        return self._chars >= _PIECE_CHARS

    def take(self) -> str:
        """Return all of it, and begin anew."""
        text = "".join(self._texts)
        self._texts.clear()
        self._chars = 0
        return text


async def told(
    passage: Passage, ones: AsyncIterator[ConversationDossier], writer: Writer, count: Count
) -> AsyncGenerator[str]:
    """Yield one file: its beginning, the conversations, its end.

    Raises:
        StoreError: the store cannot be read.
    """
    sheet = _Sheet()
    sheet.add(writer.opening())
    async for one in ones:
        async with aclosing(_conversation(passage, one, writer, sheet, count)) as texts:
            async for text in texts:
                yield text
        count.conversations += 1
    count.lost(writer.losses)
    sheet.add(writer.closing())
    yield sheet.take()


async def _conversation(
    passage: Passage, one: ConversationDossier, writer: Writer, sheet: _Sheet, count: Count
) -> AsyncGenerator[str]:
    """Write a conversation on the sheet, and yield what is on it as often as that is enough."""
    originals = writer.origin is not None and writer.origin == one.record.source
    shape = await passage.outline(one.record, originals=originals)
    fetching = Fetching(passage, one.record, originals=originals)
    raw = await fetching.conversation_raw()
    for step in writer.conversation(one, shape, raw):
        if isinstance(step, str):
            if sheet.add(step):
                yield sheet.take()
            continue
        found = fetching.held(abs(step)) or await fetching.message(abs(step))
        for piece in writer.message(without_frame(found[0]), found[1]) if found else ():
            if isinstance(piece, str):
                if sheet.add(piece):
                    yield sheet.take()
                continue
            async with aclosing(in_base64(passage.source, piece)) as texts:
                async for text in texts:
                    if sheet.add(text):
                        yield sheet.take()
        if step > 0:
            count.told_message()


async def in_base64(source: ExportSource, part: AttachmentPart) -> AsyncGenerator[str]:
    """Yield the bytes of an attachment as base64, as they are read.

    Raises:
        AttachmentNotFoundError: it is gone.
        StoreError: the store cannot be read.
    """
    left = b""
    async with aclosing(source.attachment(part.sha256)) as pieces:
        async for data in pieces:
            whole = left + data
            cut = len(whole) - len(whole) % 3
            left = whole[cut:]
            yield base64.b64encode(whole[:cut]).decode()
    yield base64.b64encode(left).decode()
