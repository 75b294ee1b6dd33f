"""How far an import is: a bar with count, rate and time left; plain lines where nobody looks."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from convostore import clock
from convostore.cli.meter import LINE_S
from convostore.cli.terminal import is_terminal, one_line, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from convostore import Import

_BAR_S: Final = 0.1  # between two pictures of the bar


class Showing(Protocol):
    """Shows how far an import is."""

    def on(self) -> None:
        """Show it, if it is time."""
        ...

    def line(self, text: str) -> None:
        """Say a line beside it."""
        ...


@contextmanager
def showing(work: Import) -> Iterator[Showing]:
    """Show how far an import is until the block is left."""
    if not is_terminal(sys.stderr):
        yield _Lines(work)
        return
    with _progress() as progress:
        yield _Bar(work, progress)


class _Lines:
    """Plain lines on stderr, one every ten seconds."""

    def __init__(self, work: Import) -> None:
        self._work = work
        self._began_s = self._told_s = clock.monotonic_s()

    def on(self) -> None:
        now_s = clock.monotonic_s()
        if now_s - self._told_s < LINE_S:
            return
        self._told_s = now_s
        report, part = self._work.report, self._work.part_read
        read = "" if part is None else f", {part:.0%} of the file read"
        rate = report.messages / (now_s - self._began_s)
        say(
            f"{report.records:,} records, {report.messages:,} messages, {rate:,.0f} messages/s{read}"
        )

    def line(self, text: str) -> None:
        say(text)


class _Bar:
    """A bar on stderr; it moves with what is read of the file, where that is known."""

    def __init__(self, work: Import, progress: Progress) -> None:
        self._work, self._progress = work, progress
        self._began_s = clock.monotonic_s()
        self._told_s = 0.0
        self._task = progress.add_task("", total=None, told="")

    def on(self) -> None:
        now_s = clock.monotonic_s()
        if now_s - self._told_s < _BAR_S:
            return
        self._told_s = now_s
        report, part = self._work.report, self._work.part_read
        rate = report.messages / max(now_s - self._began_s, 0.001)
        told = f"{report.records:,} records  {report.messages:,} messages  {rate:,.0f} messages/s"
        self._progress.update(
            self._task,
            total=None if part is None else 1.0,
            completed=part or 0,
            told=told,
        )

    def line(self, text: str) -> None:
        self._progress.console.print(
            one_line(text), markup=False, highlight=False, soft_wrap=True, emoji=False
        )


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        BarColumn(bar_width=24),
        TextColumn("{task.fields[told]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=Console(stderr=True),
        transient=True,
    )
