"""Filling a store with very many conversations, in bulk SQL: what the list is measured on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from convostore.handles import ALPHABET, HANDLE_LENGTH
from convostore.ids import new_id
from convostore.storage.tables import conversation, message

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

AT_ONCE = 10_000  # conversations a transaction
DAY_MS = 86_400_000
PRIME = 7_368_787  # spreads the numbers over the handles, so that their index fills as in use


def fill(
    connection: sqlite3.Connection, owner_id: str, conversations: int, messages_each: int
) -> None:
    """Add conversations, a second apart, the last one the newest; their messages are short."""
    now_ms = time.time_ns() // 1_000_000
    began_ms = now_ms - conversations * 1_000 - DAY_MS
    add_conversation = _insert("conversation", [column.name for column in conversation.c])
    add_message = _insert("message", [column.name for column in message.c])
    connection.execute("PRAGMA synchronous = OFF")
    for first in range(0, conversations, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, conversations))
        ids = [new_id() for _ in numbers]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            add_conversation, _conversations(owner_id, ids, numbers, began_ms, messages_each)
        )
        if messages_each:
            connection.executemany(add_message, _messages(owner_id, ids, messages_each, began_ms))
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("PRAGMA synchronous = FULL")


def _insert(table: str, columns: list[str]) -> str:
    names = ", ".join(columns)
    marks = ", ".join(f":{column}" for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"


def _conversations(
    owner_id: str, ids: list[str], numbers: range, began_ms: int, messages_each: int
) -> Iterator[dict[str, Any]]:
    empty = dict.fromkeys(column.name for column in conversation.c)
    for number, id_ in zip(numbers, ids, strict=True):
        at_ms = began_ms + number * 1_000
        yield empty | {
            "owner_id": owner_id,
            "id": id_,
            "handle": handle(number),
            "title": f"Conversation {number}: three days in Kyoto",
            "title_source": "user",
            "provider": "instant",
            "model": "instant-1",
            "head_seq": messages_each or None,
            "last_seq": messages_each,
            "message_count": messages_each,
            "interrupted_count": 0,
            "pinned": 0,
            "created_at_ms": at_ms,
            "updated_at_ms": at_ms,
        }


def _messages(owner_id: str, ids: list[str], each: int, now_ms: int) -> Iterator[dict[str, Any]]:
    empty = dict.fromkeys(column.name for column in message.c)
    for id_ in ids:
        for seq in range(1, each + 1):
            yield empty | {
                "owner_id": owner_id,
                "conversation_id": id_,
                "seq": seq,
                "id": new_id(),
                "parent_seq": seq - 1 or None,
                "role": ("assistant", "user")[seq % 2],
                "status": "completed",
                "text": "Where do we begin, and how long is the way?",
                "created_at_ms": now_ms,
                "finished_at_ms": now_ms,
            }


def handle(number: int) -> str:
    """Return a handle that no other number below 32**8 has."""
    left = number * PRIME % 32**HANDLE_LENGTH
    digits = []
    for _ in range(HANDLE_LENGTH):
        left, digit = divmod(left, 32)
        digits.append(ALPHABET[digit])
    return "".join(digits)
