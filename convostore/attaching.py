"""The store's verbs for attachments: take bytes in, give them out again, forget the forsaken."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from convostore.carrying import GRACE_S, forget_forsaken, give_out, take_in
from convostore.errors import AttachmentError, AttachmentNotFoundError
from convostore.storage.attachments import find, no_attachment
from convostore.storage.owner_rows import OwnerGone
from convostore.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.carrying import Source
    from convostore.opener import Opener
    from convostore.owned import Owned
    from convostore.parts import AttachmentPart
    from convostore.storage.database import Database


class Attaching:
    """What a store can do with attachments; `Store` has these verbs.

    The same bytes are kept once for each owner, whatever they are called, and nobody reaches
    another owner's.
    """

    _opener: Opener
    _owned: Owned
    _fleeting: Owned

    async def attach(
        self,
        source: Source,
        *,
        name: str | None = None,
        media_type: str | None = None,
        ephemeral: bool = False,
    ) -> AttachmentPart:
        """Take bytes in, and return the part by which messages refer to them.

        They are on disk when this returns. A message that refers to them has to be stored within
        an hour; after that `remove_forsaken_attachments` may take them for forsaken.

        Args:
            source: a file by its path, bytes, or an async iterator of bytes. What is no plain
                file is refused. It is read piece by piece.
            name: what it is called; by default a file's own name.
            media_type: what it is, such as image/png; by default what its name stands for.
            ephemeral: take them into memory alone, for a question in an ephemeral conversation.

        Raises:
            AttachmentError: the file cannot be read, or there are more than `max_attachment_bytes`
                (see `open`); nothing is kept of it.
            AttachmentNotFoundError: somebody removed it meanwhile, as forsaken or with its owner.
            InvalidTextError: the media type is none.
            TypeError: *source* is of another kind.
            StoreError: the store cannot be opened or written.
            StoreClosedError: the store is closed.
        """
        owned = self._fleeting if ephemeral else self._owned
        while True:
            part = await take_in(
                *await owned.for_writing(),
                source,
                name=name,
                media_type=media_type,
                most_bytes=self._opener.most_attachment_bytes,
            )
            if not isinstance(part, OwnerGone):
                return part
            owned.forget()  # erased by somebody else: one of that name is made anew
            if isinstance(source, AsyncIterable):
                raise AttachmentError(
                    "the owner was erased meanwhile; nothing is kept of the attachment",
                    hint="hand it in again: what was read of it cannot be read twice",
                )

    async def attachment(self, which: AttachmentPart | str) -> AsyncGenerator[bytes]:
        """Yield the bytes of an attachment, piece by piece; no read stays open in between.

        Args:
            which: a message's part, or the sha256 in hex.

        Raises:
            AttachmentNotFoundError: this owner has none such.
            StoreCorruptError: at the end: the bytes are not those that were stored.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        sha256 = which if isinstance(which, str) else which.sha256
        at = await self._in_memory(sha256) or await self._owned.for_reading()
        if at is None:
            raise no_attachment(sha256)
        async with aclosing(give_out(*at, which)) as pieces:
            async for piece in pieces:
                yield piece

    async def _in_memory(self, sha256: str) -> tuple[Database, str] | None:
        """Return where an attachment of an ephemeral conversation is; None if it is none."""
        at = await self._fleeting.for_reading() if self._opener.memory is not None else None
        with suppress(AttachmentNotFoundError):
            if at is not None:
                await find(*at, sha256)
                return at
        return None

    async def save_attachment(self, which: AttachmentPart | str, to: Path | str) -> Path:
        """Write an attachment to a file of mode 0600, which is there whole or not at all.

        Args:
            which: as in `attachment`.
            to: the file; of a part that has a name, also a folder.

        Raises:
            AttachmentNotFoundError: this owner has none such; nothing is written.
            FormatError: the file cannot be written, or is a store or another database.
            StoreFullError: the disk is full.
            StoreCorruptError: the bytes are not those that were stored; nothing is written.
            StoreError: the store cannot be opened or read.
            StoreClosedError: the store is closed.
        """
        where = self._opener.where
        target = Target(to, "attachment", where if isinstance(where, Path) else None)
        path = target.path
        if target.is_folder and not isinstance(which, str) and which.name:
            path /= which.name
        await target.write(path, self.attachment(which))
        return path

    async def remove_forsaken_attachments(self, *, older_than_s: float = GRACE_S) -> int:
        """Remove attachments that no message refers to, and return how many.

        What messages referred to goes with the last of them. This is for what was taken in and
        never referred to, and for what was broken off by a crash.

        Args:
            older_than_s: only what was taken in so long ago.

        Raises:
            StoreError: the store cannot be opened or written.
            StoreClosedError: the store is closed.
        """
        at = await self._owned.for_reading()
        return 0 if at is None else await forget_forsaken(*at, older_than_s)
