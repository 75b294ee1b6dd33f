"""A file of any length is read with the memory of a few of its records."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MAKING = """
import json, resource, sys
from convostore.exchange.reading import open_export

WRAPPER, MEGABYTES = sys.argv[1], int(sys.argv[2])


def conversation(number):
    mapping, parent = {}, None
    for at in range(40):
        id_ = f"{number:08x}-{at:04x}"
        text = f'{number} says "quoted" words and lines\\n' * (2 + at % 2 * 18)
        author = {"role": "assistant" if at % 2 else "user", "name": None, "metadata": {}}
        content = {"content_type": "text", "parts": [text]}
        message = {"id": id_, "author": author, "create_time": 1767583930.285031 + at,
                   "content": content, "status": "finished_successfully", "recipient": "all",
                   "metadata": {"model_slug": "gpt-4o", "citations": [], "timestamp_": "absolute"}}
        mapping[id_] = {"id": id_, "parent": parent, "children": [], "message": message}
        parent = id_
    return {"id": f"c-{number}", "title": "t", "mapping": mapping, "current_node": parent}


class Made:
    "A file that is made while it is read."

    def __init__(self):
        self.left, self.number, self.held = MEGABYTES * 1_000_000, 0, b""
        start, self.end, self.sep = {
            "array": (b"[", b"]", b", "),
            "wrapper": (b'{"v": 1, "conversations": [', b'], "n": 2}', b",\\n"),
            "lines": (b"", b"\\n", b"\\n"),
        }[WRAPPER]
        self.held = start

    def read(self, size=-1):
        while len(self.held) < size and self.left > 0:
            raw = json.dumps(conversation(self.number)).encode()
            self.held += (self.sep if self.number else b"") + raw
            self.number += 1
            self.left -= len(raw)
            if self.left <= 0:
                self.held += self.end
        piece, self.held = self.held[:size], self.held[size:]
        return piece


"""
READING = """
made = Made()
with open_export(made) as export:
    messages = sum(len(getattr(one, "messages", ())) for one in export)
assert messages == 40 * made.number, (messages, made.number)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
STORING = """
import asyncio, os, pathlib, threading, time
import convostore

made, folder = Made(), pathlib.Path(sys.argv[3])
with (folder / "made.json").open("wb") as file:
    while piece := made.read(1_000_000):
        file.write(piece)
peak, done = 0, threading.Event()


def shares(pid):
    "Its memory and that of its children; what several have in common counts once."
    with open(f"/proc/{pid}/smaps_rollup") as told:
        own = sum(int(line.split()[1]) for line in told if line.startswith("Pss:"))
    for tasks in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        own += sum(shares(int(child)) for child in tasks.read_text().split())
    return own


def watch():
    global peak
    while not done.wait(0.05):
        try:
            peak = max(peak, shares(os.getpid()))
        except OSError:
            pass  # the child has just ended


async def take_in():
    async with convostore.open(folder / "chats.db") as store:
        report = await store.import_(folder / "made.json").finish()
        assert report.messages == 40 * made.number


watching = threading.Thread(target=watch)
watching.start()
asyncio.run(take_in())
done.set()
watching.join()
print(peak * 1024)
"""


def peak_bytes(wrapper: str, megabytes: int) -> int:
    """Return the most memory that a process of its own had while it read so much."""
    command = [sys.executable, "-c", MAKING + READING, wrapper, str(megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("wrapper", ["array", "wrapper", "lines"])
def test_memory_does_not_grow_with_the_file(wrapper: str) -> None:
    """Ten times the file takes no more than a few megabytes more."""
    assert peak_bytes(wrapper, 20) - peak_bytes(wrapper, 2) < 12_000_000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_600_megabytes_take_less_than_150() -> None:
    """The whole process, the interpreter included."""
    assert peak_bytes("array", 600) < 150_000_000


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(sys.platform != "linux", reason="what processes share is told by Linux alone")
def test_600_megabytes_are_stored_with_less_than_150(tmp_path: Path) -> None:
    """The process that reads and the one that stores, together."""
    command = [sys.executable, "-c", MAKING + STORING, "array", "600", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150_000_000
