"""The raw limit: the lightest schema that does the work of a chat store, in a plain loop.

Two message rows a turn, the conversation's time and count, an index that lists the newest; WAL,
every commit synced, pages of 8 KiB, integer keys, a large cache.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from benchmarks.adapter import Turn


SCHEMA = """
PRAGMA page_size = 8192;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS conversation (
    id INTEGER PRIMARY KEY, title TEXT, updated_ms INTEGER NOT NULL, messages INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS newest ON conversation (updated_ms, id);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, conversation_id INTEGER NOT NULL, role TEXT NOT NULL,
    text TEXT NOT NULL, created_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS of_conversation ON message (conversation_id, id);
"""
ADD = "INSERT INTO message (conversation_id, role, text, created_ms) VALUES (?, ?, ?, ?)"
TOUCH = "UPDATE conversation SET updated_ms = ?, messages = messages + ? WHERE id = ?"
PATH = "SELECT id, role, text, created_ms FROM message WHERE conversation_id = ? ORDER BY id"
NEWEST = "SELECT id, title, updated_ms, messages FROM conversation ORDER BY updated_ms DESC, id DESC LIMIT 50"


class Limit:
    """sqlite3 by hand, one connection."""

    plain: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    def open(self, path: str) -> None:
        """Open the file and make the tables."""
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self.connection.executescript(SCHEMA)
        for pragma in ("synchronous = FULL", "cache_size = -65536", "mmap_size = 268435456"):
            self.connection.execute(f"PRAGMA {pragma}")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def create(self) -> int:
        """Make a conversation."""
        made = self.connection.execute(
            "INSERT INTO conversation (title, updated_ms, messages) VALUES (?, ?, 0)",
            ("Kyoto", _now_ms()),
        )
        return int(made.lastrowid or 0)

    def append(self, chat: int, question: str, answer: str) -> None:
        """Store both messages in one transaction."""
        self.append_group([(chat, question, answer)])

    def append_group(self, turns: list[Turn]) -> None:
        """Store the messages of several turns in one transaction."""
        now_ms, run = _now_ms(), self.connection
        run.execute("BEGIN IMMEDIATE")
        rows = []
        for chat, question, answer in turns:
            rows.append((chat, "user", question, now_ms))
            rows.append((chat, "assistant", answer, now_ms))
        run.executemany(ADD, rows)
        run.executemany(TOUCH, [(now_ms, 2, chat) for chat, _, _ in turns])
        run.execute("COMMIT")

    def turn(self, chat: int, question: str, answer: str) -> None:
        """Read what was said, store the question and an empty reply, then the answer."""
        self.turn_group([(chat, question, answer)])

    def turn_group(self, turns: list[Turn]) -> None:
        """Store several turns in two transactions."""
        now_ms, run, replies = _now_ms(), self.connection, []
        for chat, _, _ in turns:
            run.execute(PATH, (chat,)).fetchall()
        run.execute("BEGIN IMMEDIATE")
        for chat, question, _ in turns:
            run.execute(ADD, (chat, "user", question, now_ms))
            replies.append(run.execute(ADD, (chat, "assistant", "", now_ms)).lastrowid)
        run.executemany(TOUCH, [(now_ms, 2, chat) for chat, _, _ in turns])
        run.execute("COMMIT")
        run.execute("BEGIN IMMEDIATE")
        ends = [(turn[2], reply) for turn, reply in zip(turns, replies, strict=True)]
        run.executemany("UPDATE message SET text = ? WHERE id = ?", ends)
        run.executemany(TOUCH, [(now_ms, 0, chat) for chat, _, _ in turns])
        run.execute("COMMIT")

    def fill(self, messages: int) -> int:
        """Make a conversation of that many messages."""
        chat, now_ms = self.create(), _now_ms()
        rows = [
            (chat, ("user", "assistant")[at % 2], "x" * (500, 2_000)[at % 2], now_ms)
            for at in range(messages)
        ]
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(ADD, rows)
        self.connection.execute(TOUCH, (now_ms, messages, chat))
        self.connection.execute("COMMIT")
        return chat

    def load(self, chat: int) -> int:
        """Read a conversation's rows."""
        return len(self.connection.execute(PATH, (chat,)).fetchall())

    def count(self) -> int:
        """Count all messages."""
        return int(self.connection.execute("SELECT count(*) FROM message").fetchone()[0])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
