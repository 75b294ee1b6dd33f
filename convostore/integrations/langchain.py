"""A LangChain chat message history that is a conversation: listed, searched, exported like any other.

.. code-block:: python

    from convostore.integrations.langchain import ConvostoreChatMessageHistory, Histories

    with Histories("chats.db") as histories:
        chain = RunnableWithMessageHistory(model, histories.get)
        chain.invoke("Hello", config={"configurable": {"session_id": "user:42"}})

Every method is there to be called without a loop and with one. LangChain itself calls the interface
deprecated since 1.6.4, and will remove it in 2.0.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import convostore
from convostore.formats.langchain_messages import message_of, messages_as_stored
from convostore.integrations.beside import Beside
from convostore.integrations.line import Line
from convostore.text import gate_key

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that the interface is deprecated is said above
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import message_to_dict, messages_from_dict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from langchain_core.messages import BaseMessage

    from convostore.store import Store


class Histories:
    """A store, opened for histories of any number of conversations; a `with` block closes it.

    Args:
        url: as of `convostore.open`.
        owner: likewise.

    Attributes:
        beside: the thread in which all of it is done.
        store: the store; it is used in that thread alone.
    """

    def __init__(self, url: str | Path | None = None, *, owner: str | None = None) -> None:
        self.store = convostore.open(url, owner=owner)
        self.beside = Beside()

    def __enter__(self) -> Self:
        """Open the store.

        Raises:
            StoreError: it cannot be opened.
        """
        self.beside.run(self._opened())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()

    def get(self, session_id: str) -> ConvostoreChatMessageHistory:
        """Return the history of the conversation of that key, which is made with the first message.

        Raises:
            InvalidTextError: no conversation can be called so.
        """
        return ConvostoreChatMessageHistory(session_id, self)

    def close(self) -> None:
        """Close the store. Idempotent."""
        self.beside.run(self.store.aclose())
        self.beside.close()

    async def _opened(self) -> Store:
        return await self.store


class ConvostoreChatMessageHistory(BaseChatMessageHistory):
    """The messages of a conversation.

    What is stored is the JSON of LangChain's own `message_to_dict`, and `messages_from_dict` reads it:
    of a fixed list of kinds, so that no type is made from a name.

    Args:
        session_id: the conversation's key, unique for the store's owner.
        histories: where.

    Raises:
        InvalidTextError: no conversation can be called so.
    """

    def __init__(self, session_id: str, histories: Histories) -> None:
        super().__init__()
        self.session_id = gate_key(session_id)
        self._beside = histories.beside
        self._line: Line[dict[str, Any]] = Line(
            histories.store, session_id, message_of, messages_as_stored
        )

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override] # as in LangChain's own
        """The messages, oldest first, as they stand in the store now.

        Raises:
            StoreError: the store cannot be read.
        """
        return list(messages_from_dict(self._beside.run(self._line.items())))

    async def aget_messages(self) -> list[BaseMessage]:
        """Read the messages, oldest first.

        Raises:
            StoreError: the store cannot be read.
        """
        return list(messages_from_dict(await self._beside.wait(self._line.items())))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store messages at the end, in one transaction.

        Raises:
            InvalidTextError: one of them is no JSON, or too large; none is stored.
            StoreError: the store cannot be read or written.
        """
        self._beside.run(self._line.add([message_to_dict(one) for one in messages]))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Store messages as `add_messages` does.

        Raises:
            InvalidTextError: one of them is no JSON, or too large; none is stored.
            StoreError: the store cannot be read or written.
        """
        await self._beside.wait(self._line.add([message_to_dict(one) for one in messages]))

    def clear(self) -> None:
        """Begin anew. What was said stays as a branch; `Store.purge` removes the conversation.

        Raises:
            StoreError: the store cannot be read or written.
        """
        self._beside.run(self._line.clear())

    async def aclear(self) -> None:
        """Begin anew, as `clear` does.

        Raises:
            StoreError: the store cannot be read or written.
        """
        await self._beside.wait(self._line.clear())
