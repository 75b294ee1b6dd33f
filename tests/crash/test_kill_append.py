"""SIGKILL during append, create and close: all or nothing, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from tests.crash.conftest import kill_in_the_middle

if TYPE_CHECKING:
    import random

    from convostore import ConversationRecord
    from tests.engines import Where

TIMES = 12


async def appended(path: Where) -> list[tuple[int, str, str]]:
    """Return seq, role and text of the shared conversation, and look for damage."""
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        chat = await store.resume("shared")
        return [(one.seq, one.role, one.text) for one in await chat.history()]


async def created(path: Where) -> dict[str, list[str]]:
    """Return the system texts of all conversations by title, and look for damage."""
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        records: list[ConversationRecord] = []
        cursor = None
        while True:
            page = await store.list(limit=200, cursor=cursor)
            records += page.items
            if (cursor := page.next_cursor) is None:
                break
        assert len({record.title for record in records}) == len(records), "made twice"
        return {
            record.title or "": [
                one.text for one in await (await store.resume(record.id)).history()
            ]
            for record in records
        }


@pytest.mark.parametrize("what", ["append", "close"])
def test_kills_while_appending_and_closing_lose_no_acknowledged_pair(
    child: Any, path: Where, chance: random.Random, what: str
) -> None:
    """Pairs are whole, in order and at the place that was told, after each of twelve kills."""
    told: list[list[Any]] = []
    for run in range(TIMES):
        told += kill_in_the_middle(
            child, "appending.py", path, run, what, within_s=0.15, chance=chance
        )
        kept = asyncio.run(appended(path))
        assert [seq for seq, _, _ in kept] == list(range(1, len(kept) + 1))
        for (_, role, text), (_, next_role, answer) in zip(kept[::2], kept[1::2], strict=True):
            assert (role, next_role, answer) == ("user", "assistant", "to " + text)
        places = {text: seq for seq, _, text in kept}
        assert len(places) == len(kept), "a message is there twice"
        acknowledged = {
            text: seq for kind, *rest in told if kind == "appended" for text, seq in [rest]
        }
        assert {text: places.get(text) for text in acknowledged} == acknowledged
    if what == "close":
        assert any(kind == "closed" for kind, *_ in told)


def test_kills_while_creating_leave_no_half_made_conversation(
    child: Any, path: Where, chance: random.Random
) -> None:
    """A conversation is there with its system text or not at all; an acknowledged one is there."""
    told: list[list[Any]] = []
    for run in range(TIMES):
        told += kill_in_the_middle(
            child, "appending.py", path, run, "create", within_s=0.15, chance=chance
        )
    kept = asyncio.run(created(path))
    assert {title for _, title, _ in told} <= kept.keys()
    assert all(texts == ["be " + title] for title, texts in kept.items())
