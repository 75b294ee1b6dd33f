"""A turn whose caller was gone before it began: no running reply stays behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from convostore import clock
from convostore.errors import ConvostoreError, StoreError
from convostore.ids import new_id
from convostore.storage import leases
from convostore.storage.endings import end_unbegun, finish_turns
from convostore.storage.exchanges import Begun, EndUnbegun, FinishTurn

if TYPE_CHECKING:
    from convostore.turning.place import Place


async def forsaken(
    place: Place, write: asyncio.Future[Any] | Begun, token: str, reply_id: str
) -> None:
    """End the reply that write 1 has made, or is about to make, and stand where it stands.

    Args:
        place: the conversation.
        write: write 1 on its way, or what it stored.
        token: the lease's.
        reply_id: of the reply that write 1 makes.
    """
    begun = write if isinstance(write, Begun) else await _outcome(write)
    if isinstance(begun, ConvostoreError):
        doubtful(place, begun, token, reply_id)
        return
    if not isinstance(begun, Begun):
        leases.let_go(token)
        return  # nothing was stored
    place.changed(begun.change)
    place.head_seq = begun.reply_seq
    job = _end(place, begun.reply_seq, token)
    try:
        await place.database.write(finish_turns, place.owner_id, job)
    except ConvostoreError as error:
        place.pulse.write_later(
            token, lambda: place.database.write(finish_turns, place.owner_id, job), why=error
        )
    except BaseException:
        leases.abandon(token)
        raise
    else:
        leases.let_go(token)


def doubtful(place: Place, error: ConvostoreError, token: str, reply_id: str) -> None:
    """End in the background a reply of which *error* leaves open whether write 1 stored it.

    Where the answer to a commit was lost, the question and a running reply may be on disk, and
    would keep the conversation busy for as long as this process lives. Here its writer counts as
    dead at once, so that whoever repeats the question does not follow a reply that nobody makes.
    """
    if type(error) is not StoreError:  # every kind below it says that nothing was stored
        leases.let_go(token)
        return
    leases.abandon(token)
    job = EndUnbegun(conversation_id=place.record.id, reply_id=reply_id, end=_end(place, 0, token))
    place.pulse.write_later(token, lambda: place.database.write(end_unbegun, place.owner_id, job))


def _end(place: Place, reply_seq: int, token: str) -> FinishTurn:
    return FinishTurn(
        conversation_id=place.record.id,
        message_seq=reply_seq,
        token=token,
        spare_id=new_id(),
        call_id=None,
        status="stopped",
        text="",
        shape=None,
        now_ms=clock.now_ms(),
    )


async def _outcome(write: asyncio.Future[Any]) -> Any:
    """Return what a write stored, its error if that is one of ours, None otherwise."""
    await asyncio.wait({write})
    if write.cancelled():
        return None
    error = write.exception()
    return write.result() if error is None else error
