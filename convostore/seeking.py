"""The store's verbs that search in all conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.records import SearchPage
from convostore.storage import search as index
from convostore.turning.recovery import close_dead_replies

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.opener import Opener
    from convostore.owned import Owned


class Seeking:
    """What a store can do with its search index; `Store` has these verbs."""

    _opener: Opener
    _owned: Owned

    async def search(
        self,
        query: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        newest_first: bool = False,
        all_branches: bool = False,
        reasoning: bool = False,
    ) -> SearchPage:
        """Find messages and titles of this owner; archived conversations too, but not the bin.

        What is stored but not indexed yet is indexed first, for half a second at most; the page
        says what is left. A reply is found once it has ended, however it ended.

        Args:
            query: words, "phrases", beginnings*, -not; role:, model:, tag:, in:REF, before: and
                after: narrow it. No query is wrong: see `SearchPage.remarks`.
            limit: 1 to 200. A page may have less, and still have a next one.
            cursor: `next_cursor` of the page before, with everything else the same.
            newest_first: else the best of the newest 2,000 come first, then of the 2,000 before.
            all_branches: also what is not on the active branch of its conversation.
            reasoning: also what models thought.

        Raises:
            ConversationNotFoundError: `in:` names no conversation.
            AmbiguousHandleError: it names several.
            FormatError: the cursor is none of this search.
            StoreError: the store cannot be opened, read or written.
        """
        at = await self._owned.for_reading()
        if at is None:
            return SearchPage(())
        database, owner_id = at
        asked = index.Asked(
            typed=query,
            limit=limit,
            cursor=cursor,
            newest_first=newest_first,
            all_branches=all_branches,
            reasoning=reasoning,
        )
        page = await index.find_page(database, owner_id, asked)
        if page.unindexed and await close_dead_replies(database, owner_id):
            return await index.find_page(database, owner_id, asked)
        return page

    async def index(self) -> AsyncGenerator[int]:
        """Index what is not indexed yet, of all owners; yield how many texts each step has added.

        Writers do it by themselves when they have nothing else to do, and searches for half a
        second. After an import there may be more than that. Left early, it goes on by itself.

        Raises:
            StoreError: the store cannot be opened or written.
        """
        async for count in index.index_marked((await self._opener.opened()).database):
            yield count

    async def reindex(self) -> int:
        """Make the search index again, of all owners, and return how many texts are in it.

        Searches meanwhile find what is there by then. Broken off, it is gone on with by whoever
        searches or writes.

        Raises:
            StoreError: the store cannot be opened or written.
        """
        return await index.reindex((await self._opener.opened()).database)
