"""Leases: a dead writer is known, its reply closed once, and a slow one may finish once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import ConversationBusyError, IncompleteReplyError
from convostore.events import Finished
from convostore.records import Message
from convostore.storage.leases import DEAD_AFTER_MS, is_dead, new_lease
from convostore.testing import ManualClock, ScriptedProvider
from convostore.turning.recovery import close_dead_replies
from tests.engines import change, rows

if TYPE_CHECKING:
    from convostore import Conversation
    from tests.engines import Where

NOW_MS = 1_000_000_000
LONG_AGO_MS = NOW_MS - DEAD_AFTER_MS - 1


def lease(**changed: object) -> str:
    """Return this process's lease with some fields changed."""
    names = ("token", "boot", "namespace", "pid", "started", "renewed_ms")
    own = new_lease("token", NOW_MS).split("|")
    return "|".join(str(changed.get(name, value)) for name, value in zip(names, own, strict=True))


@pytest.mark.parametrize(
    ("changed", "dead"),
    [
        ({}, False),
        ({"renewed_ms": 0}, False),
        ({"started": 1}, True),
        ({"pid": 999_999_999}, True),
        ({"boot": "another"}, False),
        ({"boot": "another", "renewed_ms": LONG_AGO_MS + 1}, False),
        ({"boot": "another", "renewed_ms": LONG_AGO_MS}, True),
        ({"namespace": "another", "renewed_ms": NOW_MS + DEAD_AFTER_MS + 1}, True),
        ({"pid": "x"}, True),
        ({"boot": "another", "renewed_ms": "soon"}, True),
    ],
)
def test_a_writer_is_known_to_be_dead(changed: dict[str, object], dead: bool) -> None:
    """On the same machine by its process, elsewhere by the lease's age."""
    assert is_dead(lease(**changed), NOW_MS) is dead


@pytest.mark.parametrize("stored", [None, "", "token", "a|b|c", "||||||"])
def test_a_lease_that_nobody_can_read_is_dead(stored: str | None) -> None:
    """A running reply without a proper lease is not waited for."""
    assert is_dead(stored, NOW_MS)


def test_a_zombie_is_dead() -> None:
    """A killed child that its parent has not looked at yet holds nobody up."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = _started(process.pid)
        alive = lease(pid=str(process.pid), started=started)
        assert not is_dead(alive, NOW_MS)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(alive, NOW_MS)


def _started(pid: int) -> str:
    from pathlib import Path

    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[19]


def bury(path: Where) -> None:
    """Make every running reply look as if its writer had died."""
    for seq, lease_ in rows(path, "SELECT seq, lease FROM message WHERE status = 'streaming'"):
        dead = lease_.partition("|")[0] + "|x|x|1|1|0"
        change(path, "UPDATE message SET lease = ? WHERE seq = ?", dead, seq)


async def close_dead(chat: Conversation) -> int:
    """Close the dead replies of the conversation's owner."""
    return await close_dead_replies(chat._place.database, chat._place.owner_id)


async def texts(chat: Conversation) -> list[tuple[int | None, str, str, str]]:
    """Return parent, role, status and text of the whole tree."""
    return [(one.parent_seq, one.role, one.status, one.text) for one in await chat.messages()]


def begun(path: Where) -> tuple[Any, ScriptedProvider]:
    """Return a store whose first turn stops half-way."""
    provider = ScriptedProvider()
    provider.script("first ", "second ", provider.gate("half"), "third", Finished())
    return convostore.open(path, provider=provider), provider


@pytest.mark.asyncio
async def test_a_reply_whose_writer_was_only_slow_is_finished_once(path: Where) -> None:
    """Closed as interrupted by somebody else, it is completed by its writer after all."""
    store, provider = begun(path)
    async with store:
        chat = await store.create()
        with ManualClock():  # no tick renews what is buried
            turn = await chat.stream("go").__aenter__()
            await anext(turn)
            await anext(turn)
            bury(path)
            assert await close_dead(chat) == 1
            assert await close_dead(chat) == 0
            assert (await texts(chat))[1][2] == "interrupted"
            assert (await store.find("@")).interrupted_count == 1
            provider.gate("half").open()
            await turn.drain()
            await turn.__aexit__(None, None, None)
        assert await texts(chat) == [
            (None, "user", "completed", "go"),
            (1, "assistant", "completed", "first second third"),
        ]
        assert (await store.find("@")).interrupted_count == 0
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_a_closed_reply_takes_nothing_more_into_its_journal(path: Where) -> None:
    """Not from its own writer either: what it has is in the record, and the journal is cleared."""
    store, provider = begun(path)
    async with store:
        chat = await store.create()
        with ManualClock():  # as above
            turn = await chat.stream("go").__aenter__()
            await anext(turn)
            bury(path)
            assert await close_dead(chat) == 1
            await anext(turn)
            assert turn._buffer.unsaved_bytes
            turn.tick()
            await turn._journal.settled()
            assert rows(path, "SELECT count(*) FROM journal") == [(0,)]
            provider.gate("half").open()
            await turn.__aexit__(None, None, None)
        assert turn.reply.text.startswith("first second ")
        assert (await chat.history())[-1].text == turn.reply.text
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_a_late_reply_that_was_gone_on_from_becomes_a_sibling(path: Where) -> None:
    """Its words are kept beside the interrupted one, and what came after stays where it is."""
    store, provider = begun(path)
    async with store:
        chat = await store.create()
        with ManualClock():  # as above
            turn = await chat.stream("go").__aenter__()
            await anext(turn)
            bury(path)
            other = await store.resume(chat.id)
            await other.append(Message.user("and on"))
            provider.gate("half").open()
            await turn.drain()
            await turn.__aexit__(None, None, None)
        assert turn.reply.text == "first second third"
        tree = await texts(other)
        assert tree[1][2] == "interrupted"
        assert "first second third".startswith(tree[1][3])
        assert tree[2:] == [
            (2, "user", "completed", "and on"),
            (1, "assistant", "completed", "first second third"),
        ]
        assert (await other.history())[-1].text == "and on"
        assert (await store.resume("@")).record.head_seq == 3
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_a_fenced_writer_puts_nothing_more_in_the_journal(path: Where) -> None:
    """With another writer's token in the row a flush changes nothing, and the turn ends at once.

    No journal would take what it shows; what it has shown by then is stored as a sibling.
    """
    store, provider = begun(path)
    async with store:
        chat = await store.create()
        async with chat.stream("go") as turn:
            await anext(turn)
            ((mine,),) = rows(path, "SELECT lease FROM message WHERE status = 'streaming'")
            stolen = "thief|" + mine.partition("|")[2]
            change(path, "UPDATE message SET lease = ? WHERE status = 'streaming'", stolen)
            turn.tick()
            await turn._journal.settled()
            assert rows(path, "SELECT count(*) FROM journal") == [(0,)]
            provider.gate("half").open()
            with pytest.raises(IncompleteReplyError, match="taken for dead"):
                await turn.drain()
        tree = await texts(chat)
        assert tree[2][:3] == (1, "assistant", "failed")
        assert tree[2][3].startswith("first ")
        assert turn.reply.id == (await chat.messages())[2].id


@pytest.mark.asyncio
async def test_a_living_writer_is_neither_closed_nor_overtaken(path: Where) -> None:
    """A second caller is told to wait, and a reader sees the reply running."""
    store, _ = begun(path)
    async with store:
        chat = await store.create()
        async with chat.stream("go") as turn:
            await anext(turn)
            assert await close_dead(chat) == 0
            async with convostore.open(path, provider=ScriptedProvider()) as second:
                again = await second.resume(chat.id)
                assert (await again.history())[-1].status == "streaming"
                with pytest.raises(ConversationBusyError):
                    await again.send("me too", wait_s=0)
        assert [one[2] for one in await texts(chat)] == ["completed", "stopped"]


@pytest.mark.asyncio
async def test_a_reader_shows_a_dead_reply_as_interrupted_without_writing(path: Where) -> None:
    """What died is displayed with its journal; the file is left as it is until somebody writes."""
    store, _ = begun(path)
    async with store:
        chat = await store.create()
        with ManualClock():  # as above
            turn = await chat.stream("go").__aenter__()
            await anext(turn)
            turn.tick()
            await turn._journal.settled()
            bury(path)
            async with convostore.open(path) as reader:
                reply = (await (await reader.resume("@")).history())[-1]
                assert (reply.status, reply.text) == ("interrupted", "first ")
            assert rows(path, "SELECT status FROM message WHERE seq = 2") == [("streaming",)]
            await turn.__aexit__(None, None, None)
