"""openai-agents: its three session classes that keep chats in SQLite."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any, ClassVar

from agents import SQLiteSession, set_tracing_disabled
from agents.extensions.memory import AsyncSQLiteSession, SQLAlchemySession
from sqlalchemy.ext.asyncio import create_async_engine

set_tracing_disabled(True)


class Threaded:
    """SQLiteSession: sqlite3 in threads."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("openai-agents", "sqlalchemy", "aiosqlite")

    async def open(self, path: str) -> None:
        """Remember the file; sessions open it."""
        self.path = path
        self.names = count()
        self.sessions: set[Any] = set()

    async def close(self) -> None:
        """Close all sessions."""
        await self.release(list(self.sessions))

    def session(self, name: str) -> Any:
        """Make a session object."""
        return SQLiteSession(name, self.path)

    async def create(self) -> Any:
        """Make a session of a new name."""
        session = self.session(f"{id(self)}-{next(self.names)}")
        self.sessions.add(session)
        return session

    async def release(self, sessions: list[Any]) -> None:
        """Close sessions that are needed no more, in whatever way they have."""
        for session in sessions:
            self.sessions.discard(session)
            if close := getattr(session, "close", None):
                closed = close()
                if asyncio.iscoroutine(closed):
                    await closed

    async def append(self, chat: Any, question: str, answer: str) -> None:
        """Add both messages."""
        await chat.add_items(
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        )

    async def fill(self, messages: int) -> Any:
        """Make a session of that many messages."""
        chat = await self.create()
        items = [("user", "x" * 500), ("assistant", "x" * 2_000)] * (messages // 2)
        await chat.add_items([{"role": role, "content": text} for role, text in items])
        return chat

    async def load(self, chat: Any) -> int:
        """Read a session's items."""
        return len(await chat.get_items())


class Async(Threaded):
    """AsyncSQLiteSession: aiosqlite."""

    def session(self, name: str) -> Any:
        """Make a session object."""
        return AsyncSQLiteSession(name, self.path)


class Alchemy(Threaded):
    """SQLAlchemySession, all of one engine."""

    async def open(self, path: str) -> None:
        """Make the engine."""
        await super().open(path)
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    async def close(self) -> None:
        """Dispose of the engine."""
        await self.engine.dispose()

    def session(self, name: str) -> Any:
        """Make a session object."""
        return SQLAlchemySession(name, engine=self.engine, create_tables=True)
