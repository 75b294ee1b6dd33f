"""What an export has written so far, and what is told of it at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convostore.formats.writing import Losses

if TYPE_CHECKING:
    from collections.abc import Callable


class ExportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an export wrote.

    Attributes:
        conversations: how many.
        messages: how many of them, over all files.
        attachments: how many, each counted once in a file.
        files: how many.
        path: the one file, or the folder of the files; `-` where it went to none.
        unchanged: in a step, conversations of which only the line of the list is told.
        losses: what the format could not say, and how much of it.
        next_cursor: `since` for the next step; None where chosen conversations were exported.
    """

    conversations: int
    messages: int
    attachments: int = 0
    files: int
    path: Path
    unchanged: int = 0
    losses: dict[str, int] = {}
    next_cursor: str | None = None


class Count:
    """How much has gone out so far.

    Args:
        watch: is called now and then while it goes out.
    """

    def __init__(self, watch: Callable[[Count], None] | None = None) -> None:
        self.conversations = 0
        self.messages = 0
        self.attachments = 0
        self.unchanged = 0
        self.next_cursor: str | None = None
        self._losses = Losses()
        self._watch = watch

    def told_message(self, number: int = 1) -> None:
        """Count messages, and let whoever watches know."""
        self.messages += number
        if self._watch is not None:
            self._watch(self)

    def lost(self, losses: Losses) -> None:
        """Take down what a writer has left out, once it is done."""
        for what, number in losses.counts.items():
            self._losses.add(what, number)

    def report(self, *, files: int, path: Path) -> ExportReport:
        """Return what was written."""
        return ExportReport(
            conversations=self.conversations,
            messages=self.messages,
            attachments=self.attachments,
            files=files,
            path=path,
            unchanged=self.unchanged,
            losses=self._losses.counts,
            next_cursor=self.next_cursor,
        )
