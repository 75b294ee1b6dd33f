"""The one gate that a caller's text passes before it is stored."""

from __future__ import annotations

from convostore.errors import InvalidTextError

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
