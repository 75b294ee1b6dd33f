"""convostore, driven as a program drives it: Store and Conversation, nothing inside."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import convostore
from benchmarks.byhand import shelf
from benchmarks.driving import ANSWER, ANSWER_LENGTH
from benchmarks.ours.importing import Importing
from benchmarks.ours.libraries import Libraries
from benchmarks.ours.replies import Instant, Paced
from benchmarks.stopwatch import percentile
from benchmarks.streaming import measuring

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore import Conversation

PAGE = 50  # conversations in the list
READERS = 3  # turns until each of its reading connections has been used
BIG_PAGE = 200  # for getting quickly to a far one


class Convostore(Libraries, Importing):
    """A store and its conversations."""

    plain: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("convostore", "sqlalchemy", "aiosqlite", "msgspec")

    async def open(self, path: str) -> None:
        """Open the store, with a provider that answers at once."""
        self.path = Path(path)
        self.cursor: str | None = None
        self.paced = Paced()
        self.store = convostore.open(self.path, provider=Instant(ANSWER[:ANSWER_LENGTH]))
        await self.store

    async def close(self) -> None:
        """Close it."""
        await self.store.aclose()
        await self.paced.aclose()

    async def create(self) -> Conversation:
        """Make a conversation."""
        return await self.store.create()

    async def append(self, chat: Conversation, question: str, answer: str) -> None:
        """Append both messages."""
        await chat.append(convostore.Message.user(question), convostore.Message.assistant(answer))

    async def turn(self, chat: Conversation, question: str, answer: str) -> None:  # noqa: ARG002 - the provider has it
        """Ask, and read the reply to its end."""
        async with chat.stream(question) as turn:
            async for _ in turn:
                pass

    async def fill(self, messages: int) -> Conversation:
        """Make a conversation of that many messages."""
        chat = await self.create()
        made = (convostore.Message.assistant, convostore.Message.user)
        texts = ("x" * 2_000, "x" * 500)
        await chat.append(*(made[at % 2](texts[at % 2]) for at in range(1, messages + 1)))
        return chat

    async def load(self, chat: Conversation) -> int:
        """Read a conversation."""
        return len(await chat.history())

    async def count(self) -> int:
        """Count all messages, by another connection."""
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute("SELECT count(*) FROM message").fetchone()[0])

    # -- the list --------------------------------------------------------------------------------

    async def shelve(self, conversations: int, messages_each: int, far_page: int) -> None:
        """Store very many conversations in bulk, and find the beginning of a far page."""
        chat = await self.create()
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            (owner_id,) = connection.execute(
                "SELECT owner_id FROM conversation WHERE id = ?", (chat.id,)
            ).fetchone()
            shelf.fill(connection, owner_id, conversations, messages_each)
        for _ in range(far_page * PAGE // BIG_PAGE):
            page = await self.store.list(limit=BIG_PAGE, cursor=self.cursor)
            self.cursor = page.next_cursor

    async def newest(self) -> int:
        """Read the first page."""
        return len((await self.store.list(limit=PAGE)).items)

    async def far(self) -> int:
        """Read the far page."""
        return len((await self.store.list(limit=PAGE, cursor=self.cursor)).items)

    async def openings(self, times: int) -> dict[str, Any]:
        """Open the store again and again, each time as far as its first page."""
        took_s = []
        for _ in range(times):
            began_s = time.perf_counter()
            async with convostore.open(self.path) as store:
                await store.list(limit=PAGE)
                took_s.append(time.perf_counter() - began_s)
        took_s.sort()
        return {"p50_ms": percentile(took_s, 0.5) * 1e3, "worst_ms": took_s[-1] * 1e3}

    # -- streams ---------------------------------------------------------------------------------

    async def replies(self, url: str, number: int) -> AsyncGenerator[float]:
        """Read one paced reply as a turn that is kept."""
        chat = self.ready.pop()
        question = f"reply {number}"
        sent = self.paced.expect(question, url)
        async with chat.stream(question, provider=self.paced) as turn:
            at = 0
            async for _ in turn:
                yield sent[at]
                at += 1

    async def one_stream(self, url: str) -> dict[str, Any]:
        """Measure one reply."""
        await self._warm(1)
        return await measuring.one(self, url)

    async def many_streams(self, url: str, turns: int, nominal_s: float) -> dict[str, Any]:
        """Measure many replies at once."""
        await self._warm(turns)
        return await measuring.many(self, url, turns, nominal_s)

    async def first_delta(self, url: str, times: int) -> dict[str, Any]:
        """Measure the time to the first delta."""
        await self._warm(times)
        return await measuring.first(self, url, times, self.path.parent)

    async def _warm(self, turns: int) -> None:
        """Make the conversations; let readers and writer begin before anything is measured."""
        self.ready = [await self.create() for _ in range(turns)]
        for _ in range(READERS):
            await self.turn(await self.create(), "Hello", "")
        await self.paced.connect()
