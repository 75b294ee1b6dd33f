"""SIGKILL during an import, and the same import again: as after once."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from tests.engines import rows
from tests.foreigners import foreign

if TYPE_CHECKING:
    import random

    from tests.engines import Where

TIMES, WITHIN_S = 3, 0.01
CONVERSATIONS, MESSAGES = 800, 4
WRITTEN = (
    "SELECT c.source_id, c.title, c.head_seq, c.last_seq, c.message_count, m.seq, m.source_id,"
    " m.parent_seq, m.text, m.content_hash, r.data FROM conversation c JOIN message m"
    " ON m.conversation_id = c.id JOIN source_record r ON r.conversation_id = c.id"
    " AND r.seq = m.seq ORDER BY 1, 6"
)
COUNTS = (
    "SELECT (SELECT count(*) FROM conversation), (SELECT count(*) FROM message),"
    " (SELECT count(*) FROM source_record), (SELECT count(*) FROM tag)"
)


@pytest.mark.only("sqlite", reason="a server that is killed is tried in test_server_killed.py")
def test_import_that_was_killed_and_said_again_is_as_one_said_once(
    child: Any, path: Where, places: Any, chance: random.Random
) -> None:
    """After each kill everything told is stored, whole; in the end nothing is there twice."""
    told: set[str] = set()
    for _ in range(TIMES):
        when = (chance.randrange(1, CONVERSATIONS // TIMES // 2), chance.uniform(0, WITHIN_S))
        with child("importing.py", path, CONVERSATIONS, MESSAGES, *when) as process:
            lines = [json.loads(line) for line in process.stdout]
        assert process.returncode == -signal.SIGKILL
        told |= {more[0] for outcome, *more in lines if outcome == "added"}
        asyncio.run(_sound(path))
        counts = "SELECT source_id, count(*) FROM message GROUP BY conversation_id, source_id"
        assert {number for _, number in rows(path, counts)} == {1}
        stored = {name for (name,) in rows(path, "SELECT source_id FROM conversation")}
        assert told <= stored
    assert len(told) < CONVERSATIONS
    once = places()
    for where in (path, once):
        asyncio.run(_import(where))
    assert rows(path, COUNTS) == rows(once, COUNTS)
    assert rows(path, WRITTEN) == rows(once, WRITTEN)


async def _sound(path: Where) -> None:
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()


async def _import(path: Where) -> None:
    async with convostore.open(path) as store:
        found = (foreign(f"c{number}", MESSAGES) for number in range(CONVERSATIONS))
        assert (await store.import_(found, tags=["x"]).finish()).records == CONVERSATIONS
