"""convostore with a library of any size in it: what lists and searches cost there."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from benchmarks import library
from benchmarks.stopwatch import percentile
from convostore import Message
from convostore.storage.statements import Tx

if TYPE_CHECKING:
    from pathlib import Path

    from convostore import Conversation, Store

_HITS = 20  # of a search's first page


class Libraries:
    """The verbs that are measured on a library; mixed into the adapter that has the store."""

    path: Path
    store: Store
    cursor: str | None
    _raw: sqlite3.Connection | None = None
    _owner = ""

    async def library(self, messages: int, one_each: bool, seed: int, far_page: int) -> None:
        """Store a library in bulk, index it, and find the beginning of a far page."""
        await self.store.create()
        at = await self.store.rows_of()
        assert at is not None
        made, plain = await asyncio.to_thread(
            _fill, self.path, at[1], messages, seed, one_each=one_each
        )
        began_s = time.perf_counter()
        await self.store.reindex()
        indexing_s = time.perf_counter() - began_s
        self._facts = {
            "messages": made.messages,
            "conversations": made.conversations,
            "characters": made.characters,
            "plain": plain / made.characters,
            "indexed": _bytes(self.path) / made.characters,
            "indexing_us": indexing_s * 1e6 / made.messages,
        }
        for _ in range(far_page * 50 // 200):
            page = await self.store.list(limit=200, cursor=self.cursor)
            self.cursor = page.next_cursor

    async def facts(self) -> dict[str, Any]:
        """Return what is in the library, and the bytes on disk for each character of it."""
        return self._facts

    async def rare(self) -> int:
        """Search for a word that hardly any message has."""
        return len((await self.store.search(library.RARE, limit=_HITS)).items)

    async def everywhere(self) -> int:
        """Search for a word that most messages have: the best of the newest first."""
        return len((await self.store.search(library.EVERYWHERE, limit=_HITS)).items)

    async def common(self) -> int:
        """Search for a word that one message in ten has: the best of the newest first."""
        return len((await self.store.search(library.COMMON, limit=_HITS)).items)

    async def common_newest(self) -> int:
        """Search for the same, newest first."""
        page = await self.store.search(library.COMMON, limit=_HITS, newest_first=True)
        return len(page.items)

    async def found_at_once(self, times: int) -> dict[str, Any]:
        """Search for words that were committed just before; count those that were found."""
        chat, took_s, found = await self.store.create(), list[float](), 0
        for number in range(times):
            word = f"justnow{time.monotonic_ns()}x{number}"
            await chat.append(Message.user(word))
            began_s = time.perf_counter()
            found += len((await self.store.search(word)).items)
            took_s.append(time.perf_counter() - began_s)
        took_s.sort()
        return {"found": found / times, "p50_ms": percentile(took_s, 0.5) * 1e3}

    async def resume(self, chat: Conversation) -> int:
        """Find a conversation again by its handle, and read it."""
        return len(await (await self.store.resume(chat.handle)).history())

    async def raw_rows(self, chat: Conversation) -> int:
        """Read the same rows by hand, and nothing more."""
        if self._raw is None:
            self._raw = sqlite3.connect(self.path, isolation_level=None)
            (self._owner,) = self._raw.execute(
                "SELECT owner_id FROM conversation WHERE id = ?", (chat.id,)
            ).fetchone()
        run = self._raw.cursor()
        run.execute(
            "SELECT * FROM conversation WHERE owner_id = ? AND handle = ?",
            (self._owner, chat.handle),
        ).fetchall()
        rows = run.execute(
            "SELECT * FROM message WHERE owner_id = ? AND conversation_id = ? ORDER BY seq",
            (self._owner, chat.id),
        ).fetchall()
        return len(rows)


def _fill(
    path: Path, owner_id: str, messages: int, seed: int, *, one_each: bool
) -> tuple[library.Library, int]:
    """Store the messages, and return how many bytes the file has before they are indexed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        run = connection.cursor()
        run.execute("PRAGMA synchronous = OFF")
        made = library.fill(
            Tx(run, sqlite.dialect()),
            lambda: run.execute("BEGIN IMMEDIATE"),
            lambda: run.execute("COMMIT"),
            owner_id,
            messages=messages,
            one_each=one_each,
            seed=seed,
        )
    return made, _bytes(path)


def _bytes(path: Path) -> int:
    """Return the size of a store's file with all that is committed in it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path.stat().st_size
