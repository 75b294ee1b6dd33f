"""google-adk: SqliteSessionService, two events a turn."""

from __future__ import annotations

from typing import Any, ClassVar

from google.adk.events import Event
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai.types import Content, Part

APP, USER = "benchmark", "user"


def _event(author: str, role: str, text: str) -> Any:
    return Event(author=author, content=Content(role=role, parts=[Part(text=text)]))


class Service:
    """One session service."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("google-adk", "aiosqlite")

    async def open(self, path: str) -> None:
        """Make the service; it connects for each call."""
        self.service = SqliteSessionService(path)

    async def close(self) -> None:
        """Close it."""
        await self.service.close()

    async def create(self) -> Any:
        """Make a session."""
        return await self.service.create_session(app_name=APP, user_id=USER)

    async def append(self, chat: Any, question: str, answer: str) -> None:
        """Append both messages as events."""
        await self.service.append_event(chat, _event("user", "user", question))
        await self.service.append_event(chat, _event(APP, "model", answer))

    async def fill(self, messages: int) -> Any:
        """Make a session of that many messages."""
        chat = await self.create()
        for _ in range(messages // 2):
            await self.append(chat, "x" * 500, "x" * 2_000)
        return chat

    async def load(self, chat: Any) -> int:
        """Read a session."""
        found = await self.service.get_session(app_name=APP, user_id=USER, session_id=chat.id)
        return len(found.events) if found else 0
