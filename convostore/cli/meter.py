"""How far a long run is: one line on stderr that writes itself anew, on a terminal alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from convostore import clock
from convostore.cli.terminal import counted, is_terminal, write_stderr

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from convostore.exchange.counted import Count

_EVERY_S: Final = 0.1
_QUIET_S: Final = 0.5  # what is over sooner needs no line
_ERASE: Final = "\r\x1b[K"  # Source: ECMA-48, "EL - Erase in Line"


class Meter:
    """Shows how much is done, and the rate, of something whose end nobody knows.

    Args:
        done: what is done to them, as in "exported".
        alone: nothing else is written to the terminal meanwhile.
    """

    def __init__(self, done: str, *, alone: bool) -> None:
        self._done = done
        self._shown = False
        self._wanted = alone and is_terminal(sys.stderr)
        self._begun_s = clock.monotonic_s()
        self._next_s = self._begun_s + _QUIET_S

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
        now_s = clock.monotonic_s()
        if not self._wanted or now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        rate = round(number / (now_s - self._begun_s))
        of = "" if conversations is None else f" of {counted(conversations, 'conversation')}"
        told = f"{self._done} {counted(number, thing)}{of}, {rate:,} {thing}s/s"
        write_stderr(f"{_ERASE}{told}")
        self._shown = True
