"""The one gate that the name of a file passes before anybody looks for the file."""

from __future__ import annotations

import os
from pathlib import Path


class OddPathError(ValueError):
    """A name that no file can have.

    Attributes:
        shown: the name, as it may stand in one line.
        reason: what is wrong with it.
    """

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(f"{name!r}: {reason}")
        self.shown = (
            repr(name) if len(repr(name)) <= _MOST_SHOWN else repr(name)[:_MOST_SHOWN] + "…"
        )
        self.reason = reason


_MOST_SHOWN = 80  # characters: a name that is too long need not be shown to its end


def path_of(name: object) -> Path:
    """Return *name* as a path; a `~` at its beginning is the home folder. Looks at no file.

    Raises:
        OddPathError: no file can be called so.
    """
    if not isinstance(name, str | os.PathLike):
        raise OddPathError(name, "it is no path")
    text = os.fspath(name)
    if not isinstance(text, str):
        raise OddPathError(text, "it is not text")
    if not text:
        raise OddPathError(text, "it is empty")
    if "\x00" in text:
        raise OddPathError(text, "it holds a NUL character")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise OddPathError(text, "it holds half a character (a lone surrogate)") from None
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise OddPathError(text, "there is no such home folder") from None
