"""Open what another program exported, and read it record by record.

A file, a stream, an archive or a folder; which program's it is, is told by its structure alone.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from convostore.errors import FormatError
from convostore.exchange.finding import NothingKnownError, found_in
from convostore.exchange.limits import Limits
from convostore.exchange.recognising import READERS
from convostore.exchange.streams import SPACE, Stream
from convostore.formats import llama_cpp
from convostore.formats.foreign import refused
from convostore.paths import OddPathError, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from convostore.formats.found import Found

FORMATS: Final = (*(reader.name for reader in READERS), llama_cpp.SOURCE)
_LIMITS: Final = Limits()


class Export:
    """What another program exported: an iterator of what is found in it, to be closed.

    Attributes:
        name: how it is called in errors.
    """

    def __init__(self, name: str, founds: Iterator[Found], opened: ExitStack) -> None:
        self.name = name
        self._founds = founds
        self._opened = opened

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
        """Close what was opened for it; a stream that was handed in stays open."""
        self._opened.close()

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
        source: a file by its path, or a binary stream, which the caller closes.
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
            hint=f"Take one of: {', '.join(FORMATS)}.",
        )
    opened = ExitStack()
    if isinstance(source, str | os.PathLike):
        name = str(source)
        file = opened.enter_context(_opened(name))
    else:
        name, file = "the stream", source
    return Export(name, _founds(file, limits, format), opened)


def _opened(name: str) -> BinaryIO:
    try:
        return path_of(name).open("rb")
    except OddPathError as odd:
        raise refused("import", f"cannot read {odd.shown}: {odd.reason}") from None
    except OSError as error:
        raise _unreadable(name, error) from error


def _founds(file: BinaryIO, limits: Limits, format: str | None) -> Iterator[Found]:
    stream = Stream(file)
    first = stream.skip(SPACE)
    if first and first not in b"[{":
        raise NothingKnownError("it is neither JSON nor JSON Lines")
    yield from found_in(stream, limits, format)


def _unreadable(name: str, error: OSError) -> FormatError:
    reason = error.strerror or str(error)
    return FormatError(
        f"cannot read {name}: {reason}",
        format="import",
        record=None,
        reason=reason,
        hint="Name a file that you may read.",
    )


def _unknown(name: str, error: NothingKnownError) -> FormatError:
    reason = error.spoiled or "it holds no conversation of a known format"
    return FormatError(
        f"cannot import {name}: {reason}",
        format="import",
        record=None,
        reason=reason,
        hint=f"Known are: {', '.join(FORMATS)}.",
    )
