"""Drive export: read a store in pages, hand the pages to a format, write the text where it goes.

No read stays open while something is written, and no more than one page is held in memory. A file
appears whole or not at all: it is written beside its place, synced, and then renamed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from convostore import __version__, clock
from convostore.errors import ConversationNotFoundError, FormatError, StoreFullError
from convostore.formats import jsonl, markdown
from convostore.formats.filenames import file_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from convostore.records import ConversationDossier, ConversationRecord, Message

Format: TypeAlias = Literal["jsonl", "markdown"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_PROGRAM: Final = f"convostore {__version__}"
_SUFFIX: Final[dict[Format, str]] = {"jsonl": "jsonl", "markdown": "md"}
_MESSAGES_PER_READ: Final = 64
_IDS_PER_READ: Final = 200
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote.

    Attributes:
        conversations: how many.
        messages: how many of them, over all files.
        files: how many.
        path: the one file, or the folder of the files.
    """

    conversations: int
    messages: int
    files: int
    path: Path


class ExportSource(Protocol):
    """What an export reads, of one owner. Each call is one short read that leaves nothing open."""

    async def find(self, ref: str) -> ConversationRecord:
        """Look a reference up, as the store does.

        Raises:
            ConversationNotFoundError: nothing fits.
            AmbiguousHandleError: more than one fits.
        """
        ...

    async def conversation_ids(self, after_id: str | None, limit: int) -> tuple[str, ...]:
        """List the ids after *after_id*, ascending: archived ones too, without the bin.

        Ids never move, so a long export neither misses nor doubles a conversation that is
        being used meanwhile.
        """
        ...

    async def dossier(self, conversation_id: str) -> ConversationDossier | None:
        """Read one conversation in one transaction; None when it is gone."""
        ...

    async def messages_between(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Message, ...]:
        """Read messages of the whole tree with after_seq < seq <= last_seq, ascending.

        A running reply comes with its journal as text, a reply whose writer died as
        `interrupted`.
        """
        ...


async def export_text(
    source: ExportSource, refs: Sequence[str] | None, *, format: str = "jsonl"
) -> AsyncGenerator[str]:
    """Yield the export as pieces of text, one page at a time.

    Args:
        source: where to read.
        refs: the conversations, in this order; None is every one outside the bin.
        format: jsonl (all but secrets) or markdown (the path to the head).

    Raises:
        FormatError: there is no such format.
        NotFoundError: nothing fits one of the references; nothing was yielded then.
        AmbiguousHandleError: more than one fits.
        StoreError: the store cannot be read.
    """
    kind = known_format(format)
    ids = None if refs is None else [(await source.find(ref)).id for ref in refs]
    async for piece in _pieces(source, ids, kind, _Count()):
        yield piece


async def export_files(
    source: ExportSource,
    refs: Sequence[str] | None,
    *,
    to: str | Path,
    format: str = "jsonl",
) -> ExportReport:
    """Write the export to one file, or one file per conversation into a folder.

    Files are 0600 and appear whole or not at all, kill -9 included; an older file of that name is
    replaced. A folder is meant when *to* is one, when it ends with a slash, and for all
    conversations as Markdown; it is made when it is missing, and file names are made from titles.

    Raises:
        FormatError: there is no such format, or *to* cannot be written.
        NotFoundError: nothing fits one of the references; nothing was written then.
        AmbiguousHandleError: more than one fits.
        StoreFullError: the disk is full.
        StoreError: the store cannot be read.
    """
    kind = known_format(format)
    ids = None if refs is None else [(await source.find(ref)).id for ref in refs]
    path, count = Path(to), _Count()
    if not _means_folder(to, ids, kind):
        await _write(path, _pieces(source, ids, kind, count), kind)
        return count.report(files=1, path=path)
    _make_folder(path, kind)
    files, file = 0, path
    async for one in _each(source, ids):
        file = path / file_name(one.record.title, one.record.handle, _SUFFIX[kind])
        await _write(file, _pieces(source, [one.record.id], kind, count), kind)
        files += 1
    chosen_one = files == 1 and ids is not None
    return count.report(files=files, path=file if chosen_one else path)


def known_format(name: str) -> Format:
    """Return *name* as one of the formats.

    Raises:
        FormatError: it is none.
    """
    for known in FORMATS:
        if name == known:
            return known
    raise FormatError(
        f"there is no export format {name!r}",
        format=name,
        record=None,
        reason="unknown format",
        hint=f"Take one of: {', '.join(FORMATS)}.",
    )


class _Count:
    """How much has gone out so far."""

    def __init__(self) -> None:
        self.conversations = 0
        self.messages = 0

    def report(self, *, files: int, path: Path) -> ExportReport:
        return ExportReport(
            conversations=self.conversations, messages=self.messages, files=files, path=path
        )


async def _pieces(
    source: ExportSource, ids: Sequence[str] | None, kind: Format, count: _Count
) -> AsyncGenerator[str]:
    """Yield one file: its beginning, the conversations, its end."""
    if kind == "markdown":
        gap = ""
        async for one in _each(source, ids):
            yield gap
            async for piece in _markdown(source, one, count):
                yield piece
            gap = "\n"
        return
    conversations, messages = count.conversations, count.messages
    yield jsonl.header(
        program=_PROGRAM, created_at_ms=clock.now_ms(), scope="all" if ids is None else "chosen"
    )
    async for one in _each(source, ids):
        async for piece in _jsonl(source, one, count):
            yield piece
    yield jsonl.end(
        conversations=count.conversations - conversations, messages=count.messages - messages
    )


async def _jsonl(
    source: ExportSource, one: ConversationDossier, count: _Count
) -> AsyncGenerator[str]:
    owner = one.record.id
    count.conversations += 1
    yield jsonl.conversation(one.record)
    async for page in _pages(source, one.record):
        count.messages += len(page)
        yield "".join(jsonl.message(owner, message) for message in page)
    yield "".join(jsonl.usage(owner, usage) for usage in one.usage)
    yield "".join(jsonl.remote_thread(owner, remote) for remote in one.remotes)


async def _markdown(
    source: ExportSource, one: ConversationDossier, count: _Count
) -> AsyncGenerator[str]:
    """Read twice, so that only the shape of the tree is held: first for the path, then for text."""
    parents: dict[int, int | None] = {}
    async for page in _pages(source, one.record):
        parents.update((message.seq, message.parent_seq) for message in page)
    path, seq = set[int](), one.record.head_seq
    while seq is not None and seq in parents and seq not in path:
        path.add(seq)
        seq = parents[seq]
    count.conversations += 1
    count.messages += len(path)
    yield markdown.head(one.record, program=_PROGRAM, shown=len(path))
    async for page in _pages(source, one.record):
        yield "".join(markdown.message(message) for message in page if message.seq in path)


async def _each(
    source: ExportSource, ids: Sequence[str] | None
) -> AsyncGenerator[ConversationDossier]:
    """Read the conversations one after the other.

    Of all of them, one that is purged meanwhile is no longer one of all; a chosen one is missed.
    """
    if ids is not None:
        for chosen in ids:
            yield await _chosen(source, chosen)
        return
    page = await source.conversation_ids(None, _IDS_PER_READ)
    while page:
        for listed in page:
            one = await source.dossier(listed)
            if one is not None:
                yield one
        page = await source.conversation_ids(page[-1], _IDS_PER_READ)


async def _chosen(source: ExportSource, id: str) -> ConversationDossier:
    one = await source.dossier(id)
    if one is None:
        raise ConversationNotFoundError(f"conversation {id} was deleted during the export")
    return one


async def _pages(
    source: ExportSource, record: ConversationRecord
) -> AsyncGenerator[tuple[Message, ...]]:
    """Read the messages that were there when *record* was read."""
    after = 0
    while after < record.last_seq:
        page = await source.messages_between(record.id, after, record.last_seq, _MESSAGES_PER_READ)
        if not page:
            return
        yield page
        after = page[-1].seq


def _means_folder(to: str | Path, ids: Sequence[str] | None, kind: Format) -> bool:
    path = Path(to)
    if path.is_dir() or str(to).endswith(os.sep):
        return True
    return ids is None and kind == "markdown" and not path.is_file()


def _make_folder(path: Path, kind: Format) -> None:
    with _file_errors(path, kind):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _write(path: Path, pieces: AsyncGenerator[str], kind: Format) -> None:
    """Write a whole file, or leave the one that is there."""
    with _file_errors(path, kind):
        file = _NewFile(path)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece.encode())
            await asyncio.to_thread(file.publish)
        finally:
            file.close()


class _NewFile:
    """A file under a name of its own, until it is whole and takes its place."""

    def __init__(self, place: Path) -> None:
        if place.is_symlink() or (place.exists() and not place.is_file()):
            raise OSError(errno.EEXIST, "something that is not a plain file is in its place")
        self._place = place
        # mkstemp makes it 0600 and never follows a link.
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".convostore-", suffix=".part")
        self._own_name: Path | None = Path(name)
        self._file = os.fdopen(handle, "wb")

    def write(self, data: bytes) -> None:
        """Append *data*."""
        self._file.write(data)

    def publish(self) -> None:
        """Make it durable and give it its name, in the place of an older file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._own_name is not None:
            self._own_name.replace(self._place)
            self._own_name = None
        folder = os.open(self._place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Let go of it; what was not published is removed."""
        try:
            self._file.close()  # waits for a write that a cancelled caller left running
        finally:
            if self._own_name is not None:
                self._own_name.unlink(missing_ok=True)


@contextmanager
def _file_errors(path: Path, kind: Format) -> Iterator[None]:
    """Turn the file system's errors into ours: the one door for them here."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise StoreFullError(
                f"the disk that holds {path} is full",
                hint="Free some space, or name another place; an older file there is untouched.",
            ) from error
        reason = error.strerror or str(error)
        raise FormatError(
            f"cannot write {path}: {reason}",
            format=kind,
            record=None,
            reason=reason,
            hint="Name another place with -o.",
        ) from error
