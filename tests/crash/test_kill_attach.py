"""SIGKILL while bytes are attached, referred to and dropped: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import convostore
from convostore.errors import AttachmentNotFoundError
from convostore.parts import AttachmentPart
from tests.crash.conftest import kill_in_the_middle
from tests.engines import rows

if TYPE_CHECKING:
    import random

    from tests.engines import Where

TIMES = 8


async def kept(path: Where, told: list[list[Any]]) -> None:
    """Read all that messages refer to; look for damage, and for what was just taken in."""
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        referred = set[str]()
        for record in (await store.list(limit=200)).items:
            for message in await (await store.resume(record.id)).messages():
                for part in message.parts:
                    if isinstance(part, AttachmentPart):
                        referred.add(part.sha256)
        dropped = {sha256 for kind, sha256, *_ in told if kind == "dropped"}
        perhaps = {sha256 for kind, sha256, *_ in told if kind == "dropping"}
        for kind, sha256, *size in told:
            if kind == "attached" and sha256 not in perhaps:
                assert hashlib.sha256(await read(store, sha256)).hexdigest() == sha256
                assert size == [len(await read(store, sha256))]
        assert {sha256 for kind, sha256, *_ in told if kind == "referred"} - perhaps <= referred
        for sha256 in referred:
            await read(store, sha256)
        await store.remove_forsaken_attachments(older_than_s=-1)
        left = {sha256 for (sha256,) in rows(path, "SELECT sha256 FROM attachment")}
        assert left == referred
        for sha256 in dropped - referred:
            try:
                await read(store, sha256)
            except AttachmentNotFoundError:
                continue
            raise AssertionError(f"{sha256} is still there")


async def read(store: convostore.Store, sha256: str) -> bytes:
    """Read an attachment to its end, which compares it with its sha256."""
    return b"".join([piece async for piece in store.attachment(sha256)])


def test_kills_while_attaching_lose_nothing_that_was_acknowledged(
    child: Any, path: Where, chance: random.Random
) -> None:
    """What was taken in is there whole, once; what was dropped is gone; what was half is forsaken."""
    for run in range(TIMES):
        told = kill_in_the_middle(child, "attaching.py", path, run, within_s=0.4, chance=chance)
        asyncio.run(kept(path, told))
