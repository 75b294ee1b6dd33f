"""What came to an imported conversation since: added to what is stored of it, which stays as it is.

A message is known again by its id there, below the same message, if it says the same; what was
changed there in place is added beside what it was. Somebody who has gone on here keeps the place.
An export older than what is stored adds its messages, and has no say in the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import bindparam, insert, select, update

from convostore.errors import InvalidTextError
from convostore.storage.arriving import Arrivals, arrivals, let_arrive
from convostore.storage.attachments import missing, refer
from convostore.storage.canonical import content_hash
from convostore.storage.newcomer_rows import message_row
from convostore.storage.newcomers import ContentsMissing
from convostore.storage.originals import CONVERSATION_SEQ, is_same, keep_originals, originals_of
from convostore.storage.search_marks import add_messages, mark_title
from convostore.storage.search_shelf import take_out
from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message, tag
from convostore.text import MOST_TAGS

if TYPE_CHECKING:
    from convostore.storage.newcomers import ImportConversation, ImportedMessage
    from convostore.storage.statements import Tx

_THEIRS = frozenset({"imported", "fallback", None})  # sources of titles that nobody chose here


class SameConversation(msgspec.Struct, frozen=True):
    """How a conversation stands that was imported before: columns of its row."""

    id: str
    source_id: str
    handle: str
    title: str | None
    title_source: str | None
    head_seq: int | None
    last_seq: int
    message_count: int
    interrupted_count: int
    updated_at_ms: int
    deleted_at_ms: int | None
    expires_at_ms: int | None

    def is_gone(self, now_ms: int) -> bool:
        """Tell whether the user has deleted it, or let it expire."""
        expired = self.expires_at_ms is not None and self.expires_at_ms <= now_ms
        return self.deleted_at_ms is not None or expired


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        changed: anything was written, or would be.
        messages: how many are new.
        new: of a dry run, the ids at the origin and the hashes of those.
        title: as it is now.
    """

    changed: bool
    messages: int
    new: tuple[tuple[str, str], ...]
    title: str | None


class _Known(msgspec.Struct, frozen=True):
    """A message that was imported before."""

    seq: int
    id: str
    status: str
    content_hash: str | None
    created_at_ms: int


_KNOWN = Hot(
    select(
        message.c.seq,
        message.c.id,
        message.c.status,
        message.c.content_hash,
        message.c.created_at_ms,
        message.c.parent_seq,
        message.c.source_id,
    )
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.source_id.is_not(None),
    )
    .order_by(message.c.seq)
)
_TAGS = Hot(
    select(tag.c.name).where(
        tag.c.owner_id == bindparam("owner_id"),
        tag.c.conversation_id == bindparam("conversation_id"),
    )
)
ADD_TAG = Hot(insert(tag))
_MOVED = (
    *("head_seq", "last_seq", "message_count", "interrupted_count", "updated_at_ms"),
    *("title", "title_source", "deleted_at_ms", "expires_at_ms"),
)
_KEEP = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in _MOVED} | {"changed_at_ms": bindparam("now_ms")}
    )
)


def merge(
    tx: Tx, owner_id: str, job: ImportConversation, same: SameConversation
) -> Merged | ContentsMissing | InvalidTextError:
    """Add to a conversation what *job* has besides, if it is no dry run."""
    merging = _Merging(tx, owner_id, job, same)
    merging.find()
    tags = merging.new_tags()
    if isinstance(tags, InvalidTextError):
        return tags
    if not job.dry_run and (lacking := missing(tx, owner_id, merging.contents())):
        return ContentsMissing(lacking)
    after = merging.after()
    changed = after != same or bool(tags or merging.originals or merging.arrived.contents)
    if changed and not job.dry_run:
        merging.write(after, tags)
    rows = merging.rows if job.dry_run else ()
    return Merged(
        changed=changed or merging.stored > 0,
        messages=merging.added,
        new=tuple((row["source_id"], row["content_hash"]) for row in rows),
        title=after.title,
    )


class _Merging:
    """One conversation that is just being merged.

    Attributes:
        rows: of the new messages.
        originals: rows of what the origin says otherwise than before, or for the first time.
        arrived: attachments of messages that were there without them.
        stored: messages that an earlier try of this very write has stored.
    """

    def __init__(
        self, tx: Tx, owner_id: str, job: ImportConversation, same: SameConversation
    ) -> None:
        self.tx, self.owner_id, self.job, self.same = tx, owner_id, job, same
        self.at = {"owner_id": owner_id, "conversation_id": same.id}
        self.rows: list[dict[str, Any]] = []
        self.originals: list[dict[str, Any]] = []
        self.arrived = Arrivals()
        self.stored = 0
        self._shown: dict[int, ImportedMessage] = {}  # of known ones, what has attachments now
        self._otherwise: list[dict[str, Any]] = []  # originals that would replace others
        self._newest_ms = 0  # of the messages imported before
        self._attached: dict[int, tuple[str, ...]] = {}
        self._kept: dict[int, bytes] = {}
        self._known: dict[tuple[int | None, str], list[_Known]] = {}
        self._seqs: list[int] = []  # of the job's messages
        self._imported: set[int] = set()
        self._hashes: dict[int | None, str | None] = {None: None}
        self._last_seq = same.last_seq

    @property
    def added(self) -> int:
        """How many messages are new."""
        return len(self.rows) + self.stored

    def find(self) -> None:
        """Find which messages are known, and make rows of the others."""
        self._kept = originals_of(self.tx, self.owner_id, self.same.id)
        for *values, parent_seq, source_id in self.tx.rows(_KNOWN, **self.at):
            one = _Known(*values)
            self._known.setdefault((parent_seq, source_id), []).append(one)
            self._hashes[one.seq] = one.content_hash
            self._imported.add(one.seq)
            self._newest_ms = max(self._newest_ms, one.created_at_ms)
        self._compare(CONVERSATION_SEQ, self.job.original)
        for new in self.job.messages:
            self._seqs.append(self._place(new))
        if not self._is_older():
            self.originals += self._otherwise
        self.arrived = arrivals(self.tx, self.at, self._shown)
        hashes = self.arrived.hashes
        for row in self.rows:
            if above := hashes.get(row["parent_seq"]):
                hash_ = content_hash(above, row["role"], row["text"], row["parts"])
                row["content_hash"] = hashes[row["seq"]] = hash_

    def _is_older(self) -> bool:
        """Tell whether the job was exported before what is stored, and so says nothing newer of it.

        Where somebody has gone on here, the stored time is theirs, and where none was told it may be
        that of the import: then messages tell. Who has none that is new, and lacks the one that came
        last, had it not yet.
        """
        job, same = self.job, self.same
        if not (job.dated or self.rows or max(self._imported, default=0) in {0, *self._seqs}):
            return True
        if job.updated_at_ms >= same.updated_at_ms:
            return False
        if not job.dated:
            return not self.rows and job.updated_at_ms < self._newest_ms
        gone_on = same.message_count > len(self._imported)
        return not (gone_on and self.rows and job.updated_at_ms >= self._newest_ms)

    def _place(self, new: ImportedMessage) -> int:
        """Return the number of a message, which it has already or gets now."""
        parent_seq, hash_ = None, new.content_hash
        if new.parent is not None:
            parent_seq = self._seqs[new.parent]
            above = self._hashes[parent_seq]
            if above != self.job.messages[new.parent].content_hash:
                hash_ = content_hash(above, new.role, new.text, new.shape)
        erased = None
        for one in self._known.get((parent_seq, new.source_id), ()):
            if one.status == "erased":
                erased = one.seq if erased is None or one.content_hash == hash_ else erased
            elif one.content_hash == hash_ or self._is_as_it_was(one.seq, new.original):
                self.stored += self.tx.again and one.id == new.id
                if new.attachments and one.content_hash != hash_:
                    self._shown[one.seq] = new
                self._compare(one.seq, new.original)
                return one.seq
        if erased is not None:
            return erased  # what was forgotten does not come back
        return self._add(new, parent_seq, hash_)

    def _add(self, new: ImportedMessage, parent_seq: int | None, hash_: str) -> int:
        self._last_seq += 1
        seq = self._last_seq
        self._hashes[seq] = hash_
        self.rows.append(
            message_row((self.owner_id, self.same.id), new, seq, parent_seq)
            | {"content_hash": hash_}
        )
        if new.original:
            self.originals.append({**self.at, "seq": seq, "data": new.original})
        if new.attachments:
            self._attached[seq] = new.attachments
        return seq

    def _is_as_it_was(self, seq: int, original: bytes) -> bool:
        """Tell whether the origin says of a message what it said; then a reader has learned since."""
        kept = self._kept.get(seq)
        return bool(original) and kept is not None and is_same(kept, original)

    def _compare(self, seq: int, original: bytes) -> None:
        """Note what the origin says otherwise than before: which messages follow, for example."""
        kept = self._kept.get(seq)
        if original and (kept is None or not is_same(kept, original)):
            to = self.originals if kept is None else self._otherwise
            to.append({**self.at, "seq": seq, "data": original})

    def contents(self) -> set[str]:
        """Return what the new messages refer to, and what others refer to from now on."""
        all_of = (*self._attached.values(), *self.arrived.contents.values())
        return {sha256 for contents in all_of for sha256 in contents}

    def new_tags(self) -> list[str] | InvalidTextError:
        """Return the caller's tags that it does not have."""
        if not self.job.more_tags:
            return []
        there = {name for (name,) in self.tx.rows(_TAGS, **self.at)}
        new = sorted(set(self.job.more_tags) - there)
        if new and len(there) + len(new) > MOST_TAGS:
            return InvalidTextError(
                f"{self.same.handle} would have more than {MOST_TAGS} tags",
                hint="take some away first: convostore untag",
            )
        return new

    def after(self) -> SameConversation:
        """Return how the conversation stands then."""
        job, same = self.job, self.same
        older = self._is_older()
        moved: dict[str, Any] = {}
        if self.rows:
            moved = {
                "last_seq": self._last_seq,
                "message_count": same.message_count + len(self.rows),
                "interrupted_count": same.interrupted_count
                + sum(row["status"] == "interrupted" for row in self.rows),
            }
            here = same.head_seq is None or same.head_seq in self._imported
            if job.head is not None and here and not older:
                moved["head_seq"] = self._seqs[job.head]
        theirs = job.title_source == "imported" and same.title_source in _THEIRS
        if theirs and not older and (job.title, "imported") != (same.title, same.title_source):
            moved |= {"title": job.title, "title_source": "imported"}
        if self.rows or (job.dated and (moved or self.originals)):
            moved["updated_at_ms"] = max(same.updated_at_ms, job.updated_at_ms)
        if same.is_gone(job.now_ms):
            moved |= {"deleted_at_ms": None, "expires_at_ms": None}
        return msgspec.structs.replace(same, **moved)

    def write(self, after: SameConversation, tags: list[str]) -> None:
        """Store what is new."""
        tx, owner_id, id_ = self.tx, self.owner_id, self.same.id
        let_arrive(tx, self.at, self.arrived)
        add_messages(tx, self.rows)
        keep_originals(tx, self.originals)
        for seq, contents in self._attached.items():
            refer(tx, owner_id, id_, seq, contents)
        tx.many(ADD_TAG, [{**self.at, "name": name} for name in tags])
        if after.title != self.same.title:
            take_out(tx, owner_id, [(id_, TITLE_SEQ)])  # while it is still as it was indexed
            mark_title(tx, owner_id, id_)
        new = {f"new_{name}": getattr(after, name) for name in _MOVED}
        tx.run(_KEEP, of_owner_id=owner_id, of_id=id_, now_ms=self.job.now_ms, **new)
