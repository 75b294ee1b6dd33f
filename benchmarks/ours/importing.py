"""What an import costs: a file as ChatGPT exports it into an empty store, and the rows of it by hand."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import time
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import convostore
from benchmarks.library import Texts

if TYPE_CHECKING:
    from pathlib import Path

    from convostore import ImportReport

_EACH = 20  # messages of a conversation
_AT_ONCE = 50  # conversations to a commit by hand: as many messages as an import commits
_TABLES = ("conversation", "message", "source_record", "search_pending")


class Importing:
    """The verb that is measured; mixed into the adapter that has the store."""

    path: Path

    async def imports(self, messages: int) -> dict[str, Any]:
        """Import a file of a quarter of *messages*, and one of all; write the rows of it by hand."""
        folder = self.path.parent
        small, whole = folder / "quarter.json", folder / "whole.json"
        await asyncio.to_thread(_write, small, messages // 4)
        await asyncio.to_thread(_write, whole, messages)
        await _imported(folder / "quarter.db", small)
        at_first = _peak_mib()
        took_s = await _imported(stored := folder / "whole.db", whole)
        peak = _peak_mib()
        by_hand_s = await asyncio.to_thread(_by_hand, stored, folder / "hand.db")
        return {
            "messages": messages,
            "mib": whole.stat().st_size / 2**20,
            "messages_per_s": messages / took_s,
            "by_hand_per_s": messages / by_hand_s,
            "of_hand": by_hand_s / took_s,
            "peak_mib": peak,
            "peak_grown_mib": peak - at_first,
        }


async def _imported(store: Path, source: Path) -> float:
    """Import a file into a new store; return how long it took, the start of a reader included."""
    async with convostore.open(store) as opened:
        began_s = time.perf_counter()
        report: ImportReport = await opened.import_(source).finish()
        assert report.added == report.records > 0
        return time.perf_counter() - began_s


def _write(path: Path, messages: int) -> None:
    """Write an export of conversations of 20 messages, piece by piece."""
    random = Random(messages)
    texts = Texts(random, messages)
    with path.open("w", encoding="utf-8") as file:
        for number in range(messages // _EACH):
            file.write("," if number else "[")
            json.dump(_conversation(random, texts, number), file)
        file.write("]")


def _conversation(random: Random, texts: Texts, number: int) -> dict[str, Any]:
    ids = [str(UUID(int=random.getrandbits(128))) for _ in range(_EACH + 1)]
    nodes: dict[str, Any] = {}
    for at, id_ in enumerate(ids[1:], start=1):
        message = {
            "id": id_,
            "author": {"role": ("assistant", "user")[at % 2], "name": None, "metadata": {}},
            "create_time": 1.7e9 + number * 1_000 + at + 0.25,
            "content": {"content_type": "text", "parts": [texts.text(at)]},
            "status": "finished_successfully",
            "weight": 1.0,
            "metadata": {"model_slug": "gpt-4o"} if at % 2 == 0 else {},
            "recipient": "all",
        }
        below = ids[at + 1 : at + 2]
        nodes[id_] = {"id": id_, "message": message, "parent": ids[at - 1], "children": below}
    nodes[ids[0]] = {"id": ids[0], "message": None, "parent": None, "children": ids[1:2]}
    return {
        "id": ids[0],
        "title": f"Number {number}",
        "create_time": 1.7e9 + number * 1_000,
        "mapping": nodes,
        "current_node": ids[-1],
    }


def _by_hand(stored: Path, target: Path) -> float:
    """Write the rows that an import has stored into an empty store with `executemany`, and commits."""
    asyncio.run(_make(target))
    with (
        closing(sqlite3.connect(stored)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as run,
    ):
        tables = [_rows(source, name) for name in _TABLES]
        run.execute("PRAGMA synchronous = FULL")
        run.execute("PRAGMA foreign_keys = OFF")
        began_s = time.perf_counter()
        parts = max(1, len(tables[0]) // _AT_ONCE)
        for part in range(parts):
            run.execute("BEGIN IMMEDIATE")
            for name, rows in zip(_TABLES, tables, strict=True):
                some = rows[part * len(rows) // parts : (part + 1) * len(rows) // parts]
                places = ",".join("?" * len(rows[0])) if rows else ""
                run.executemany(f"INSERT INTO {name} VALUES ({places})", some)
            run.execute("COMMIT")
        return time.perf_counter() - began_s


def _rows(source: sqlite3.Connection, name: str) -> list[tuple[Any, ...]]:
    return source.execute(f"SELECT * FROM {name}").fetchall()


async def _make(path: Path) -> None:
    async with convostore.open(path):
        pass


def _peak_mib() -> float:
    """Return the most memory that this process has had, and its reader: in both together."""
    most = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_maxrss for one in most) / 1024
