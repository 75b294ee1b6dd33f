"""Finding a conversation by what a person typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, union_all

from convostore.errors import AmbiguousHandleError, ConversationNotFoundError
from convostore.handles import ID_LENGTH, fold_handle, fold_id, is_handle_like
from convostore.storage.conversations import OWNER_BY_NAME, PERSONAL_OWNER
from convostore.storage.kept import BINNED, KEPT
from convostore.storage.reads import look_far
from convostore.storage.rows import RECORD_COLUMNS, conversation_from
from convostore.storage.standing import in_bin
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation

if TYPE_CHECKING:
    from typing import TypeAlias

    from convostore.records import ConversationRecord
    from convostore.storage.database import Database, Reading
    from convostore.storage.reads import FarSide

    Standing: TypeAlias = tuple[ConversationRecord, FarSide]

MOST_CANDIDATES = 10  # of an ambiguous handle: more help nobody
_MOST_DIGITS = 9  # of `@n`: nobody counts as far, and it stays far below 64 bits

_OWNED = conversation.c.owner_id == bindparam("owner_id")
_LISTED = (_OWNED, *KEPT, conversation.c.archived_at_ms.is_(None))

_conversation = select(*RECORD_COLUMNS).where(_OWNED, *KEPT)
_binned = select(*RECORD_COLUMNS).where(_OWNED, *BINNED)


def _by_handle(conversations: Any) -> Any:
    within = (conversation.c.handle >= bindparam("low"), conversation.c.handle < bindparam("high"))
    ordered = conversations.where(*within).order_by(conversation.c.handle)
    return ordered.limit(MOST_CANDIDATES + 1)


_BY_ID = Hot(_conversation.where(conversation.c.id == bindparam("id")))
_BY_KEY = Hot(_conversation.where(conversation.c.key == bindparam("key")))
# By which it was first called: it has another one now.
_BY_FIRST_KEY = Hot(
    _conversation.where(conversation.c.scope == bindparam("key"), conversation.c.key.is_not(None))
)
_BY_HANDLE = Hot(_by_handle(_conversation))
_KEPT_ONES = (_BY_ID, _BY_KEY, _BY_HANDLE)
_BINNED_ONES = (
    Hot(_binned.where(conversation.c.id == bindparam("id"))),
    Hot(_binned.where(conversation.c.key == bindparam("key"))),
    Hot(_by_handle(_binned)),
)
_NTH_BINNED = Hot(
    _binned.order_by(conversation.c.deleted_at_ms.desc(), conversation.c.id.desc())
    .limit(1)
    .offset(bindparam("skip"))
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
    _newest(*KEPT, conversation.c.archived_at_ms.is_not(None)),
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
        ConversationNotFoundError: this owner has none of that id, or has it in the bin.
    """
    return await database.read_through(lambda: _of_id(owner_id, id))


async def standing_of_id(database: Database, owner_id: str, id: str) -> Standing:
    """Read one conversation, and what the far side keeps of its head.

    Raises:
        ConversationNotFoundError: this owner has none of that id, or has it in the bin.
    """
    return await database.read_through(lambda: _standing(owner_id, _of_id(owner_id, id)))


async def standing_of_key(database: Database, owner_id: str, key: str) -> Standing | None:
    """Read the conversation of that very key, or the one that was first called so, if any."""
    return await database.read_through(lambda: _of_key(owner_id, key))


async def standing(database: Database, owner_id: str, ref: str) -> Standing:
    """Look up as `find` does, and read what the far side keeps of the conversation's head.

    Raises:
        ConversationNotFoundError: nothing fits, or only something in the bin.
        AmbiguousHandleError: the beginning fits several.
    """
    return await database.read_through(lambda: _standing(owner_id, _found(owner_id, ref)))


async def find(database: Database, owner_id: str, ref: str) -> ConversationRecord:
    """Look up what a person or program typed: `@n`, id, key, handle, or a handle's beginning.

    What begins with `@` and is no number, or counts further than there are conversations, may be a
    key: `@general`.

    Raises:
        ConversationNotFoundError: nothing fits, or only something in the bin.
        AmbiguousHandleError: the beginning fits several.
    """
    return await database.read_through(lambda: _found(owner_id, ref))


async def find_in_bin(database: Database, owner_id: str, ref: str) -> ConversationRecord:
    """Look up as `find` does, in the bin alone; `@` is what went there last.

    Raises:
        ConversationNotFoundError: nothing in the bin fits.
        AmbiguousHandleError: the beginning fits several.
    """
    return await database.read_through(lambda: _found_in_bin(owner_id, ref))


def _standing(owner_id: str, finding: Reading[ConversationRecord]) -> Reading[Standing]:
    record = yield from finding
    return record, (yield from look_far(owner_id, record.id, record.head_seq))


def _of_id(owner_id: str, id: str) -> Reading[ConversationRecord]:
    rows = yield _BY_ID, {"owner_id": owner_id, "id": id}
    if not rows:
        raise (yield from _missing(owner_id, id))
    return conversation_from(rows[0])


def _of_key(owner_id: str, key: str) -> Reading[Standing | None]:
    for hot in (_BY_KEY, _BY_FIRST_KEY):
        rows = yield hot, {"owner_id": owner_id, "key": key}
        if rows:
            record = conversation_from(rows[0])
            return record, (yield from look_far(owner_id, record.id, record.head_seq))
    return None


def _found(owner_id: str, ref: str) -> Reading[ConversationRecord]:
    if not isinstance(ref, str):
        raise _gone(repr(ref))
    if (number := _number(ref.strip())) is not None:
        rows = yield _NTH, {"owner_id": owner_id, "nth": number, "skip": number - 1}
        if rows:
            return (yield from _of_id(owner_id, rows[0][0]))
    found = yield from _named(owner_id, ref, _KEPT_ONES)
    if found is None:
        raise (yield from _missing(owner_id, ref))
    return found


def _found_in_bin(owner_id: str, ref: str) -> Reading[ConversationRecord]:
    if not isinstance(ref, str):
        raise not_in_bin(repr(ref))
    if (number := _number(ref.strip())) is not None:
        rows = yield _NTH_BINNED, {"owner_id": owner_id, "skip": number - 1}
        if rows:
            return conversation_from(rows[0])
    found = yield from _named(owner_id, ref, _BINNED_ONES)
    if found is None:
        raise not_in_bin(ref)
    return found


def not_in_bin(ref: str) -> ConversationNotFoundError:
    """Return the error for what is not in the bin."""
    return ConversationNotFoundError(
        f"there is no conversation {ref} in the bin", hint="see the bin: convostore list --bin"
    )


def _named(
    owner_id: str, ref: str, where: tuple[Hot, Hot, Hot]
) -> Reading[ConversationRecord | None]:
    """Return the conversation of that id, key, handle or handle's beginning, if there is one.

    A key may have blanks around it, which belong to it; to all else they do not.

    Raises:
        AmbiguousHandleError: the beginning fits several.
    """
    if not _is_storable(ref):
        return None
    by_id, by_key, by_handle = where
    bare = ref.strip()
    tried = [(by_id, "id", fold_id(bare))] if len(bare) == ID_LENGTH else []
    tried += [(by_key, "key", key) for key in dict.fromkeys((ref, bare))]
    for hot, name, value in tried:
        rows = yield hot, {"owner_id": owner_id, name: value}
        if rows:
            return conversation_from(rows[0])
    handle = fold_handle(ref)
    rows = []
    if is_handle_like(handle):
        rows = yield by_handle, {"owner_id": owner_id, "low": handle, "high": handle + "~"}
    found = [conversation_from(row) for row in rows]
    if len(found) > 1:
        candidates = tuple((one.handle, one.title or "") for one in found[:MOST_CANDIDATES])
        raise AmbiguousHandleError(
            f"{ref} fits more than one conversation",
            hint="type more of the handle: " + ", ".join(handle for handle, _ in candidates),
            candidates=candidates,
        )
    return found[0] if found else None


def _number(ref: str) -> int | None:
    """Return the number that `@` or `@n` means; None where *ref* is none, or counts too far."""
    number = ref[1:] or "1"
    plain = ref.startswith("@") and number.isascii() and number.isdigit()
    return int(number) or None if plain and len(number) < _MOST_DIGITS else None


def _missing(owner_id: str, ref: str) -> Reading[ConversationNotFoundError]:
    """Return the error for what is not there; for what is in the bin, with the way back."""
    try:
        binned = yield from _named(owner_id, ref, _BINNED_ONES)
    except AmbiguousHandleError:
        binned = None
    if binned is not None:
        return in_bin(binned.handle)
    return _gone(ref)


def _gone(ref: str) -> ConversationNotFoundError:
    return ConversationNotFoundError(
        f"there is no conversation {ref}", hint="see them all: convostore list"
    )


def _is_storable(text: str) -> bool:
    """Tell whether *text* can be in the database at all: NUL and lone surrogates cannot."""
    if "\x00" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
