"""The verbs of a store that list conversations, and change how many of them are listed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, UnsetType

from convostore.arranging import arrange, meant
from convostore.errors import ConversationNotFoundError
from convostore.records import ConversationRecord, Filter, Page
from convostore.storage import listing, lookup
from convostore.storage.ordering import arrange_conversations
from convostore.text import gate_expiry
from convostore.turning.recovery import close_dead_replies

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence
    from typing import Unpack

    from convostore.arranging import FilterWords
    from convostore.owned import Owned
    from convostore.storage.database import Database
    from convostore.storage.waiting import GroupFunction

_AT_ONCE: Final = 200  # conversations that one commit changes, so that nobody waits for long


class UpdateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of many came to.

    Attributes:
        found: conversations that were meant.
        changed: those that were not as wanted before.
        gone: those that were deleted meanwhile.
    """

    found: int
    changed: int = 0
    gone: int = 0


class Lists:
    """What a store can do with its lists; `Store` has these verbs.

    Where a filter is taken, its words may stand for it or narrow it: `tag="travel"`, with the
    meaning that `Filter` gives them.
    """

    _owned: Owned

    async def list(
        self,
        *,
        limit: int = 20,
        cursor: str | None = None,
        filter: Filter | None = None,
        **words: Unpack[FilterWords],
    ) -> Page[ConversationRecord]:
        """List conversations: pinned ones first, then by newest activity; no archived ones.

        With `deleted=True` the bin alone, what went there last first. With `archived=True` the archive alone, newest activity first; with `archived=None` both,
        the archive last. What is equally new is in the order of ids, newest first. A page has as
        many as were asked for, or it is the last one. What is made or moved up between two pages
        moves none of the rest: nothing else is skipped or repeated.

        Args:
            limit: 1 to 200.
            cursor: `next_cursor` of the page before, of the same owner and filter.
            filter: which ones.
            words: `title`, `provider`, `model`, `tag`, `folder`, `key_prefix`, `since_ms`,
                `until_ms`, `interrupted`, `pinned`, `archived`, `deleted`: see `Filter`.

        Raises:
            FormatError: the cursor is none of ours, or of another list.
            InvalidTextError: a text of the filter can be in no store.
            StoreError: the store cannot be opened or read; where `interrupted` is asked for and a
                writer died, it cannot be written.
            StoreClosedError: the store is closed.
        """
        wanted = meant(filter, words)
        at = await self._owned.for_reading()
        if at is None:
            return Page(())
        await _settle(*at, wanted)
        return await listing.list_page(*at, wanted, limit=limit, cursor=cursor)

    async def find(self, ref: str) -> ConversationRecord:
        """Look a conversation up, as `resume` does, and return its record.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: the beginning fits several.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        return await lookup.find(*await self._reading(ref), ref)

    async def _reading(self, ref: str) -> tuple[Database, str]:
        """Say where *ref* is to be looked up.

        Raises:
            ConversationNotFoundError: this owner has nothing at all.
            StoreError: the store cannot be opened.
        """
        at = await self._owned.for_reading()
        if at is None:
            raise ConversationNotFoundError(
                f"there is no conversation {ref}", hint="start one: convostore chat"
            )
        return at

    async def matching(
        self, filter: Filter | None = None, **words: Unpack[FilterWords]
    ) -> tuple[str, ...]:
        """Return the ids of all conversations that a filter means, in the order of the list.

        For a count before a change of many, and so that it changes exactly those counted.

        Raises:
            InvalidTextError: a text of the filter can be in no store.
            StoreError: the store cannot be opened or read; where `interrupted` is asked for and a
                writer died, it cannot be written.
            StoreClosedError: the store is closed.
        """
        wanted = meant(filter, words)
        at = await self._owned.for_reading()
        if at is None:
            return ()
        await _settle(*at, wanted)
        return await listing.matching(*at, wanted)

    async def records(
        self, ids: Iterable[str], *, deleted: bool = False
    ) -> AsyncGenerator[ConversationRecord]:
        """Yield the records of *ids*, in their order; those that are gone or binned are left out.

        Args:
            ids: such as `matching` gives.
            deleted: those of the bin instead.

        Raises:
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        at, left = await self._owned.for_reading(), tuple(ids)
        while at is not None and left:
            for record in await listing.records(*at, left[:_AT_ONCE], deleted=deleted):
                yield record
            left = left[_AT_ONCE:]

    async def update_all(
        self,
        which: Filter | Iterable[str],
        *,
        pin: bool | None = None,
        archive: bool | None = None,
        folder: str | None = None,
        tag: str | Iterable[str] = (),
        untag: str | Iterable[str] = (),
        expires_at_ms: int | UnsetType | None = UNSET,
    ) -> UpdateReport:
        """Change how many conversations are listed; what is not named stays as it is.

        It commits 200 at a time. A failure leaves those that were committed, and may be run again.

        Args:
            which: a filter, or ids such as `matching` gives; `Filter()` is the whole list.
            pin: True pins, False unpins.
            archive: True archives, False takes back.
            folder: the one they go into; "" takes them out of any.
            tag: one or several to add.
            untag: one or several to take away.
            expires_at_ms: when they go for good by themselves; None is never.

        Raises:
            ValueError: nothing is to be changed, or it is no time to come.
            InvalidTextError: a name is blank, too long, or cannot be stored, or a conversation
                would have more than 64 tags.
            StoreError: the store cannot be opened, read or written.
            StoreClosedError: the store is closed.
        """
        added, dropped = _names(tag), _names(untag)
        nothing = pin is None and archive is None and folder is None and expires_at_ms is UNSET
        if nothing and not added and not dropped:
            raise ValueError("say what to change: pin, archive, folder, tag, untag, expires_at_ms")
        wish = arrange("", pin=pin, archive=archive, folder=folder, tag=added, untag=dropped)
        if expires_at_ms is not UNSET:
            at_ms = gate_expiry(expires_at_ms)
            wish = msgspec.structs.replace(wish, expires_at_ms=at_ms)
        ids = await self.matching(which) if isinstance(which, Filter) else tuple(which)
        jobs = [msgspec.structs.replace(wish, conversation_id=id_) for id_ in ids]
        return await in_parts(await self._owned.for_reading(), arrange_conversations, jobs)


async def _settle(database: Database, owner_id: str, wanted: Filter) -> None:
    """Close replies whose writer died, where a filter asks for them: till then none is counted.

    Raises:
        StoreError: the store cannot be read or written.
    """
    if wanted.interrupted is not None:
        await close_dead_replies(database, owner_id)


def _names(one_or_more: str | Iterable[str]) -> tuple[str, ...]:
    return (one_or_more,) if isinstance(one_or_more, str) else tuple(one_or_more)


async def in_parts(
    at: tuple[Database, str] | None, function: GroupFunction, jobs: Sequence[object]
) -> UpdateReport:
    """Run *jobs*, one of each conversation, 200 to a commit; return what came of them.

    Args:
        at: the database and the owner; None while the owner has nothing there.
        function: what each outcome has as `changed`.
        jobs: what is to be done.

    Raises:
        StoreError: the store cannot be written; what was committed stays.
    """
    found, changed, gone = len(jobs), 0, 0
    while at is not None and jobs:
        database, owner_id = at
        writes = [database.write(function, owner_id, job) for job in jobs[:_AT_ONCE]]
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(outcome, ConversationNotFoundError):
                gone += 1
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                changed += outcome.changed
        jobs = jobs[_AT_ONCE:]
    return UpdateReport(found=found, changed=changed, gone=gone)
