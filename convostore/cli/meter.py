"""How far a long run is: one line on stderr that writes itself anew, on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from convostore import clock
from convostore.cli.terminal import counted, is_terminal, say, write_stderr

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from convostore.exchange.counted import Count

_EVERY_S: Final = 0.1
LINE_S: Final = 10.0  # between two plain lines
_QUIET_S: Final = 0.5  # what is over sooner needs no line
_ERASE: Final = "\r\x1b[K"  # Source: ECMA-48, "EL - Erase in Line"


class Meter:
    """Shows how much is done, and the rate, of something whose end nobody knows.

    Args:
        done: what is done to them, as in "exported".
        alone: nothing else is written to the terminal meanwhile.
        lines: where nobody looks, plain lines come instead.
    """

    def __init__(self, done: str, *, alone: bool, lines: bool = False) -> None:
        self._done = done
        self._shown = False
        self._drawn = is_terminal(sys.stderr)
        self._wanted = alone if self._drawn else lines
        self._every_s = _EVERY_S if self._drawn else LINE_S
        self._begun_s = clock.monotonic_s()
        self._next_s = self._begun_s + (_QUIET_S if self._drawn else LINE_S)

    def __enter__(self) -> Self:
        """Begin to count the time."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the line away."""
        if self._shown:
            write_stderr(_ERASE)

    def watch(self, count: Count) -> None:
        """Show how far an export is, ten times a second at most."""
        self.show(count.messages, "message", count.conversations)

    def show(self, number: int, thing: str, conversations: int | None = None) -> None:
        """Show how many are done, ten times a second at most; and of how many conversations."""
        of = "" if conversations is None else f" of {counted(conversations, 'conversation')}"
        self._tell(number, f"{counted(number, thing)}{of}", thing)

    def show_part(self, number: int, most: int, thing: str) -> None:
        """Show how many are done of so many, and how long the rest may take."""
        left_s = round((clock.monotonic_s() - self._begun_s) * (most - number) / max(number, 1))
        left = f", {left_s // 60}:{left_s % 60:02d} left" if number < most else ""
        self._tell(number, f"{number:,} of {most:,} {thing}s", thing, left)

    def _tell(self, number: int, what: str, thing: str, more: str = "") -> None:
        now_s = clock.monotonic_s()
        if not self._wanted or now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        rate = round(number / (now_s - self._begun_s))
        told = f"{self._done} {what}, {rate:,} {thing}s/s{more}"
        if not self._drawn:
            say(told)
            return
        write_stderr(f"{_ERASE}{told}")
        self._shown = True
