"""What model calls came to: sums of what their providers reported, which say what is unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from convostore.records import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

By: TypeAlias = Literal["day", "model", "provider", "conversation"]
BY: Final[tuple[By, ...]] = ("day", "model", "provider", "conversation")
SPAN_MS: Final = 15 * 60 * 1000  # every zone's days begin at a multiple of this
NUMBERS: Final = Usage.__struct_fields__


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls did not say each number, and so are in none of its sum."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What some model calls came to.

    Attributes:
        name: what they have in common: the day as `2026-11-25`, the model, the provider, or the
            conversation's id; None where that is not known, and of all calls together.
        calls: how many.
        usage: the sums over those calls that said a number; None where none of them did.
        unknown: how many calls did not say it.
        handle: of the conversation; None where it is not in the list any more.
        title: of the conversation.
    """

    name: str | None
    calls: int
    usage: Usage
    unknown: Unknown
    handle: str | None = None
    title: str | None = None

    @property
    def tokens(self) -> int | None:
        """Tokens sent and made, as far as they are known; None where nothing is."""
        known = [self.usage.input_tokens, self.usage.output_tokens]
        return None if known == [None, None] else sum(one or 0 for one in known)


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What model calls came to, together and apart.

    Attributes:
        by: what the rows stand for.
        total: all calls that were asked for.
        rows: days from the newest, everything else from what took most tokens.
    """

    by: By
    total: Tally
    rows: tuple[Tally, ...]


class Sums:
    """Sums that are still being added to.

    Attributes:
        calls: how many so far.
    """

    __slots__ = ("_known", "_totals", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self._known = [0] * len(NUMBERS)
        self._totals = [0.0] * len(NUMBERS)

    def add(self, calls: int, known: Iterable[int], totals: Iterable[float | None]) -> None:
        """Add some calls: how many said each number, and its sum over these."""
        self.calls += calls
        self._known = [one + more for one, more in zip(self._known, known, strict=True)]
        self._totals = [one + (more or 0) for one, more in zip(self._totals, totals, strict=True)]

    def tally(self, name: str | None) -> Tally:
        """Return the sums so far under a name."""
        told: dict[str, Any] = {
            number: total if number == "cost" else round(total)
            for number, known, total in zip(NUMBERS, self._known, self._totals, strict=True)
            if known
        }
        unknown = zip(NUMBERS, self._known, strict=True)
        return Tally(
            name=name,
            calls=self.calls,
            usage=Usage(**told),
            unknown=Unknown(**{number: self.calls - known for number, known in unknown}),
        )


def day_of(at_ms: int) -> str:
    """Return the day of a time on this machine's calendar, as `2026-11-25`."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC).astimezone():%Y-%m-%d}"


def in_order(rows: Iterable[Tally], by: By) -> tuple[Tally, ...]:
    """Return days from the newest, everything else from what took most tokens, then most calls."""
    if by == "day":
        return tuple(sorted(rows, key=lambda row: row.name or "", reverse=True))
    return tuple(sorted(rows, key=_rank))


def _rank(row: Tally) -> tuple[int, int, str]:
    tokens = -1 if row.tokens is None else row.tokens
    return -tokens, -row.calls, row.name or ""
