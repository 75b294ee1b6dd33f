"""The verb of an ephemeral conversation that makes it one that stays."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from convostore import clock
from convostore.carrying import give_out, take_in
from convostore.errors import ConvostoreError
from convostore.storage.keeping import Records, TakeRecords, keep_conversations, take_records
from convostore.storage.owner_rows import OwnerGone
from convostore.storage.purging import Purge, purge_conversations
from convostore.turning.place import Placed
from convostore.turning.recovery import close_dead_replies

if TYPE_CHECKING:
    from convostore.records import ConversationRecord
    from convostore.storage.database import Database
    from convostore.turning.place import Fleeting, Opened, Place


class Keeping(Placed):
    """What an ephemeral conversation can do besides; `Conversation` has these."""

    @property
    def ephemeral(self) -> bool:
        """Tell whether nothing of it is in any file; False once it is kept."""
        return self._place.fleeting is not None

    async def keep(self) -> ConversationRecord:
        """Store an ephemeral conversation, whole, and go on in the store; return its record.

        Messages, branches, ids, times, tags, titles, usage, remote threads and attachments are on
        disk when this returns, and are found by `Store.search`. The handle is another one where it
        is taken. One that is kept already stays as it is. To a caller who is cancelled meanwhile
        the outcome is unknown; it may be said again.

        Raises:
            ConversationBusyError: a reply of it is still running.
            DuplicateKeyError: another conversation of the store has its key, or a message its id;
                nothing was stored.
            ConversationNotFoundError: it is in the bin, or was purged.
            StoreBusyError: others held the store all the time; nothing was stored.
            StoreFullError: the disk is full; nothing was stored but perhaps attachments, see
                `Store.remove_forsaken_attachments`.
            StoreError: the store cannot be opened or written.
            StoreClosedError: the store is closed.
        """
        place = self._place
        if place.fleeting is not None:
            running = place.keeping
            if running is None or running.done():
                running = place.keeping = asyncio.get_running_loop().create_task(
                    _keep(place, place.fleeting)
                )
                place.pulse.see_through(running)
            await asyncio.shield(running)
        return place.record


async def _keep(place: Place, fleeting: Fleeting) -> None:
    await place.settled()
    home = await fleeting.home(False)
    memory, own_id, id_ = fleeting.memory, place.owner_id, place.record.id
    await close_dead_replies(memory, own_id)
    async with memory.held(id_):
        take = TakeRecords(conversation_id=id_)
        records: Records = await memory.write(take_records, own_id, take)
        while isinstance(handle := await _store(records, (memory, own_id), home), OwnerGone):
            home = await fleeting.home(True)
        place.kept(*home, handle=handle)
    with suppress(ConvostoreError):  # it goes with the memory anyway
        purge = Purge(conversation_id=id_, now_ms=clock.now_ms())
        await memory.write(purge_conversations, own_id, purge)


async def _store(
    records: Records, origin: tuple[Database, str], home: tuple[Opened, str]
) -> str | OwnerGone:
    """Take the attachments over, piece by piece, then the records that refer to them."""
    opened, owner_id = home
    for sha256 in records.contents():
        await take_in(
            opened.database,
            owner_id,
            give_out(*origin, sha256),
            name=None,
            media_type=None,
            most_bytes=opened.most_attachment_bytes,
        )
    kept: str | OwnerGone = await opened.database.write(keep_conversations, owner_id, records)
    return kept
