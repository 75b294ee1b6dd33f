"""Drive import: records of a file into the store, some at a time, and a result for each of them.

The next records are read, beside this thread, while those before are stored. What stands in memory
is what is just read and what is just stored, however long the file is.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from convostore.carrying import take_in
from convostore.errors import (
    AttachmentError,
    ConflictError,
    ConvostoreError,
    InvalidTextError,
    StoreError,
)
from convostore.exchange.batches import Batch, Ready, refused_one
from convostore.exchange.enclosures import pieces
from convostore.exchange.outcomes import ImportReport, ImportResult
from convostore.exchange.rehearsing import Rehearsal
from convostore.exchange.restoring import restored
from convostore.formats.own import SOURCE as OWN
from convostore.formats.own import OwnConversation
from convostore.storage.faults import is_of_values
from convostore.storage.importing import import_conversations, imports_ended
from convostore.storage.newcomers import ContentsMissing, Imported
from convostore.storage.owner_rows import OwnerGone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.exchange.aside import Aside
    from convostore.exchange.batches import Batches
    from convostore.exchange.fitting import Wish
    from convostore.owned import Owned

_PATIENCE_S: Final = 2.0  # with what is just being read, when nobody asks for more


class Import:
    """An import that runs as far as somebody asks for its results: an async iterator of them.

    What has a result is stored, and stays so, however the import ends: it may be run again.
    """

    def __init__(
        self, owned: Owned, batches: Batches | Aside, wish: Wish, *, most_bytes: int
    ) -> None:
        self._owned, self._batches, self._wish = owned, batches, wish
        self._most_bytes = most_bytes
        self._counts = dict.fromkeys(ImportReport.__struct_fields__[:-1], 0)
        self._rehearsal = Rehearsal()
        self._results = self._run()

    @property
    def report(self) -> ImportReport:
        """What it came to so far."""
        return ImportReport(**self._counts, dry_run=self._wish.dry_run)

    @property
    def part_read(self) -> float | None:
        """How much of the file was read, from 0 to 1; None where nobody knows."""
        return self._batches.part_read

    def __aiter__(self) -> Import:
        """Give the results, each once, in the order of the file."""
        return self

    async def __anext__(self) -> ImportResult:
        """Store what comes next, and return what became of it.

        Raises:
            FormatError: the file is of no format that is known, or of another one than was said.
            StoreError: the store cannot be opened, read or written; what has a result is stored.
        """
        return await anext(self._results)

    async def finish(self) -> ImportReport:
        """Store all that is left, and return what the import came to.

        Raises:
            FormatError: as `__anext__`.
            StoreError: likewise.
        """
        async with aclosing(self):
            async for _ in self:
                pass
        return self.report

    async def aclose(self) -> None:
        """Read no further; what has no result yet may or may not be stored. Idempotent."""
        await self._results.aclose()

    async def _run(self) -> AsyncGenerator[ImportResult]:
        reading = asyncio.ensure_future(asyncio.to_thread(self._batches.next))
        try:
            while batch := await reading:
                reading = asyncio.ensure_future(asyncio.to_thread(self._batches.next))
                failed: BaseException | None = None
                for result in await self._stored(batch):
                    if isinstance(result, BaseException):
                        failed = failed or result
                        continue
                    self._count(result)
                    yield result
                if failed is not None:
                    raise failed
        finally:
            self._batches.stop()
            # A generator that a thread is just in cannot be closed; one that waits for somebody's
            # input may be in there for ever.
            await asyncio.wait({reading}, timeout=_PATIENCE_S)
            if reading.done():
                if not reading.cancelled():
                    reading.exception()
                await asyncio.to_thread(self._batches.close)
            if (self._counts["added"] or self._counts["updated"]) and not self._wish.dry_run:
                with suppress(ConvostoreError, RuntimeError):  # who writes next indexes it, too
                    database, owner_id = await self._owned.for_writing()
                    await database.write(imports_ended, owner_id, None)

    def _count(self, result: ImportResult) -> None:
        self._counts["records"] += 1
        self._counts[result.outcome] += 1
        self._counts["messages"] += result.messages

    async def _stored(self, batch: Batch) -> list[ImportResult | BaseException]:
        if self._wish.dry_run:
            return [await self._result(one) for one in batch]
        await self._owned.for_writing()  # so that all of them are queued at once, in their order
        work = [self._result(one) for one in batch]
        return await asyncio.gather(*work, return_exceptions=True)

    async def _result(self, ready: Ready | OwnConversation | ImportResult) -> ImportResult:
        if isinstance(ready, ImportResult):
            return ready
        if isinstance(ready, OwnConversation):
            return await self._own(ready)
        job = ready.job
        try:
            kept = await self._kept(ready)
        except (ConvostoreError, ValueError, TypeError, ArithmeticError) as error:
            if isinstance(error, StoreError) and not is_of_values(error):
                raise
            reason = error.message if isinstance(error, ConvostoreError) else str(error)
            return refused_one(job.source, job.source_id, reason)
        return ImportResult(
            outcome=kept.kept,
            source=job.source,
            source_id=job.source_id,
            id=kept.id,
            handle=kept.handle,
            title=kept.title,
            messages=kept.messages,
            remarks=ready.remarks,
        )

    async def _own(self, one: OwnConversation) -> ImportResult:
        """Take back what an export of our own told of a conversation."""
        id_ = one.record.id
        most = self._most_bytes
        try:
            kept, remarks = await restored(self._owned, one, self._wish, most_bytes=most)
        except (ConvostoreError, ValueError, TypeError, ArithmeticError) as error:
            its_own = isinstance(error, ConflictError | InvalidTextError | AttachmentError)
            if isinstance(error, StoreError) and not (its_own or is_of_values(error)):
                raise
            reason = error.message if isinstance(error, ConvostoreError) else str(error)
            return refused_one(OWN, id_, reason)
        return ImportResult(
            outcome=kept.kept,
            source=OWN,
            source_id=id_,
            id=kept.id,
            handle=kept.handle,
            title=kept.title,
            messages=kept.messages,
            remarks=remarks,
        )

    async def _kept(self, ready: Ready) -> Imported:
        job = ready.job
        while True:
            owned = self._owned
            at = await (owned.for_reading() if job.dry_run else owned.for_writing())
            outcome = (
                OwnerGone() if at is None else await at[0].write(import_conversations, at[1], job)
            )
            if isinstance(outcome, ContentsMissing):
                await self._take_in(ready, outcome.contents)
            elif isinstance(outcome, Imported):
                return self._rehearsal.told(job, outcome) if job.dry_run else outcome
            elif job.dry_run:  # nobody has anything yet
                return self._rehearsal.told(job, job.would_be_added())
            else:  # erased by somebody else: one of that name is made anew
                owned.forget()

    async def _take_in(self, ready: Ready, contents: tuple[str, ...]) -> None:
        for sha256 in contents:
            file, part = ready.files[sha256]
            await take_in(
                *await self._owned.for_writing(),
                pieces(file),
                name=part.name,
                media_type=part.media_type,
                most_bytes=self._most_bytes,
            )
