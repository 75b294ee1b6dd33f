"""Records to what is found in them: a conversation, a refusal, something that stands beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convostore.exchange.decoding import UndecodableError, decoded
from convostore.exchange.recognising import are_one, is_empty, reader_named, reader_of, unwrapped
from convostore.exchange.refusing import conversation_of
from convostore.exchange.together import FORMATS as TOGETHER
from convostore.exchange.together import Together
from convostore.exchange.values import Record, records
from convostore.formats.found import Found, Opaque, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convostore.exchange.limits import Limits
    from convostore.exchange.recognising import Reader
    from convostore.exchange.streams import Stream

_WAITING: Final = 1000  # records that nobody knows, before the first that somebody does
_BESIDE: Final = "what the file says beside its conversations"
_UNKNOWN: Final = "it is a conversation of no known format"


class NothingKnownError(Exception):
    """There are records, and not one of them is of a known format.

    Attributes:
        spoiled: why the first of them cannot be read at all; None where it is merely unknown.
    """

    def __init__(self, spoiled: str | None) -> None:
        super().__init__(spoiled)
        self.spoiled = spoiled


def found_in(stream: Stream, limits: Limits, format: str | None) -> Iterator[Found]:
    """Yield what is found in a stream of JSON, each record once.

    Args:
        stream: where to read; it is read to its end.
        limits: how much.
        format: how to read every record; None to tell it from each.

    Raises:
        NothingKnownError: no record is of a known format; nothing was yielded then.
    """
    yield from _Finder(limits, format).found(
        records(stream, limits, lambda raw: are_one(raw, limits))
    )


class _Finder:
    """Reads one file's records."""

    def __init__(self, limits: Limits, format: str | None) -> None:
        self._limits = limits
        self._asked = None if format is None else reader_named(format)
        self._asked_together = format if format in TOGETHER else None
        self._together = Together(limits, format)
        self._known: Reader | None = self._asked  # what the file holds, as far as it was told
        self._any = self._asked is not None  # something of it is known
        self._waiting: list[Refused] = []

    def found(self, all_records: Iterable[Record]) -> Iterator[Found]:
        spoiled: list[str] = []
        for record in all_records:
            for found in self._of(record):
                if self._any:
                    yield from self._told()
                    yield found
                elif isinstance(found, Refused):
                    self._waiting.append(found)
                    spoiled += [record.spoiled] if record.spoiled else []
            if len(self._waiting) > _WAITING:
                break
        if self._any:
            yield from self._told()
            yield from self._together.end()
        elif self._waiting:
            raise NothingKnownError(spoiled[0] if spoiled else None)

    def _told(self) -> Iterator[Found]:
        """Yield what waited for something to be known."""
        yield from self._waiting
        self._waiting = []

    def _of(self, record: Record) -> Iterator[Found]:
        where = record.where
        if record.spoiled is not None:
            yield Refused(where=where, reason=record.spoiled, format=self._name)
            return
        if record.beside:
            yield Opaque(where=where, what=_BESIDE, raw=record.raw)
            return
        try:
            value, remarks = decoded(record.raw, self._limits)
        except UndecodableError as error:
            yield Refused(where=where, reason=str(error), format=self._name)
            return
        one_of_several, ended = self._together.put(where, value, len(record.raw))
        self._any = self._any or one_of_several
        yield from ended
        if not one_of_several:
            yield from self._values(where, value, remarks)

    @property
    def _name(self) -> str | None:
        return self._known.name if self._known else self._asked_together

    def _values(self, where: str, value: object, remarks: list[str]) -> Iterator[Found]:
        if self._asked_together:
            yield Refused(where=where, reason=_UNKNOWN, format=self._asked_together)
            return
        if self._asked is not None:
            yield self._read(where, self._asked, value, remarks)
            return
        several = unwrapped(value)
        for number, one in enumerate(several, 1):
            reader = reader_of(one)
            assert reader is not None  # noqa: S101 - that is what it was unwrapped for
            self._known, self._any = reader, True
            place = where if len(several) == 1 else f"{where}, conversation {number} in it"
            yield self._read(place, reader, one, remarks)
        if not several and self._known is not None:
            yield self._read(where, self._known, value, remarks)
        elif not several and not is_empty(value):
            yield Refused(where=where, reason=_UNKNOWN)

    def _read(self, where: str, reader: Reader, value: Any, remarks: list[str]) -> Found:
        if not isinstance(value, dict):
            return Refused(where=where, reason="it is no object", format=reader.name)
        return conversation_of(where, reader.name, reader.read, value, remarks)
