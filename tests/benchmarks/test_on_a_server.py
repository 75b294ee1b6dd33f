"""What is measured on a PostgreSQL server: by hand is the same as ours, and the run ends its server."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from asyncpg.prepared_stmt import PreparedStatement

import convostore
from benchmarks.byhand.same_postgres import SamePostgres
from benchmarks.ours.on_a_server import OnAServer
from benchmarks.running import Bench
from benchmarks.systems import BY_ASYNCPG, ON_A_SERVER
from benchmarks.workloads import QUICK

if TYPE_CHECKING:
    from tests.engines import Where

pytestmark = pytest.mark.only("postgres", reason="it is about what is measured on a server")


class Heard:
    """The first words of all statements, and the tables they are about."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def hear(self, sql: str) -> None:
        """Note what is done to which table."""
        tables = re.findall(r"(?:FROM|INTO|UPDATE) (conversation|message|journal)\b", sql)
        first = re.split(r"\W", sql, maxsplit=1)[0]
        self.statements.append(" ".join([first, *tables[-1:]]))

    def take(self) -> list[str]:
        """Return what was heard, and begin again."""
        heard, self.statements = sorted(self.statements), []
        return heard


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Listen to every connection that asyncpg makes, and to every statement that it prepares."""
    ears, made, fetch = Heard(), asyncpg.connect, PreparedStatement.fetch

    async def connect(*args: Any, **options: Any) -> Any:
        connection = await made(*args, **options)
        connection.add_query_logger(lambda record: ears.hear(record.query))
        return connection

    async def heard_fetch(statement: Any, *values: Any) -> Any:
        ears.hear(statement.get_query())
        return await fetch(statement, *values)

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(PreparedStatement, "fetch", heard_fetch)
    return ears


@pytest.mark.asyncio
@pytest.mark.parametrize("operation", ["append", "turn"])
async def test_same_by_hand_runs_the_statements_that_we_run(
    operation: str, path: Where, heard: Heard
) -> None:
    """In one more turn of a conversation, both do the same to the same tables, as often."""
    took = []
    for adapter in (OnAServer(), SamePostgres()):
        await adapter.open(str(path))
        chat: Any = await adapter.create()
        await getattr(adapter, operation)(chat, "Why?", "Because.")
        heard.take()
        await getattr(adapter, operation)(chat, "Why?", "Because.")
        took.append(heard.take())
        assert await adapter.count() % 4 == 0
        await adapter.close()
    assert took[0] == took[1]
    assert took[0].count("COMMIT") == {"append": 1, "turn": 2}[operation]


@pytest.mark.asyncio
async def test_same_by_hand_leaves_a_store_that_is_sound(path: Where) -> None:
    """What is written by hand, many rows at once too, passes convostore's own deep check."""
    same = SamePostgres()
    await same.open(str(path))
    chats = [await same.create() for _ in range(3)]
    await same.append_group([(chat, "Why?", "Because.") for chat in chats])
    await same.turn_group([(chat, "Really?", "Yes.") for chat in chats])
    await same.turn(chats[0], "And then?", "No more.")
    assert await same.count() == 14
    await same.close()
    async with convostore.open(path) as store:
        assert (await store.check(deep=True)).problems == ()


def test_a_run_starts_a_server_and_ends_it_by_its_own_pid() -> None:
    """Both systems are measured on it; afterwards it does not run, and its databases are gone."""
    with Bench(QUICK, 1, ["append-1-server"]) as bench:
        server = bench._server
        assert server is not None
        pid = server.pid
        run = bench.run()
        assert server.is_running
    found = {one["system"] for one in run["runs"] if one["result"]["operations"] > 0}
    assert found == {ON_A_SERVER, BY_ASYNCPG}
    assert run["machine"]["postgres"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
