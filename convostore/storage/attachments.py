"""Attachments: bytes in pieces, once for each owner and content, and which messages refer to them.

The pieces come in one by one under an id of their own, before anybody knows their sha256; with the
last one that is written down, or, where the same bytes are there already, the pieces go again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import bindparam, delete, exists, select, update

from convostore.errors import AttachmentNotFoundError
from convostore.storage.canonical import to_json
from convostore.storage.owner_rows import OWNER_IS_THERE, OwnerGone
from convostore.storage.scrub_note import owe_scrub
from convostore.storage.statements import Hot, one_of, upsert
from convostore.storage.tables import attachment, attachment_chunk, message_attachment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from convostore.storage.database import Database
    from convostore.storage.statements import Tx

CHUNK_BYTES: Final = 256 * 1024  # of one piece, and so of one write that others wait for
CLAIMED: Final = 0  # in `used_at_ms`: a message has referred to it since it was last handed in
_AT_ONCE: Final = 20  # attachments that one write removes

_OWNED = attachment.c.owner_id == bindparam("owner_id")
_WHOLE = attachment.c.sha256.is_not(None)
_USED = exists().where(
    message_attachment.c.owner_id == attachment.c.owner_id,
    message_attachment.c.sha256 == attachment.c.sha256,
)
_OF_MESSAGES = (
    message_attachment.c.owner_id == bindparam("owner_id"),
    message_attachment.c.conversation_id == bindparam("conversation_id"),
)
_CHUNKS_OF = (
    attachment_chunk.c.owner_id == bindparam("owner_id"),
    attachment_chunk.c.attachment_id == bindparam("attachment_id"),
)
_BEGIN = Hot(upsert(attachment).on_conflict_do_nothing())
_KEEP = Hot(upsert(attachment_chunk).on_conflict_do_nothing())
_find = select(attachment.c.id, attachment.c.size).where(
    _OWNED, _WHOLE, attachment.c.sha256 == bindparam("sha256")
)
_FIND = Hot(_find)
_FIND_HELD = Hot(_find.with_for_update())  # so that nobody is just removing it
_TOUCH = Hot(
    update(attachment)
    .where(attachment.c.owner_id == bindparam("of_owner_id"), attachment.c.id == bindparam("of_id"))
    .values(used_at_ms=bindparam("now_ms"))
)
_NAME = Hot(
    update(attachment)
    .where(attachment.c.owner_id == bindparam("of_owner_id"), attachment.c.id == bindparam("of_id"))
    .values(sha256=bindparam("new_sha256"), size=bindparam("new_size"))
)
# Held, so that whoever is just removing them waits, and then looks again.
_THERE = Hot(
    select(attachment.c.sha256)
    .where(_OWNED, _WHOLE, one_of(attachment.c.sha256, "wanted"))
    .order_by(attachment.c.sha256)
    .with_for_update(read=True, key_share=True)
)
_REFER = Hot(upsert(message_attachment).on_conflict_do_nothing())
_REFERRED_IN = Hot(select(message_attachment.c.sha256).where(*_OF_MESSAGES).distinct())
_REFERENCES = Hot(
    select(
        message_attachment.c.message_seq, message_attachment.c.number, message_attachment.c.sha256
    ).where(*_OF_MESSAGES)
)
_CLAIM = Hot(
    update(attachment)
    .where(
        attachment.c.owner_id == bindparam("of_owner_id"),
        attachment.c.sha256 == bindparam("of_sha256"),
        _WHOLE,
        attachment.c.used_at_ms != CLAIMED,
    )
    .values(used_at_ms=CLAIMED)
)
_LET_GO = Hot(
    delete(message_attachment).where(
        *_OF_MESSAGES, message_attachment.c.message_seq == bindparam("seq")
    )
)
_LET_GO_IN = Hot(delete(message_attachment).where(*_OF_MESSAGES))
_HOLD = Hot(
    select(attachment.c.id)
    .where(_OWNED, _WHOLE, one_of(attachment.c.sha256, "wanted"))
    .order_by(attachment.c.sha256)
    .with_for_update()
)
_UNUSED = Hot(
    select(attachment.c.id).where(
        _OWNED,
        ~_USED,
        one_of(attachment.c.id, "ids"),
        attachment.c.used_at_ms < bindparam("before_ms"),
    )
)
_FORSAKEN = Hot(
    select(attachment.c.id)
    .where(_OWNED, ~_USED, attachment.c.used_at_ms < bindparam("before_ms"))
    .limit(bindparam("most"))
    .with_for_update()
)
_BROKEN_OFF = Hot(select(attachment.c.id).where(_OWNED, ~_WHOLE, one_of(attachment.c.id, "ids")))
_GONE_CHUNKS = Hot(delete(attachment_chunk).where(*_CHUNKS_OF))
_GONE = Hot(delete(attachment).where(_OWNED, attachment.c.id == bindparam("id")))
_CHUNK = Hot(
    select(attachment_chunk.c.data).where(
        *_CHUNKS_OF, attachment_chunk.c.number == bindparam("number")
    )
)


class KeepChunk(msgspec.Struct, frozen=True, kw_only=True):
    """The next piece of an attachment that is on its way in.

    Attributes:
        attachment_id: of this way in.
        number: from 0.
        data: CHUNK_BYTES, the last one perhaps less.
    """

    attachment_id: str
    number: int
    data: bytes
    now_ms: int


class FinishAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attachment's way in: by which content it is known from now on."""

    attachment_id: str
    sha256: str
    size: int
    now_ms: int


class DropAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """The way in was broken off."""

    attachment_id: str


class RemoveForsaken(msgspec.Struct, frozen=True, kw_only=True):
    """Remove attachments that no message refers to, and that were last handed in before a time."""

    before_ms: int


def keep_chunks(
    tx: Tx, owner_id: str, jobs: Sequence[KeepChunk]
) -> list[OwnerGone | AttachmentNotFoundError | None]:
    """Store pieces; one that is there already stays as it is.

    With each the attachment is awaited anew, so that what comes in slowly is not taken for forsaken.
    """
    return [_keep_chunk(tx, owner_id, job) for job in jobs]


def _keep_chunk(
    tx: Tx, owner_id: str, job: KeepChunk
) -> OwnerGone | AttachmentNotFoundError | None:
    if not job.number and (gone := _begin(tx, owner_id, job.attachment_id, job.now_ms)):
        return gone
    of = {"of_owner_id": owner_id, "of_id": job.attachment_id}
    if not tx.run(_TOUCH, **of, now_ms=job.now_ms):
        return _removed_meanwhile()
    at = {"owner_id": owner_id, "attachment_id": job.attachment_id}
    tx.run(_KEEP, **at, number=job.number, data=job.data)
    return None


def _begin(tx: Tx, owner_id: str, id: str, now_ms: int) -> OwnerGone | None:
    if not tx.rows(OWNER_IS_THERE, owner_id=owner_id):
        return OwnerGone()
    tx.run(_BEGIN, owner_id=owner_id, id=id, sha256=None, size=0, used_at_ms=now_ms)
    return None


def finish_attachments(
    tx: Tx, owner_id: str, jobs: Sequence[FinishAttachment]
) -> list[OwnerGone | AttachmentNotFoundError | None]:
    """Give each its content's name; of two with the same content the first one stays."""
    return [_finish(tx, owner_id, job) for job in jobs]


def _finish(
    tx: Tx, owner_id: str, job: FinishAttachment
) -> OwnerGone | AttachmentNotFoundError | None:
    id_, at = job.attachment_id, {"of_owner_id": owner_id, "of_id": job.attachment_id}
    found = tx.rows(_FIND_HELD, owner_id=owner_id, sha256=job.sha256)
    if found:
        if found[0][0] != id_:
            _remove(tx, owner_id, [id_])
            tx.run(_TOUCH, **at | {"of_id": found[0][0]}, now_ms=job.now_ms)
        return None
    # One of no bytes has no piece, and begins here.
    if not job.size and (gone := _begin(tx, owner_id, id_, job.now_ms)):
        return gone
    named = tx.run(_NAME, **at, new_sha256=job.sha256, new_size=job.size)
    return None if named else _removed_meanwhile()


def drop_attachments(tx: Tx, owner_id: str, jobs: Sequence[DropAttachment]) -> list[None]:
    """Remove what had come of attachments whose way in was broken off.

    One that has all its bytes stays: others may have handed in the same, and refer to it.
    """
    ids = to_json([job.attachment_id for job in jobs])
    if broken := [id_ for (id_,) in tx.rows(_BROKEN_OFF, owner_id=owner_id, ids=ids)]:
        _remove(tx, owner_id, broken)
        owe_scrub(tx)
    return [None for _ in jobs]


def remove_forsaken(tx: Tx, owner_id: str, jobs: Sequence[RemoveForsaken]) -> list[int]:
    """Remove some attachments that no message refers to; return how many, 0 when none is left."""
    return [_remove_forsaken(tx, owner_id, job) for job in jobs]


def _remove_forsaken(tx: Tx, owner_id: str, job: RemoveForsaken) -> int:
    held = tx.rows(_FORSAKEN, owner_id=owner_id, before_ms=job.before_ms, most=_AT_ONCE)
    removed = _remove_unused(tx, owner_id, [id_ for (id_,) in held], before_ms=job.before_ms)
    if removed:
        owe_scrub(tx)
    return removed


def refuse_missing(tx: Tx, owner_id: str, wanted: Iterable[str]) -> AttachmentNotFoundError | None:
    """Return the error for contents, by sha256, of which this owner has not all."""
    gone = missing(tx, owner_id, wanted)
    return no_attachment(gone[0]) if gone else None


def missing(tx: Tx, owner_id: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return those of *wanted*, contents by sha256, that this owner does not have."""
    names = sorted(set(wanted))
    if not names:
        return ()
    there = {name for (name,) in tx.rows(_THERE, owner_id=owner_id, wanted=to_json(names))}
    return tuple(name for name in names if name not in there)


def refer(
    tx: Tx, owner_id: str, conversation_id: str, message_seq: int, contents: Sequence[str]
) -> None:
    """Let a message that was just stored refer to *contents*, which are there."""
    for sha256 in sorted(set(contents)):
        tx.run(_CLAIM, of_owner_id=owner_id, of_sha256=sha256)
    at = {"owner_id": owner_id, "conversation_id": conversation_id, "message_seq": message_seq}
    for number, sha256 in enumerate(contents):
        tx.run(_REFER, **at, number=number, sha256=sha256)


def refer_to_more(
    tx: Tx, owner_id: str, conversation_id: str, message_seq: int, contents: Sequence[str]
) -> None:
    """Let a message refer to *contents*, among which are all that it refers to already."""
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    tx.run(_LET_GO, **at, seq=message_seq)
    refer(tx, owner_id, conversation_id, message_seq, contents)


def references(tx: Tx, owner_id: str, conversation_id: str) -> dict[int, list[str]]:
    """Return what each message of a conversation refers to, by its seq, in order."""
    found: dict[int, list[str]] = {}
    for seq, _, sha256 in sorted(
        tx.rows(_REFERENCES, owner_id=owner_id, conversation_id=conversation_id)
    ):
        found.setdefault(seq, []).append(sha256)
    return found


def let_go(tx: Tx, owner_id: str, conversation_id: str, seqs: Iterable[int]) -> None:
    """Take back what messages refer to, before they go; what nobody refers to then goes, too.

    But for what somebody has just handed in again, and is about to refer to.
    """
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    found = references(tx, owner_id, conversation_id)
    gone = [seq for seq in seqs if seq in found]
    tx.many(_LET_GO, [at | {"seq": seq} for seq in gone])
    remove_unused(tx, owner_id, {sha256 for seq in gone for sha256 in found[seq]})


def let_go_of_all(tx: Tx, owner_id: str, conversation_id: str) -> None:
    """Do the same for all messages of a conversation."""
    at = {"owner_id": owner_id, "conversation_id": conversation_id}
    if contents := {sha256 for (sha256,) in tx.rows(_REFERRED_IN, **at)}:
        tx.run(_LET_GO_IN, **at)
        remove_unused(tx, owner_id, contents)


def remove_unused(tx: Tx, owner_id: str, contents: Iterable[str]) -> None:
    """Remove those of *contents* that no message refers to, and nobody is handing in."""
    if names := sorted(set(contents)):
        held = tx.rows(_HOLD, owner_id=owner_id, wanted=to_json(names))
        _remove_unused(tx, owner_id, [id_ for (id_,) in held], before_ms=CLAIMED + 1)


def _remove_unused(tx: Tx, owner_id: str, held: Sequence[str], *, before_ms: int) -> int:
    """Remove those of the attachments held that nobody refers to, as it is seen from now on."""
    if not held:
        return 0
    at = {"ids": to_json(list(held)), "before_ms": before_ms}
    unused = [id_ for (id_,) in tx.rows(_UNUSED, owner_id=owner_id, **at)]
    _remove(tx, owner_id, unused)
    return len(unused)


def _remove(tx: Tx, owner_id: str, ids: Iterable[str]) -> None:
    for id_ in ids:
        tx.run(_GONE_CHUNKS, owner_id=owner_id, attachment_id=id_)
        tx.run(_GONE, owner_id=owner_id, id=id_)


async def find(database: Database, owner_id: str, sha256: str) -> tuple[str, int]:
    """Return under which id an owner's attachment is kept, and its size in bytes.

    Raises:
        AttachmentNotFoundError: this owner has none such.
    """
    rows = await database.read(_FIND, owner_id=owner_id, sha256=sha256)
    if not rows:
        raise no_attachment(sha256)
    return str(rows[0][0]), int(rows[0][1])


async def pieces(database: Database, owner_id: str, id: str) -> AsyncGenerator[bytes]:
    """Yield the bytes piece by piece, each a read of its own; they end where they are gone."""
    number = 0
    while rows := await database.read(_CHUNK, owner_id=owner_id, attachment_id=id, number=number):
        yield bytes(rows[0][0])
        number += 1


def no_attachment(sha256: str) -> AttachmentNotFoundError:
    """Return the error for a content that this owner does not have."""
    return AttachmentNotFoundError(
        f"there is no attachment {sha256[:12]}", hint="hand it in again, or look: convostore show @"
    )


def _removed_meanwhile() -> AttachmentNotFoundError:
    return AttachmentNotFoundError(
        "the attachment was removed while it was taken in; nothing is kept of it",
        hint="hand it in again",
    )
