"""asyncpg by hand with convostore's own tables, indexes, statements, commits, ids and hashes.

What `same.py` is for a file. Statements are the repository layer's own; several turns are one
transaction, and many rows one `unnest` statement. One connection does all. What was said is not
read before a turn, as a Conversation that goes on does not read it either.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import asyncpg

from benchmarks.byhand.same import Began
from benchmarks.byhand.spelled import POSTGRES, Spelled, SpelledMany
from convostore.ids import new_id, new_token
from convostore.storage import (
    appends,
    calls,
    endings,
    exchanges,
    group_writer,
    replies,
    search_marks,
    standing,
)
from convostore.storage.address import Server, address_of
from convostore.storage.canonical import content_hash, to_json
from convostore.storage.conversations import (
    EnsureOwner,
    NewConversation,
    create_conversations,
    ensure_owners,
)
from convostore.storage.engines import open_database
from convostore.storage.leases import new_lease
from convostore.storage.tables import message, usage

if TYPE_CHECKING:
    from benchmarks.adapter import Turn

_AT = ("owner_id", "conversation_id", "seq")
_OF = ("of_owner_id", "of_id")
_MOVED = tuple(f"new_{name}" for name in exchanges.Change.__struct_fields__)
_ENDED = (
    *("of_owner_id", "of_conversation_id", "of_seq", "new_status", "new_text", "new_parts"),
    *("new_model", "new_finish_reason", "new_error", "new_lease", "now_ms", "new_hash"),
)
LOCK = Spelled(group_writer.LOCK, "owner_id", "ids", dialect=POSTGRES)
STANDING = Spelled(standing._ONE, "owner_id", "id", dialect=POSTGRES)
STANDINGS = Spelled(standing._SEVERAL, "owner_id", "ids", dialect=POSTGRES)
KNOWN = Spelled(appends._BY_ID, "owner_id", "ids", dialect=POSTGRES)
REPLY = Spelled(replies._ONE_REPLY, *_AT, dialect=POSTGRES)
REPLIES = Spelled(replies._REPLIES, "owner_id", "places", dialect=POSTGRES)
ADD = SpelledMany(search_marks.ADD_MESSAGE, *(column.name for column in message.c))
MARK = SpelledMany(search_marks.MARK, *_AT)
ADVANCE = SpelledMany(standing._ADVANCE, *_OF, *_MOVED)
END = SpelledMany(endings._END, *_ENDED)
TOUCH = SpelledMany(endings._TOUCH, *_OF, "now_ms", "new_model", "new_provider")
CALL = SpelledMany(calls.KEEP_CALL, *(column.name for column in usage.c))
_PROVIDER, _MODEL = "instant", "instant-1"
_Standing = tuple[int | None, int, int, str | None]


class SamePostgres:
    """One connection and a plain loop."""

    plain: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("asyncpg",)

    async def open(self, path: str) -> None:
        """Make the store by its migrations and its owner, then connect."""
        server = address_of(path)
        assert isinstance(server, Server)
        self.database = await open_database(server, create=True, migrate=False, busy_timeout_s=10.0)
        owner = EnsureOwner(name=None, now_ms=_now_ms())
        self.owner_id: str = await self.database.write(ensure_owners, "", owner)
        self.run = await asyncpg.connect(server.dsn)

    async def close(self) -> None:
        """Close every connection."""
        await self.run.close()
        await self.database.aclose()

    async def create(self) -> str:
        """Make a conversation, as convostore does."""
        job = NewConversation(
            id=new_id(),
            key=None,
            reuse=False,
            title=None,
            provider=_PROVIDER,
            model=None,
            anonymous_user_id=new_id(),
            settings=None,
            metadata=None,
            system=None,
            now_ms=_now_ms(),
        )
        return str(await self.database.write(create_conversations, self.owner_id, job))

    async def append(self, chat: str, question: str, answer: str) -> None:
        """Store both messages in one transaction."""
        await self.append_group([(chat, question, answer)])

    async def append_group(self, group: list[Turn]) -> None:
        """Store the messages of several turns in one transaction."""
        now_ms, run, owner_id = _now_ms(), self.run, self.owner_id
        new = [(new_id(), new_id()) for _ in group]
        transaction = run.transaction()
        await transaction.start()
        stands = await self._standings([turn[0] for turn in group])
        await run.fetch(KNOWN.sql, *KNOWN.row(owner_id, [id_ for pair in new for id_ in pair]))
        rows, marks, moved = [], [], []
        for (chat, question, answer), (user_id, reply_id) in zip(group, new, strict=True):
            head, last, count, head_hash = stands[chat]
            asked = content_hash(head_hash, "user", question, None)
            answered = content_hash(asked, "assistant", answer, None)
            at, by, to = (owner_id, chat, last + 1), (owner_id, chat, last + 2), last + 1
            rows.append(_row(*at, user_id, head, "user", question, now_ms, asked))
            rows.append(_row(*by, reply_id, to, "assistant", answer, now_ms, answered))
            marks.append((owner_id, chat, last + 1))
            moved.append(self._advance(chat, last + 2, count + 2, now_ms, question))
        await run.execute(ADD.sql, *ADD.rows(rows))
        await run.execute(MARK.sql, *MARK.rows(marks))
        await run.execute(ADVANCE.sql, *ADVANCE.rows(moved))
        await transaction.commit()

    async def turn(self, chat: str, question: str, answer: str) -> None:
        """Store the question and an empty reply, then the answer."""
        await self.turn_group([(chat, question, answer)])

    async def turn_group(self, group: list[Turn]) -> None:
        """Store several turns in two transactions."""
        now_ms = _now_ms()
        transaction = self.run.transaction()
        await transaction.start()
        begun = await self._begin(group, now_ms)
        await transaction.commit()
        transaction = self.run.transaction()
        await transaction.start()
        await self._finish(begun, now_ms)
        await transaction.commit()

    async def _begin(self, group: list[Turn], now_ms: int) -> list[Began]:
        owner_id = self.owner_id
        stands = await self._standings([turn[0] for turn in group])
        rows, marks, moved, begun = [], [], [], []
        for chat, question, answer in group:
            head, last, count, head_hash = stands[chat]
            token = new_token()
            asked = content_hash(head_hash, "user", question, None)
            at = (owner_id, chat, last + 1)
            rows.append(_row(*at, new_id(), head, "user", question, now_ms, asked))
            rows.append(_running(owner_id, chat, last + 2, new_lease(token, now_ms), now_ms))
            marks.append((owner_id, chat, last + 1))
            moved.append(self._advance(chat, last + 2, count + 2, now_ms, question))
            begun.append(Began(chat, last + 2, token, answer))
        await self.run.execute(ADD.sql, *ADD.rows(rows))
        await self.run.execute(MARK.sql, *MARK.rows(marks))
        await self.run.execute(ADVANCE.sql, *ADVANCE.rows(moved))
        return begun

    async def _finish(self, begun: list[Began], now_ms: int) -> None:
        owner_id, run = self.owner_id, self.run
        await self._lock([one.chat for one in begun])
        if len(begun) == 1:
            row = REPLY.row(owner_id, begun[0].chat, begun[0].reply_seq)
            found = await run.fetch(REPLY.sql, *row)
        else:
            places = to_json([(one.chat, one.reply_seq) for one in begun])
            found = await run.fetch(REPLIES.sql, *REPLIES.row(owner_id, places))
        above = {(row[0], row[1]): row[7] for row in found}
        ends, made, touched = [], [], []
        for chat, seq, token, answer in begun:
            hash_ = content_hash(above[chat, seq], "assistant", answer, None)
            ended = ("completed", answer, None, _MODEL, "stop", None, token, now_ms, hash_)
            ends.append((owner_id, chat, seq, *ended))
            call = (
                chat,
                seq,
                _PROVIDER,
                _MODEL,
                now_ms,
                *(None,) * 5,
            )  # the provider counts nothing
            made.append((owner_id, new_id(), *call))
            touched.append((owner_id, chat, now_ms, _MODEL, _PROVIDER))
        await run.execute(END.sql, *END.rows(ends))
        await run.execute(CALL.sql, *CALL.rows(made))
        await run.execute(TOUCH.sql, *TOUCH.rows(touched))

    async def count(self) -> int:
        """Count all messages."""
        return int(await self.run.fetchval("SELECT count(*) FROM message"))

    async def _lock(self, chats: list[str]) -> None:
        await self.run.execute(LOCK.sql, *LOCK.row(self.owner_id, sorted(chats)))

    async def _standings(self, chats: list[str]) -> dict[str, _Standing]:
        """Hold the conversations, then read how they stand: what is read first may be old."""
        await self._lock(chats)
        if len(chats) == 1:
            row = STANDING.row(self.owner_id, chats[0])
            found = await self.run.fetch(STANDING.sql, *row)
        else:
            row = STANDINGS.row(self.owner_id, sorted(chats))
            found = await self.run.fetch(STANDINGS.sql, *row)
        return {row[0]: (row[1], row[2], row[3], row[10]) for row in found}

    def _advance(
        self, chat: str, seq: int, count: int, now_ms: int, question: str
    ) -> tuple[Any, ...]:
        moved = (seq, seq, count, now_ms, question[:79], "fallback", _PROVIDER, _MODEL)
        return (self.owner_id, chat, *moved)


def _row(*values: Any) -> tuple[Any, ...]:
    """Return the row of a finished message, in the order of the columns."""
    owner_id, chat, seq, id_, parent_seq, role, text, now_ms, hash_ = values
    return (
        *(owner_id, chat, seq, id_, parent_seq, role, None, "completed", text, None),
        *(None, None, None, None, None, None, now_ms, now_ms, hash_, None, None),
    )


def _running(owner_id: str, chat: str, seq: int, lease: str, now_ms: int) -> tuple[Any, ...]:
    """Return the row of a reply that has just begun."""
    return (
        *(owner_id, chat, seq, new_id(), seq - 1, "assistant", None, "streaming", "", None),
        *(_PROVIDER, _MODEL, None, None, None, lease, now_ms, *(None,) * 4),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
