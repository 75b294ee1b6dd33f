"""The one gate that a caller's text passes before it is stored."""

from __future__ import annotations

import unicodedata

from convostore.errors import InvalidTextError

MOST_NAME = 200  # characters of a title, a folder or a tag: a list shows them in one line
MOST_TEXT_BYTES = 16 * 1024 * 1024  # of one message; a longer one is a file, not a message


def gate(text: str, what: str = "the text") -> str:
    """Return *text* if every engine can store it unchanged.

    Raises:
        InvalidTextError: it holds a NUL or a lone surrogate, or is longer than 16 MiB.
    """
    if "\x00" in text:
        raise InvalidTextError(
            f"{what} holds a NUL character (at {text.index(chr(0))})",
            hint="remove it: no text editor shows it, and databases cut texts there",
        )
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise InvalidTextError(
                f"{what} holds half a character (a lone surrogate, at {error.start})",
                hint="decode the input as UTF-8 before it comes here",
            ) from error
    if size > MOST_TEXT_BYTES:
        raise InvalidTextError(
            f"{what} has {size:,} bytes, more than the {MOST_TEXT_BYTES:,} that one message may have",
            hint="send it in parts",
        )
    return text


def gate_name(text: str, what: str) -> str:
    """Return a name that stands in lists: *text* in one line, without blanks around it.

    Raises:
        InvalidTextError: it is blank, longer than 200 characters, or cannot be stored.
    """
    name = " ".join(gate(text, what).split())
    if not name:
        raise InvalidTextError(f"{what} is blank", hint="give it at least one letter")
    if len(name) > MOST_NAME:
        raise InvalidTextError(
            f"{what} has {len(name):,} characters, more than the {MOST_NAME} that it may have",
            hint="shorten it",
        )
    return name


def gate_tag(text: str) -> str:
    """Return a tag as it is kept: in small letters, so that it is one tag however it is typed.

    Raises:
        InvalidTextError: as `gate_name`.
    """
    return unicodedata.normalize("NFC", gate_name(text, "the tag")).lower()
