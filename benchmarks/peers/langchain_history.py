"""langchain-community: SQLChatMessageHistory on one synchronous engine."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

from langchain_community.chat_message_histories import SQLChatMessageHistory
from langchain_core.messages import AIMessage, HumanMessage
from sqlalchemy import create_engine


class History:
    """Histories of one engine."""

    plain: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("langchain-community", "langchain-core", "sqlalchemy")

    def open(self, path: str) -> None:
        """Make the engine."""
        self.engine = create_engine(f"sqlite:///{path}")
        self.names = count()

    def close(self) -> None:
        """Dispose of the engine."""
        self.engine.dispose()

    def create(self) -> Any:
        """Make a history of a new name."""
        name = f"{id(self)}-{next(self.names)}"
        return SQLChatMessageHistory(session_id=name, connection=self.engine)

    def append(self, chat: Any, question: str, answer: str) -> None:
        """Add both messages."""
        chat.add_messages([HumanMessage(question), AIMessage(answer)])

    def fill(self, messages: int) -> Any:
        """Make a history of that many messages."""
        chat = self.create()
        pair = (HumanMessage("x" * 500), AIMessage("x" * 2_000))
        chat.add_messages(pair * (messages // 2))
        return chat

    def load(self, chat: Any) -> int:
        """Read a history's messages."""
        return len(chat.get_messages())
