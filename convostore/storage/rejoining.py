"""What an export of ours tells of a conversation that is there already: what is missing is added.

A message is known by its id. One that was forgotten, here or there, is forgotten. An answer that was
broken off here and ended there, or went on there, gets what was said there, while nothing follows it.
How the conversation is listed, and where it stands, is taken from there, unless it was used, or filed otherwise, here since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update

from convostore.errors import ConvostoreError
from convostore.storage.attachments import let_go, refer
from convostore.storage.canonical import content_hash
from convostore.storage.forgetting import Forget, forget_messages
from convostore.storage.newcomers import Imported
from convostore.storage.originals import keep_originals
from convostore.storage.rows import object_from
from convostore.storage.search_marks import add_messages, mark, mark_title
from convostore.storage.search_shelf import take_out
from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.statements import Hot, upsert
from convostore.storage.tables import conversation, message, tag, usage

if TYPE_CHECKING:
    from convostore.storage.statements import Tx

Named = dict[str, Any]


class OwnRows(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of an export of ours, as rows by the names of their columns; without the owner.

    Attributes:
        conversation: its own; with an anonymous user id made anew.
        messages: by seq, with the hashes that they have where all above them is as it is there.
        attached: what each message refers to, by its seq: contents by their sha256, in order.
        originals: by seq, packed.
        more_tags: of the tags, those that come to what it has, whatever is told.
        told_at_ms: when it was told so.
        listed: only its own row and its tags are told.
        restore: bring it back where the user has deleted it.
        dry_run: look, and write nothing.
    """

    conversation: Named
    messages: list[Named]
    tags: tuple[str, ...]
    calls: list[Named]
    attached: dict[int, tuple[str, ...]]
    originals: dict[int, bytes]
    now_ms: int
    more_tags: tuple[str, ...] = ()
    told_at_ms: int = 0
    listed: bool = False
    restore: bool = False
    dry_run: bool = False

    def back(self, row: Named) -> Named:
        """Return the times of a conversation's *row* that would hide it, as they are once it is back."""
        expires_at_ms = None if self.is_over(row) else row["expires_at_ms"]
        return {"deleted_at_ms": None, "expires_at_ms": expires_at_ms}

    def is_over(self, row: Named | None = None) -> bool:
        """Tell whether the time has passed at which *row*, or what the file tells, goes by itself."""
        expires_at_ms = (row or self.conversation)["expires_at_ms"]
        return expires_at_ms is not None and expires_at_ms <= self.now_ms

    def contents(self) -> set[str]:
        """Return what its messages refer to."""
        return {sha256 for contents in self.attached.values() for sha256 in contents}


# What the file says of a conversation; the rest is counted, or stays.
_LISTED: Final = (
    *("key", "title", "title_source", "provider", "model", "settings", "metadata", "folder"),
    *("pinned", "archived_at_ms", "expires_at_ms", "head_seq", "updated_at_ms"),
)
_COUNTED: Final = ("last_seq", "message_count", "interrupted_count", "deleted_at_ms")
_NOTED: Final = ("changed_at_ms", "listed_at_ms")  # beside what is done; nothing to do for itself
_MOVE = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values({name: bindparam(f"new_{name}") for name in (*_LISTED, *_COUNTED, *_NOTED)})
)
_ENDED: Final = (
    *("status", "text", "parts", "provider", "model", "finish_reason", "error"),
    *("finished_at_ms", "content_hash"),
)
_END = Hot(
    update(message)
    .where(
        message.c.owner_id == bindparam("of_owner_id"),
        message.c.conversation_id == bindparam("of_conversation_id"),
        message.c.seq == bindparam("of_seq"),
    )
    .values({name: bindparam(f"new_{name}") for name in _ENDED})
)
_ENDINGS: Final = frozenset({"completed", "stopped", "failed"})
_TEXT = Hot(
    select(message.c.text).where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
        message.c.seq == bindparam("seq"),
    )
)
_THERE = Hot(
    select(
        message.c.id, message.c.seq, message.c.parent_seq, message.c.status, message.c.content_hash
    )
    .where(
        message.c.owner_id == bindparam("owner_id"),
        message.c.conversation_id == bindparam("conversation_id"),
    )
    .order_by(message.c.seq)
)
_TAGS = Hot(
    select(tag.c.name).where(
        tag.c.owner_id == bindparam("owner_id"),
        tag.c.conversation_id == bindparam("conversation_id"),
    )
)
_CALLS = Hot(
    select(usage.c.id).where(
        usage.c.owner_id == bindparam("owner_id"),
        usage.c.conversation_id == bindparam("conversation_id"),
    )
)
ADD_TAG = Hot(insert(tag))
_DROP_TAGS = Hot(
    delete(tag).where(
        tag.c.owner_id == bindparam("owner_id"),
        tag.c.conversation_id == bindparam("conversation_id"),
    )
)
ADD_CALL = Hot(upsert(usage).on_conflict_do_nothing())


class _Known(msgspec.Struct, frozen=True):
    """A message that is stored: columns of its row."""

    id: str
    seq: int
    parent_seq: int | None
    status: str
    content_hash: str | None


def rejoin(tx: Tx, owner_id: str, job: OwnRows, there: Named) -> Imported | ConvostoreError:
    """Bring a stored conversation, whose row is *there*, up to what *job* tells of it."""
    outcome = Imported(
        kept="unchanged", id=there["id"], handle=there["handle"], title=there["title"]
    )
    expired = there["expires_at_ms"] is not None and there["expires_at_ms"] <= job.now_ms
    if (there["deleted_at_ms"] is not None or expired) and not job.restore:
        return msgspec.structs.replace(outcome, kept="deleted")
    work = _Rejoining(tx, owner_id, job, there)
    work.look()
    if not work.changed():
        return outcome
    if not job.dry_run and (refused := work.write()) is not None:
        return refused
    title = work.after["title"]
    return msgspec.structs.replace(outcome, kept="updated", messages=len(work.rows), title=title)


def _is_newer(job: OwnRows, there: Named) -> bool:
    """Tell whether what is told of a list is newer than what is here.

    Renaming, filing and switching are no activity: where none was, it counts which was later, the
    export or the last of those here.
    """
    told, here = job.conversation["updated_at_ms"], there["updated_at_ms"]
    if told != here:
        return bool(told > here)
    return job.told_at_ms >= (there["listed_at_ms"] or 0)


class _Rejoining:
    """One conversation: what is there, what is told, and what has to be done for it.

    Attributes:
        rows: of messages that are missing here.
        after: the conversation's row, as it will be.
    """

    def __init__(self, tx: Tx, owner_id: str, job: OwnRows, there: Named) -> None:
        self._tx, self._owner_id, self._job, self._there = tx, owner_id, job, there
        self._at = {"owner_id": owner_id, "conversation_id": there["id"]}
        self._known = {row[0]: _Known(*row) for row in tx.rows(_THERE, **self._at)}
        self._tags = {name for (name,) in tx.rows(_TAGS, **self._at)}
        self._calls = {id_ for (id_,) in tx.rows(_CALLS, **self._at)}
        self._seqs: dict[int, int] = {}  # what the file's numbers are here
        self._forget: list[int] = []
        self._end: list[tuple[int, Named]] = []  # by the number here, the file's row
        self.rows: list[Named] = []
        self._newer = _is_newer(job, there)
        self.after = there | {"changed_at_ms": job.now_ms}

    def look(self) -> None:
        """Find out what has to be done."""
        hashes = {one.seq: one.content_hash for one in self._known.values()}
        above = {one.parent_seq for one in self._known.values()}
        used = set(hashes)
        last = self._there["last_seq"]
        for row in self._job.messages:
            known = self._known.get(row["id"])
            if known is not None:
                self._seqs[row["seq"]] = known.seq
                self._again(known, row, followed=known.seq in above)
                continue
            parent = None if row["parent_seq"] is None else self._seqs[row["parent_seq"]]
            seq = row["seq"]
            if seq in used or (parent or 0) >= seq:
                seq = last + 1
            last = max(last, seq)
            used.add(seq)
            self._seqs[row["seq"]] = seq
            hash_ = row["content_hash"]
            if row["status"] != "erased":
                hash_ = content_hash(
                    hashes.get(parent or 0), row["role"], row["text"], row["parts"]
                )
            hashes[seq] = hash_
            more = {"seq": seq, "parent_seq": parent, "content_hash": hash_}
            self.rows.append(row | self._at | more)
        self._settle(last)

    def _again(self, known: _Known, row: Named, *, followed: bool) -> None:
        if row["status"] == "erased" and known.status != "erased":
            self._forget.append(known.seq)
            return
        broken_off = known.status == "interrupted" and not followed
        if broken_off and self._says_more(known, row):
            self._end.append((known.seq, row))

    def _says_more(self, known: _Known, row: Named) -> bool:
        """Tell whether an answer that was broken off here has an end there, or at least goes on."""
        if row["status"] in _ENDINGS:
            return True
        ((text,),) = self._tx.rows(_TEXT, **self._at, seq=known.seq)
        return len(row["text"]) > len(text) and row["text"].startswith(text)

    def _settle(self, last: int) -> None:
        row, after = self._job.conversation, self.after
        ended = sum(told["status"] != "interrupted" for _, told in self._end)
        forgotten = [one.status for one in self._known.values() if one.seq in self._forget]
        broken_off = sum(one["status"] == "interrupted" for one in self.rows)
        after["message_count"] += len(self.rows)
        after["interrupted_count"] += broken_off - ended - forgotten.count("interrupted")
        after["last_seq"] = max(last, row["last_seq"], self._there["last_seq"] + len(forgotten))
        if self._newer:
            self._list(row)
            after["listed_at_ms"] = max(self._job.told_at_ms, self._there["listed_at_ms"] or 0)
        back = self._job.back(after) if self._job.restore else {}
        if any(after[name] != value for name, value in back.items()):
            after |= back | {"listed_at_ms": self._job.now_ms}  # the same file does not undo it

    def _list(self, row: Named) -> None:
        """Take from there how it is listed, and where it stands."""
        after = self.after
        after |= {name: row[name] for name in _LISTED}
        for name in ("settings", "metadata"):
            if object_from(row[name], name) == object_from(self._there[name], name):
                after[name] = self._there[name]
        stands = row["head_seq"]
        if self._job.listed:
            here = any(one.seq == stands for one in self._known.values())
            after["head_seq"] = stands if here or stands is None else self._there["head_seq"]
        else:
            after["head_seq"] = None if stands is None else self._seqs[stands]

    def _new_tags(self) -> set[str]:
        return set(self._job.tags) if self._newer else self._tags | set(self._job.more_tags)

    def _new_calls(self) -> list[Named]:
        return [
            one | {"message_seq": self._seqs.get(one["message_seq"], one["message_seq"])}
            for one in self._job.calls
            if one["id"] not in self._calls
        ]

    def changed(self) -> bool:
        """Tell whether anything has to be done."""
        moved = any(self.after[name] != self._there[name] for name in (*_LISTED, *_COUNTED))
        done = self.rows or self._forget or self._end or self._new_calls()
        return bool(moved or done or self._new_tags() != self._tags)

    def write(self) -> ConvostoreError | None:
        """Do it; what is returned stood in the way, before anything was changed."""
        tx, owner_id, id_ = self._tx, self._owner_id, self._there["id"]
        refused = self._forgotten()
        if refused is not None:
            return refused
        for seq, row in self._end:
            take_out(tx, owner_id, [(id_, seq)])
            let_go(tx, owner_id, id_, [seq])
            of = {"of_owner_id": owner_id, "of_conversation_id": id_, "of_seq": seq}
            tx.run(_END, **of, **{f"new_{name}": row[name] for name in _ENDED})
            mark(tx, owner_id, [(id_, seq)])
        add_messages(tx, self.rows)
        again = {self._known[row["id"]].seq for _, row in self._end}
        fresh = {row["seq"] for row in self.rows} | again
        for seq, contents in self._job.attached.items():
            if self._seqs[seq] in fresh:
                refer(tx, owner_id, id_, self._seqs[seq], contents)
        originals = self._job.originals.items()
        keep = [(self._seqs.get(seq), data) for seq, data in originals]
        keep_originals(tx, [self._at | {"seq": seq, "data": d} for seq, d in keep if seq in fresh])
        tx.many(ADD_CALL, [one | self._at for one in self._new_calls()])
        self._list_anew()
        return None

    def _forgotten(self) -> ConvostoreError | None:
        id_ = self._there["id"]
        jobs = [
            Forget(conversation_id=id_, message_seq=seq, now_ms=self._job.now_ms)
            for seq in self._forget
        ]
        for outcome in forget_messages(self._tx, self._owner_id, jobs):
            if isinstance(outcome, ConvostoreError):
                return outcome
            if self.after["title"] == self._there["title"]:  # it may have told what was forgotten
                change = outcome.change
                self.after |= {"title": change.title, "title_source": change.title_source}
        return None

    def _list_anew(self) -> None:
        tx, owner_id, id_ = self._tx, self._owner_id, self._there["id"]
        if self.after["title"] != self._there["title"]:
            take_out(tx, owner_id, [(id_, TITLE_SEQ)])  # while it is still as it was indexed
        new = {f"new_{name}": self.after[name] for name in (*_LISTED, *_COUNTED, *_NOTED)}
        tx.run(_MOVE, of_owner_id=owner_id, of_id=id_, **new)
        if self.after["title"] not in {None, self._there["title"]}:
            mark_title(tx, owner_id, id_)
        if (tags := self._new_tags()) != self._tags:
            tx.run(_DROP_TAGS, **self._at)
            tx.many(ADD_TAG, [self._at | {"name": name} for name in sorted(tags)])
