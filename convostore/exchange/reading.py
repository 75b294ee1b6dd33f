"""Open what another program exported, and read it record by record.

A file, a stream, an archive or a folder; which program's it is, is told by its structure alone.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from convostore.errors import FormatError
from convostore.exchange.along import Along
from convostore.exchange.archives import MAGIC, Archive
from convostore.exchange.containers import found_in_members
from convostore.exchange.databases import KINDS, found_in_database
from convostore.exchange.finding import NothingKnownError
from convostore.exchange.foreign_rows import MAGIC as SQLITE
from convostore.exchange.limits import Limits
from convostore.exchange.members import members_of_folder
from convostore.exchange.own_contents import Space, beside_file
from convostore.exchange.own_reading import found_in_own, is_own
from convostore.exchange.progress import Progress
from convostore.exchange.recognising import READERS
from convostore.exchange.streams import PIECE_BYTES, Stream
from convostore.exchange.texts import found_in_text
from convostore.exchange.together import FORMATS as TOGETHER
from convostore.formats import aichat
from convostore.formats.foreign import refused
from convostore.formats.own import SOURCE as OWN
from convostore.paths import OddPathError, path_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from types import TracebackType

    from convostore.formats.found import Found

FORMATS: Final = (
    *(reader.name for reader in READERS),
    *TOGETHER,
    aichat.SOURCE,
    *(kind.format for kind in KINDS),
    OWN,
)
_LIMITS: Final = Limits()
_MAGIC_BYTES: Final = 16
_OTHERS: Final = {
    b"\x1f\x8b": "packed with gzip: unpack it first, with gunzip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it first",
    b"Rar!": "a rar archive: unpack it first",
    b"PAR1": "a Parquet file: write its rows as JSON Lines first",
}


class Export:
    """What another program exported: an iterator of what is found in it, to be closed.

    Attributes:
        name: how it is called in errors.
    """

    def __init__(
        self, name: str, founds: Generator[Found], opened: ExitStack, progress: Progress
    ) -> None:
        self.name = name
        self._founds = founds
        self._opened = opened
        self._progress = progress

    @property
    def part_read(self) -> float | None:
        """How much of it was read, from 0 to 1; None where nobody knows."""
        return self._progress.part

    def __iter__(self) -> Iterator[Found]:
        """Return itself."""
        return self

    def __next__(self) -> Found:
        """Return what is found next; every record of the export is found once.

        Raises:
            FormatError: it cannot be read on; what was returned before counts.
        """
        try:
            return next(self._founds)
        except NothingKnownError as error:
            raise _unknown(self.name, error) from None
        except OSError as error:
            raise _unreadable(self.name, error) from error

    def close(self) -> None:
        """Read no further, and close what was opened; a stream that was handed in stays open."""
        with self._opened:
            self._founds.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()


def open_export(
    source: str | Path | BinaryIO, format: str | None = None, limits: Limits = _LIMITS
) -> Export:
    """Open what another program exported.

    Args:
        source: a file, an archive or a folder by its path, or a binary stream, which the caller
            closes.
        format: how every record is to be read; None to tell it from each record's structure.
        limits: how much is read before it is refused.

    Raises:
        FormatError: there is no such format or file, or it is none that can be read.
    """
    if format is not None and format not in FORMATS:
        raise FormatError(
            f"there is no import format {format!r}",
            format=format,
            record=None,
            reason="unknown format",
            hint=f"take one of: {', '.join(FORMATS)}",
        )
    opened, progress, space = ExitStack(), Progress(), Space()
    opened.callback(space.close)
    if not isinstance(source, str | os.PathLike):
        founds = _File(source, None, limits, opened, space).founds(format, progress)
        return Export("the stream", founds, opened, progress)
    name = str(source)
    try:
        path = path_of(name)
        if path.is_dir():
            return Export(name, _of_folder(path, limits, format, progress, space), opened, progress)
        if not _can_be_read_to_its_end(path.stat().st_mode):
            raise OSError(None, "it is neither a file, a folder nor a pipe")
        file = opened.enter_context(path.open("rb"))
    except OddPathError as odd:
        raise refused("import", f"cannot read {odd.shown}: {odd.reason}") from None
    except OSError as error:
        raise _unreadable(name, error) from error
    founds = _File(file, path, limits, opened, space).founds(format, progress)
    return Export(name, founds, opened, progress)


def _can_be_read_to_its_end(mode: int) -> bool:
    """Tell whether it is a file or a pipe; a device may have no end, and /dev/null has nothing."""
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)


def _of_folder(
    folder: Path, limits: Limits, format: str | None, progress: Progress, space: Space
) -> Generator[Found]:
    members = members_of_folder(folder, limits)
    yield from found_in_members(members, limits, format, progress, space)


class _File:
    """One file or stream; whatever has to be closed with it goes into *opened*."""

    def __init__(
        self, file: BinaryIO, path: Path | None, limits: Limits, opened: ExitStack, space: Space
    ) -> None:
        self._file, self._path = file, path
        self._limits, self._opened, self._space = limits, opened, space

    def founds(self, format: str | None, progress: Progress) -> Generator[Found]:
        """Yield what is found in it, by what it begins with."""
        head, limits = self._file.read(_MAGIC_BYTES), self._limits
        if not head:
            raise NothingKnownError("it is empty")
        if head == SQLITE:
            if self._path is None:
                raise NothingKnownError(
                    "it is a database, which cannot be read from a stream: name its file"
                )
            yield from found_in_database(self._path, limits, format, progress)
            return
        if head.startswith(MAGIC):
            archive = Archive(self._seekable(head), limits)
            self._opened.callback(archive.close)
            yield from found_in_members(archive.members, limits, format, progress, self._space)
            return
        for magic, what in _OTHERS.items():
            if head.startswith(magic):
                raise NothingKnownError(f"it is {what}")
        if self._path is not None:
            progress.total, progress.done = self._path.stat().st_size, len(head)
        alone = Along((), {})
        name = None if self._path is None else self._path.stem
        stream = Stream(progress.counting(self._file), head)
        if format in {None, OWN} and is_own(stream):
            beside = None if self._path is None else beside_file(self._path)
            yield from found_in_own(stream, limits, self._space, beside)
            return
        if format == OWN:
            raise NothingKnownError("it does not begin as an export of convostore does")
        yield from (alone.put_to(one) for one in found_in_text(stream, name, limits, format))

    def _seekable(self, head: bytes) -> BinaryIO:
        """Return the file, at its beginning; of a pipe a copy that has no name."""
        if self._file.seekable():
            self._file.seek(0)
            return self._file
        copy = self._opened.enter_context(
            tempfile.TemporaryFile()  # noqa: SIM115 - closed with the export
        )
        copy.write(head)
        length, most = len(head), self._limits.unpacked_bytes
        while piece := self._file.read(PIECE_BYTES):
            length += len(piece)
            if length > most:
                raise refused("zip", f"the archive has more than {most:,} bytes")
            copy.write(piece)
        copy.seek(0)
        return copy


def _unreadable(name: str, error: OSError) -> FormatError:
    reason = error.strerror or str(error)
    return FormatError(
        f"cannot read {name}: {reason}",
        format="import",
        record=None,
        reason=reason,
        hint="name a file that you may read",
    )


def _unknown(name: str, error: NothingKnownError) -> FormatError:
    reason = error.spoiled or "it holds no conversation of a known format"
    return FormatError(
        f"cannot import {name}: {reason}",
        format="import",
        record=None,
        reason=reason,
        hint=f"known are: {', '.join(FORMATS)}",
    )
