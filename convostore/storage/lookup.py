"""Finding a conversation by what a person typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, union_all

from convostore.errors import AmbiguousHandleError, ConversationNotFoundError
from convostore.handles import fold_handle, fold_id, is_handle_like
from convostore.storage.conversations import OWNER_BY_NAME, PERSONAL_OWNER
from convostore.storage.rows import RECORD_COLUMNS, conversation_from
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation

if TYPE_CHECKING:
    from convostore.records import ConversationRecord
    from convostore.storage.database import Database

MOST_CANDIDATES = 10  # of an ambiguous handle: more help nobody
_MOST_DIGITS = 9  # of `@n`: nobody counts as far, and it stays far below 64 bits

_OWNED = conversation.c.owner_id == bindparam("owner_id")
_KEPT = conversation.c.deleted_at_ms.is_(None)
_LISTED = (_OWNED, _KEPT, conversation.c.archived_at_ms.is_(None))

_conversation = select(*RECORD_COLUMNS).where(_OWNED, _KEPT)
_BY_ID = Hot(_conversation.where(conversation.c.id == bindparam("id")))
_BY_KEY = Hot(_conversation.where(conversation.c.key == bindparam("key")))
_BY_HANDLE = Hot(
    _conversation.where(
        conversation.c.handle >= bindparam("low"), conversation.c.handle < bindparam("high")
    )
    .order_by(conversation.c.handle)
    .limit(MOST_CANDIDATES + 1)
)


def _newest(*where: Any) -> Any:
    """Return the newest ids of one part of the list index, as a subquery."""
    columns = (conversation.c.id, conversation.c.updated_at_ms)
    newest = select(*columns).where(_OWNED, *where)
    newest = newest.order_by(conversation.c.updated_at_ms.desc(), conversation.c.id.desc())
    return select(newest.limit(bindparam("nth")).subquery())


# Three index ranges instead of an index of its own, which every turn would have to move.
_active = union_all(
    _newest(*_LISTED, conversation.c.pinned == 1),
    _newest(*_LISTED, conversation.c.pinned == 0),
    _newest(_KEPT, conversation.c.archived_at_ms.is_not(None)),
).subquery()
_NTH = Hot(
    select(_active.c.id)
    .order_by(_active.c.updated_at_ms.desc(), _active.c.id.desc())
    .limit(1)
    .offset(bindparam("skip"))
)


async def owner_named(database: Database, name: str | None) -> str | None:
    """Return the id of the owner of that name, of the personal one without; None if unknown."""
    rows = (
        await database.read(PERSONAL_OWNER)
        if name is None
        else await database.read(OWNER_BY_NAME, name=name)
    )
    return str(rows[0][0]) if rows else None


async def conversation_by_id(database: Database, owner_id: str, id: str) -> ConversationRecord:
    """Read one conversation.

    Raises:
        ConversationNotFoundError: this owner has none of that id.
    """
    rows = await database.read(_BY_ID, owner_id=owner_id, id=id)
    if not rows:
        raise _not_found(id)
    return conversation_from(rows[0])


async def find(database: Database, owner_id: str, ref: str) -> ConversationRecord:
    """Look up what a person or program typed: `@n`, id, key, handle, or a handle's beginning.

    What begins with `@` and is no number, or counts further than there are conversations, may be a
    key: `@general`.

    Raises:
        ConversationNotFoundError: nothing fits.
        AmbiguousHandleError: the beginning fits several.
    """
    if not isinstance(ref, str):
        raise _not_found(repr(ref))
    ref = ref.strip()
    if ref.startswith("@") and (newest := await _nth_newest(database, owner_id, ref)) is not None:
        return newest
    if not _is_storable(ref):
        raise _not_found(ref)
    for hot, name, value in ((_BY_ID, "id", fold_id(ref)), (_BY_KEY, "key", ref)):
        rows = await database.read(hot, owner_id=owner_id, **{name: value})
        if rows:
            return conversation_from(rows[0])
    handle = fold_handle(ref)
    rows = []
    if is_handle_like(handle):
        rows = await database.read(_BY_HANDLE, owner_id=owner_id, low=handle, high=handle + "~")
    if not rows:
        raise _not_found(ref)
    found = [conversation_from(row) for row in rows]
    if len(found) > 1:
        candidates = tuple((one.handle, one.title or "") for one in found[:MOST_CANDIDATES])
        raise AmbiguousHandleError(
            f"{ref} fits more than one conversation",
            hint="type more of the handle: " + ", ".join(handle for handle, _ in candidates),
            candidates=candidates,
        )
    return found[0]


async def _nth_newest(database: Database, owner_id: str, ref: str) -> ConversationRecord | None:
    """Return the conversation that `@` or `@n` means; None where *ref* is none, or counts too far."""
    number = ref[1:] or "1"
    if not (number.isascii() and number.isdigit() and len(number) < _MOST_DIGITS and int(number)):
        return None
    rows = await database.read(_NTH, owner_id=owner_id, nth=int(number), skip=int(number) - 1)
    return await conversation_by_id(database, owner_id, rows[0][0]) if rows else None


def _is_storable(text: str) -> bool:
    """Tell whether *text* can be in the database at all: NUL and lone surrogates cannot."""
    if "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _not_found(ref: str) -> ConversationNotFoundError:
    return ConversationNotFoundError(
        f"there is no conversation {ref}", hint="see them all: convostore list"
    )
