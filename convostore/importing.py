"""The store's verb that takes in what other programs have exported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, cast

from convostore.exchange.fitting import Wish
from convostore.exchange.importing import Import
from convostore.exchange.limits import Limits
from convostore.text import gate_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from convostore.formats.found import Found
    from convostore.opener import Opener
    from convostore.owned import Owned


class Importing:
    """What a store can take in; `Store` has this verb."""

    _opener: Opener
    _owned: Owned

    def import_(
        self,
        source: str | Path | BinaryIO | Iterable[Found],
        *,
        format: str | None = None,
        tags: Iterable[str] = (),
        restore: bool = False,
        dry_run: bool = False,
        limits: Limits | None = None,
    ) -> Import:
        """Take in every conversation that another program exported, and tell what became of each.

        Nothing is done before somebody asks for the results: iterate over what is returned, or
        await its `finish`. Each conversation is stored whole or not at all, in one commit; one that
        cannot be taken hides none of the others. Said again, with the same file or a newer one, it
        adds what is new and nothing twice: conversations and messages are known by their ids there.
        Where somebody has gone on in a conversation here, it stays where it stands. What was
        changed there in place is added beside what it was. A title that nobody chose here follows
        the one there.

        Args:
            source: a file, a folder or an archive by its path, a binary stream, or records.
            format: how it is to be read, such as "chatgpt"; by default told by its structure.
            tags: to be added to each of its conversations, also to those that are there already.
            restore: bring back what was deleted, from the bin or after a purge; else it stays so.
            dry_run: only tell what would become of each.
            limits: how much is read before it is refused.

        Raises:
            InvalidTextError: no tag can be called so.
        """
        wish = Wish(
            tags=tuple(sorted({gate_tag(name) for name in tags})), restore=restore, dry_run=dry_run
        )

        def records() -> Iterator[Found]:
            if isinstance(source, str | os.PathLike) or hasattr(source, "read"):
                from convostore.exchange.reading import open_export

                named = cast("str | Path | BinaryIO", source)
                return open_export(named, format=format, limits=limits or Limits())
            return iter(source)

        return Import(self._owned, records, wish, most_bytes=self._opener.most_attachment_bytes)
