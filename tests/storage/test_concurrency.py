"""Many callers in one process: cancelled anywhere, reading while others write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.records import Message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convostore import Store
    from tests.engines import Where


async def cancelled_after(work: Awaitable[Any], rounds: int) -> bool:
    """Run *work*, cancel it after so many rounds of the loop; tell whether it was cut short."""
    task = asyncio.ensure_future(work)
    for _ in range(rounds):
        await asyncio.sleep(0)
    if task.done():
        task.result()
        return False
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


async def read_list(store: Store) -> Any:
    """Read the list."""
    return await store.list()


async def make(store: Store) -> Any:
    """Make a conversation."""
    return await store.create(title="new", system="s")


async def add(store: Store) -> Any:
    """Append a pair."""
    chat = await store.resume("shared")
    return await chat.append(Message.user("q"), Message.assistant("a"))


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", [read_list, make, add])
async def test_a_verb_cancelled_at_any_await_leaves_the_store_in_order(
    path: Where, verb: Callable[[Store], Awaitable[Any]]
) -> None:
    """Cancelled after 1, 2, 3 ... rounds, from a cold store on, the next verb finds it whole."""
    async with convostore.open(path) as first:
        await first.get_or_create("shared")
    cut = 0
    for rounds in (*range(40), *range(40, 4000, 99)):
        async with convostore.open(path) as store:
            cut += await cancelled_after(verb(store), rounds)
            for _ in range(4):  # each reading connection
                async with asyncio.timeout(20):
                    await store.list()
            await add(store)
    assert cut > 10
    async with convostore.open(path) as store:
        messages = await (await store.resume("shared")).messages()
        assert [one.role for one in messages] == ["user", "assistant"] * (len(messages) // 2)
        assert [one.seq for one in messages] == list(range(1, len(messages) + 1))
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_readers_see_only_whole_appends_while_others_write(path: Where) -> None:
    """Every history read during a storm of appends is a prefix of the final one, in pairs."""
    async with convostore.open(path) as store:
        await store.get_or_create("shared")
        seen: list[tuple[str, ...]] = []
        done = asyncio.Event()

        async def look() -> None:
            chat = await store.resume("shared")
            seen.append(tuple(one.id for one in await chat.history()))

        async def read() -> None:
            while not done.is_set():
                await look()

        readers = [asyncio.create_task(read()) for _ in range(6)]
        for _ in range(5):  # several groups, however many jobs fit into one
            await asyncio.gather(*(add(store) for _ in range(30)))
            await look()
        done.set()
        await asyncio.gather(*readers)
        final = tuple(one.id for one in await (await store.resume("shared")).history())
    assert len(final) == 300
    assert all(one == final[: len(one)] and len(one) % 2 == 0 for one in seen)
    assert len(set(seen)) > 2


@pytest.mark.asyncio
async def test_two_stores_on_one_file_share_what_is_written(path: Where) -> None:
    """A store opened twice in one process is two stores on one file, and both are right."""
    async with convostore.open(path) as one, convostore.open(path) as two:
        first = await one.get_or_create("shared")
        second = await two.get_or_create("shared")
        assert first.id == second.id
        await asyncio.gather(
            *(chat.append(Message.user(str(n))) for n in range(20) for chat in (first, second))
        )
        assert len(await first.messages()) == 40
