"""Attachments carried into a store and out of it, piece by piece; never whole in memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from convostore import clock
from convostore.errors import AttachmentError, ConvostoreError, StoreCorruptError
from convostore.ids import new_id
from convostore.media_types import type_of
from convostore.parts import AttachmentPart
from convostore.paths import OddPathError, path_of
from convostore.storage import attachments
from convostore.storage.attachments import (
    CHUNK_BYTES,
    DropAttachment,
    FinishAttachment,
    KeepChunk,
    RemoveForsaken,
    drop_attachments,
    finish_attachments,
    keep_chunks,
    remove_forsaken,
)
from convostore.storage.owner_rows import OwnerGone
from convostore.text import gate_file_name, gate_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable
    from typing import BinaryIO

    from convostore.storage.database import Database

Source: TypeAlias = Path | str | bytes | bytearray | memoryview | AsyncIterable[bytes]
GRACE_S: Final = 3600.0  # what was just handed in is about to be referred to
_HEX: Final = re.compile(r"[0-9a-f]{64}")


async def take_in(
    database: Database,
    owner_id: str,
    source: Source,
    *,
    name: str | None,
    media_type: str | None,
    most_bytes: int,
) -> AttachmentPart | OwnerGone:
    """Store the bytes of *source*, piece by piece; see `Store.attach`.

    Returns:
        The part, or that the owner was erased: nothing was stored then.

    Raises:
        AttachmentError: it cannot be read, or is too large; nothing is kept of it.
        AttachmentNotFoundError: somebody removed it meanwhile; nothing is kept of it.
        InvalidTextError: the media type is none.
        StoreError: the store cannot be written.
    """
    if isinstance(source, str | os.PathLike):
        path = _path(source)
        name = path.name if name is None else name
    name = gate_file_name(name or "")
    media_type = gate_media_type(media_type) if media_type else type_of(name)
    id_, number = new_id(), 0
    hashed, size = hashlib.sha256(), 0
    try:
        async with aclosing(_chunks(source)) as chunks:
            async for data in chunks:
                size += len(data)
                if size > most_bytes:
                    raise _too_large(name, most_bytes)
                hashed.update(data)
                job = KeepChunk(attachment_id=id_, number=number, data=data, now_ms=clock.now_ms())
                number += 1
                if isinstance(gone := await database.write(keep_chunks, owner_id, job), OwnerGone):
                    return gone
        part = AttachmentPart(hashed.hexdigest(), size, media_type, name)
        end = FinishAttachment(
            attachment_id=id_, sha256=part.sha256, size=size, now_ms=clock.now_ms()
        )
        if isinstance(gone := await database.write(finish_attachments, owner_id, end), OwnerGone):
            return gone
    except BaseException:
        if not number:
            raise  # nothing of it is stored, or on its way there
        with suppress(ConvostoreError):  # the error itself tells more; what stays is forsaken
            await asyncio.shield(
                database.write(drop_attachments, owner_id, DropAttachment(attachment_id=id_))
            )
        raise
    return part


async def give_out(
    database: Database, owner_id: str, which: AttachmentPart | str
) -> AsyncGenerator[bytes]:
    """Yield the bytes of an attachment; see `Store.attachment`.

    Raises:
        AttachmentNotFoundError: this owner has none such.
        StoreCorruptError: at the end: the bytes are not those that were stored.
        StoreError: the store cannot be read.
    """
    sha256 = which if isinstance(which, str) else which.sha256
    id_, size = await attachments.find(database, owner_id, sha256)
    hashed, left = hashlib.sha256(), size
    async with aclosing(attachments.pieces(database, owner_id, id_)) as pieces:
        async for data in pieces:
            hashed.update(data)
            left -= len(data)
            yield data
    if left:
        await attachments.find(database, owner_id, sha256)  # it may have been removed meanwhile
    if left or hashed.hexdigest() != sha256:
        raise StoreCorruptError(
            f"attachment {sha256[:12]} is damaged: its bytes are not those that were stored",
            hint="look: convostore db check --deep",
        )


async def forget_forsaken(database: Database, owner_id: str, older_than_s: float) -> int:
    """Remove what no message refers to; see `Store.remove_forsaken_attachments`."""
    job = RemoveForsaken(before_ms=clock.now_ms() - round(older_than_s * 1000))
    removed = 0
    while more := await database.write(remove_forsaken, owner_id, job):
        removed += more
    return removed


def checked(part: AttachmentPart, what: str) -> AttachmentPart:
    """Return a caller's part, if it is one that `attach` may have returned.

    Raises:
        InvalidTextError: a name or a type cannot be stored.
        AttachmentError: the sha256 or the size is none.
    """
    gate_file_name(part.name)
    gate_media_type(part.media_type)
    whole = isinstance(part.size, int) and part.size >= 0
    if not (whole and isinstance(part.sha256, str) and _HEX.fullmatch(part.sha256)):
        raise AttachmentError(
            f"{what} is no stored attachment", hint="take what store.attach() returned"
        )
    return part


def contents_of(parts: Iterable[object]) -> tuple[str, ...]:
    """Return the sha256 of each attachment among *parts*, in order."""
    return tuple(part.sha256 for part in parts if isinstance(part, AttachmentPart))


def _path(source: str | os.PathLike[str]) -> Path:
    try:
        return path_of(source)
    except OddPathError as odd:
        raise AttachmentError(
            f"cannot attach {odd.shown}: {odd.reason}", hint="name a file"
        ) from None


def _too_large(name: str, most_bytes: int) -> AttachmentError:
    return AttachmentError(
        f"{name or 'the attachment'} is larger than {most_bytes:,} bytes",
        hint="set max_attachment_bytes (CONVOSTORE_MAX_ATTACHMENT_BYTES), or make it smaller",
    )


async def _chunks(source: Source) -> AsyncGenerator[bytes]:
    """Yield the bytes of *source* in pieces of CHUNK_BYTES, the last one perhaps smaller."""
    if isinstance(source, str | os.PathLike):
        async with aclosing(_of_file(_path(source))) as pieces:
            async for piece in pieces:
                yield piece
    elif isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source).cast("B")
        for at in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[at : at + CHUNK_BYTES])
    elif isinstance(source, AsyncIterable):
        held = bytearray()
        async for given in source:
            if not isinstance(given, bytes | bytearray | memoryview):
                raise TypeError(f"an attachment is made of bytes, not {type(given).__name__}")
            held += given
            while len(held) >= CHUNK_BYTES:
                yield bytes(held[:CHUNK_BYTES])
                del held[:CHUNK_BYTES]
        if held:
            yield bytes(held)
    else:
        raise TypeError(
            f"attach a path, bytes, or an async iterator of bytes, not {type(source).__name__}"
        )


async def _of_file(path: Path) -> AsyncGenerator[bytes]:
    try:
        file = await asyncio.to_thread(_opened, path)
        try:
            while data := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield data
        finally:
            file.close()
    except OSError as error:
        raise AttachmentError(
            f"cannot attach {path}: {error.strerror or error}", hint="name a file you may read"
        ) from error


def _opened(path: Path) -> BinaryIO:
    """Open a plain file; another kind could keep the program waiting for ever."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(None, "it is no plain file")
    return os.fdopen(file, "rb")
