"""A disk without room: what was acknowledged stays, the error says so, and room mends it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import StoreFullError
from convostore.records import Message

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.only("sqlite", reason="it limits how far a file may grow")


def test_a_file_that_cannot_grow_costs_an_error_and_no_message(path: Path) -> None:
    """Under a limit on file sizes: typed errors, reads go on, and all works again afterwards."""
    program = Path(__file__).parent / "filling.py"
    done = subprocess.run(
        [sys.executable, str(program), str(path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told: list[list[Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    errors = [one for one in told if one[0] == "error"]
    assert errors
    assert {name for _, name, *_ in errors} == {"StoreFullError"}
    assert all("free some space" in hint for *_, hint in errors)
    results = {name: rest for name, *rest in told if name != "error"}
    assert results["read"][0]
    assert results["read"][1] > 3
    assert results["again"] == [True]
    assert results["check"] == [[]]
    assert results["reopened"] == [True]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 2 MiB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if not made or made.returncode:
        pytest.skip("mounting a small file system is not allowed here; the limit above stands in")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.asyncio
async def test_scrub_without_room_is_owed_until_there_is_some(small_disk: Path) -> None:
    """What was purged is gone all the same; the error says how much room the rest takes."""
    path = small_disk / "chats.db"
    async with convostore.open(path) as store:
        chat = await store.create(title="kept")
        await chat.append(*(Message.user(f"{number} " + "y " * 10_000) for number in range(15)))
        gone = await store.create(title="gone")
        await gone.append(Message.user("xyzzyplugh"))
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"b" * (shutil.disk_usage(small_disk).free - 300_000))
        with pytest.raises(StoreFullError, match="no room to write it anew") as caught:
            await gone.purge()
        assert "as much room as the file takes" in caught.value.hint
        assert [one.title for one in (await store.list()).items] == ["kept"]
        ballast.unlink()
        assert (await store.scrub()).was_owed
        assert not (await store.scrub()).was_owed
    assert b"xyzzyplugh" not in path.read_bytes()


@pytest.mark.asyncio
async def test_a_full_disk_costs_an_error_and_no_message(small_disk: Path) -> None:
    """On a file system that is really full: typed error, reads go on, room mends it."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"b" * 600_000)
    path = small_disk / "chats.db"
    kept: list[str] = []
    async with convostore.open(path) as store:
        chat = await store.create()
        with pytest.raises(StoreFullError, match="full"):
            await _fill(chat, kept)
        opened = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(10):
            with pytest.raises(StoreFullError):
                await chat.append(Message.user("y" * 200_000))
        assert len(list(Path("/proc/self/fd").iterdir())) <= opened, "failures leave files open"
        assert [one.text for one in await chat.history()] == kept
        ballast.unlink()
        await chat.append(Message.user("room again"))
        assert [one.text for one in await chat.history()] == [*kept, "room again"]
        assert (await store.check(deep=True)).problems == ()
    async with convostore.open(path) as store:
        chat = await store.resume("@")
        assert [one.text for one in await chat.history()] == [*kept, "room again"]


async def _fill(chat: convostore.Conversation, kept: list[str]) -> None:
    """Append until the disk is full, noting what was acknowledged."""
    while True:
        (stored,) = await chat.append(Message.user(f"{len(kept)} " + "x" * 20_000))
        kept.append(stored.text)
