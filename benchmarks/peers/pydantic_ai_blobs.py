"""pydantic-ai has no store: the usual pattern, all messages of a conversation as one JSON blob.

As in its chat example: sqlite3 on one thread, with the driver's default settings.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, ClassVar

from pydantic_ai.messages import (
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    TextPart,
    UserPromptPart,
)


class Chat:
    """A conversation: its row, and its messages as the agent would hold them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.messages: list[Any] = []


class Blobs:
    """A table of blobs."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("pydantic-ai-slim", "pydantic")

    async def open(self, path: str) -> None:
        """Connect on the one thread, and make the table."""
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.numbers = count(1)
        self.connection: sqlite3.Connection = await self._run(self._connect, path)

    def _connect(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS chat (id INTEGER PRIMARY KEY, messages TEXT)"
        )
        connection.commit()
        return connection

    async def _run(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.thread, function, *arguments)

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await self._run(self.connection.close)
        self.thread.shutdown()

    async def create(self) -> Chat:
        """Give a conversation its number."""
        return Chat(next(self.numbers))

    async def append(self, chat: Chat, question: str, answer: str) -> None:
        """Write all messages again, with these two."""
        chat.messages += [
            ModelRequest(parts=[UserPromptPart(question)]),
            ModelResponse(parts=[TextPart(answer)]),
        ]
        blob = ModelMessagesTypeAdapter.dump_json(chat.messages)
        await self._run(self._put, chat.number, blob)

    def _put(self, number: int, blob: bytes) -> None:
        self.connection.execute("INSERT OR REPLACE INTO chat VALUES (?, ?)", (number, blob))
        self.connection.commit()

    async def fill(self, messages: int) -> Chat:
        """Make a conversation of that many messages."""
        chat = await self.create()
        for _ in range(messages // 2 - 1):
            chat.messages.append(ModelRequest(parts=[UserPromptPart("x" * 500)]))
            chat.messages.append(ModelResponse(parts=[TextPart("x" * 2_000)]))
        await self.append(chat, "x" * 500, "x" * 2_000)
        return chat

    async def load(self, chat: Chat) -> int:
        """Read and validate a conversation's messages."""
        blob = await self._run(self._get, chat.number)
        return len(ModelMessagesTypeAdapter.validate_json(blob))

    def _get(self, number: int) -> bytes:
        found = self.connection.execute("SELECT messages FROM chat WHERE id = ?", (number,))
        return bytes(found.fetchone()[0])
