"""Message histories of pydantic-ai that are conversations: listed, searched, exported like any other.

.. code-block:: python

    import convostore
    from pydantic_ai import Agent
    from convostore.integrations.pydantic_ai import MessageHistory

    async with convostore.open("chats.db") as store:
        history = MessageHistory("user:42", store)
        result = await agent.run(
            "Hello", message_history=await history.load(), capabilities=[history.keeper()]
        )

With the keeper each message is on disk before the next one is made: the question before the model is
asked. Without it, `await history.append(result.new_messages())` stores a run when it has ended.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from convostore.formats.pydantic_messages import message_of, messages_as_stored
from convostore.integrations.line import Line
from convostore.text import gate_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.messages import ModelMessage

    from convostore.store import Store


class MessageHistory:
    """The messages of a conversation, for `message_history` of a run.

    What is stored is the JSON of pydantic-ai's own type adapter, and that adapter reads it: no type
    is made from a name. A conversation of another origin can be gone on with, too.

    Args:
        conversation_id: the conversation's key, unique for the store's owner.
        store: an opened store; it stays the caller's to close.

    Raises:
        InvalidTextError: no conversation can be called so.

    Attributes:
        conversation_id: as given.
    """

    def __init__(self, conversation_id: str, store: Store) -> None:
        self.conversation_id = gate_key(conversation_id)
        self._line: Line[dict[str, Any]] = Line(
            store, conversation_id, message_of, messages_as_stored
        )

    async def load(self, limit: int | None = None) -> list[ModelMessage]:
        """Read the messages, oldest first.

        Args:
            limit: only the last so many.

        Raises:
            ValidationError: pydantic's own: a message is of a version that cannot be read here.
            StoreError: the store cannot be read.
            StoreClosedError: the store is closed.
        """
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        text = json.dumps(await self._line.items(limit))
        found: list[ModelMessage] = ModelMessagesTypeAdapter.validate_json(text)
        return found

    async def append(self, messages: Sequence[ModelMessage]) -> None:
        """Store messages at the end, in one transaction.

        Raises:
            InvalidTextError: one of them cannot be stored; none is.
            ConversationBusyError: a reply of the conversation is just being written.
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        from pydantic_ai.messages import ModelMessagesTypeAdapter

        text = ModelMessagesTypeAdapter.dump_json(list(messages))
        await self._line.add(json.loads(text))

    async def clear(self) -> None:
        """Begin anew. What was said stays as a branch; `Store.purge` removes the conversation.

        Raises:
            StoreError: the store cannot be read or written.
            StoreClosedError: the store is closed.
        """
        await self._line.clear()

    def keeper(self) -> AbstractCapability[Any]:
        """Return a capability for one run: it stores each message of it as soon as there is one."""
        from convostore.integrations.pydantic_ai_keeper import Keeper

        return Keeper(self)
