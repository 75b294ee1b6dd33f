"""convostore on a PostgreSQL server: the same public interface, another place."""

from __future__ import annotations

from typing import ClassVar

import asyncpg

import convostore
from benchmarks.driving import ANSWER, ANSWER_LENGTH
from benchmarks.ours.chats import Convostore
from benchmarks.ours.replies import Instant, Paced


class OnAServer(Convostore):
    """A store in a database."""

    packages: ClassVar[tuple[str, ...]] = ("convostore", "sqlalchemy", "asyncpg", "msgspec")

    async def open(self, path: str) -> None:
        """Open the store, with a provider that answers at once."""
        self.url = path
        self.paced = Paced()
        self.store = convostore.open(path, provider=Instant(ANSWER[:ANSWER_LENGTH]))
        await self.store

    async def count(self) -> int:
        """Count all messages, by another connection."""
        connection = await asyncpg.connect(self.url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM message"))
        finally:
            await connection.close()
