"""Several processes at one store: at once, one of them killed, one of them hanging."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import StoreBusyError
from convostore.records import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines import Where

HERE = Path(__file__).parent
LOCK = pytest.mark.only("sqlite", reason="it holds the lock beside the file")


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a program of this folder that is told things over its stdin."""
    return subprocess.Popen(
        [sys.executable, str(HERE / program), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def run_at_once(path: Where, processes: int, times: int) -> list[list[Any]]:
    """Let so many processes begin at the same moment; return all that they told."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(start("sharing.py", path, f"p{n}", times)) for n in range(processes)
        ]
        for one in children:
            assert one.stdout is not None
            assert json.loads(one.stdout.readline()) == ["ready"]
        for one in children:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        told = [json.loads(line) for one in children for line in one.communicate()[0].splitlines()]
        assert [one.returncode for one in children] == [0] * processes
    return told


async def rooms(path: Where) -> dict[str, list[Message]]:
    """Return the messages of each keyed conversation, and look for damage."""
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        records = (await store.list(limit=200)).items
        assert len({record.key for record in records}) == len(records), "a key was given twice"
        return {
            record.key or "": list(await (await store.resume(record.id)).messages())
            for record in records
        }


def verify(told: list[list[Any]], kept: dict[str, list[Message]]) -> None:
    """Hold positions and order against what each caller was told, and when."""
    for room, messages in kept.items():
        mine = [one for one in told if one[0] == room]
        assert [one.seq for one in messages] == list(range(1, 2 * len(mine) + 1))
        assert [one.parent_seq for one in messages] == [None, *range(1, len(messages))]
        places = {one.text: one.seq for one in messages}
        assert all([places[text], places["to " + text]] == seqs for _, text, seqs, *_ in mine)
        latest_begin = 0
        for _, _, _, begin, end in sorted(mine, key=lambda one: one[2][0]):
            assert end > latest_begin, "stored before one that had been acknowledged earlier"
            latest_begin = max(latest_begin, begin)


def test_four_processes_with_sixteen_tasks_each_lose_and_double_nothing(path: Where) -> None:
    """Positions are dense and unique, and follow real time, in conversations that all share."""
    told = run_at_once(path, 4, 6)
    assert len(told) == 4 * 16 * 6
    verify(told, asyncio.run(rooms(path)))


def test_eight_processes_open_a_new_store_at_once(new_path: Where) -> None:
    """All eight find or make the same schema, the same owner and the same conversations."""
    told = run_at_once(new_path, 8, 1)
    kept = asyncio.run(rooms(new_path))
    assert len(kept) == 4
    verify(told, kept)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_processes_at_once_again_and_again(places: Callable[[], Where]) -> None:
    """The same with more appends, in thirty stores."""
    for _ in range(30):
        path = places()
        told = run_at_once(path, 4, 20)
        verify(told, asyncio.run(rooms(path)))


LOCKER = """
import fcntl, sys, time
file = open(sys.argv[1] + "-lock", "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""
UNCLOSED = """
import asyncio, sys
import convostore
async def main():
    store = await convostore.open(sys.argv[1], busy_timeout_s=0.5)
    print((await store.create(title="kept")).id, flush=True)
    await store.list()
    if "raise" in sys.argv:
        raise SystemExit(3)
asyncio.run(main())
"""
HELD = """
import asyncio, sys
import convostore
async def main():
    async with convostore.open(sys.argv[1], busy_timeout_s=0.5) as store:
        try:
            await store.create()
        except convostore.errors.StoreBusyError as error:
            print(error, flush=True)
asyncio.run(main())
"""


@LOCK
@pytest.mark.asyncio
async def test_a_process_can_exit_while_a_stopped_one_holds_the_lock(path: Where) -> None:
    """A neighbour stopped with the lock in its hand costs an error, and no hanging exit."""
    async with convostore.open(path) as store:
        await store.create(title="before")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, path], stdout=subprocess.PIPE, text=True
    ) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "held\n"
        os.kill(locker.pid, signal.SIGSTOP)
        done = subprocess.run(
            [sys.executable, "-c", HELD, path],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        locker.kill()
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was stored" in done.stdout
    async with convostore.open(path) as store:  # a killed holder's lock is free at once
        assert [one.title for one in (await store.list()).items] == ["before"]
        await store.create(title="after")


@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_store_that_is_never_closed_does_not_hang_the_exit(path: Where, how: str) -> None:
    """A program that forgets to close, or leaves by SystemExit, ends; what it stored is kept."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNCLOSED, path, how],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == (3 if how == "raise" else 0)

    async def titles() -> list[str | None]:
        async with convostore.open(path) as store:
            return [one.title for one in (await store.list()).items]

    assert asyncio.run(titles()) == ["kept"]


FORKED = """
import asyncio, os, sys
import convostore
from tests.engines import Where
async def main():
    async with convostore.open(sys.argv[1]) as store:
        chat = await store.create(title="parent")
        await chat.append(convostore.Message.user("before"))
        if os.fork() == 0:
            try:
                for verb in (chat.append(convostore.Message.user("child")), chat.history()):
                    try:
                        verb.send(None)
                        os._exit(1)
                    except convostore.errors.StoreClosedError as error:
                        if "fork" not in str(error):
                            os._exit(2)
                os._exit(7)
            except BaseException:
                os._exit(3)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
        await chat.append(convostore.Message.user("parent"))
        assert [one.text for one in await chat.history()] == ["before", "parent"]
asyncio.run(main())
"""


def test_a_forked_child_is_refused_and_the_parent_goes_on(path: Where) -> None:
    """The child's every verb says that the store has to be opened again; nothing is damaged."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@LOCK
@pytest.mark.asyncio
async def test_a_busy_store_still_answers_readers(path: Where) -> None:
    """While another process holds the lock and SQLite's own, reading goes on."""
    async with convostore.open(path, busy_timeout_s=0.3) as store:
        chat = await store.create(title="kept")
        await chat.append(Message.user("question"))
        with subprocess.Popen(
            [sys.executable, "-c", LOCKER, path], stdout=subprocess.PIPE, text=True
        ) as locker:
            assert locker.stdout is not None
            assert locker.stdout.readline() == "held\n"
            assert [one.text for one in await chat.history()] == ["question"]
            with pytest.raises(StoreBusyError):
                await chat.append(Message.user("not now"))
            locker.kill()
        await chat.append(Message.user("now"))
        assert [one.text for one in await chat.history()] == ["question", "now"]
