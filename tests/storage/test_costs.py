"""What an operation costs in statements and thread hops: counted, not timed, so it cannot flap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
import pytest_asyncio

import convostore
from convostore.storage import sqlite as database_module
from convostore.storage.sqlite import SqliteDatabase, connect_writer
from convostore.testing import ScriptedProvider

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from convostore import Conversation, Store

    Operation: TypeAlias = Callable[[Store, Conversation], Awaitable[object]]


class Cost(NamedTuple):
    """What one operation costs once everything is warm.

    Attributes:
        statements: run on the writing connection, BEGIN and COMMIT and each row's INSERT included.
        hops: trips of the caller to another thread and back: a write, or one reading statement.
    """

    statements: int
    hops: int


# These may only go down. Whoever makes an operation cheaper writes the new count here.
COSTS = {
    "append": Cost(statements=8, hops=1),
    "turn": Cost(statements=13, hops=2),  # one is the call's row, which outlives the messages
    "history": Cost(statements=0, hops=1),
    "resume": Cost(statements=0, hops=1),
    "list": Cost(statements=0, hops=1),
    "search": Cost(statements=0, hops=1),  # of what is indexed
}


class Counted:
    """Counts what reaches the database from now on."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.hops = 0

    def reset(self) -> None:
        """Begin again at nothing."""
        self.statements.clear()
        self.hops = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, index_at_rest: None) -> Counted:
    """Count what the writing connection runs for operations, and the trips to the threads."""
    counts = Counted()

    def connect(path: Path) -> sqlite3.Connection:
        connection = connect_writer(path)
        connection.set_trace_callback(counts.statements.append)
        return connection

    monkeypatch.setattr(database_module, "connect_writer", connect)
    for name in ("read_as", "read_through", "_put"):
        monkeypatch.setattr(SqliteDatabase, name, _counting(getattr(SqliteDatabase, name), counts))
    return counts


def _counting(verb: Callable[..., Any], counts: Counted) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        counts.hops += 1
        return verb(*args, **kwargs)

    return call


@pytest_asyncio.fixture
async def store(tmp_path: Path, counted: Counted) -> AsyncIterator[Store]:
    """Open a store whose provider answers at once; `counted` is there before the writer is."""
    del counted
    provider = ScriptedProvider(otherwise=("Hello", convostore.events.Finished()))
    async with convostore.open(tmp_path / "chats.db", provider=provider) as opened:
        yield opened


async def _append(_: Store, chat: Conversation) -> object:
    return await chat.append(convostore.Message.user("a"), convostore.Message.assistant("b"))


async def _turn(_: Store, chat: Conversation) -> object:
    return await chat.send("How are you?")


async def _history(_: Store, chat: Conversation) -> object:
    return await chat.history()


async def _resume(store: Store, chat: Conversation) -> object:
    return await store.resume(chat.id)


async def _list(store: Store, _: Conversation) -> object:
    return await store.list()


async def _search(store: Store, _: Conversation) -> object:
    return await store.search("how")


OPERATIONS: dict[str, Operation] = {
    "append": _append,
    "turn": _turn,
    "history": _history,
    "resume": _resume,
    "list": _list,
    "search": _search,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", COSTS)
async def test_operation_costs_no_more_than_it_did(
    name: str, store: Store, counted: Counted
) -> None:
    """Each operation runs exactly the counted statements and hops, the second time it is done."""
    chat = await store.create()
    await _turn(store, chat)
    operation = OPERATIONS[name]
    await operation(store, chat)
    await store.reindex()
    counted.reset()
    await operation(store, chat)
    found = Cost(len(counted.statements), counted.hops)
    assert found == COSTS[name], "\n".join(counted.statements)


@pytest.mark.asyncio
async def test_first_turn_of_a_conversation_reads_nothing(store: Store, counted: Counted) -> None:
    """Where nothing was said yet, there is nothing to read: the two writes are all it takes."""
    await _turn(store, await store.create())
    for chat in (await store.create(), await store.get_or_create(key="room")):
        counted.reset()
        await chat.send("How are you?", on_moved="branch")
        assert counted.hops == COSTS["turn"].hops
