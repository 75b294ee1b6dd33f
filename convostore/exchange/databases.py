"""What is found in a SQLite file of another program, conversation by conversation."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from convostore.exchange.agents_rows import AgentsRows
from convostore.exchange.finding import NothingKnownError
from convostore.exchange.foreign_rows import Rows
from convostore.exchange.llm_rows import LlmRows
from convostore.exchange.refusing import conversation_of
from convostore.formats.found import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convostore.exchange.foreign_rows import Row
    from convostore.exchange.limits import Limits
    from convostore.exchange.progress import Progress
    from convostore.formats.found import Found

KINDS: Final = (LlmRows, AgentsRows)
_OUR_OWN: Final = "convostore_version"


def found_in_database(
    path: Path, limits: Limits, format: str | None, progress: Progress
) -> Iterator[Found]:
    """Yield the conversations of a database, each as it was at one moment.

    Args:
        path: the file.
        limits: how much.
        format: whose it has to be; None for any that is known.
        progress: counts the conversations.

    Raises:
        NothingKnownError: it is of no known program, or cannot be read; nothing was yielded then.
    """
    try:
        rows = Rows(path, limits.record_bytes)
        with closing(rows):
            kinds = [kind(rows) for kind in KINDS if kind.has(rows.tables)]
            wanted = [kind for kind in kinds if format in {None, kind.format}]
            if not wanted:
                raise NothingKnownError(_what_else(rows.tables))
            with rows.at_once():
                places = [(kind, place) for kind in wanted for place in kind.places()]
            progress.total = len(places)
            for kind, place in places:
                progress.done += 1
                yield _read(rows, kind, place)
    except sqlite3.Error as error:
        reason = " ".join(str(error).split())
        raise NothingKnownError(f"the database cannot be read: {reason}") from None


def _read(rows: Rows, kind: LlmRows | AgentsRows, place: Row) -> Found:
    where = kind.where(place)
    try:
        with rows.at_once():
            return conversation_of(where, kind.format, kind.read, place)
    except sqlite3.Error as error:
        return Refused(where=where, reason=f"its rows cannot be read: {error}", format=kind.format)


def _what_else(tables: frozenset[str]) -> str:
    if _OUR_OWN in tables:
        return "it is a store of convostore itself: name it with --db"
    if {"logs", "_llm_migrations"} <= tables:
        return "it was last written by a very old llm: run a newer one once, which converts it"
    return "it is a database of no known program"
