"""The store's verb that takes in what other programs have exported."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, cast

from convostore import clock
from convostore.exchange.aside import Aside, Task, is_long
from convostore.exchange.batches import Batches
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

        most_bytes = self._opener.most_attachment_bytes
        batches = _batches(source, format, limits or Limits(), wish, most_bytes)
        return Import(self._owned, batches, wish, most_bytes=most_bytes)


def _batches(
    source: str | Path | BinaryIO | Iterable[Found],
    format: str | None,
    limits: Limits,
    wish: Wish,
    most_bytes: int,
) -> Batches | Aside:
    """Return what reads *source*: a long file in a process of its own."""
    now_ms = clock.now_ms()
    if isinstance(source, str | os.PathLike):
        task = Task(
            path=os.fsencode(source),
            format=format,
            limits=limits,
            wish=wish,
            most_bytes=most_bytes,
            now_ms=now_ms,
        )
        return Aside(task) if is_long(source) else task.batches()

    def records() -> Iterator[Found]:
        if hasattr(source, "read"):
            from convostore.exchange.reading import open_export

            return open_export(cast("BinaryIO", source), format=format, limits=limits)
        return iter(source)

    return Batches(records, wish, most_bytes=most_bytes, now_ms=now_ms)
