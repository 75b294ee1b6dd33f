"""An archive that came from somewhere: looked over as a whole before anything of it is read.

Nothing is ever unpacked to a disk. An archive that names a member outside of itself, twice, or as a
link, that is locked, or that promises more than the limits, is refused whole.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast

from convostore.exchange.members import Member, MemberError
from convostore.formats.foreign import refused

if TYPE_CHECKING:
    from convostore.exchange.limits import Limits

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_FORMAT: Final = "zip"
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_LOCKED: Final = 1  # in a member's flags
# A method that zipfile does not know is a RuntimeError of it, too.
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_TAIL_BYTES: Final = 66_000  # a comment of 65,535 bytes and the record before it
_END, _LONG_END = b"PK\x05\x06", b"PK\x06\x06"
_TOLD_BEFORE: Final = 0xFFFFFFFF  # the length stands in the longer record before
_BYTES_EACH: Final = 512  # of a member in the directory of an archive, at the most


class Archive:
    """A zip file, looked over.

    Attributes:
        members: what is in it, by name.

    Raises:
        FormatError: it is damaged, or refused; nothing of it was read.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        _look_at_the_end(file, limits)
        try:
            self._zip = zipfile.ZipFile(file)
        except (*_DAMAGED, ValueError, struct.error) as error:
            raise refused(_FORMAT, f"the archive is damaged: {_line(error)}") from None
        infos = [info for info in self._zip.infolist() if not _name(info).endswith("/")]
        _look_over(infos, _length(file), limits)
        self.members = tuple(
            Member(_name(info), info.file_size, Opener(self._zip, info))
            for info in sorted(infos, key=_name)
        )

    def close(self) -> None:
        """Close it; the file that it was made of stays open."""
        self._zip.close()


class Opener:
    """Opens one member, as often as is wished."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._archive = archive
        self._info = info

    def __call__(self) -> BinaryIO:
        """Open the member for reading.

        Raises:
            MemberError: it is damaged.
        """
        try:
            opened = self._archive.open(self._info)
        except _DAMAGED as error:
            raise MemberError(f"the archive is damaged: {_line(error)}") from None
        return cast("BinaryIO", _Whole(opened, self._info.file_size))


class _Whole(io.BufferedIOBase):
    """A member that tells when it is shorter than the archive says."""

    def __init__(self, opened: IO[bytes], size: int) -> None:
        self._opened = opened
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            piece = self._opened.read(-1 if size is None else size)
        except (*_DAMAGED, OSError) as error:
            raise MemberError(f"the archive is damaged: {_line(error)}") from None
        self._left -= len(piece)
        if self._left > 0 and not piece and size:
            raise MemberError("the archive is damaged: it ends in the middle of this member")
        return piece

    def close(self) -> None:
        self._opened.close()
        super().close()


def _look_at_the_end(file: BinaryIO, limits: Limits) -> None:
    """Refuse an archive whose directory is too long to be read at all."""
    length = _length(file)
    file.seek(max(0, length - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    file.seek(0)
    counts: list[tuple[int, int]] = []
    if (at := tail.rfind(_END)) >= 0 and len(tail) >= at + 22:
        counts.append(struct.unpack_from("<HI", tail, at + 10))
    if (at := tail.rfind(_LONG_END)) >= 0 and len(tail) >= at + 56:
        counts.append(struct.unpack_from("<QQ", tail, at + 32))
    for entries, size in counts:
        too_long = _TOLD_BEFORE != size > limits.entries * _BYTES_EACH
        if entries > limits.entries or too_long:
            raise _too_many(limits)


def _look_over(infos: list[zipfile.ZipInfo], length: int, limits: Limits) -> None:
    if len(infos) > limits.entries:
        raise _too_many(limits)
    seen: set[str] = set()
    for info in infos:
        name, shown = _name(info), repr(info.orig_filename[:80])
        if "\x00" in info.orig_filename or _leaves(name):
            raise refused(_FORMAT, f"the archive names a member outside of itself: {shown}")
        if name in seen:
            raise refused(_FORMAT, f"the archive names a member twice: {shown}")
        seen.add(name)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise refused(_FORMAT, f"the archive holds a link: {shown}")
        if info.flag_bits & _LOCKED:
            raise refused(_FORMAT, f"the archive is locked with a password: {shown}")
        most = max(limits.ratio_from_bytes, info.compress_size * limits.ratio)
        if info.file_size > most:
            raise refused(
                _FORMAT, f"a member is packed more than {limits.ratio} times over: {shown}"
            )
    if sum(info.file_size for info in infos) > limits.unpacked_bytes:
        raise refused(_FORMAT, f"the archive unpacks to more than {limits.unpacked_bytes:,} bytes")
    if sum(info.compress_size for info in infos) > length:
        raise refused(_FORMAT, "the archive is damaged: its members lie upon each other")


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; some programs on Windows put the other slash between folders."""
    return info.filename.replace("\\", "/")


def _leaves(name: str) -> bool:
    return name.startswith("/") or bool(_DRIVE.match(name)) or ".." in name.split("/")


def _too_many(limits: Limits) -> Exception:
    return refused(_FORMAT, f"the archive has more than {limits.entries:,} members")


def _length(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
