"""The verbs of a store that take conversations away, and bring them back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from convostore import clock
from convostore.carrying import GRACE_S, forget_forsaken
from convostore.errors import ConversationBusyError, ConversationNotFoundError, StoreError
from convostore.lists import Lists, UpdateReport, in_parts
from convostore.records import Filter
from convostore.storage import lookup
from convostore.storage.deleting import MoveBin, move_bins
from convostore.storage.own_copies import own_copies, remove_copies
from convostore.storage.purging import EXPIRED, Purge, purge_conversations
from convostore.storage.scrub_note import scrub_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.opener import Opener
    from convostore.records import ConversationRecord
    from convostore.storage.scrub_note import ScrubReport

_SWEPT_FOR_S: Final = 600.0
_SCRUBBED_SOON_BYTES: Final = 16 * 1024 * 1024  # written anew in some 0.3 s
_SCRUB_PATIENCE_S: Final = 0.25  # with a reader that stands in the way of a scrub nobody asked for
_EXPIRED_AT_ONCE: Final = 1000  # conversations; the rest goes with the next look
_PURGED_AT_ONCE: Final = 20  # conversations to a commit: each may have thousands of messages


class PurgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a purge came to.

    Attributes:
        found: conversations that were meant.
        changed: those that are gone for good now.
        gone: those that were purged, or brought back from the bin, meanwhile.
        busy: those that stay, for a reply of theirs is still being written.
        messages: how many went with them.
    """

    found: int
    changed: int = 0
    gone: int = 0
    busy: int = 0
    messages: int = 0


class Upkeep(Lists):
    """How conversations go; `Store` has these verbs.

    Each takes one conversation, named as a person would, or a filter, or ids such as `matching`
    gives. It commits 200 at a time; a failure leaves those that were committed, and may be run
    again.
    """

    _opener: Opener

    async def delete(self, which: str | Filter | Iterable[str]) -> UpdateReport:
        """Move conversations to the bin; see `Conversation.delete`.

        Args:
            which: `@`, an id, a key, a handle or its beginning; or a filter; or ids.

        Raises:
            ConversationNotFoundError: the one that is named is not there.
            AmbiguousHandleError: the beginning fits several.
            InvalidTextError: a text of the filter can be in no store.
            StoreError: the store cannot be opened, read or written.
        """
        return await self._bin(await self._meant(which, deleted=False), clock.now_ms())

    async def undelete(self, which: str | Filter | Iterable[str]) -> UpdateReport:
        """Bring conversations back from the bin, as they were.

        One whose key was given away meanwhile comes back without it.

        Args:
            which: as in `delete`, but of what is in the bin: `@` went there last.

        Raises:
            ConversationNotFoundError: the one that is named is not in the bin.
            AmbiguousHandleError: the beginning fits several.
            InvalidTextError: a text of the filter can be in no store.
            StoreError: the store cannot be opened, read or written.
        """
        return await self._bin(await self._meant(which, deleted=True), None)

    async def purge(
        self, which: str | Filter | Iterable[str], *, scrub: bool | None = None
    ) -> PurgeReport:
        """Remove conversations that are in the bin for good: texts, search terms, everything.

        Each goes whole or not at all; attachments that no message refers to go, too. What the model
        calls cost stays counted. Copies of the store
        are not touched: see `copies`.

        Args:
            which: as in `undelete`; `Filter()` is the whole bin.
            scrub: see `scrub`; by default it is done for a file, and not on a server, where it
                would keep others waiting.

        Raises:
            ConversationNotFoundError: the one that is named is not in the bin.
            AmbiguousHandleError: the beginning fits several.
            InvalidTextError: a text of the filter can be in no store.
            StoreBusyError: from scrubbing: everything is out of reach, but others kept traces of it
                in the file; `scrub` again.
            StoreError: the store cannot be opened, read or written.
        """
        ids = await self._meant(which, deleted=True)
        report = await self._purge(ids, only="binned")
        if (at := await self._owned.for_reading()) is not None:
            await forget_forsaken(*at, GRACE_S)
        await scrub_after((await self._opener.opened()).database, scrub)
        return report

    async def purge_expired(self, *, scrub: bool | None = None) -> PurgeReport:
        """Remove what has expired for good; nobody can see it any more anyhow.

        Where conversations are made or resumed, this is done on the way, every ten minutes at most;
        a file of up to 16 MiB is then scrubbed as well.

        Args:
            scrub: as in `purge`.

        Raises:
            StoreBusyError: from scrubbing, as in `purge`.
            StoreError: the store cannot be opened, read or written.
        """
        report = await self._purge_expired()
        await scrub_after((await self._opener.opened()).database, scrub)
        return report

    async def scrub(self) -> ScrubReport:
        """Get what was removed out of every byte of the store's files, where that is owed.

        A purge, a removed branch and a forgotten message each owe it. A file is written anew: it
        takes about as long as copying it, as much room again, and whoever writes waits. On a server
        each table is written anew (VACUUM FULL), and nobody can use it meanwhile.

        Raises:
            StoreBusyError: others stood in the way; it is owed as before.
            StoreFullError: no room to write it anew; it is owed as before.
            StoreError: the store cannot be opened, or whatever else the database says.
            StoreClosedError: the store is closed.
        """
        return await (await self._opener.opened()).database.scrub()

    def copies(self) -> tuple[Path, ...]:
        """Name the copies of this store that convostore has left beside its file.

        They were made before an upgrade or a restore, and have what was removed since. Backups that
        somebody asked for are not among them.

        Raises:
            StoreError: the folder cannot be read.
        """
        where = self._opener.where
        return own_copies(where.resolve()) if isinstance(where, Path) else ()

    @property
    def is_on_server(self) -> bool:
        """Tell whether the store is in a database of a server, and not in a file."""
        return not isinstance(self._opener.where, Path)

    async def remove_copies(self, copies: Iterable[Path]) -> None:
        """Remove copies that `copies` has named; one that is gone already is no error.

        Raises:
            ValueError: it does not name one of them.
            StoreBusyError: others held the store all the time; nothing was removed.
            StoreError: one cannot be removed; those before it are.
        """
        chosen, where = tuple(copies), self._opener.where
        if not {one for one in chosen if one.exists()} <= set(self.copies()):
            raise ValueError("only what copies() names can be removed")
        if chosen and isinstance(where, Path):
            await asyncio.to_thread(remove_copies, where.resolve(), chosen)

    async def find_deleted(self, ref: str) -> ConversationRecord:
        """Look a conversation up in the bin; `@` is what went there last.

        Raises:
            ConversationNotFoundError: nothing in the bin fits.
            AmbiguousHandleError: the beginning fits several.
            StoreError: the store cannot be opened or read.
        """
        at = await self._owned.for_reading()
        if at is None:
            raise lookup.not_in_bin(ref)
        return await lookup.find_in_bin(*at, ref)

    async def _meant(
        self, which: str | Filter | Iterable[str], *, deleted: bool
    ) -> tuple[str, ...]:
        if isinstance(which, str):
            found = await (self.find_deleted(which) if deleted else self.find(which))
            return (found.id,)
        if isinstance(which, Filter):
            return await self.matching(which, deleted=deleted)
        return tuple(which)

    async def _sweep(self) -> None:
        """Remove what has expired, where nobody of this process has looked for it lately."""
        swept_s = self._owned.swept_s
        if swept_s is None or clock.monotonic_s() - swept_s >= _SWEPT_FOR_S:
            self._owned.swept_s = clock.monotonic_s()
            with suppress(
                StoreError, OSError
            ):  # as on a read-only disk: it is hidden, and owed to the next
                report = await self._purge_expired()
                if report.changed and self._is_scrubbed_soon():
                    opened = await self._opener.opened()
                    await opened.database.scrub(patience_s=_SCRUB_PATIENCE_S)

    def _is_scrubbed_soon(self) -> bool:
        """Tell whether the store is a file so small that nobody minds its being written anew."""
        where = self._opener.where
        return isinstance(where, Path) and where.stat().st_size <= _SCRUBBED_SOON_BYTES

    async def _purge_expired(self) -> PurgeReport:
        at = await self._owned.for_reading()
        if at is None:
            return PurgeReport(found=0)
        database, owner_id = at
        rows = await database.read(
            EXPIRED, owner_id=owner_id, now_ms=clock.now_ms(), most=_EXPIRED_AT_ONCE
        )
        return await self._purge(tuple(id_ for (id_,) in rows), only="expired")

    async def _purge(
        self, ids: tuple[str, ...], *, only: Literal["binned", "expired"] | None
    ) -> PurgeReport:
        at, now_ms = await self._owned.for_reading(), clock.now_ms()
        erasing = only is None  # then the owner's tombstones go, too
        jobs = [
            Purge(conversation_id=id_, only=only, now_ms=now_ms, tombstone=not erasing)
            for id_ in ids
        ]
        found, changed, gone, busy, messages = len(jobs), 0, 0, 0, 0
        while at is not None and jobs:
            database, owner_id = at
            part, jobs = jobs[:_PURGED_AT_ONCE], jobs[_PURGED_AT_ONCE:]
            writes = [database.write(purge_conversations, owner_id, job) for job in part]
            for outcome in await asyncio.gather(*writes, return_exceptions=True):
                if isinstance(outcome, ConversationNotFoundError):
                    gone += 1
                elif isinstance(outcome, ConversationBusyError):
                    busy += 1
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    changed += 1
                    messages += outcome.messages
        return PurgeReport(found=found, changed=changed, gone=gone, busy=busy, messages=messages)

    async def _bin(self, ids: tuple[str, ...], deleted_at_ms: int | None) -> UpdateReport:
        at = await self._owned.for_reading()
        jobs = [MoveBin(conversation_id=id_, deleted_at_ms=deleted_at_ms) for id_ in ids]
        return await in_parts(at, move_bins, jobs)
