"""The verb of a store that applies a rule on how long conversations are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore import clock
from convostore.records import Filter
from convostore.storage.scrub_note import scrub_after
from convostore.text import gate_tag
from convostore.upkeep import PurgeReport, Upkeep

if TYPE_CHECKING:
    from convostore.records import ConversationRecord


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long conversations are kept. What is not named is not done.

    Attributes:
        delete_after_s: without activity for so long, they go to the bin.
        purge_after_s: so long in the bin, they go for good.
        tags: only those that have all of these.
        keep_tags: never those that have one of these.
        pinned: pinned ones, too; else they are never touched.
        archived: archived ones, too.
    """

    delete_after_s: float | None = None
    purge_after_s: float | None = None
    tags: tuple[str, ...] = ()
    keep_tags: tuple[str, ...] = ()
    pinned: bool = False
    archived: bool = True


class RetentionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule meant, and what came of it; of a trial, what would.

    Attributes:
        to_bin: the ids of those that are too old for the list.
        to_purge: the ids of those that are too old for the bin.
        binned: how many went to the bin.
        purged: what went from there for good.
        expired: what went for good by its own time.
    """

    to_bin: tuple[str, ...]
    to_purge: tuple[str, ...]
    binned: int = 0
    purged: PurgeReport = PurgeReport(found=0)
    expired: PurgeReport = PurgeReport(found=0)


class Retaining(Upkeep):
    """How long conversations are kept; `Store` has this verb."""

    async def retain(
        self,
        rule: Retention,
        *,
        dry_run: bool = False,
        agreed: RetentionReport | None = None,
        scrub: bool | None = None,
    ) -> RetentionReport:
        """Move what is too old to the bin, and remove for good what was there too long.

        What goes to the bin now stays there for its time. What has expired goes as well. It may be
        broken off and run again.

        Args:
            rule: which are too old.
            dry_run: only say which they are.
            agreed: of a trial before: none but those that it named, where they are still too old.
            scrub: as in `purge`.

        Raises:
            ValueError: the rule names no time, or one below 0.
            InvalidTextError: a tag is none.
            StoreBusyError: from scrubbing, as in `purge`.
            StoreError: the store cannot be opened, read or written.
        """
        spans = [one for one in (rule.delete_after_s, rule.purge_after_s) if one is not None]
        if not spans or min(spans) < 0:
            raise ValueError("a rule names delete_after_s, purge_after_s or both, from 0 on")
        now_ms = clock.now_ms()
        to_bin, to_purge = await self._aged(rule, now_ms), await self._stale(rule, now_ms)
        if agreed is not None:
            to_bin = tuple(id_ for id_ in to_bin if id_ in set(agreed.to_bin))
            to_purge = tuple(id_ for id_ in to_purge if id_ in set(agreed.to_purge))
        if dry_run:
            return RetentionReport(to_bin=to_bin, to_purge=to_purge)
        purged = await self._purge(to_purge, only="binned")
        moved = await self._bin(to_bin, now_ms)
        expired = await self._purge_expired()
        await scrub_after((await self._opener.opened()).database, scrub)
        return RetentionReport(
            to_bin=to_bin, to_purge=to_purge, binned=moved.changed, purged=purged, expired=expired
        )

    async def _aged(self, rule: Retention, now_ms: int) -> tuple[str, ...]:
        if rule.delete_after_s is None:
            return ()
        until_ms = now_ms - round(rule.delete_after_s * 1000)
        found = await self._ruled(rule, deleted=False, until_ms=until_ms)
        return tuple(one.id for one in found)

    async def _stale(self, rule: Retention, now_ms: int) -> tuple[str, ...]:
        if rule.purge_after_s is None:
            return ()
        before_ms = now_ms - round(rule.purge_after_s * 1000)
        found = await self._ruled(rule, deleted=True, until_ms=None)
        return tuple(one.id for one in found if (one.deleted_at_ms or now_ms) <= before_ms)

    async def _ruled(
        self, rule: Retention, *, deleted: bool, until_ms: int | None
    ) -> list[ConversationRecord]:
        """Read what a rule means, of the list or of the bin."""
        kept = {gate_tag(name) for name in rule.keep_tags}
        wanted = Filter(
            tags=rule.tags,
            until_ms=until_ms,
            pinned=None if rule.pinned else False,
            archived=None if rule.archived else False,
            deleted=deleted,
        )
        found = self.records(await self.matching(wanted), deleted=deleted)
        return [
            one
            async for one in found
            if kept.isdisjoint(one.tags) and (rule.archived or one.archived_at_ms is None)
        ]
