"""Core statements as bare SQL: the text once, and values put in order by position."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from convostore.storage.portable import SEEN_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Dialect

    from convostore.storage.statements import Hot

SQLITE: Dialect = sqlite.dialect()
POSTGRES: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects are not annotated


class Spelled:
    """The SQL text of one of convostore's own statements, and a row maker for it.

    `row(*values)` takes the values in the order of the names given here, and returns them in the
    order of the text's placeholders, with what the statement itself fixes in between.
    """

    def __init__(self, hot: Hot, *names: str, dialect: Dialect = SQLITE) -> None:
        compiled = hot.compiled(dialect)
        self.sql = str(compiled)
        self._put(names, compiled.positiontup or (), compiled.params)

    def _put(self, names: Sequence[str], order: Sequence[str], params: dict[str, Any]) -> None:
        fixed = [name for name in order if name not in names]
        # Nothing expires here, so any time does where a statement wants to know it.
        self._fixed = tuple(0 if name == SEEN_AT else params[name] for name in fixed)
        positions = [
            names.index(name) if name in names else len(names) + fixed.index(name) for name in order
        ]
        self._order: Callable[[tuple[Any, ...]], Any] = itemgetter(*positions)
        self._alone = len(positions) == 1

    def row(self, *values: Any) -> tuple[Any, ...]:
        """Put the values in the order of the placeholders."""
        ordered = self._order(values + self._fixed)
        return (ordered,) if self._alone else ordered


class SpelledMany(Spelled):
    """The same of PostgreSQL's statement for many rows: `rows` takes rows, and returns arrays."""

    def __init__(self, hot: Hot, *names: str) -> None:
        many = hot.at_once(POSTGRES)
        self.sql = many.sql
        self._put(names, many.names, many.fixed)

    def rows(self, rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Turn rows, each in the order of the names given, into the statement's parameters."""
        return self.row(*map(list, zip(*rows, strict=True)))
