"""SIGKILL while ephemeral conversations are held and kept: each is there whole, or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import convostore
from convostore.parts import AttachmentPart
from tests.crash.conftest import kill_in_the_middle

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.engines import Where

TIMES = 8
MESSAGES = 30  # in each conversation


async def stored(path: Where) -> dict[str, list[str]]:
    """Return the texts of all conversations by key; look for damage, and for attachments."""
    found: dict[str, list[str]] = {}
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        cursor = None
        while True:
            page = await store.list(limit=200, cursor=cursor)
            for record in page.items:
                messages = await (await store.resume(record.id)).history()
                (part, _) = messages[MESSAGES - 1].parts
                name = record.key or ""
                assert isinstance(part, AttachmentPart)
                content = b"".join([piece async for piece in store.attachment(part)])
                assert content == f"kept file {name}".encode()
                found[name] = [one.text for one in messages]
            if (cursor := page.next_cursor) is None:
                return found


def test_kills_while_keeping_leave_each_whole_or_nowhere(
    child: Any, path: Where, tmp_path: Path, chance: random.Random
) -> None:
    """What was acknowledged is there to the last word; of what was not to be kept there is no byte."""
    told: list[list[Any]] = []
    for run in range(TIMES):
        told += kill_in_the_middle(
            child, "keeping.py", path, run, MESSAGES, within_s=0.4, chance=chance
        )
        files = [one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()]
        assert not any(b"fleeting" in one for one in files)
    found = asyncio.run(stored(path))
    names: dict[str, set[str]] = {"keeping": set(), "kept": set(), "more": set()}
    for kind, name in told:
        names[kind].add(name)
    assert names["kept"] <= found.keys() <= names["keeping"]
    for name, texts in found.items():
        whole = [*(f"kept {name} {at}" for at in range(MESSAGES - 1)), f"kept {name}"]
        assert texts[:MESSAGES] == whole
        assert texts[MESSAGES:] in ([], [f"kept {name} more"])
        assert name not in names["more"] or len(texts) == MESSAGES + 1
    assert names["kept"]
