"""The store's verb for exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from convostore.exchange import exporting
from convostore.exchange.exporting import Wish
from convostore.lists import Lists
from convostore.records import Filter
from convostore.seeking import Seeking
from convostore.source import StoredSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convostore.exchange.counted import Count, ExportReport
    from convostore.exchange.exporting import TextExport
    from convostore.opener import Opener
    from convostore.owned import Owned
    from convostore.storage.database import Database

_HITS_PER_PAGE = 200


class Exporting(Lists, Seeking):
    """What a store gives out for other programs and for reading; `Store` has this verb."""

    _opener: Opener
    _owned: Owned

    async def export(
        self,
        which: str | Iterable[str] | Filter | None = None,
        *,
        search: str | None = None,
        since: str | None = None,
        format: str = "jsonl",
        attachments: str = "embedded",
        to: Path | str | None = None,
        deleted: bool = False,
        watch: Callable[[Count], None] | None = None,
    ) -> ExportReport | TextExport:
        """Write conversations out: to files, or as text that is read as it comes.

        Args:
            which: a reference or several (see `resume`), or a filter; None is all of this owner's,
                archived ones too.
            search: those in which this is found, the best first (see `search`); with a filter,
                those of them that it means.
            since: the `next_cursor` of an earlier export of all: only what has changed since then.
            format: "jsonl" loses nothing but secrets; "markdown", "html" and "text" are for
                reading; "chatgpt", "claude", "openwebui", "openai" and "sharegpt" for other
                programs. What a format cannot say is counted in the report.
            attachments: of jsonl: "embedded", "beside" the file, or "reference" for none of their
                bytes.
            to: a file, or a folder for a file each; None returns the text as it is read.
            deleted: with all of them also those in the bin, and what was paid in those that are
                gone: everything that is kept for this owner.
            watch: is called now and then while it goes out.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: the beginning fits several.
            FormatError: no such format, or the file cannot be written, or is a database: nothing
                is ever written over a store or another database of SQLite's. Or the cursor is none
                of this owner's.
            StoreFullError: the disk is full.
            StoreError: the store cannot be opened or read; of a text, on the way.
            StoreClosedError: the store is closed.
        """
        refs = await self._chosen(which, search)
        are_ids = isinstance(which, Filter) or search is not None
        in_bin = isinstance(which, Filter) and which.deleted
        binned = in_bin or (deleted and refs is None)
        source = StoredSource(self.rows_of, self.find, binned=binned)
        wish = Wish(refs=refs, are_ids=are_ids, format=format, since=since, attachments=attachments)
        if to is None:
            return exporting.export_text(source, wish, watch=watch)
        where = self._opener.where
        file = where if isinstance(where, Path) else None
        return await exporting.export_files(source, wish, to=to, store=file, watch=watch)

    async def rows_of(self) -> tuple[Database, str] | None:
        """Return where this owner's rows are; None while the owner has none (for exports).

        Raises:
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        return await self._owned.for_reading()

    async def _chosen(
        self, which: str | Iterable[str] | Filter | None, search: str | None
    ) -> tuple[str, ...] | None:
        """Return the references that are meant; None is all."""
        if isinstance(which, str):
            refs: tuple[str, ...] | None = (which,)
        elif isinstance(which, Filter):
            refs = await self.matching(which)
        else:
            refs = None if which is None else tuple(which)
        if search is None:
            return refs
        found: dict[str, None] = {}
        cursor: str | None = None
        while True:
            page = await self.search(search, limit=_HITS_PER_PAGE, cursor=cursor)
            found.update((hit.conversation_id, None) for hit in page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        if refs is None:
            return tuple(found)
        by_filter = isinstance(which, Filter)
        wanted = set(refs) if by_filter else {(await self.find(ref)).id for ref in refs}
        return tuple(id_ for id_ in found if id_ in wanted)
