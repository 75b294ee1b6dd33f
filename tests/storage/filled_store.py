"""A store with something in it, and what lies in its file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import convostore
from convostore.providers.echo import Echo

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.records import Message

TOPICS = ("Kyoto", "Bread", "Тест")


async def fill(path: Path) -> None:
    """Make a store at *path* with a conversation of two turns for each topic."""
    async with convostore.open(path, provider=Echo()) as store:
        for topic in TOPICS:
            chat = await store.create(title=topic, system="Be kind", metadata={"topic": topic})
            await chat.send(f"Tell me of {topic}")
            await chat.send(f"And what else of {topic}?")


async def read(path: Path) -> dict[str | None, tuple[Message, ...]]:
    """Return every conversation's messages by its title, through the public API."""
    async with convostore.open(path, create=False) as store:
        page = await store.list(limit=100)
        return {
            record.title: await (await store.resume(record.id)).messages() for record in page.items
        }


def execute(path: Path, sql: str, *values: Any) -> int:
    """Change a store by hand, as no program of ours would, and return how many rows changed."""
    with closing(sqlite3.connect(path)) as connection:
        changed = connection.execute(sql, values).rowcount
        connection.commit()
        return changed
