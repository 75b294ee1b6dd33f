"""The verbs of a store that list conversations, and change how many of them are listed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from convostore.arranging import arrange, meant
from convostore.errors import ConversationNotFoundError
from convostore.records import ConversationRecord, Filter, Page
from convostore.storage import listing
from convostore.storage.ordering import arrange_conversations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from typing import Unpack

    from convostore.arranging import FilterWords
    from convostore.owned import Owned
    from convostore.storage.database import Database
    from convostore.storage.ordering import Arrange

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

        With `archived=True` the archive alone, newest activity first; with `archived=None` both,
        the archive last. What is equally new is in the order of ids, newest first. A page has as
        many as were asked for, or it is the last one. What is made or moved up between two pages
        moves none of the rest: nothing else is skipped or repeated.

        Args:
            limit: 1 to 200.
            cursor: `next_cursor` of the page before, of the same owner and filter.
            filter: which ones.
            words: `title`, `provider`, `model`, `tag`, `folder`, `key_prefix`, `since_ms`,
                `until_ms`, `interrupted`, `pinned`, `archived`: see `Filter`.

        Raises:
            FormatError: the cursor is none of ours, or of another list.
            InvalidTextError: a text of the filter can be in no store.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        wanted = meant(filter, words)
        at = await self._owned.for_reading()
        if at is None:
            return Page(())
        return await listing.list_page(*at, wanted, limit=limit, cursor=cursor)

    async def matching(
        self, filter: Filter | None = None, **words: Unpack[FilterWords]
    ) -> tuple[str, ...]:
        """Return the ids of all conversations that a filter means, in the order of the list.

        For a count before a change of many, and so that it changes exactly those counted.

        Raises:
            InvalidTextError: a text of the filter can be in no store.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        wanted = meant(filter, words)
        at = await self._owned.for_reading()
        return () if at is None else await listing.matching(*at, wanted)

    async def records(self, ids: Iterable[str]) -> AsyncGenerator[ConversationRecord]:
        """Yield the records of *ids*, in their order; those that are gone are left out.

        Raises:
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        at, left = await self._owned.for_reading(), tuple(ids)
        while at is not None and left:
            for record in await listing.records(*at, left[:_AT_ONCE]):
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

        Raises:
            ValueError: nothing is to be changed.
            InvalidTextError: a name is blank, too long, or cannot be stored, or a conversation
                would have more than 64 tags.
            StoreError: the store cannot be opened, read or written.
            StoreClosedError: the store is closed.
        """
        added, dropped = _names(tag), _names(untag)
        if pin is None and archive is None and folder is None and not added and not dropped:
            raise ValueError("say what to change: pin, archive, folder, tag or untag")
        wish = arrange("", pin=pin, archive=archive, folder=folder, tag=added, untag=dropped)
        ids = await self.matching(which) if isinstance(which, Filter) else tuple(which)
        at = await self._owned.for_reading()
        report = UpdateReport(found=len(ids))
        while at is not None and ids:
            report = await _update(at, wish, ids[:_AT_ONCE], report)
            ids = ids[_AT_ONCE:]
        return report


def _names(one_or_more: str | Iterable[str]) -> tuple[str, ...]:
    return (one_or_more,) if isinstance(one_or_more, str) else tuple(one_or_more)


async def _update(
    at: tuple[Database, str], wish: Arrange, ids: tuple[str, ...], report: UpdateReport
) -> UpdateReport:
    """Do *wish* to each of *ids*, together; return *report* with what came of it."""
    database, owner_id = at
    jobs = [msgspec.structs.replace(wish, conversation_id=id_) for id_ in ids]
    writes = [database.write(arrange_conversations, owner_id, job) for job in jobs]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    changed, gone = report.changed, report.gone
    for outcome in outcomes:
        if isinstance(outcome, ConversationNotFoundError):
            gone += 1
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            changed += outcome.changed
    return msgspec.structs.replace(report, changed=changed, gone=gone)
