"""SIGKILL while four conversations stream: what was acknowledged and shown is kept."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
import teller  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from convostore import ConversationRecord, Message
    from tests.engines import Where

BEHIND_BYTES = 4096  # what may have been shown and not be on disk


class Told:
    """What the children of one store have told so far, by conversation."""

    def __init__(self) -> None:
        self.asking: dict[str, list[str]] = defaultdict(list)
        self.asked: dict[str, list[str]] = defaultdict(list)
        self.shown: dict[str, str] = defaultdict(str)
        self.ended: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    def take(self, line: str) -> None:
        """Note one line of a child."""
        kind, name, *rest = json.loads(line)
        if kind == "opened":
            assert self.ids.setdefault(name, rest[0]) == rest[0]
        elif kind == "asking":
            self.asking[name].append(rest[0])
        elif kind == "asked":
            self.asked[name].append(rest[0])
        elif kind == "shown":
            self.shown[rest[0]] += rest[1]
        elif kind == "ended":
            self.ended[rest[0]] = rest[1]


def run_and_kill(child: Any, path: Where, told: Told, run: int, chance: random.Random) -> None:
    """Let a child stream, and kill it at a random instant after all four have been asked."""
    with child("streaming.py", path, run) as process:
        ready = len(told.asked) == 4
        for line in process.stdout:
            told.take(line)
            if not ready and len(told.asked) == 4:
                ready = True
            if ready and line.startswith('["asked"'):
                break
        killer = threading.Timer(chance.uniform(0, 0.35), process.send_signal, [signal.SIGKILL])
        killer.start()
        for line in process.stdout:
            told.take(line)
        killer.join()
    assert process.returncode == -signal.SIGKILL


async def what_is_kept(path: Where) -> dict[str, list[Message]]:
    """Read every conversation by its key, and look for damage."""
    async with convostore.open(path, create=False) as store:
        report = await store.check(deep=True)
        assert report.problems == ()
        records: tuple[ConversationRecord, ...] = (await store.list()).items
        return {
            record.key or "": list(await (await store.resume(record.id)).messages())
            for record in records
        }


def verify(kept: dict[str, list[Message]], told: Told) -> None:
    """Hold what is kept against what was told."""
    for name in told.asked:
        messages = kept[name]
        assert [one.seq for one in messages] == list(range(1, len(messages) + 1))
        assert all(one.parent_seq == (one.seq - 1 or None) for one in messages)
        questions = [one.text for one in messages if one.role == "user"]
        assert len(set(questions)) == len(questions), "a question is there twice"
        acknowledged = set(told.asked[name])
        assert acknowledged <= set(questions), "an acknowledged question is lost"
        assert [one for one in told.asking[name] if one in set(questions)] == questions
        for question, reply in zip(messages[::2], messages[1::2], strict=True):
            verify_reply(question.text, reply, told)


def verify_reply(question: str, reply: Message, told: Told) -> None:
    """Hold one reply against what was sent and shown of it."""
    whole = "".join(teller.pieces(question))
    shown = told.shown[question]
    assert reply.role == "assistant"
    if question in told.ended:
        assert (reply.status, reply.text) == ("completed", whole) == ("completed", shown)
        return
    assert whole.startswith(reply.text), "text that was never sent"
    if reply.status == "completed":
        assert reply.text == whole
        return
    assert reply.status == "interrupted"
    assert len(shown) - len(reply.text) < BEHIND_BYTES, "further behind than promised"


def kill_again_and_again(child: Any, path: Where, times: int, chance: random.Random) -> Told:
    """Kill as often, and look at the store after each kill; each child goes on with all four."""
    told = Told()
    for run in range(times):
        run_and_kill(child, path, told, run, chance)
        verify(asyncio.run(what_is_kept(path)), told)
    return told


@pytest.mark.timeout(300)
def test_sixty_kills_while_four_conversations_stream_lose_nothing(
    child: Any, path: Where, chance: random.Random
) -> None:
    """After each of 60 kills all is kept, and a new process goes on at once, without a wait."""
    told = kill_again_and_again(child, path, 60, chance)
    kept = asyncio.run(what_is_kept(path))
    statuses = {one.status for messages in kept.values() for one in messages}
    assert {"completed", "interrupted"} <= statuses
    assert sum(len(asked) for asked in told.asked.values()) >= 240


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_kills_lose_nothing(
    child: Any, places: Callable[[], Where], chance: random.Random
) -> None:
    """The same, a thousand times, in fifty stores."""
    for _ in range(50):
        kill_again_and_again(child, places(), 20, chance)
