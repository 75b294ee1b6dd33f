"""SIGKILL while the search index is being made: what was acknowledged is found, what went is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from tests.crash.conftest import kill_in_the_middle

if TYPE_CHECKING:
    import random

    from convostore import Store
    from tests.engines import Where

TIMES = 5
MANY_TIMES = 40


async def found(store: Store, word: str) -> int:
    """Return how many places a search for *word* finds, whatever was said of it."""
    return len((await store.search(word, limit=10)).items)


def replaced(told: list[list[Any]]) -> list[str]:
    """Return the titles in whose place another one is acknowledged."""
    titles: dict[str, list[str]] = {}
    for kind, name in told:
        if kind == "titled":
            titles.setdefault("x".join(name.split("x")[:2]), []).append(name)
    return [name for names in titles.values() for name in names[:-1]]


async def look(path: Where, told: list[list[Any]]) -> None:
    """Find what was acknowledged, each once, and nothing of what was removed; see no damage."""
    said = [name for kind, name in told if kind == "said"]
    gone = [name for kind, name in told if kind == "removed"] + replaced(told)
    async with convostore.open(path, create=False) as store:
        while (await store.search("zebra", limit=1)).unindexed:
            pass
        assert [name for name in said if await found(store, name) != 1] == []
        assert [name for name in said if await found(store, f"to{name}") != 1] == []
        assert [name for name in gone if await found(store, name)] == []
        report = await store.check(deep=True)
        assert report.problems == ()
        assert [line for line in report.remarks if "search index" in line] == []


def hold_out(child: Any, path: Where, chance: random.Random, what: str, times: int) -> None:
    """Kill again and again, and look each time."""
    told: list[list[Any]] = []
    for run in range(times):
        told += kill_in_the_middle(
            child, "indexing.py", path, run, what, within_s=0.4, chance=chance
        )
        asyncio.run(look(path, told))
    assert any(kind == "removed" for kind, *_ in told)


@pytest.mark.parametrize("what", ["search", "reindex"])
def test_kills_while_indexing_leave_an_index_that_is_made_whole(
    child: Any, path: Where, chance: random.Random, what: str
) -> None:
    """After each of five kills every acknowledged message is found once, and no removed one."""
    hold_out(child, path, chance, what, TIMES)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("what", ["search", "reindex"])
def test_many_kills_while_indexing_leave_an_index_that_is_made_whole(
    child: Any, path: Where, chance: random.Random, what: str
) -> None:
    """The same after each of forty."""
    hold_out(child, path, chance, what, MANY_TIMES)
