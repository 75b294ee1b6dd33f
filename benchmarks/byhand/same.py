"""sqlite3 by hand with convostore's own tables, indexes, statements, commits, ids and hashes.

The schema comes from the migrations and every statement from the repository layer, so that this
loop cannot drift from what it is compared with: it does what an operation must do, without
threads, queues, coroutines or records. A turn reads what was said, then writes twice; the next one
in the same conversation knows what was said, as a Conversation object does.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from sqlalchemy.dialects import sqlite

from benchmarks.byhand import shelf
from benchmarks.byhand.spelled import Spelled
from convostore.ids import new_id, new_token
from convostore.storage import (
    appends,
    calls,
    endings,
    exchanges,
    listing,
    reads,
    replies,
    search_marks,
    standing,
)
from convostore.storage.canonical import content_hash
from convostore.storage.conversations import (
    EnsureOwner,
    NewConversation,
    create_conversations,
    ensure_owners,
)
from convostore.storage.leases import new_lease
from convostore.storage.migrate import ensure_schema
from convostore.storage.sqlite import connect_writer
from convostore.storage.statements import Tx
from convostore.storage.tables import message, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.adapter import Turn

_AT = ("owner_id", "conversation_id", "seq")
_OF = ("of_owner_id", "of_id")
STANDING = Spelled(standing._ONE, "owner_id", "id")
STANDINGS = Spelled(standing._SEVERAL, "owner_id", "ids")
KNOWN = Spelled(appends._BY_ID, "owner_id", "ids")
ADD = Spelled(search_marks.ADD_MESSAGE, *(column.name for column in message.c))
MARK = Spelled(search_marks.MARK, "owner_id", "conversation_id", "seq")
ADVANCE = Spelled(
    standing._ADVANCE, *_OF, *(f"new_{name}" for name in exchanges.Change.__struct_fields__)
)
PATH = Spelled(reads._UP_TO, "owner_id", "conversation_id", "last")
REPLY = Spelled(replies._ONE_REPLY, *_AT)
REPLIES = Spelled(replies._REPLIES, "owner_id", "places")
END = Spelled(
    endings._END,
    *("of_owner_id", "of_conversation_id", "of_seq", "new_status", "new_text", "new_parts"),
    *("new_model", "new_finish_reason", "new_error", "new_lease", "now_ms", "new_hash"),
)
TOUCH = Spelled(endings._TOUCH, *_OF, "now_ms", "new_model", "new_provider")
CALL = Spelled(calls.KEEP_CALL, *(column.name for column in usage.c))
PAGE = Spelled(listing._PAGE, "owner_id", "most")
NEXT_PAGE = Spelled(listing._NEXT_PAGE, "owner_id", "most", "pinned", "updated", "id")
PAGE_LENGTH = 50
_PROVIDER, _MODEL = "instant", "instant-1"


class Began(NamedTuple):
    """A turn after its first write."""

    chat: str
    reply_seq: int
    token: str
    answer: str


class Same:
    """One connection, set up as convostore's writer, and a plain loop."""

    plain: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    def open(self, path: str) -> None:
        """Make the store by its migrations and its owner, then open the writing connection."""
        ensure_schema(Path(path), create=True, migrate=False)
        self.connection = connect_writer(Path(path))
        self.connection.execute("PRAGMA busy_timeout = 30000")
        self.run = self.connection.cursor()
        self.said: set[str] = set()  # the conversations whose path a turn knows
        self.owner_id: str = self._write(ensure_owners, EnsureOwner(name=None, now_ms=_now_ms()))

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def create(self) -> str:
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
        return str(self._write(create_conversations, job))

    def append(self, chat: str, question: str, answer: str) -> None:
        """Store both messages in one transaction."""
        self.append_group([(chat, question, answer)])

    def append_group(self, group: list[Turn]) -> None:
        """Store the messages of several turns in one transaction."""
        now_ms, run, owner_id = _now_ms(), self.run, self.owner_id
        new = [(new_id(), new_id()) for _ in group]
        run.execute("BEGIN IMMEDIATE")
        stands = self._standings([turn[0] for turn in group])
        known = KNOWN.row(owner_id, json.dumps([id_ for pair in new for id_ in pair]))
        run.execute(KNOWN.sql, known).fetchall()
        rows, marks, moved = [], [], []
        for (chat, question, answer), (user_id, reply_id) in zip(group, new, strict=True):
            head, last, count, head_hash = stands[chat]
            asked = content_hash(head_hash, "user", question, None)
            answered = content_hash(asked, "assistant", answer, None)
            user = _row(owner_id, chat, last + 1, user_id, head, "user", question, now_ms, asked)
            rows.append(user)
            rows.append(
                _row(
                    *(owner_id, chat, last + 2, reply_id, last + 1, "assistant", answer),
                    *(now_ms, answered),
                )
            )
            marks.append(MARK.row(owner_id, chat, last + 1))
            moved.append(self._advance(chat, last + 2, count + 2, now_ms, question))
        run.executemany(ADD.sql, rows)
        run.executemany(MARK.sql, marks)
        run.executemany(ADVANCE.sql, moved)
        run.execute("COMMIT")

    def turn(self, chat: str, question: str, answer: str) -> None:
        """Read what was said, if it is not known; store question and empty reply, then the answer."""
        self.turn_group([(chat, question, answer)])

    def turn_group(self, group: list[Turn]) -> None:
        """Store several turns in two transactions."""
        now_ms, run = _now_ms(), self.run
        for chat, _, _ in group:
            if chat not in self.said:
                run.execute(PATH.sql, PATH.row(self.owner_id, chat, 2**31)).fetchall()
                self.said.add(chat)
        run.execute("BEGIN IMMEDIATE")
        begun = self._begin(group, now_ms)
        run.execute("COMMIT")
        run.execute("BEGIN IMMEDIATE")
        self._finish(begun, now_ms)
        run.execute("COMMIT")

    def _begin(self, group: list[Turn], now_ms: int) -> list[Began]:
        owner_id, run = self.owner_id, self.run
        stands = self._standings([turn[0] for turn in group])
        rows, marks, moved, begun = [], [], [], []
        for chat, question, answer in group:
            head, last, count, head_hash = stands[chat]
            token = new_token()
            asked = content_hash(head_hash, "user", question, None)
            user = _row(owner_id, chat, last + 1, new_id(), head, "user", question, now_ms, asked)
            rows += [user, _running(owner_id, chat, last + 2, new_lease(token, now_ms), now_ms)]
            marks.append(MARK.row(owner_id, chat, last + 1))
            moved.append(self._advance(chat, last + 2, count + 2, now_ms, question))
            begun.append(Began(chat, last + 2, token, answer))
        run.executemany(ADD.sql, rows)
        run.executemany(MARK.sql, marks)
        run.executemany(ADVANCE.sql, moved)
        return begun

    def _finish(self, begun: list[Began], now_ms: int) -> None:
        owner_id, run = self.owner_id, self.run
        if len(begun) == 1:
            row = REPLY.row(owner_id, begun[0].chat, begun[0].reply_seq)
            found = run.execute(REPLY.sql, row).fetchall()
        else:
            places = json.dumps([(one.chat, one.reply_seq) for one in begun])
            found = run.execute(REPLIES.sql, REPLIES.row(owner_id, places)).fetchall()
        above = {(row[0], row[1]): row[7] for row in found}
        ends, made, touched = [], [], []
        for chat, seq, token, answer in begun:
            hash_ = content_hash(above[chat, seq], "assistant", answer, None)
            ended = ("completed", answer, None, _MODEL, "stop", None, token, now_ms, hash_)
            ends.append(END.row(owner_id, chat, seq, *ended))
            call = (
                chat,
                seq,
                _PROVIDER,
                _MODEL,
                now_ms,
                *(None,) * 5,
            )  # the provider counts nothing
            made.append(CALL.row(owner_id, new_id(), *call))
            touched.append(TOUCH.row(owner_id, chat, now_ms, _MODEL, _PROVIDER))
        run.executemany(END.sql, ends)
        run.executemany(CALL.sql, made)
        run.executemany(TOUCH.sql, touched)

    def fill(self, messages: int) -> str:
        """Make a conversation of that many messages, in one transaction."""
        chat, now_ms, owner_id = self.create(), _now_ms(), self.owner_id
        above, rows = None, []
        for seq in range(1, messages + 1):
            role, text = (("assistant", "x" * 2_000), ("user", "x" * 500))[seq % 2]
            above = content_hash(above, role, text, None)
            rows.append(
                _row(owner_id, chat, seq, new_id(), seq - 1 or None, role, text, now_ms, above)
            )
        self.run.execute("BEGIN IMMEDIATE")
        self.run.executemany(ADD.sql, rows)
        self.run.execute(ADVANCE.sql, self._advance(chat, messages, messages, now_ms, "Filled"))
        self.run.execute("COMMIT")
        return chat

    def load(self, chat: str) -> int:
        """Read a conversation's rows."""
        return len(self.run.execute(PATH.sql, PATH.row(self.owner_id, chat, 2**31)).fetchall())

    def shelve(self, conversations: int, messages_each: int, far_page: int) -> None:
        """Store very many conversations in bulk, and find the beginning of a far page."""
        shelf.fill(self.connection, self.owner_id, conversations, messages_each)
        skip = (self.owner_id, far_page * PAGE_LENGTH)
        self.run.execute(
            "SELECT pinned, updated_at_ms, id FROM conversation WHERE owner_id = ?"
            " AND deleted_at_ms IS NULL AND archived_at_ms IS NULL"
            " ORDER BY pinned DESC, updated_at_ms DESC, id DESC LIMIT 1 OFFSET ?",
            skip,
        )
        self.place = self.run.fetchone()

    def far(self) -> int:
        """Read the rows of the far page."""
        next_page = NEXT_PAGE.row(self.owner_id, PAGE_LENGTH + 1, *self.place)
        return len(self.run.execute(NEXT_PAGE.sql, next_page).fetchall())

    def newest(self) -> int:
        """Read the rows of the newest 50 conversations."""
        return len(self.run.execute(PAGE.sql, PAGE.row(self.owner_id, PAGE_LENGTH + 1)).fetchall())

    def count(self) -> int:
        """Count all messages."""
        return int(self.run.execute("SELECT count(*) FROM message").fetchone()[0])

    def _standings(
        self, chats: Sequence[str]
    ) -> dict[str, tuple[int | None, int, int, str | None]]:
        if len(chats) == 1:
            found = self.run.execute(STANDING.sql, STANDING.row(self.owner_id, chats[0])).fetchall()
        else:
            row = STANDINGS.row(self.owner_id, json.dumps(sorted(chats)))
            found = self.run.execute(STANDINGS.sql, row).fetchall()
        return {row[0]: (row[1], row[2], row[3], row[10]) for row in found}

    def _advance(
        self, chat: str, seq: int, count: int, now_ms: int, question: str
    ) -> tuple[Any, ...]:
        moved = (seq, seq, count, now_ms, question[:79], "fallback", _PROVIDER, _MODEL)
        return ADVANCE.row(self.owner_id, chat, *moved)

    def _write(self, function: Any, job: object) -> Any:
        """Run one of convostore's own writes, for what is not measured."""
        self.run.execute("BEGIN IMMEDIATE")
        owner_id = getattr(self, "owner_id", "")
        outcome = function(Tx(self.run, sqlite.dialect()), owner_id, [job])[0]
        self.run.execute("COMMIT")
        return outcome


def _row(*values: Any) -> tuple[Any, ...]:
    """Return the row of a finished message, in the order of the statement."""
    owner_id, chat, seq, id_, parent_seq, role, text, now_ms, hash_ = values
    return ADD.row(
        *(owner_id, chat, seq, id_, parent_seq, role, None, "completed", text, None),
        *(None, None, None, None, None, None, now_ms, now_ms, hash_, None, None),
    )


def _running(owner_id: str, chat: str, seq: int, lease: str, now_ms: int) -> tuple[Any, ...]:
    """Return the row of a reply that has just begun."""
    return ADD.row(
        *(owner_id, chat, seq, new_id(), seq - 1, "assistant", None, "streaming", "", None),
        *(_PROVIDER, _MODEL, None, None, None, lease, now_ms, *(None,) * 4),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
