"""Drive export: which conversations, in which format, into which files.

No read stays open while something is written, and no more than one page is held in memory. A file
appears whole or not at all: it is written beside its place, synced, and then renamed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convostore import clock
from convostore.errors import FormatError
from convostore.exchange import steps
from convostore.exchange.counted import Count, ExportReport
from convostore.exchange.layouts import LAYOUTS, PROGRAM, known_format, writer_of
from convostore.exchange.outgoing import Passage
from convostore.exchange.own_lines import OwnLines
from convostore.exchange.telling import told
from convostore.formats import jsonl
from convostore.formats.filenames import file_name
from convostore.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from convostore.exchange.layouts import Format
    from convostore.exchange.outgoing import ExportSource
    from convostore.exchange.own_lines import Beside
    from convostore.parts import AttachmentPart
    from convostore.records import ConversationDossier

_MODES: dict[str, jsonl.Attachments] = {
    "embedded": "base64",
    "beside": "beside",
    "reference": "reference",
}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be exported, and how.

    Attributes:
        refs: the conversations, in this order; None is every one outside the bin.
        are_ids: nobody typed these: they need not be looked up.
        format: see `layouts.FORMATS`.
        since: the cursor that an earlier export told; only what changed since then.
        attachments: of our own format: embedded, beside the file, or by reference alone.
    """

    refs: tuple[str, ...] | None = None
    are_ids: bool = False
    format: str = "jsonl"
    since: str | None = None
    attachments: str = "embedded"


class TextExport:
    """An export as pieces of text, read as they are asked for; close it where it is left early."""

    def __init__(self, pieces: AsyncGenerator[str], count: Count) -> None:
        self._pieces, self._count = pieces, count

    def __aiter__(self) -> TextExport:
        """Return itself."""
        return self

    async def __anext__(self) -> str:
        """Return the next piece.

        Raises:
            StopAsyncIteration: that was all.
            NotFoundError: one of the conversations is gone, or was never there.
            StoreError: the store cannot be read.
        """
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Let go of it."""
        await self._pieces.aclose()

    @property
    def report(self) -> ExportReport:
        """What has gone out so far; all of it at the end."""
        return self._count.report(files=0, path=Path("-"))


def export_text(
    source: ExportSource, wish: Wish, *, watch: Callable[[Count], None] | None = None
) -> TextExport:
    """Return the export as text, read page by page.

    Args:
        source: where to read.
        wish: what is to be exported, and how.
        watch: is called now and then while it goes out.

    Raises:
        FormatError: there is no such format, or attachments cannot be beside a text.
    """
    kind, count = known_format(wish.format), Count(watch)
    if _mode(wish, kind) == "beside":
        raise FormatError(
            "attachments can be beside a file only",
            format=kind,
            record=None,
            reason="no file",
            hint="name a file with -o, or take --attachments embedded",
        )
    return TextExport(_text(source, wish, kind, count), count)


async def _text(
    source: ExportSource, wish: Wish, kind: Format, count: Count
) -> AsyncGenerator[str]:
    work = _Export(source, wish, kind, count)
    await work.prepare()
    async for piece in work.file(work.ids, book=True):
        yield piece


async def export_files(
    source: ExportSource,
    wish: Wish,
    *,
    to: str | Path,
    store: Path | None = None,
    watch: Callable[[Count], None] | None = None,
) -> ExportReport:
    """Write the export to one file, or one file per conversation into a folder.

    Files are 0600 and appear whole or not at all, kill -9 included; an older file of that name is
    replaced. A folder is meant when *to* is one or ends with a slash, and where a format has a page
    for each conversation and *to* is not called like a file of it; it is made when it is missing,
    and file names are made from titles. Nothing is ever written over a database, nor over what
    SQLite keeps beside one.

    Args:
        source: where to read.
        wish: what is to be exported, and how.
        to: the file or folder.
        store: the file of the store that is read; None where it is in no file.
        watch: is called now and then while it goes out.

    Raises:
        FormatError: there is no such format, or *to* cannot be written, or is a database.
        NotFoundError: nothing fits one of the references; nothing was written then.
        AmbiguousHandleError: more than one fits.
        StoreFullError: the disk is full.
        StoreError: the store cannot be read.
    """
    kind, count = known_format(wish.format), Count(watch)
    work = _Export(source, wish, kind, count)
    await work.prepare()
    target, layout = Target(to, kind, store), LAYOUTS[kind]
    path = target.path
    many = work.ids is None or len(work.ids) > 1
    named = target.is_file or path.suffix == f".{layout.suffix}"
    if not (target.is_folder or (layout.apart and many and not named)):
        await target.write(path, work.file(work.ids, book=many, target=target, path=path))
        return count.report(files=1, path=path)
    target.make_folder()
    files, file = 0, path
    async for one in work.each():
        file = path / file_name(one.record.title, one.record.handle, layout.suffix)
        await target.write(file, work.file([one.record.id], book=False, target=target, path=file))
        files += 1
    chosen_one = files == 1 and work.ids is not None
    return count.report(files=files, path=file if chosen_one else path)


def _mode(wish: Wish, kind: Format) -> jsonl.Attachments:
    """Return where the bytes of attachments go.

    Raises:
        FormatError: it is no such way, or one that the format does not have.
    """
    mode = _MODES.get(wish.attachments)
    if mode is None or (kind != "jsonl" and mode != "base64"):
        reason = (
            f"there is no such way to export attachments: {wish.attachments}"
            if mode is None
            else f"the format {kind} knows no other way to export attachments than its own"
        )
        raise FormatError(
            reason,
            format=kind,
            record=None,
            reason=reason,
            hint="with jsonl, take one of: embedded, beside, reference",
        )
    return mode


class _Export:
    """One export: what is chosen, and how a file of it is made."""

    def __init__(self, source: ExportSource, wish: Wish, kind: Format, count: Count) -> None:
        self._source, self._wish, self._kind, self._count = source, wish, kind, count
        self._mode = _mode(wish, kind)
        self._begun_ms = clock.now_ms()
        self._step: steps.Step | None = None
        self.ids: list[str] | None = None

    async def prepare(self) -> None:
        """Look up what is wanted; nothing is written before."""
        source, wish = self._source, self._wish
        if wish.refs is not None and wish.are_ids:
            self.ids = list(wish.refs)
        elif wish.refs is not None:
            self.ids = [(await source.find(ref)).id for ref in wish.refs]
        mark = await source.mark()
        if self.ids is None:
            self._count.next_cursor = steps.next_cursor(self._begun_ms, mark)
        if wish.since is not None:
            self._step = steps.Step(since_ms=steps.since_ms(wish.since, mark))

    async def each(self) -> AsyncGenerator[ConversationDossier]:
        """Yield those for which there is a file each."""
        async for one in self._passage().each(self.ids):
            if self._step is None or self._step.changed(one):
                yield one

    def _passage(self) -> Passage:
        return Passage(self._source, named=not self._wish.are_ids)

    def file(
        self,
        ids: Sequence[str] | None,
        *,
        book: bool,
        target: Target | None = None,
        path: Path | None = None,
    ) -> AsyncGenerator[str]:
        """Return the text of a file with those conversations."""
        passage = self._passage()
        ones = passage.each(ids)
        if self._kind != "jsonl":
            fitting = ones if self._step is None else _changed(ones, self._step)
            book = book and (ids is None or len(ids) > 1)
            return told(passage, fitting, writer_of(self._kind, book=book), self._count)
        folder = f"{path.name}.attachments" if path and self._mode == "beside" else None
        first = jsonl.Header(
            version=jsonl.VERSION,
            program=PROGRAM,
            created_at_ms=self._begun_ms,
            scope="all" if ids is None else "chosen",
            attachments=self._mode,
            attachments_folder=folder,
            since_ms=None if self._step is None else self._step.since_ms,
            next_cursor=self._count.next_cursor if ids is None else None,
        )
        beside = (
            self._beside(target, path.with_name(folder)) if target and path and folder else None
        )
        lines = OwnLines(passage, self._count, first, step=self._step, beside=beside)
        return lines.told(ones)

    def _beside(self, target: Target, folder: Path) -> Beside:
        async def put(part: AttachmentPart) -> None:
            target.make_folder(folder)
            file = folder / part.sha256
            if not file.exists():
                await target.write(file, self._source.attachment(part.sha256))

        return put


async def _changed(
    ones: AsyncGenerator[ConversationDossier], step: steps.Step
) -> AsyncGenerator[ConversationDossier]:
    async for one in ones:
        if step.changed(one):
            yield one
