"""The verbs of a store that take conversations away, and bring them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore import clock
from convostore.lists import Lists, UpdateReport, in_parts
from convostore.records import Filter
from convostore.storage import lookup
from convostore.storage.deleting import MoveBin, move_bins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.records import ConversationRecord


class Upkeep(Lists):
    """How conversations go; `Store` has these verbs.

    Each takes one conversation, named as a person would, or a filter, or ids such as `matching`
    gives. It commits 200 at a time; a failure leaves those that were committed, and may be run
    again.
    """

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

    async def _bin(self, ids: tuple[str, ...], deleted_at_ms: int | None) -> UpdateReport:
        at = await self._owned.for_reading()
        jobs = [MoveBin(conversation_id=id_, deleted_at_ms=deleted_at_ms) for id_ in ids]
        return await in_parts(at, move_bins, jobs)
