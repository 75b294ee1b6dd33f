"""SIGKILL while a store is scrubbed: nothing is lost, and whoever scrubs next ends it."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore import Message
from convostore.storage.scrub_note import NOTE
from convostore.testing import ScriptedProvider
from tests import canaries
from tests.crash.conftest import kill_in_the_middle
from tests.engines import rows

if TYPE_CHECKING:
    import random
    from pathlib import Path

TIMES = 12


async def filled(path: Path) -> str:
    """Fill a store, put one conversation of it into the bin, and return its handle."""
    provider = ScriptedProvider()
    async with convostore.open(path, provider=provider) as store:
        for number in range(4):
            chat = await store.create(title=f"stays {number}")
            texts = (f"keep {number} {at} " + "ballast " * 200 for at in range(200))
            await chat.append(*map(Message.user, texts))
        gone = await canaries.spread(store, provider)
        await gone.delete()
    return gone.handle


async def ended(path: Path) -> tuple[bool, int]:
    """Scrub; return whether that was owed, and how many messages are still found."""
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        report = await store.scrub()
        assert (await store.check(deep=True)).problems == ()
        found = 0
        cursor = None
        while True:
            page = await store.search("keep", limit=200, cursor=cursor)
            found += len(page.items)
            if (cursor := page.next_cursor) is None:
                return report.was_owed, found


@pytest.mark.only(
    "sqlite", reason="a file is scrubbed by its own process, a database by the server"
)
def test_kill_in_the_middle_of_a_scrub_leaves_it_owed_and_loses_nothing(
    child: Any, path: Path, chance: random.Random
) -> None:
    """Whenever it is killed after the purge, the rest is owed or done, and no byte is left at the end."""
    template = path.parent / "template" / path.name
    template.parent.mkdir()
    handle = asyncio.run(filled(template))
    interrupted = 0
    for _ in range(TIMES):
        shutil.copyfile(template, path)
        killed = kill_in_the_middle(
            child, "scrubbing.py", path, handle, within_s=0.06, chance=chance
        )
        told = [what for (what,) in killed]
        owed = bool(rows(path, "SELECT value FROM store_meta WHERE name = ?", NOTE))
        assert not (owed and "scrubbed" in told), "what was told was not so"
        interrupted += owed
        was_owed, found = asyncio.run(ended(path))
        assert was_owed == owed
        assert found == 800
        assert canaries.found(path) == set(), (told, owed)
        for file in path.parent.iterdir():
            if file.is_file():
                file.unlink()
    assert interrupted, "every kill came too late to mean anything"
