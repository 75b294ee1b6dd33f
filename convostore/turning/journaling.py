"""Journaling a running reply: at most one flush in flight, and never far behind what was shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from convostore import clock
from convostore.errors import IncompleteReplyError, StoreBusyError, StoreClosedError
from convostore.storage import leases
from convostore.storage.journal import Flush, flush_journals
from convostore.storage.leases import RENEW_AFTER_MS, new_lease

if TYPE_CHECKING:
    from convostore.records import RemoteThread
    from convostore.storage.waiting import Waiting
    from convostore.turning.place import Place
    from convostore.turning.reply import ReplyBuffer

FLUSH_BYTES: Final = 4096  # most of what was shown may be this far ahead of the disk
FLUSH_AGE_S: Final = 0.25  # and no longer than this


class Journaling:
    """Puts one reply's unsaved pieces on disk, and renews its lease on the way.

    Attributes:
        used: a flush was begun, so that there may be journal rows.
    """

    def __init__(self, place: Place, buffer: ReplyBuffer, token: str) -> None:
        self._place = place
        self._buffer = buffer
        self._token = token
        self._seq = 0
        self._lease = ""
        self._lease_ms = 0
        self._waiting: Waiting | None = None
        self._flush: asyncio.Future[bool] | None = None
        self._flying_bytes = 0
        self._flying_since_s = 0.0
        self._error: Exception | None = None
        self.used = False

    def begin(self, message_seq: int, lease: str) -> None:
        """Journal the reply *message_seq*, whose row holds *lease*, from now on."""
        self._seq, self._lease, self._lease_ms = message_seq, lease, clock.now_ms()

    def tick(self) -> None:
        """Begin a flush, if there is something to flush or the lease is due."""
        due = not 0 <= clock.now_ms() - self._lease_ms < RENEW_AFTER_MS
        if (self._buffer.unsaved_bytes or due) and self._is_idle():
            self._begin_flush()

    def is_behind(self) -> bool:
        """Tell whether the next delta has to wait for the disk."""
        unsaved_bytes = self._flying_bytes + self._buffer.unsaved_bytes
        if self._error is not None or unsaved_bytes >= FLUSH_BYTES:
            return True
        if unsaved_bytes == 0:
            return False
        since_s = self._flying_since_s if self._flying_bytes else self._buffer.unsaved_since_s
        return clock.monotonic_s() - since_s > FLUSH_AGE_S

    async def catch_up(self) -> Exception | None:
        """Wait until everything taken is on disk; return what stood in the way, if anything."""
        while self._error is None and (self._buffer.unsaved_bytes or not self._is_idle()):
            if self._is_idle():
                self._begin_flush()
            await self._landed()
        return self._error

    async def keep_remote(self, remote: RemoteThread) -> Exception | None:
        """Put a remote thread on disk; return what stood in the way, if anything."""
        await self.settled()
        self._begin_flush(remote)
        await self._landed()
        return self._error

    async def settled(self) -> None:
        """Wait for the flush in flight, so that it cannot overtake the end."""
        while not self._is_idle():
            await self._landed()

    def abandon(self) -> None:
        """Let the reply go, and a flush that is not taken yet: nobody will end the reply."""
        leases.abandon(self._token)
        if self._waiting is not None:
            self._waiting.withdraw(_closed_meanwhile)

    def _is_idle(self) -> bool:
        return self._flush is None

    async def _landed(self) -> None:
        """Wait for the flush in flight; who is cancelled meanwhile leaves it there."""
        if self._flush is not None:
            await asyncio.wait({self._flush})

    def _begin_flush(self, remote: RemoteThread | None = None) -> None:
        """Send off what is not on disk yet, with the lease renewed where that is due."""
        self.used = True
        now_ms = clock.now_ms()
        if not 0 <= now_ms - self._lease_ms < RENEW_AFTER_MS:
            self._lease, self._lease_ms = new_lease(self._token, now_ms), now_ms
        # What is on its way is not on disk yet: it counts until the write has returned.
        self._flying_bytes = self._buffer.unsaved_bytes
        self._flying_since_s = self._buffer.unsaved_since_s
        job = Flush(
            conversation_id=self._place.record.id,
            message_seq=self._seq,
            lease=self._lease,
            rows=self._buffer.unsaved(),
            remote=remote,
        )
        try:
            waiting = self._place.database.submit(flush_journals, self._place.owner_id, job)
        except StoreClosedError as error:
            self._error, self._flying_bytes = error, 0
            return
        self._waiting, self._flush = waiting, waiting.future
        self._flush.add_done_callback(self._flushed)

    def _flushed(self, flush: asyncio.Future[bool]) -> None:
        """Note how a flush went; the turn raises what went wrong where its caller sees it."""
        self._flush, self._flying_bytes = None, 0
        if flush.cancelled():
            return  # the event loop ends
        if (error := flush.exception()) is not None:
            self._error = error if isinstance(error, Exception) else StoreClosedError(str(error))
        elif not flush.result():
            self._error = _taken_for_dead(self._place.record.provider or "")


def _closed_meanwhile() -> StoreBusyError:
    """Return the error for a flush that others held up until its store was closed."""
    return StoreBusyError(
        "the store was closed while another program held it; the last of the answer is not stored",
        hint="what is stored of it is shown as interrupted; ask again",
    )


def _taken_for_dead(provider: str) -> IncompleteReplyError:
    """Return the error that ends a turn whose reply was closed: no journal takes its text any more."""
    return IncompleteReplyError(
        "the reply was closed from elsewhere, where its writer was taken for dead",
        provider=provider,
        hint="what arrived is kept; ask again to have another",
    )
