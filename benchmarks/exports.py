"""Exports measured: messages a second and memory, beside the same rows written out by hand.

    python -m benchmarks.exports [--mb 10 --mb 600] [--out benchmarks/results/exports.md]

Each figure comes from a process of its own; the store is made once for each size. By hand is what this
machine can do at all: sqlite3 reads the rows in order, json or msgspec writes them as lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

import convostore
from convostore import Message
from convostore.exchange.counted import ExportReport
from convostore.exchange.layouts import FORMATS, LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL: Final = 50_000  # messages a second, as JSON lines
_EACH: Final = 40  # messages of a conversation
_CHARS: Final = 850  # of two messages on average, with what stands around them in a line
_COLUMNS: Final = (
    *("seq", "id", "parent_seq", "role", "author", "status", "text", "parts", "provider", "model"),
    *("finish_reason", "error", "idempotency_key", "created_at_ms", "finished_at_ms"),
    *("content_hash", "source_id", "conversation_id"),
)
_ROWS: Final = f"SELECT {', '.join(_COLUMNS)} FROM message ORDER BY conversation_id, seq"


async def _fill(where: Path, messages: int) -> None:
    async with convostore.open(where) as store:
        for number in range(0, messages, _EACH):
            chat = await store.create(title=f"Conversation {number}")
            await chat.append(
                *(
                    Message.user("How does it work, and why is that so? " * 4)
                    if at % 2 == 0
                    else Message.assistant("It works in small steps. " * 30, model="model")
                    for at in range(_EACH)
                )
            )


class Watch:
    """What passes between two looks."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew."""
        self._at_s, self._spent_s = time.perf_counter(), time.process_time()

    def told(self, messages: int) -> dict[str, float]:
        """Return what passed while so many messages were written."""
        took_s, spent_s = time.perf_counter() - self._at_s, time.process_time() - self._spent_s
        return {"per_s": messages / took_s, "per_cpu_s": messages / spent_s}


async def _export(where: Path, to: Path, format: str, watch: Watch) -> dict[str, float]:
    async with convostore.open(where) as store:
        await store.export("@", format=format, to=to)  # whatever is loaded once is loaded
        watch.begin()
        report = await store.export(format=format, to=to)
        return watch.told(report.messages if isinstance(report, ExportReport) else 0)


def _by_hand(
    where: Path, to: Path, write: Callable[[dict[str, object]], bytes], watch: Watch
) -> dict[str, float]:
    count = 0
    watch.begin()
    database = sqlite3.connect(f"file:{where}?mode=ro", uri=True)
    with to.open("wb") as file:
        for row in database.execute(_ROWS):
            file.write(write(dict(zip(_COLUMNS, row, strict=True))) + b"\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    database.close()
    return watch.told(count)


def measured(system: str, where: Path, to: Path) -> dict[str, float]:
    """Export once in this process, and return what it took."""
    watch = Watch()
    if system == "json by hand":
        found = _by_hand(where, to, lambda row: json.dumps(row).encode(), watch)
    elif system == "msgspec by hand":
        found = _by_hand(where, to, msgspec.json.encode, watch)
    else:
        found = asyncio.run(_export(where, to, system, watch))
    return found | {
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "mb": to.stat().st_size / 1e6,
    }


def _apart(system: str, where: Path, to: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.exports", "--one", system, str(where), str(to)],
        capture_output=True,
        check=True,
    )
    to.unlink()
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(sizes: list[int], folder: Path) -> str:
    """Measure every format at each size, and return it as a table."""
    lines = [
        "| size | what | messages/s | per second of processor | peak memory | file |",
        "|---|---|---|---|---|---|",
    ]
    for size in sizes:
        where = folder / f"{size}.db"
        asyncio.run(_fill(where, round(size * 1e6 / _CHARS)))
        large = size > 100  # there the two that matter suffice
        formats = [name for name in FORMATS if not large or name in {"jsonl", "html"}]
        for system in ("json by hand", "msgspec by hand", *formats):
            suffix = LAYOUTS[system].suffix if system in FORMATS else "out"
            one = _apart(system, where, folder / f"out.{suffix}")
            lines.append(
                f"| {size} MB | {system} | {one['per_s']:,.0f} | {one['per_cpu_s']:,.0f} "
                f"| {one['peak_mb']:,.0f} MB | {one['mb']:,.0f} MB |"
            )
            print(lines[-1], flush=True)
        where.unlink()
    return "\n".join(lines)


def main() -> None:
    """Read what is typed, measure, and print or keep the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("--mb", type=int, action="append", help="size of the store; several times")
    parser.add_argument("--out", type=Path, help="keep the table in this file")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    typed = parser.parse_args()
    if typed.one:
        system, where, to = typed.one
        print(json.dumps(measured(system, Path(where), Path(to))))
        return
    with tempfile.TemporaryDirectory() as folder:
        text = table(typed.mb or [10, 100], Path(folder))
    if typed.out:
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        about = (
            f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load} at the end."
        )
        typed.out.write_text(
            f"# Exports\n\nMade by `make bench-exports`. {about} The goal is {GOAL:,} messages/s "
            f"as `jsonl`, and memory that does not grow.\n\n{text}\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
