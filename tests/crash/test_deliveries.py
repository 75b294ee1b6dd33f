"""Messages that a platform delivers several times: to several processes, and after a crash."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import convostore
from tests.engines import rows

if TYPE_CHECKING:
    from convostore.records import Message
    from tests.engines import Where

HERE = Path(__file__).parent
ROOM = "telegram:42"


def start(path: Where, log: Path, names: str, times: int, *more: str) -> subprocess.Popen[str]:
    """Start processes that answer messages."""
    command = [sys.executable, HERE / "delivering.py", path, names, times, log, *more]
    return subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def go(one: subprocess.Popen[str]) -> None:
    """Let a process that is ready begin."""
    assert one.stdin is not None
    assert one.stdout is not None
    assert json.loads(one.stdout.readline()) == ["ready"]
    one.stdin.write("go\n")
    one.stdin.flush()


def delivered(path: Where, log: Path, names: list[str], times: int) -> dict[str, set[Any]]:
    """Let processes answer at the same moment; return which replies they told, by the message."""
    told: dict[str, set[Any]] = {}
    answers = 0
    with start(path, log, ",".join(names), times) as children:
        go(children)
        for line in children.communicate()[0].splitlines():
            kind, key, *reply = json.loads(line)
            if kind == "answered":
                told.setdefault(key, set()).add(tuple(reply))
                answers += 1
    assert children.returncode == 0
    assert answers == len(names) * times * (2 if any(names) else 1)
    return told


async def stored(path: Where) -> tuple[Message, ...]:
    """Return all messages of the room, and look for damage."""
    async with convostore.open(path) as store:
        assert (await store.check(deep=True)).problems == ()
        return await (await store.get_or_create(ROOM)).messages()


def test_four_processes_ask_each_message_once_and_never_two_at_a_time(
    path: Where, tmp_path: Path
) -> None:
    """One model call and one stored turn for what all were told; the room's turns stand in line."""
    log, times, names = tmp_path / "calls", 3, [f"p{number}" for number in range(4)]
    told = delivered(path, log, names, times)
    assert len(told) == times * 5
    assert all(len(replies) == 1 for replies in told.values())
    calls = log.read_text().split()
    assert calls == ["begin", "end"] * (times * 5)
    messages = asyncio.run(stored(path))
    assert len(messages) == 2 * times * 5
    assert [one.parent_seq for one in messages] == [None, *range(1, len(messages))]
    for question, reply in zip(messages[::2], messages[1::2], strict=True):
        assert (question.role, reply.status) == ("user", "completed")
        assert reply.text == f"to {question.text}"


def test_message_that_a_killed_process_was_answering_is_asked_once_more_by_one_of_four(
    path: Where, tmp_path: Path
) -> None:
    """The others follow that answer; delivered again later, it is returned without the model."""
    log = tmp_path / "calls"
    with start(path, log, "", 1, "hang") as first:
        go(first)
        assert first.stdout is not None
        assert json.loads(first.stdout.readline()) == ["shown", "0"]
        deadline_s = time.monotonic() + 20
        while not rows(path, "SELECT seq FROM journal") and time.monotonic() < deadline_s:
            time.sleep(0.02)
        first.kill()
    for processes in (4, 1):
        told = delivered(path, log, [""] * processes, 1)
        assert {text for _, text in told["0"]} == {"to message 0"}
        assert len(told["0"]) == 1
    assert log.read_text().split() == ["begin", "begin", "end"]
    messages = asyncio.run(stored(path))
    assert [(one.parent_seq, one.status) for one in messages] == [
        (None, "completed"),
        (1, "interrupted"),
        (1, "completed"),
    ]
