"""agno: its SQLite databases, written as its agents persist a run."""

from __future__ import annotations

import time
from itertools import count
from typing import Any, ClassVar
from uuid import uuid4

from agno.db.base import SessionType
from agno.db.sqlite import AsyncSqliteDb, SqliteDb
from agno.models.message import Message
from agno.run.agent import RunInput, RunOutput
from agno.run.base import RunStatus
from agno.session import AgentSession

AGENT = "benchmark"


class Chat:
    """A session's name, and how many runs it has."""

    def __init__(self) -> None:
        self.name = str(uuid4())
        self.runs = count()

    def session(self) -> Any:
        """Return the session as it is upserted after a run."""
        now = int(time.time())
        return AgentSession(
            session_id=self.name, agent_id=AGENT, user_id="user", created_at=now, updated_at=now
        )

    def run(self, question: str, answer: str) -> Any:
        """Return the run of one turn."""
        return RunOutput(
            run_id=str(uuid4()),
            agent_id=AGENT,
            session_id=self.name,
            input=RunInput(input_content=question),
            content=answer,
            messages=[
                Message(role="user", content=question),
                Message(role="assistant", content=answer),
            ],
            status=RunStatus.completed,
        )


def _counted(session: Any) -> int:
    return sum(len(run.messages or ()) for run in session.runs or ())


class Plain:
    """SqliteDb: synchronous."""

    plain: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("agno", "sqlalchemy")

    def open(self, path: str) -> None:
        """Open the database."""
        self.database = SqliteDb(db_file=path)

    def close(self) -> None:
        """Dispose of its engine."""
        self.database.close()

    def create(self) -> Chat:
        """Store an empty session."""
        chat = Chat()
        self.database.upsert_session(chat.session())
        return chat

    def append(self, chat: Chat, question: str, answer: str) -> None:
        """Store the session, then its new run."""
        self.database.upsert_session(chat.session())
        run, index = chat.run(question, answer), next(chat.runs)
        self.database.upsert_run(run, session_id=chat.name, user_id="user", run_index=index)

    def fill(self, messages: int) -> Chat:
        """Make a session of that many messages."""
        chat = self.create()
        for _ in range(messages // 2):
            self.append(chat, "x" * 500, "x" * 2_000)
        return chat

    def load(self, chat: Chat) -> int:
        """Read a session with all its runs."""
        return _counted(
            self.database.get_session(session_id=chat.name, session_type=SessionType.AGENT)
        )


class Async:
    """AsyncSqliteDb: aiosqlite."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("agno", "sqlalchemy", "aiosqlite")

    async def open(self, path: str) -> None:
        """Open the database."""
        self.database = AsyncSqliteDb(db_file=path)

    async def close(self) -> None:
        """Dispose of its engine."""
        await self.database.close()

    async def create(self) -> Chat:
        """Store an empty session."""
        chat = Chat()
        await self.database.upsert_session(chat.session())
        return chat

    async def append(self, chat: Chat, question: str, answer: str) -> None:
        """Store the session, then its new run."""
        await self.database.upsert_session(chat.session())
        run, index = chat.run(question, answer), next(chat.runs)
        await self.database.upsert_run(run, session_id=chat.name, user_id="user", run_index=index)

    async def fill(self, messages: int) -> Chat:
        """Make a session of that many messages."""
        chat = await self.create()
        for _ in range(messages // 2):
            await self.append(chat, "x" * 500, "x" * 2_000)
        return chat

    async def load(self, chat: Chat) -> int:
        """Read a session with all its runs."""
        return _counted(
            await self.database.get_session(session_id=chat.name, session_type=SessionType.AGENT)
        )
