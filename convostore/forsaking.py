"""A turn whose caller was gone before it began: no running reply stays behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from convostore import clock
from convostore.errors import ConvostoreError
from convostore.ids import new_id
from convostore.storage.endings import FinishTurn, finish_turns
from convostore.storage.turns import Begun

if TYPE_CHECKING:
    from convostore.place import Place


async def forsaken(place: Place, write: asyncio.Future[Any] | Begun, token: str) -> None:
    """End the reply that write 1 has made, or is about to make, and stand where it stands.

    Args:
        place: the conversation.
        write: write 1 on its way, or what it stored.
        token: the lease's.
    """
    begun = write if isinstance(write, Begun) else await _outcome(write)
    if not isinstance(begun, Begun):
        return  # nothing was stored
    place.changed(begun.change)
    place.head_seq = begun.reply_seq
    job = FinishTurn(
        conversation_id=place.record.id,
        message_seq=begun.reply_seq,
        token=token,
        spare_id=new_id(),
        usage_id=new_id(),
        status="stopped",
        text="",
        shape=None,
        now_ms=clock.now_ms(),
    )
    try:
        await place.database.write(finish_turns, place.owner_id, job)
    except ConvostoreError:
        place.pulse.write_later(lambda: place.database.write(finish_turns, place.owner_id, job))


async def _outcome(write: asyncio.Future[Any]) -> Any:
    await asyncio.wait({write})
    return None if write.cancelled() or write.exception() else write.result()
