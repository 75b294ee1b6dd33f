"""A table on a terminal: columns side by side, cut to fit, wide characters counted as two."""

from __future__ import annotations

import os
import sys

from convostore.cli.terminal import BOLD, one_line, styled

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 3  # columns of the terminal between two columns of the table
CUT = "…"
_PLAIN_WIDTH = 80  # of what does not say how wide it is


def terminal_width() -> int:
    """Return how many columns stdout has: COLUMNS, if set, else what the terminal says."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or _PLAIN_WIDTH
    except (OSError, ValueError):
        return _PLAIN_WIDTH


def width(text: str) -> int:
    """Return how many columns *text* takes.

    Source: Unicode Standard Annex 11, "East Asian Width": W and F take two; marks and format
    characters take none.
    """
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    import unicodedata

    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, columns: int) -> str:
    """Return *text*, or as much of its beginning as fits *columns*, with a mark that it is cut."""
    if width(text) <= columns:
        return text
    kept = columns - 1
    for at, character in enumerate(text):
        kept -= _width(character)
        if kept < 0:
            return text[:at] + CUT
    return text


def print_columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> None:
    """Print a heading, a rule and the rows; a column of negative width stands at its right edge.

    Args:
        heads: of the columns.
        rows: as many cells each; escaped here.
        widths: what each column may take; a column of 0 is left out.
    """
    shown = [at for at, most in enumerate(widths) if most]
    widths = [widths[at] for at in shown]

    def line(cells: Sequence[str], *, first: bool) -> str:
        padded = [
            _padded(one_line(cells[at]), most) for at, most in zip(shown, widths, strict=True)
        ]
        head, rest = padded[0], (" " * GAP).join(padded[1:])
        whole = (head + " " * GAP + rest).rstrip()
        if first:
            return styled(whole, sys.stdout, BOLD)
        return styled(head, sys.stdout, BOLD) + whole[len(head) :]

    rule = "─" * (sum(map(abs, widths)) + GAP * (len(widths) - 1))
    body = [line(row, first=False) for row in rows]
    sys.stdout.write("\n".join((line(heads, first=True), _drawable(rule), *body)) + "\n")


def _drawable(rule: str) -> str:
    """Return *rule* in characters that stdout can show."""
    try:
        rule.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return "-" * len(rule)
    return rule


def _padded(text: str, most: int) -> str:
    text = cut(text, abs(most))
    blanks = " " * (abs(most) - width(text))
    return blanks + text if most < 0 else text + blanks
