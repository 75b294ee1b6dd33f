"""Whether what a store says agrees with itself: trees, counts, hashes, journals, attachments.

Reads only, conversation by conversation, so that nobody has to wait and memory stays small. The
same for both engines.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from sqlalchemy import bindparam, func, select, tuple_

from convostore.errors import StoreCorruptError
from convostore.records import ErrorRecord, Status
from convostore.storage import scrub_note, search_check
from convostore.storage.attachment_check import look_at_attachments
from convostore.storage.canonical import content_hash
from convostore.storage.checkpoint_check import look_at_checkpoints
from convostore.storage.origin_check import look_at_originals
from convostore.storage.rows import (
    RECORD_COLUMNS,
    RECORD_NAMES,
    conversation_from,
    decode_parts,
    fold_journal,
)
from convostore.storage.statements import Hot, Tx
from convostore.storage.summaries import look_at_summaries
from convostore.storage.tables import conversation, journal, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostore.storage.statements import Row

MOST_PROBLEMS = 1_000  # in a report; how many more there are is its last line
_PAGE = 500  # conversations whose names are read at once
_STATUSES = frozenset(get_args(Status))


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check looked at, and what it found.

    Attributes:
        problems: a line each; none in a sound store.
        remarks: a line each; worth knowing, but no damage.
        deep: the content was looked at, not only how it hangs together.
        conversations: how many were looked at; so the next two.
        revision: the schema's.
        engine: its name and version.
        journal_mode: `wal`, unless another program changed the file or nothing was written yet;
            empty on a server.
    """

    problems: tuple[str, ...]
    remarks: tuple[str, ...]
    deep: bool
    conversations: int
    messages: int
    journal_rows: int
    revision: str
    engine: str
    journal_mode: str


class Findings:
    """What is found on the way."""

    def __init__(self, *, deep: bool) -> None:
        self.deep = deep
        self.conversations = 0
        self.messages = 0
        self.journal_rows = 0
        self.unindexed = 0
        self.scrub_owed = False
        self.attachments: set[str] = set()  # whose bytes were looked at
        self._problems: list[str] = []
        self._more = 0

    def add(self, problem: str) -> None:
        """Note a problem."""
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(problem)
        else:
            self._more += 1

    @property
    def problems(self) -> tuple[str, ...]:
        """Return a line for each problem."""
        more = [f"and {self._more} more"] if self._more else []
        return (*self._problems, *more)

    def report(
        self, *, remarks: tuple[str, ...], revision: str, engine: str, journal_mode: str
    ) -> CheckReport:
        """Return what was found, as the caller gets it."""
        return CheckReport(
            problems=self.problems,
            remarks=(
                *remarks,
                *search_check.remark(self.unindexed),
                *((scrub_note.REMARK,) if self.scrub_owed else ()),
            ),
            deep=self.deep,
            conversations=self.conversations,
            messages=self.messages,
            journal_rows=self.journal_rows,
            revision=revision,
            engine=engine,
            journal_mode=journal_mode,
        )


_NEXT = Hot(
    select(conversation.c.owner_id, conversation.c.id)
    .where(
        tuple_(conversation.c.owner_id, conversation.c.id)
        > tuple_(bindparam("owner_id"), bindparam("conversation_id"))
    )
    .order_by(conversation.c.owner_id, conversation.c.id)
    .limit(_PAGE)
)
_CONVERSATION = Hot(
    select(*RECORD_COLUMNS).where(
        conversation.c.owner_id == bindparam("owner_id"),
        conversation.c.id == bindparam("conversation_id"),
    )
)
_parent = message.alias("parent")
_LINKS = (
    message.c.seq,
    message.c.parent_seq,
    message.c.status,
    message.c.content_hash,
    _parent.c.seq,
    _parent.c.status,
)
_CONTENTS = (
    _parent.c.content_hash,
    message.c.role,
    message.c.text,
    message.c.parts,
    message.c.error,
)


def _messages(*columns: Any) -> Hot:
    """Select *columns* of a conversation's messages, each beside its parent."""
    return Hot(
        select(*columns)
        .select_from(
            message.outerjoin(
                _parent,
                (_parent.c.owner_id == message.c.owner_id)
                & (_parent.c.conversation_id == message.c.conversation_id)
                & (_parent.c.seq == message.c.parent_seq),
            )
        )
        .where(
            message.c.owner_id == bindparam("owner_id"),
            message.c.conversation_id == bindparam("conversation_id"),
        )
        .order_by(message.c.seq)
    )


_SHALLOW = _messages(*_LINKS)
_DEEP = _messages(*_LINKS, *_CONTENTS)
_JOURNALS = Hot(
    select(journal.c.message_seq, func.count(), func.max(message.c.status))
    .select_from(
        journal.outerjoin(
            message,
            (message.c.owner_id == journal.c.owner_id)
            & (message.c.conversation_id == journal.c.conversation_id)
            & (message.c.seq == journal.c.message_seq),
        )
    )
    .where(
        journal.c.owner_id == bindparam("owner_id"),
        journal.c.conversation_id == bindparam("conversation_id"),
    )
    .group_by(journal.c.message_seq)
)
_JOURNAL = Hot(
    select(journal.c.seq, journal.c.kind, journal.c.text).where(
        journal.c.owner_id == bindparam("owner_id"),
        journal.c.conversation_id == bindparam("conversation_id"),
        journal.c.message_seq == bindparam("seq"),
    )
)


def look_at_records(
    tx: Tx, findings: Findings, *, begin: Callable[[], object], end: Callable[[], object]
) -> None:
    """Look at every conversation, each in a read transaction of its own."""
    findings.scrub_owed = bool(tx.rows(scrub_note.OWED))
    for owner_id, conversation_id in _conversations(tx):
        begin()
        try:
            _conversation(tx, owner_id, conversation_id, findings)
        except (TypeError, ValueError) as error:  # a value of a kind that was never stored
            findings.add(f"conversation {conversation_id}: cannot be read: {error}")
        finally:
            end()


def _conversations(tx: Tx) -> Iterator[Row]:
    last: Row = ("", "")
    while page := tx.rows(_NEXT, owner_id=last[0], conversation_id=last[1]):
        yield from page
        last = page[-1]


def _conversation(tx: Tx, owner_id: str, conversation_id: str, findings: Findings) -> None:
    """Check one conversation, in one read transaction: what it says must agree with itself."""
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    found = tx.rows(_CONVERSATION, **at)
    if not found:
        return  # removed since the page was read
    record = dict(zip(RECORD_NAMES, found[0], strict=True))
    name = f"conversation {record['handle']}"
    findings.conversations += 1
    if findings.deep:
        try:
            conversation_from(found[0])
        except StoreCorruptError as error:
            findings.add(f"{name}: {error}")
    _counts(_tree(tx, at, name, findings), record, name, findings)
    findings.unindexed += search_check.look_at_index(tx, at)
    for problem in chain(
        look_at_attachments(tx, at, findings.attachments, deep=findings.deep),
        look_at_originals(tx, at, deep=findings.deep),
        look_at_checkpoints(tx, at, deep=findings.deep),
        look_at_summaries(tx, at),
    ):
        findings.add(f"{name}, {problem}")
    for seq, rows, status in tx.rows(_JOURNALS, **at):
        findings.journal_rows += rows
        if status != "streaming":
            findings.add(f"{name}, message {seq}: has a journal, but its status is {status}")
        elif findings.deep:
            _journal(tx.rows(_JOURNAL, **at, seq=seq), f"{name}, message {seq}", findings)


class _Counted(msgspec.Struct):
    """What a conversation's messages come to."""

    heads: set[int]
    messages: int = 0
    interrupted: int = 0
    last_seq: int = 0


def _tree(tx: Tx, at: dict[str, str], name: str, findings: Findings) -> _Counted:
    counted = _Counted(heads=set())
    for row in tx.each(_DEEP if findings.deep else _SHALLOW, **at):  # it may be very long
        counted.heads.add(row[0])
        counted.messages += 1
        counted.interrupted += row[2] == "interrupted"
        counted.last_seq = row[0]
        where = f"{name}, message {row[0]}"
        for problem in _link_problems(row):
            findings.add(f"{where}: {problem}")
        if findings.deep:
            for problem in _content_problems(row):
                findings.add(f"{where}: {problem}")
    findings.messages += counted.messages
    return counted


def _link_problems(row: Row) -> Iterator[str]:
    seq, parent_seq, status, hash_, found_parent, parent_status = row[:6]
    if status not in _STATUSES:
        yield f"has the unknown status {status}"
    if status != "streaming" and hash_ is None:
        yield "is finished, but has no hash"
    if parent_seq is None:
        return
    if found_parent is None:
        yield f"its parent, message {parent_seq}, is gone"
    if parent_seq >= seq:
        yield f"its parent, message {parent_seq}, is not older"
    if parent_status == "streaming":
        yield f"follows message {parent_seq}, whose reply is still running"


def _content_problems(row: Row) -> Iterator[str]:
    status, hash_ = row[2:4]
    parent_hash, role, text, shape, error = row[6:]
    if status in {"streaming", "erased"} or hash_ is None:
        return  # not final yet, or forgotten: its hash stays, and those of its children follow
    if content_hash(parent_hash, role, text, shape) != hash_:
        yield "is not as it was stored: its hash differs"
    try:
        decode_parts(text, shape)
    except StoreCorruptError as cause:
        yield str(cause)
    try:
        msgspec.json.decode(error or "null", type=ErrorRecord | None)
    except msgspec.DecodeError as cause:
        yield f"its error cannot be read ({cause})"


def _counts(counted: _Counted, record: dict[str, Any], name: str, findings: Findings) -> None:
    head_seq = record["head_seq"]
    if head_seq is not None and head_seq not in counted.heads:
        findings.add(f"{name}: stands at message {head_seq}, which is gone")
    if (
        record["last_seq"] < counted.last_seq
    ):  # it may be higher: a removed branch had those numbers
        last = record["last_seq"]
        findings.add(f"{name}: its last message is said to be {last}, but is {counted.last_seq}")
    for what, stored, found in (
        ("number of messages", record["message_count"], counted.messages),
        ("number of interrupted replies", record["interrupted_count"], counted.interrupted),
    ):
        if stored != found:
            findings.add(f"{name}: its {what} is said to be {stored}, but is {found}")


def _journal(rows: list[Row], where: str, findings: Findings) -> None:
    try:
        fold_journal((seq, kind, text) for seq, kind, text in rows)
    except StoreCorruptError as error:
        findings.add(f"{where}: {error}")
