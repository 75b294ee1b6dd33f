"""The measure of bots measures what it says: messages in rooms that are there, once and again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from benchmarks import bots
from tests.engines import rows

if TYPE_CHECKING:
    from tests.engines import Where


def test_messages_of_bots_are_stored_once_and_told_again(path: Where) -> None:
    """Each in a room of the store; telling them again stores nothing."""
    bots.fill(path, 5)
    lines = asyncio.run(bots.measured(path, 5, 6))
    assert [line.split("|")[2].strip() for line in lines] == ["told once", "told again"]
    assert all(line.count(" ms") == 3 for line in lines)
    counts = "SELECT count(*) FROM message", "SELECT count(*) FROM conversation"
    assert [rows(path, sql)[0][0] for sql in counts] == [5 * 4 + 2 * 7, 6]
