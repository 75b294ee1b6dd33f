"""Core statements as bare SQL: the text once, and values put in order by position."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.storage.statements import Hot

_dialect = sqlite.dialect()


class Spelled:
    """The SQL text of one of convostore's own statements, and a row maker for it.

    `row(*values)` takes the values in the order of the names given here, and returns them in the
    order of the text's placeholders, with what the statement itself fixes in between.
    """

    def __init__(self, hot: Hot, *names: str) -> None:
        self.sql, pick = hot.on(_dialect)
        marks = {name: _Mark(at) for at, name in enumerate(names)}
        picked = pick(marks)
        fixed = [value for value in picked if not isinstance(value, _Mark)]
        positions = []
        for value in picked:
            known = isinstance(value, _Mark)
            positions.append(value.at if known else len(names) + fixed.index(value))
        self._fixed = tuple(fixed)
        self._order: Callable[[tuple[Any, ...]], Any] = itemgetter(*positions)
        self._alone = len(positions) == 1

    def row(self, *values: Any) -> tuple[Any, ...]:
        """Put the values in the order of the placeholders."""
        ordered = self._order(values + self._fixed)
        return (ordered,) if self._alone else ordered


class _Mark:
    """Stands for a value that is given at run time."""

    def __init__(self, at: int) -> None:
        self.at = at
