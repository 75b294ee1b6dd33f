"""Records of a file, made fit for the store, as many at a time as are stored together."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from convostore.errors import FormatError
from convostore.exchange.enclosures import Enclosures
from convostore.exchange.fitting import fit
from convostore.exchange.outcomes import ImportResult
from convostore.formats.foreign import ForeignConversation, ForeignFile
from convostore.formats.found import Opaque, Refused
from convostore.formats.own import OwnConversation
from convostore.parts import AttachmentPart
from convostore.storage.newcomers import ImportConversation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostore.exchange.fitting import Wish
    from convostore.formats.found import Found

_MESSAGES: Final = 1000  # that are stored together, or
_CONVERSATIONS: Final = 200  # so many, or
_BYTES: Final = 4 * 1024 * 1024  # so much; one conversation is never split


class Ready(msgspec.Struct, frozen=True):
    """A conversation that waits to be stored.

    Attributes:
        remarks: what was mended or guessed, a line each.
        files: what came along, and as what it is kept, by its sha256.
    """

    job: ImportConversation
    remarks: tuple[str, ...]
    files: dict[str, tuple[ForeignFile, AttachmentPart]]


Batch: TypeAlias = "list[Ready | OwnConversation | ImportResult]"


class Batches:
    """Reads in this process. Blocks; for one thread at a time.

    Attributes:
        alone: what is read has to be told to another process: what cannot be is the end, and
            `met_more` is True then.
    """

    def __init__(
        self,
        records: Callable[[], Iterator[Found]],
        wish: Wish,
        *,
        most_bytes: int,
        now_ms: int,
        skip: int = 0,
        alone: bool = False,
    ) -> None:
        self._open, self._wish = records, wish
        self._most_bytes, self._now_ms, self._skip = most_bytes, now_ms, skip
        self._found: Iterator[Found] | None = None
        self._failed: Exception | None = None
        self.alone, self.met_more = alone, False

    @property
    def part_read(self) -> float | None:
        """How much of the file was read, from 0 to 1; None where nobody knows."""
        found: float | None = getattr(self._found, "part_read", None)
        return found

    def next(self) -> Batch:
        """Read what is stored together next; empty at the end.

        Raises:
            FormatError: the file is of no known format, or cannot be read on.
        """
        if self._failed is not None:
            raise self._failed
        if self._found is None:
            self._found = self._open()
            for _ in islice(self._found, self._skip):
                pass
        batch: Batch = []
        try:
            self._fill(batch, self._found)
        except FormatError as error:  # what was read before it is stored first
            self._failed = error
            if not batch:
                raise
        return batch

    def _fill(self, batch: Batch, left: Iterator[Found]) -> None:
        messages = size = 0
        for found in () if self.met_more else left:
            if self.alone and _is_more(found):
                self.met_more = True
                return
            batch.append(ready := self._ready(found))
            more_messages, more_bytes = _weight(ready)
            messages += more_messages
            size += more_bytes
            if messages >= _MESSAGES or size >= _BYTES or len(batch) >= _CONVERSATIONS:
                return

    def stop(self) -> None:
        """Do nothing: what is just being read is soon read."""

    def close(self) -> None:
        """Close what was opened."""
        if (close := getattr(self._found, "close", None)) is not None:
            close()

    def _ready(self, found: Found) -> Ready | OwnConversation | ImportResult:
        if isinstance(found, OwnConversation):
            return found
        if isinstance(found, Refused):
            return ImportResult(
                outcome="refused", where=found.where, source=found.format, reason=found.reason
            )
        if isinstance(found, Opaque):
            return ImportResult(outcome="opaque", where=found.where, reason=found.what)
        along = Enclosures(found, most_bytes=self._most_bytes)
        try:
            fitted = fit(found, self._wish, attached=along.parts, now_ms=self._now_ms)
        except FormatError as error:
            return refused_one(found.source, found.source_id, error.reason)
        return Ready(fitted.job, (*fitted.remarks, *along.remarks), along.files)


def refused_one(source: str, source_id: str, reason: str) -> ImportResult:
    """Return what is told of a conversation that was read, and cannot be stored."""
    return ImportResult(
        outcome="refused",
        where=f"conversation {source_id}",
        source=source,
        source_id=source_id,
        reason=reason,
    )


def _is_more(found: Found) -> bool:
    """Tell whether something belongs to it that has to be opened where it is stored."""
    return isinstance(found, OwnConversation) or (
        isinstance(found, ForeignConversation) and bool(found.files)
    )


def _weight(one: Ready | OwnConversation | ImportResult) -> tuple[int, int]:
    """Return how many messages it has, and about how many bytes."""
    if isinstance(one, ImportResult):
        return 0, 0
    if isinstance(one, OwnConversation):
        return len(one.messages), sum(len(said.text) for said in one.messages)
    texts = sum(len(said.text) + len(said.original) for said in one.job.messages)
    return len(one.job.messages), texts + len(one.job.original)
