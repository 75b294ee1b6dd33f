"""Attachments while others hand in the same, remove what is forsaken, or erase the owner."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

import convostore
from convostore import Message, clock
from convostore.errors import AttachmentError, AttachmentNotFoundError, ConversationNotFoundError
from convostore.ids import new_id
from convostore.providers import Echo
from convostore.storage.attachments import (
    CHUNK_BYTES,
    DropAttachment,
    FinishAttachment,
    KeepChunk,
    drop_attachments,
    finish_attachments,
    keep_chunks,
)
from convostore.storage.conversations import create_conversations
from convostore.storage.statements import Hot
from tests.engines import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from typing import Any

    from convostore import Store
    from convostore.storage.database import Database
    from convostore.storage.statements import Tx
    from convostore.testing import ManualClock
    from tests.engines import Where

DATA = b"the same bytes"
SHA256 = hashlib.sha256(DATA).hexdigest()
_A_WHILE = Hot(select(func.pg_sleep(0.5)))


async def kept(store: Store, sha256: str = SHA256) -> bytes:
    """Read an attachment to its end."""
    return b"".join([piece async for piece in store.attachment(sha256)])


async def begun(store: Store) -> tuple[Database, str, str]:
    """Hand in the bytes, but for the end; return where, and under which id."""
    database, owner_id = await store._owned.for_writing()
    id_ = new_id()
    job = KeepChunk(attachment_id=id_, number=0, data=DATA, now_ms=clock.now_ms())
    assert await database.write(keep_chunks, owner_id, job) is None
    return database, owner_id, id_


async def ended(database: Database, owner_id: str, id_: str) -> None:
    """Finish what was begun."""
    end = FinishAttachment(attachment_id=id_, sha256=SHA256, size=len(DATA), now_ms=clock.now_ms())
    assert await database.write(finish_attachments, owner_id, end) is None


@pytest.mark.asyncio
async def test_who_breaks_off_at_the_end_takes_nothing_from_others(store: Store) -> None:
    """Cancelled when all bytes are there: others have handed in the same, and refer to them."""
    database, owner_id, id_ = await begun(store)
    await ended(database, owner_id, id_)
    chat = await store.create()
    await chat.append(Message.user("see", attachments=[await store.attach(DATA)]))
    await database.write(drop_attachments, owner_id, DropAttachment(attachment_id=id_))
    assert await kept(store) == DATA
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_what_was_removed_on_its_way_in_is_not_said_to_be_there(store: Store) -> None:
    """Neither a further piece nor the end is acknowledged; the next try is whole."""
    database, owner_id, id_ = await begun(store)
    await store.remove_forsaken_attachments(older_than_s=-1)
    more = KeepChunk(attachment_id=id_, number=1, data=DATA, now_ms=clock.now_ms())
    with pytest.raises(AttachmentNotFoundError, match="while it was taken in"):
        await database.write(keep_chunks, owner_id, more)
    with pytest.raises(AttachmentNotFoundError, match="while it was taken in"):
        await ended(database, owner_id, id_)
    assert (await store.attach(DATA)).sha256 == SHA256
    assert await kept(store) == DATA


@pytest.mark.asyncio
async def test_what_comes_in_slowly_is_not_forsaken(store: Store, manual: ManualClock) -> None:
    """Each piece counts anew: more than an hour may pass from the first to the last."""

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(CHUNK_BYTES)
            await manual.advance(2400)
            assert await store.remove_forsaken_attachments() == 0

    part = await store.attach(slowly())
    assert part.size == len(await kept(store, part.sha256)) == 3 * CHUNK_BYTES


@pytest.mark.asyncio
async def test_what_was_handed_in_again_outlives_the_last_who_referred(
    store: Store, manual: ManualClock, path: Where
) -> None:
    """Attached is on disk, for the next message too; where none comes it goes as forsaken."""
    for stored in (True, False):
        old = await store.create()
        await old.append(Message.user("old", attachments=[await store.attach(DATA)]))
        part = await store.attach(DATA)
        await old.purge()
        if stored:
            new = await store.create()
            await new.append(Message.user("new", attachments=[part]))
            assert await kept(store) == DATA
            await new.purge()
            assert rows(path, "SELECT count(*) FROM attachment") == [(0,)]
    assert await kept(store) == DATA
    await manual.advance(3601)
    assert await store.remove_forsaken_attachments() == 1


@pytest.mark.asyncio
async def test_who_is_cancelled_in_the_only_piece_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, path: Where
) -> None:
    """Also where the piece was stored, and only the answer did not come any more."""
    database, _ = await store._owned.for_writing()
    write = type(database).write

    async def cancelled(self: Database, function: Any, *job: Any) -> Any:
        outcome = await write(self, function, *job)
        if function is keep_chunks:
            raise asyncio.CancelledError
        return outcome

    monkeypatch.setattr(type(database), "write", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await store.attach(DATA)
    for table in ("attachment", "attachment_chunk"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.asyncio
async def test_nothing_is_attached_to_an_owner_who_was_erased(store: Store, path: Where) -> None:
    """One of that name is made anew, as for conversations; who cannot read twice is told."""

    async def bits() -> AsyncIterator[bytes]:
        yield DATA

    alice = store.for_owner("alice")
    for source in (DATA, b""):
        chat = await alice.create()
        async with convostore.open(path) as elsewhere:
            await elsewhere.for_owner("alice").erase_owner()
        with pytest.raises(ConversationNotFoundError, match="erased"):
            await chat.send("see", attachments=[source], provider=Echo())
        part = await alice.attach(source)
        await (await alice.create()).append(Message.user("see", attachments=[part]))
        assert await kept(alice, part.sha256) == source
    async with convostore.open(path) as elsewhere:
        await elsewhere.for_owner("alice").erase_owner()
    with pytest.raises(AttachmentError, match="erased"):
        await alice.attach(bits())
    assert (await alice.attach(bits())).sha256 == SHA256
    owners = "SELECT count(*) FROM attachment WHERE owner_id NOT IN (SELECT id FROM owner)"
    assert rows(path, owners) == [(0,)]


@pytest.mark.only("postgres", "psycopg", reason="a file has one writer at a time")
@pytest.mark.asyncio
async def test_what_is_made_while_its_owner_is_erased_is_not_left_behind(
    store: Store, path: Where
) -> None:
    """Who erases waits for who makes a conversation, and then finds it."""

    def slowly(tx: Tx, owner_id: str, jobs: Sequence[Any]) -> list[Any]:
        outcomes: list[Any] = create_conversations(tx, owner_id, jobs)
        tx.rows(_A_WHILE)
        return outcomes

    alice = store.for_owner("alice")
    await alice.attach(DATA)
    async with convostore.open(path) as elsewhere:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("convostore.beginning.create_conversations", slowly)
            making = asyncio.create_task(alice.create())
            await asyncio.sleep(0.2)
            report = await elsewhere.for_owner("alice").erase_owner()
            await asyncio.wait({making})
    assert report.conversations == 1
    for table in ("conversation", "owner"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]
