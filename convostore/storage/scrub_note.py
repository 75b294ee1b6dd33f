"""The note that removed text may still be in the engine's files, and has to be scrubbed out of them.

It is left in the transaction that removes the text, and taken away once the files are clean: a
process that dies on the way, or has to give up, leaves it for the next one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import bindparam, delete, select

from convostore.ids import new_token
from convostore.storage.statements import Hot, upsert
from convostore.storage.tables import store_meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.database import Database
    from convostore.storage.statements import Tx

NOTE: Final = "scrub_owed"  # the name in store_meta; its value is new with each removal
SOON_BYTES: Final = 16 * 1024 * 1024  # a file is written anew in some 0.3 s
REMARK: Final = "texts that were removed may still be in its files: convostore db scrub"

OWED: Final = Hot(select(store_meta.c.value).where(store_meta.c.name == NOTE))
_note = upsert(store_meta)
_OWE = Hot(
    _note.on_conflict_do_update(index_elements=["name"], set_={"value": _note.excluded.value})
)
_PAID = Hot(
    delete(store_meta).where(
        store_meta.c.name == NOTE, store_meta.c.value == bindparam("noted", unique=False)
    )
)


class Scrubbed(msgspec.Struct, frozen=True, kw_only=True):
    """The files are clean of what was removed before a note was read.

    Attributes:
        noted: the value of that note.
    """

    noted: str


class ScrubReport(msgspec.Struct, frozen=True, kw_only=True):
    """What scrubbing came to.

    Attributes:
        was_owed: there was something to scrub out.
        remarks: a line each: what of it is left to somebody else.
    """

    was_owed: bool
    remarks: tuple[str, ...] = ()


def owe_scrub(tx: Tx) -> None:
    """Note that what this transaction removes is still in the files."""
    tx.run(_OWE, name=NOTE, value=new_token())


def forget_notes(tx: Tx, _: str, jobs: Sequence[Scrubbed]) -> list[None]:
    """Take the note away, but for one that was left by a removal since."""
    for job in jobs:
        tx.run(_PAID, noted=job.noted)
    return [None] * len(jobs)


async def scrub_after(database: Database, scrub: bool | None) -> None:
    """Scrub after a removal: as the caller wants, and where it says nothing, a file alone.

    Raises:
        StoreError: as `Database.scrub`.
    """
    if scrub or (scrub is None and not database.on_server):
        await database.scrub()


async def scrub_soon(database: Database, scrub: bool | None) -> None:
    """Scrub after a removal as `scrub_after` does, but a large file only where the caller wants it.

    Raises:
        StoreError: as `Database.scrub`.
    """
    if scrub is None and not database.on_server and size_of(database.name) > SOON_BYTES:
        return
    await scrub_after(database, scrub)


def size_of(path: str) -> int:
    """Return the bytes of a file; 0 of what is in none."""
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
