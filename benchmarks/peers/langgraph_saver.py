"""LangGraph: AsyncSqliteSaver, one checkpoint a turn with the whole channel of messages."""

from __future__ import annotations

from itertools import count
from typing import Any, ClassVar

import aiosqlite
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


class Chat:
    """A LangGraph thread: its configuration, and its messages as the graph would hold them."""

    def __init__(self, name: str) -> None:
        self.config: dict[str, Any] = {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
        self.messages: list[Any] = []


class Saver:
    """One saver on one aiosqlite connection."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = (
        "langgraph",
        "langgraph-checkpoint-sqlite",
        "langchain-core",
    )

    async def open(self, path: str) -> None:
        """Connect and make the tables."""
        self.connection = await aiosqlite.connect(path)
        self.saver = AsyncSqliteSaver(self.connection)
        await self.saver.setup()
        self.names = count()

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    async def create(self) -> Chat:
        """Name a thread."""
        return Chat(f"{id(self)}-{next(self.names)}")

    async def append(self, chat: Chat, question: str, answer: str) -> None:
        """Put a checkpoint with the messages so far and these two."""
        chat.messages += [HumanMessage(question), AIMessage(answer)]
        await self._put(chat)

    async def _put(self, chat: Chat) -> None:
        version = len(chat.messages)
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"messages": chat.messages}
        checkpoint["channel_versions"] = {"messages": version}
        metadata = {"source": "loop", "step": version, "parents": {}}
        chat.config = await self.saver.aput(
            chat.config, checkpoint, metadata, {"messages": version}
        )

    async def fill(self, messages: int) -> Chat:
        """Make a thread of that many messages, in one checkpoint."""
        chat = await self.create()
        for _ in range(messages // 2):
            chat.messages += [HumanMessage("x" * 500), AIMessage("x" * 2_000)]
        await self._put(chat)
        return chat

    async def load(self, chat: Chat) -> int:
        """Read the newest checkpoint's messages."""
        name = chat.config["configurable"]["thread_id"]
        found = await self.saver.aget_tuple(
            {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
        )
        return len(found.checkpoint["channel_values"]["messages"]) if found else 0
