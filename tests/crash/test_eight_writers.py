"""Eight processes write to the same conversations, some killed, some cut off; a checker judges.

The history of calls is held against what is stored: positions dense and unique, real-time order, no
lost update, and what has an unknown end there once or not at all.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from tests.engines import rows

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from convostore.records import Message
    from tests.engines import Where

HERE = Path(__file__).parent
WRITERS, KILLED = 8, 2


def contend(path: Where, times: int, chance: random.Random) -> list[list[Any]]:
    """Run eight writers at once, kill two on the way, cut connections; return what they told."""
    children = [
        subprocess.Popen(
            [sys.executable, str(HERE / "contending.py"), str(path), f"p{n}", str(times)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(WRITERS)
    ]
    killers = [threading.Timer(chance.uniform(0.5, 2), one.kill) for one in children[:KILLED]]
    for killer in killers:
        killer.start()
    over = threading.Event()
    cutting = threading.Thread(target=_cut, args=(path, over, chance))
    cutting.start()
    told = [json.loads(line) for one in children for line in one.communicate()[0].splitlines()]
    over.set()
    cutting.join()
    for killer in killers:
        killer.cancel()
    assert [one.returncode for one in children[KILLED:]] == [0] * (WRITERS - KILLED)
    return told


def _cut(path: Where, over: threading.Event, chance: random.Random) -> None:
    """End one connection of the writers now and then, where there are connections."""
    while isinstance(path, str) and not over.wait(chance.uniform(0.05, 0.3)):
        rows(
            path,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
            " datname = current_database() AND application_name = 'convostore'"
            " ORDER BY random() LIMIT 1",
        )


async def kept_in(path: Where) -> dict[str, tuple[Message, ...]]:
    """Return the messages of each room."""
    async with convostore.open(path, create=False) as store:
        assert (await store.check(deep=True)).problems == ()
        return {
            one.key or "": await (await store.resume(one.id)).messages()
            for one in (await store.list(limit=200)).items
        }


def judge(told: list[list[Any]], kept: dict[str, tuple[Message, ...]]) -> None:
    """Hold the history of calls against what is stored."""
    calls: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for kind, room, text, *rest in told:
        calls[room][text][kind] = rest
    for room, messages in kept.items():
        assert [one.seq for one in messages] == list(range(1, len(messages) + 1))
        assert [one.parent_seq for one in messages] == [None, *range(1, len(messages))][
            : len(messages)
        ]
        pairs = list(zip(messages[::2], messages[1::2], strict=True))
        assert all(answer.text == "to " + asked.text for asked, answer in pairs)
        places = {asked.text: asked.seq for asked, _ in pairs}
        assert len(places) == len(pairs), "stored twice"
        assert places.keys() <= calls[room].keys(), "nobody asked for it"
        latest_begin = 0
        for text, seq in places.items():
            call = calls[room][text]
            assert "moved" not in call, "refused, and stored all the same"
            end = call["stored"][1] if "stored" in call else float("inf")
            assert end > latest_begin, "stored before one that had been acknowledged earlier"
            latest_begin = max(latest_begin, call["began"][0])
            if "stored" in call and call["stored"][2] is not None:
                assert call["stored"][2] == seq - 1, "an update was lost"
        acknowledged = {
            text: one["stored"][0] for text, one in calls[room].items() if "stored" in one
        }
        assert {text: [seq, seq + 1] for text, seq in places.items() if text in acknowledged} == (
            acknowledged
        )


@pytest.mark.timeout(300)
def test_eight_writers_with_kills_and_cuts_keep_one_history(
    path: Where, chance: random.Random
) -> None:
    """What was acknowledged is there, once, where and when it was told; what was refused is not."""
    told = contend(path, 12, chance)
    judge(told, asyncio.run(kept_in(path)))
    assert sum(kind == "stored" for kind, *_ in told) > WRITERS * 4


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_eight_writers_again_and_again(places: Callable[[], Where], chance: random.Random) -> None:
    """The same with more appends, in thirty stores."""
    for _ in range(30):
        path = places()
        judge(contend(path, 30, chance), asyncio.run(kept_in(path)))
