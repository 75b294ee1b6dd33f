"""Drive import: records of a file into the store, some at a time, and a result for each of them.

The next records are read, in a thread, while those before are stored. What stands in memory is
what is just read and what is just stored, however long the file is.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from convostore import clock
from convostore.carrying import take_in
from convostore.errors import (
    AttachmentError,
    ConflictError,
    ConvostoreError,
    FormatError,
    InvalidTextError,
    StoreError,
)
from convostore.exchange.enclosures import Enclosures, pieces
from convostore.exchange.fitting import Fitted, Wish, fit
from convostore.exchange.restoring import restored
from convostore.formats.found import Opaque, Refused
from convostore.formats.own import SOURCE as OWN
from convostore.formats.own import OwnConversation
from convostore.storage.faults import is_of_values
from convostore.storage.importing import import_conversations
from convostore.storage.newcomers import ContentsMissing, Imported
from convostore.storage.owner_rows import OwnerGone

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from convostore.formats.found import Found
    from convostore.owned import Owned
    from convostore.storage.newcomers import ImportConversation, Kept

ImportOutcome: TypeAlias = Literal["added", "updated", "unchanged", "deleted", "refused", "opaque"]

_MESSAGES: Final = 1000  # that are stored together, or
_CONVERSATIONS: Final = 200  # so many, or
_PATIENCE_S: Final = 2.0  # with what is just being read, when nobody asks for more
_BYTES: Final = 4 * 1024 * 1024  # so much; one conversation is never split


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record of a file.

    Attributes:
        outcome: a conversation is `added`, `updated`, `unchanged`, or stays `deleted` as the user
            wished; `refused` is what cannot be taken, `opaque` what is no conversation.
        where: of what is refused or opaque, its place in the file.
        source: the format, as it is typed.
        source_id: the conversation's id there.
        id: the conversation's here; None where there is none, and so `handle`.
        title: as it is listed.
        messages: how many were added.
        reason: of what is refused, why, in one line; of what is opaque, what it is.
        remarks: what was mended or guessed, a line each.
    """

    outcome: ImportOutcome
    where: str = ""
    source: str | None = None
    source_id: str | None = None
    id: str | None = None
    handle: str | None = None
    title: str | None = None
    messages: int = 0
    reason: str = ""
    remarks: tuple[str, ...] = ()


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import came to; the outcomes add up to the records.

    Attributes:
        records: of the file.
        messages: how many were added.
        dry_run: nothing was written.
    """

    records: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    refused: int = 0
    opaque: int = 0
    messages: int = 0
    dry_run: bool = False


class _Ready(msgspec.Struct, frozen=True):
    """A conversation that waits to be stored, with what came along."""

    fitted: Fitted
    enclosures: Enclosures


_Batch: TypeAlias = "list[_Ready | OwnConversation | ImportResult]"


class Import:
    """An import that runs as far as somebody asks for its results: an async iterator of them.

    What has a result is stored, and stays so, however the import ends: it may be run again.
    """

    def __init__(
        self, owned: Owned, records: Callable[[], Iterator[Found]], wish: Wish, *, most_bytes: int
    ) -> None:
        self._owned, self._open, self._wish = owned, records, wish
        self._most_bytes = most_bytes
        self._counts = dict.fromkeys(ImportReport.__struct_fields__[:-1], 0)
        self._found: Iterator[Found] | None = None
        self._rehearsal = _Rehearsal()
        self._results = self._run()

    @property
    def report(self) -> ImportReport:
        """What it came to so far."""
        return ImportReport(**self._counts, dry_run=self._wish.dry_run)

    @property
    def part_read(self) -> float | None:
        """How much of the file was read, from 0 to 1; None where nobody knows."""
        return getattr(self._found, "part_read", None)

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
        reading = asyncio.ensure_future(asyncio.to_thread(self._next))
        try:
            while batch := await reading:
                reading = asyncio.ensure_future(asyncio.to_thread(self._next))
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
            # A generator that a thread is just in cannot be closed; one that waits for somebody's
            # input may be in there for ever.
            await asyncio.wait({reading}, timeout=_PATIENCE_S)
            if reading.done():
                if not reading.cancelled():
                    reading.exception()
                if (close := getattr(self._found, "close", None)) is not None:
                    await asyncio.to_thread(close)

    def _count(self, result: ImportResult) -> None:
        self._counts["records"] += 1
        self._counts[result.outcome] += 1
        self._counts["messages"] += result.messages

    def _next(self) -> _Batch:
        """Read what is stored together next; empty at the end. Blocks."""
        if self._found is None:
            self._found = self._open()
        batch: _Batch = []
        messages = size = 0
        for found in self._found:
            ready = self._ready(found)
            batch.append(ready)
            if isinstance(ready, _Ready):
                job = ready.fitted.job
                messages += len(job.messages)
                size += len(job.original)
                size += sum(len(one.text) + len(one.original) for one in job.messages)
            elif isinstance(ready, OwnConversation):
                messages += len(ready.messages)
                size += sum(len(one.text) for one in ready.messages)
            if messages >= _MESSAGES or size >= _BYTES or len(batch) >= _CONVERSATIONS:
                break
        return batch

    def _ready(self, found: Found) -> _Ready | OwnConversation | ImportResult:
        if isinstance(found, OwnConversation):
            return found
        if isinstance(found, Refused):
            return ImportResult(
                outcome="refused", where=found.where, source=found.format, reason=found.reason
            )
        if isinstance(found, Opaque):
            return ImportResult(outcome="opaque", where=found.where, reason=found.what)
        enclosures = Enclosures(found, most_bytes=self._most_bytes)
        try:
            fitted = fit(found, self._wish, attached=enclosures.parts, now_ms=clock.now_ms())
        except FormatError as error:
            return _refused(found.source, found.source_id, error.reason)
        return _Ready(fitted, enclosures)

    async def _stored(self, batch: _Batch) -> list[ImportResult | BaseException]:
        if self._wish.dry_run:
            return [await self._result(one) for one in batch]
        await self._owned.for_writing()  # so that all of them are queued at once, in their order
        work = [self._result(one) for one in batch]
        return await asyncio.gather(*work, return_exceptions=True)

    async def _result(self, ready: _Ready | OwnConversation | ImportResult) -> ImportResult:
        if isinstance(ready, ImportResult):
            return ready
        if isinstance(ready, OwnConversation):
            return await self._own(ready)
        job = ready.fitted.job
        try:
            kept = await self._kept(ready)
        except (ConvostoreError, ValueError, TypeError, ArithmeticError) as error:
            if isinstance(error, StoreError) and not is_of_values(error):
                raise
            reason = error.message if isinstance(error, ConvostoreError) else str(error)
            return _refused(job.source, job.source_id, reason)
        return ImportResult(
            outcome=kept.kept,
            source=job.source,
            source_id=job.source_id,
            id=kept.id,
            handle=kept.handle,
            title=kept.title,
            messages=kept.messages,
            remarks=(*ready.fitted.remarks, *ready.enclosures.remarks),
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
            return _refused(OWN, id_, reason)
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

    async def _kept(self, ready: _Ready) -> Imported:
        job = ready.fitted.job
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
                added = Imported(kept="added", messages=len(job.messages), title=job.title)
                return self._rehearsal.told(job, added)
            else:  # erased by somebody else: one of that name is made anew
                owned.forget()

    async def _take_in(self, ready: _Ready, contents: tuple[str, ...]) -> None:
        for sha256 in contents:
            file, part = ready.enclosures.files[sha256]
            await take_in(
                *await self._owned.for_writing(),
                pieces(file),
                name=part.name,
                media_type=part.media_type,
                most_bytes=self._most_bytes,
            )


class _Rehearsal:
    """What a dry run would have stored by now, so that what comes twice is not added twice."""

    def __init__(self) -> None:
        self._added: dict[int, int] = {}

    def told(self, job: ImportConversation, outcome: Imported) -> Imported:
        """Return what would become of a conversation, if those before it had been stored."""
        content = hash(tuple(one.content_hash for one in job.messages))
        before = self._added.get(name := hash((job.source, job.source_id)))
        self._added[name] = content
        if outcome.kept != "added" or before is None:
            return outcome
        kept: Kept = "unchanged" if before == content else "updated"
        return msgspec.structs.replace(outcome, kept=kept, messages=0)


def _refused(source: str, source_id: str, reason: str) -> ImportResult:
    return ImportResult(
        outcome="refused",
        where=f"conversation {source_id}",
        source=source,
        source_id=source_id,
        reason=reason,
    )
