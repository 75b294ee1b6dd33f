"""A session of the OpenAI Agents SDK that is a conversation: listed, searched, exported like any other.

.. code-block:: python

    import convostore
    from agents import Agent, Runner
    from convostore.integrations.openai_agents import ConvostoreSession

    async with convostore.open("chats.db") as store:
        session = ConvostoreSession("conversation_123", store)
        result = await Runner.run(agent, "What city is the bridge in?", session=session)

`pop_item` and `clear_session` move the conversation's head: what was taken back stays as a branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostore.formats.response_items import items_as_stored, message_of
from convostore.integrations.line import Line
from convostore.text import gate_key

if TYPE_CHECKING:
    from agents import SessionSettings
    from agents.items import TResponseInputItem

    from convostore.store import Store


class ConvostoreSession:
    """The items of a session, one message each; it has the SDK's `Session` protocol.

    Any number of sessions, here and in other processes, may have the same id: each sees what all
    of them wrote. It may be an existing conversation's key: then the agent goes on with that.

    Args:
        session_id: the conversation's key, unique for the store's owner.
        store: an opened store; it stays the caller's to close.
        session_settings: the SDK's own: how many items an agent is given by default.

    Raises:
        InvalidTextError: no conversation can be called so.

    Attributes:
        session_id: as given.
        session_settings: as given.
    """

    def __init__(
        self, session_id: str, store: Store, session_settings: SessionSettings | None = None
    ) -> None:
        self.session_id = gate_key(session_id)
        self.session_settings = session_settings
        self._line: Line[Any] = Line(store, session_id, message_of, items_as_stored)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the session's items, oldest first.

        Args:
            limit: only the last so many; None is as the settings say.

        Raises:
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await self._line.items(limit)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Store items at the end, in one transaction.

        Raises:
            InvalidTextError: one of them is no JSON, or too large; none is stored.
            ConversationBusyError: a reply of the conversation is just being written.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        await self._line.add(items)

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the last item back, and return it; None where there is none. It stays as a branch.

        Raises:
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        return await self._line.pop()

    async def clear_session(self) -> None:
        """Take all items back. They stay as a branch; `Store.purge` removes the conversation.

        Raises:
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        await self._line.clear()
