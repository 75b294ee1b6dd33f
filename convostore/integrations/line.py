"""A conversation as a framework sees it: a list of its own items, of which the last can be taken back.

Each item is a message of the active path. Taking back moves the head, so that nothing is destroyed:
what was taken back is a branch of the conversation, and what is added next goes beside it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from convostore.conversation import Conversation
    from convostore.records import Message
    from convostore.store import Store

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Line(Generic[ItemT]):
    """The items of the conversation of one key.

    The conversation is made with the first item, is looked for anew each time, and is anybody's
    who has the same store and key: of lines that write at the same time each adds all of its
    items, in one piece. What an item is made of is read from the message that it became; a
    message of another origin (`Conversation.send`, an import) is told as well as it can be.

    Args:
        store: where; it stays the caller's to close.
        key: the conversation's.
        message_of: an item as a message to be stored.
        items_of: a message as items; no items for one in which nothing is said.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        message_of: Callable[[ItemT], Message],
        items_of: Callable[[Message], Sequence[ItemT]],
    ) -> None:
        self._store = store
        self._key = key
        self._message_of = message_of
        self._items_of = items_of

    async def items(self, limit: int | None = None) -> list[ItemT]:
        """Read the items, oldest first.

        Args:
            limit: only the last so many; a negative number is all of them.

        Raises:
            StoreError: the store cannot be read.
        """
        chat = await self._store.get(self._key)
        if chat is None or limit == 0:
            return []
        if limit is None or limit < 0:
            return self._told(await chat.history())
        last = await chat.history(limit)
        items = self._told(last)
        if len(items) < limit == len(last):  # of some nothing is told
            items = self._told(await chat.history())
        return items[-limit:]

    def _told(self, messages: Iterable[Message]) -> list[ItemT]:
        return [item for one in messages for item in self._items_of(one)]

    async def add(self, items: Sequence[ItemT]) -> None:
        """Add items at the end: all of them are stored, or none. It is done or failed on return.

        Raises:
            InvalidTextError: one cannot be stored; none is.
            ConversationBusyError: a reply of the conversation is just being written.
            StoreError: the store cannot be read or written.
        """
        messages = [self._message_of(item) for item in items]
        if messages:
            await to_its_end(self._add(messages))

    async def _add(self, messages: list[Message]) -> None:
        chat = await self._store.get(self._key) or await self._store.get_or_create(self._key)
        await chat.append(*messages)

    async def pop(self) -> ItemT | None:
        """Take the last item back, and return it; None where there is none.

        Raises:
            StoreError: the store cannot be read or written.
        """
        return await to_its_end(self._pop())

    async def _pop(self) -> ItemT | None:
        chat = await self._store.get(self._key)
        while chat is not None and (left := await chat.back()) is not None:
            items = list(self._items_of(left))
            if items:
                await self._keep(chat, items[:-1])
                return items[-1]
        return None

    async def _keep(self, chat: Conversation, items: list[ItemT]) -> None:
        """Say again what a message of another origin said before its last item."""
        if items:
            await chat.append(*[self._message_of(item) for item in items])

    async def clear(self) -> None:
        """Take all items back.

        Raises:
            StoreError: the store cannot be read or written.
        """
        chat = await self._store.get(self._key)
        if chat is not None:
            await to_its_end(chat.rewind())


async def to_its_end(writing: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Wait for a write whoever cancels the waiting, so that its outcome is known; then cancel.

    A framework that was cancelled takes back what it knows to be stored. It takes as long as the
    store's `busy_timeout_s` at most.
    """
    task = asyncio.ensure_future(writing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at, so that nobody is told that it was not
    raise cancelled
