"""What a filter asks of a conversation: as conditions, and as the few that an index says can fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, exists, func, or_, select

from convostore.storage.canonical import to_json
from convostore.storage.kept import NOT_BINNED
from convostore.storage.portable import octets
from convostore.storage.statements import Hot
from convostore.storage.tables import INTERRUPTED, conversation, tag

if TYPE_CHECKING:
    from convostore.records import Filter
    from convostore.storage.database import Database
    from convostore.storage.statements import Row

FEW: Final = 1000  # conversations that are looked at one by one sooner than a shelf is walked
_SURROGATES, _AFTER_SURROGATES = 0xD800, 0xE000  # halves of characters, which no text has
_LAST = "\U0010ffff"

_c = conversation.c
_OWNED = _c.owner_id == bindparam("owner_id")
_LISTED = (_OWNED, NOT_BINNED, _c.archived_at_ms.is_(None))
# The list, in its order: the pinned ones, those that are not, the archive. And the bin. What has
# expired is on them still, for their indexes know nothing of it; whoever walks them leaves it out.
SHELVES: Final = (
    (*_LISTED, _c.pinned == 1),
    (*_LISTED, _c.pinned == 0),
    (_OWNED, NOT_BINNED, _c.archived_at_ms.is_not(None)),
    (_OWNED, _c.deleted_at_ms.is_not(None)),
)
BIN: Final = 3
# By which time a shelf is in order, newest first.
TIMES: Final = (_c.updated_at_ms, _c.updated_at_ms, _c.updated_at_ms, _c.deleted_at_ms)
_KEY = and_(_c.key >= bindparam("key_low"), _c.key < bindparam("key_high"))
# What Python has to look at (`fitting_title`): an ASCII title fits as it is, or not at all.
_NOT_ASCII = octets(_c.title) > func.length(_c.title)
_HAS_WORDS = func.replace(func.lower(_c.title), bindparam("title"), "") != func.lower(_c.title)
_CONDITIONS: Final[dict[str, Any]] = {
    "title": or_(_HAS_WORDS, _NOT_ASCII),
    "title beyond ASCII": _NOT_ASCII,
    "provider": _c.provider == bindparam("provider"),
    "model": _c.model == bindparam("model"),
    "folder": _c.folder == bindparam("folder"),
    "no folder": _c.folder.is_(None),
    "key": _KEY,
    "interrupted": INTERRUPTED,  # written out, as its index has it
    "not interrupted": _c.interrupted_count == 0,
    "pinned": _c.pinned == 1,
    "not pinned": _c.pinned == 0,
    "archived": _c.archived_at_ms.is_not(None),
    "not archived": _c.archived_at_ms.is_(None),
    "since": _c.updated_at_ms >= bindparam("since"),
    "until": _c.updated_at_ms < bindparam("until"),
}
# By index: which conversations can fit at all. None of the conversation's holds a time.
_TAGGED = Hot(
    select(tag.c.conversation_id)
    .where(tag.c.owner_id == bindparam("owner_id"), tag.c.name == bindparam("name"))
    .limit(bindparam("most"))
)
_CANDIDATES: Final = {
    "key": Hot(select(_c.id).where(_OWNED, _KEY).limit(bindparam("most"))),
    "folder": Hot(select(_c.id).where(_OWNED, _CONDITIONS["folder"]).limit(bindparam("most"))),
    "interrupted": Hot(select(_c.id).where(_OWNED, INTERRUPTED).limit(bindparam("most"))),
}


async def candidates(database: Database, filter: Filter, values: dict[str, Any]) -> str | None:
    """Return, as JSON, the ids that alone can fit; None where they are many, or not known."""
    for name in shape_of(filter, everywhere=False):
        hot = _TAGGED if name.startswith("tag ") else _CANDIDATES.get(name)
        if hot is not None:
            tagged = values.get(name.replace(" ", "_"))
            rows = await database.read(hot, most=FEW + 1, name=tagged, **values)
            if len(rows) <= FEW:
                return to_json([row[0] for row in rows])
    return None


def condition(name: str) -> Any:
    """Return the condition of that name (`shape_of`), as a clause."""
    if not name.startswith("tag "):
        return _CONDITIONS[name]
    return exists().where(
        tag.c.owner_id == _c.owner_id,
        tag.c.conversation_id == _c.id,
        tag.c.name == bindparam(name.replace(" ", "_")),
    )


def shape_of(filter: Filter, *, everywhere: bool) -> tuple[str, ...]:
    """Return the names of the conditions that *filter* sets.

    Args:
        filter: which.
        everywhere: those too that a walk holds by where it goes: shelves and times.
    """
    found = [f"tag {number}" for number in range(len(filter.tags))]
    found += [name for name in ("provider", "model") if getattr(filter, name) is not None]
    if filter.key_prefix is not None:
        found.append("key")
    if filter.folder is not None:
        found.append("folder" if filter.folder else "no folder")
    if filter.interrupted is not None:
        found.append("interrupted" if filter.interrupted else "not interrupted")
    everywhere = everywhere or filter.deleted  # the bin is one shelf, in an order of its own
    if filter.pinned is not None and (everywhere or filter.archived is not False):
        found.append("pinned" if filter.pinned else "not pinned")
    if filter.title is not None and (words := plain_words(filter.title)):
        found.append("title" if words.isascii() else "title beyond ASCII")
    if everywhere and filter.archived is not None and not (filter.deleted and not filter.archived):
        found.append("archived" if filter.archived else "not archived")
    if everywhere:
        times = (("since", filter.since_ms), ("until", filter.until_ms))
        found += [name for name, at_ms in times if at_ms is not None]
    return tuple(found)


def values_of(filter: Filter) -> dict[str, Any]:
    """Return what the conditions compare with, by name."""
    prefix = filter.key_prefix or ""
    return {
        **{f"tag_{number}": name for number, name in enumerate(filter.tags)},
        "title": plain_words(filter.title or ""),
        "provider": filter.provider,
        "model": filter.model,
        "folder": filter.folder,
        "key_low": prefix,
        "key_high": _after(prefix),
        "since": filter.since_ms,
        "until": filter.until_ms,
    }


def _after(prefix: str) -> str:
    """Return the first text, byte by byte, after all that begin with *prefix*."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return _LAST * (len(prefix) + 1)  # as far as texts go that anybody has
    last = ord(kept[-1]) + 1
    return kept[:-1] + chr(_AFTER_SURROGATES if last == _SURROGATES else last)


def shelves_of(filter: Filter) -> list[int]:
    """Return the shelves on which *filter* can mean something, in the order of the list."""
    if filter.deleted:
        return [BIN]
    listed = [0] * (filter.pinned is not False) + [1] * (filter.pinned is not True)
    return listed * (filter.archived is not True) + [2] * (filter.archived is not False)


def fitting_title(rows: list[Row], filter: Filter) -> list[Row]:
    """Return those rows whose title, the third column, has the filter's text in it."""
    if filter.title is None:
        return rows
    wanted = plain_words(filter.title)
    return [row for row in rows if row[2] and wanted in plain_words(row[2])]


def plain_words(text: str) -> str:
    """Return *text* in small letters and without accents, as titles are compared."""
    if text.isascii():
        return text.lower()
    from convostore.words import plain

    return plain(text)
