"""What a terminal may be shown, and where: escaping, colour, the line on stderr.

Text in a store comes from models and other people. On a terminal it could move the cursor, fake
a prompt or turn the reading direction around, so such characters are shown by their number.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from typing import IO

# Bidirectional embeddings, overrides and isolates reorder what stands beside them.
# Source: Unicode Standard Annex 9, "Directional Formatting Characters".
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
_LINE_ENDS = (0x2028, 0x2029)
# Source: ECMA-48, "SGR - Select Graphic Rendition".
BOLD, DIM, _NO_STYLE = "\x1b[1m", "\x1b[2m", "\x1b[0m"
FOUND = "\x1b[1;33m"  # bold and yellow: seen on a dark and on a light ground

_NUMBERED = {code: f"\\x{code:02x}" for code in _CONTROLS} | {
    code: f"\\u{code:04x}" for code in _BIDI
}
_ONE_LINE = {
    **_NUMBERED,
    **{code: f"\\u{code:04x}" for code in _LINE_ENDS},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
_MANY_LINES = {
    **_NUMBERED,
    ord("\n"): "\n",
    ord("\r"): "\\r",
    ord("\t"): "\t",
}


def one_line(text: str) -> str:
    """Return *text* fit for one line: control and bidi characters by their number."""
    return text.translate(_ONE_LINE)


def many_lines(text: str) -> str:
    """Return *text* fit for a terminal, with its line ends and tabs; CRLF becomes a line end."""
    return text.replace("\r\n", "\n").translate(_MANY_LINES)


class PieceEscaper:
    """Escape a text that comes in pieces, as `many_lines` would escape the whole."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what can be shown so far; a CR at the end waits for the LF it may belong to."""
        text = self._held + piece
        self._held = "\r" if text.endswith("\r") else ""
        return many_lines(text.removesuffix("\r") if self._held else text)

    def close(self) -> str:
        """Return what was still held back."""
        held, self._held = self._held, ""
        return many_lines(held)


def counted(number: int, thing: str) -> str:
    """Return *number* of a *thing*, in words: 1 message, 2 messages."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def is_terminal(stream: IO[str] | None) -> bool:
    """Tell whether a person sees *stream*, or types into it."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def has_colour(stream: IO[str] | None) -> bool:
    """Tell whether *stream* takes colour: a terminal, not a dumb one, and NO_COLOR is not set."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and is_terminal(stream)


def styled(text: str, stream: IO[str] | None, style: str) -> str:
    """Return *text* in *style*, BOLD, DIM or FOUND, where *stream* takes colour, else as it is."""
    return f"{style}{text}{_NO_STYLE}" if has_colour(stream) else text


def say(line: str, *, end: str = "\n") -> None:
    """Print *line* on stderr, escaped; a stderr that nobody reads is no error."""
    write_stderr(one_line(line) + end)


def write_stderr(text: str) -> None:
    """Write *text* to stderr as it is, at once."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        # Nobody is left to be told.
        return
