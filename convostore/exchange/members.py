"""The files of an archive or a folder, and which of them hold conversations."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from convostore.formats.foreign import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.exchange.limits import Limits


class MemberError(OSError):
    """One member cannot be read; its text is the reason, in one line."""


class Member(NamedTuple):
    """A file of an archive or a folder.

    Attributes:
        name: with the folders before it, between slashes.
        size: in bytes.
        open: opens it for reading, as often as is wished; raises OSError.
        path: where it is by itself; None in an archive.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    path: Path | None = None

    @property
    def base(self) -> str:
        """Its name without folders."""
        return self.name.rpartition("/")[2]


def members_of_folder(folder: Path, limits: Limits) -> tuple[Member, ...]:
    """Return the plain files below a folder, by name. Links are not followed.

    Raises:
        FormatError: there are too many.
        OSError: one of its folders cannot be read.
    """
    found, ahead = [], [folder]
    while ahead:
        with os.scandir(ahead.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    ahead.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append((PurePosixPath(Path(entry.path).relative_to(folder)), size))
                if len(found) + len(ahead) > limits.entries:
                    raise refused("folder", f"the folder has more than {limits.entries:,} files")
    return tuple(
        Member(name.as_posix(), size, FileOpener(folder / name), folder / name)
        for name, size in sorted(found)
    )


class FileOpener:
    """Opens one file of a folder, as often as is wished."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> BinaryIO:
        """Open the file for reading.

        Raises:
            OSError: it cannot be opened, or has become something else meanwhile.
        """
        number = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(None, "it is no plain file")
        return os.fdopen(number, "rb")
