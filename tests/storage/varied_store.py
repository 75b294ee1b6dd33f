"""A store with one of everything that the reading commands can meet."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import convostore
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.providers.echo import Echo
from convostore.records import Message
from convostore.storage.leases import new_lease

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "\x1b[2J\u202egnp.exe\x9b\ttab\r\nline\r\u2028end"
DEAD = "token|boot|namespace|1|1|0"  # of another boot, and long ago
MANY = 230  # more than one page of the list has
PARTS = (
    ReasoningPart("Let me see"),
    TextPart("The "),
    ToolCallPart("1", "look", '{"at": "\x1b[2J"}'),
    ToolCallPart("2", "", "{}"),
    ToolResultPart("1", "look", "京都"),
    ToolResultPart("", "", ""),
    OpaquePart("image\x07", {"url": ["x", 1, None]}),
    TextPart("answer 京都"),
)
PIECES = [
    (0, "reasoning", "think"),
    (5, "reasoning", "ing 京"),
    (11, "text", "so "),
    (14, "tool_call", json.dumps({"t": "tool_call", "id": "a", "name": "f", "args": "{}"})),
    (15, "text", "far"),
    (18, "text", " 都\n"),
    (21, "reasoning", ""),
]


async def fill(path: Path) -> None:
    """Make the store; all of it happened long ago, so that ages do not change."""
    async with convostore.open(path, provider=Echo()) as store:
        for number in range(MANY):
            await store.create(title=f"talk {number}", key=f"room:{number}")
        await _talks(store)
        for title in ("streaming", "interrupted", "failed", "erased", "stopped", "bare error"):
            talk = await store.create(title=title, system="Be kind", settings={"top_p": 0.5})
            await talk.append(Message.user("q"), Message.assistant("a", model="m-1"))
    async with convostore.open(path, owner="alice") as store:
        talk = await store.create(title="plan of alice")
        await talk.append(Message.user("secret"))
    with closing(sqlite3.connect(path)) as raw:
        _change(raw)
        raw.commit()


async def _talks(store: convostore.Store) -> None:
    for title in (
        NASTY,
        "京都の旅行計画を三日間で立てる、と、とても長い題名",
        "e\u0301" * 60,
        "👩\u200d🚀 x",
    ):
        talk = await store.create(title=title, model="a-model-with-a-very-long-name-" + title[:3])
        await talk.append(Message.user(title, author="Ann\t"), Message.assistant(title))
    talk = await store.create(title="parts", metadata={"a": [1]})
    text = "The answer 京都"
    files = [await store.attach(b"x", name=NASTY), await store.attach(b"12", media_type="image/x")]
    question = Message.user("q", attachments=files)
    await talk.append(question, Message.assistant(text, model="m", parts=PARTS))
    await store.create(title="archived", key="an old one")
    await store.create(title="blanks", key=" blank ")
    await store.create(title="pinned")
    await store.create(title="in the bin", key="bin")
    await store.create()
    talk = await store.create(title="branches")
    await talk.send("one")
    stale = await store.resume(talk.id)
    await talk.send("two")
    await stale.send("two, in another window")
    await talk.send("three")


def _change(raw: sqlite3.Connection) -> None:
    """Bring about what takes a crash, a failure or time."""

    def reply(title: str, assignments: str, *values: Any) -> None:
        raw.execute(
            f"UPDATE message SET {assignments} WHERE role = 'assistant' AND conversation_id ="
            " (SELECT id FROM conversation WHERE title = ?)",
            (*values, title),
        )

    error = json.dumps({"code": "x", "message": "broke \x1b off", "hint": "", "retryable": True})
    running = "status = 'streaming', text = '', lease = ?"
    reply("streaming", running, new_lease("token", 0))
    reply("interrupted", running, DEAD)
    reply("failed", "status = 'failed', error = ?", error)
    reply("bare error", "status = 'failed', error = ?", '{"message": "m", "code": "c", "more": 1}')
    reply("erased", "status = 'erased', text = ''")
    reply("stopped", "status = 'stopped'")
    raw.executemany(
        "INSERT INTO journal SELECT owner_id, conversation_id, seq, ?, ?, ?"
        " FROM message WHERE status = 'streaming'",
        PIECES,
    )
    raw.execute(
        "INSERT INTO remote_thread SELECT owner_id, conversation_id, seq, 'https://x', 'auto',"
        " 'remote-id', NULL, NULL, 1, NULL FROM message WHERE status = 'stopped'"
    )
    raw.execute("UPDATE conversation SET updated_at_ms = updated_at_ms - 9000000000")
    raw.execute("UPDATE conversation SET archived_at_ms = 1 WHERE title = 'archived'")
    raw.execute("UPDATE conversation SET pinned = 1 WHERE title = 'pinned'")
    raw.execute("UPDATE conversation SET folder = '京都 \x1b' WHERE title = 'parts'")
    raw.executemany(
        "INSERT INTO tag SELECT owner_id, id, ? FROM conversation"
        " WHERE title IN ('pinned', 'parts', 'archived')",
        [("travel",), ("旅行",), ('"quoted\\"',)],
    )
    raw.execute("UPDATE conversation SET deleted_at_ms = 1 WHERE title = 'in the bin'")
