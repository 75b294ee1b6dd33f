"""Drive export: read a store in pages, hand the pages to a format, write the text where it goes.

No read stays open while something is written, and no more than one page is held in memory. A file
appears whole or not at all: it is written beside its place, synced, and then renamed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from convostore import __version__, clock
from convostore.errors import ConversationNotFoundError, FormatError
from convostore.formats import jsonl, markdown
from convostore.formats.filenames import file_name
from convostore.parts import AttachmentPart
from convostore.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from convostore.records import ConversationDossier, ConversationRecord, Message, UsageRecord

Format: TypeAlias = Literal["jsonl", "markdown"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_PROGRAM: Final = f"convostore {__version__}"
_SUFFIX: Final[dict[Format, str]] = {"jsonl": "jsonl", "markdown": "md"}
_MESSAGES_PER_READ: Final = 64
_IDS_PER_READ: Final = 200


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote.

    Attributes:
        conversations: how many.
        messages: how many of them, over all files.
        attachments: how many, each counted once in a file.
        files: how many.
        path: the one file, or the folder of the files.
    """

    conversations: int
    messages: int
    attachments: int = 0
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

    async def orphaned_usage(
        self, after_id: str | None, limit: int
    ) -> tuple[tuple[str, UsageRecord], ...]:
        """List, by id, what was paid in conversations that are gone; nothing where only some of
        an owner's rows are wanted.
        """
        ...

    async def messages_between(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Message, ...]:
        """Read messages of the whole tree with after_seq < seq <= last_seq, ascending.

        A running reply comes with its journal as text, a reply whose writer died as
        `interrupted`.
        """
        ...

    def attachment(self, sha256: str) -> AsyncGenerator[bytes]:
        """Yield the bytes of an attachment, piece by piece.

        Raises:
            AttachmentNotFoundError: it is gone.
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
    store: Path | None = None,
) -> ExportReport:
    """Write the export to one file, or one file per conversation into a folder.

    Files are 0600 and appear whole or not at all, kill -9 included; an older file of that name is
    replaced. A folder is meant when *to* is one, when it ends with a slash, and for all
    conversations as Markdown; it is made when it is missing, and file names are made from titles.
    Nothing is ever written over a database, nor over what SQLite keeps beside one.

    Args:
        source: where to read.
        refs: the conversations, in this order; None is every one outside the bin.
        to: the file or folder.
        format: jsonl or markdown.
        store: the file of the store that is read; None where it is in no file.

    Raises:
        FormatError: there is no such format, or *to* cannot be written, or is a database.
        NotFoundError: nothing fits one of the references; nothing was written then.
        AmbiguousHandleError: more than one fits.
        StoreFullError: the disk is full.
        StoreError: the store cannot be read.
    """
    kind = known_format(format)
    ids = None if refs is None else [(await source.find(ref)).id for ref in refs]
    target, count = Target(to, kind, store), _Count()
    path = target.path
    each = ids is None and kind == "markdown" and not target.is_file
    if not (target.is_folder or each):
        await target.write(path, _pieces(source, ids, kind, count))
        return count.report(files=1, path=path)
    target.make_folder()
    files, file = 0, path
    async for one in _each(source, ids):
        file = path / file_name(one.record.title, one.record.handle, _SUFFIX[kind])
        await target.write(file, _pieces(source, [one.record.id], kind, count))
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
        self.attachments = 0

    def report(self, *, files: int, path: Path) -> ExportReport:
        return ExportReport(
            conversations=self.conversations,
            messages=self.messages,
            attachments=self.attachments,
            files=files,
            path=path,
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
    told = set[str]()
    async for one in _each(source, ids):
        async for piece in _jsonl(source, one, count, told):
            yield piece
    if ids is None:
        async for piece in _orphaned_usage(source):
            yield piece
    yield jsonl.end(
        conversations=count.conversations - conversations, messages=count.messages - messages
    )


async def _orphaned_usage(source: ExportSource) -> AsyncGenerator[str]:
    after: str | None = None
    while page := await source.orphaned_usage(after, _IDS_PER_READ):
        yield "".join(jsonl.usage(owner, usage) for owner, usage in page)
        after = page[-1][1].id


async def _jsonl(
    source: ExportSource, one: ConversationDossier, count: _Count, told: set[str]
) -> AsyncGenerator[str]:
    """Yield one conversation, with those attachments that are not *told* in this file yet."""
    owner = one.record.id
    count.conversations += 1
    yield jsonl.conversation(one.record)
    async for page in _pages(source, one.record):
        count.messages += len(page)
        yield "".join(jsonl.message(owner, message) for message in page)
        for part in _attachments(page):
            if part.sha256 not in told:
                told.add(part.sha256)
                count.attachments += 1
                async for piece in _bytes(source, part):
                    yield jsonl.attachment(owner, piece)
    yield "".join(jsonl.usage(owner, usage) for usage in one.usage)
    yield "".join(jsonl.remote_thread(owner, remote) for remote in one.remotes)


def _attachments(page: Sequence[Message]) -> Iterator[AttachmentPart]:
    for message in page:
        yield from (part for part in message.parts if isinstance(part, AttachmentPart))


async def _bytes(
    source: ExportSource, part: AttachmentPart
) -> AsyncGenerator[jsonl.AttachmentPiece]:
    """Yield the pieces of an attachment; one of no bytes has one, too."""
    number = 0
    async for data in source.attachment(part.sha256):
        yield jsonl.AttachmentPiece(sha256=part.sha256, size=part.size, number=number, data=data)
        number += 1
    if not number:
        yield jsonl.AttachmentPiece(sha256=part.sha256, size=part.size, number=0, data=b"")


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
