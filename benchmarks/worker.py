"""The child process of one system: reads a command a line, writes an answer a line.

Run as `python -m benchmarks.worker benchmarks.peers.llm_logs:LogDatabase`, by the interpreter of
the system's own environment. It needs the standard library alone, but for the adapter's module.

.. code-block:: text

    {"do": "versions"}                       -> {"ok": {"llm": "0.36"}}
    {"do": "open", "path": "/tmp/x/chats.db"} -> {"ok": null}
    {"do": "open", "path": "postgresql://...", "folder": "/tmp/x"}   where a sync is timed
    {"do": "write", "operation": "append", "tasks": 1, "seconds": 0.5, "turns_each": 8}
    {"do": "fill", "chat": "long", "arguments": [1000]}   keeps the conversation under a name
    {"do": "repeat", "verb": "load", "chat": "long", "seconds": 0.3}
    {"do": "once", "verb": "many_streams", "arguments": [...]}   the adapter measures by itself
    {"do": "close"}

A command's `on` names the file it works on, where several are open at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import driving
from benchmarks.driving import settled
from benchmarks.stopwatch import sync_cost_s

if TYPE_CHECKING:
    from benchmarks.adapter import Adapter, Chat


class Worker:
    """One system, the files it has open, and the conversations in them that commands name."""

    def __init__(self, adapter_name: str) -> None:
        module, _, name = adapter_name.partition(":")
        self._kind: type[Adapter] = getattr(import_module(module), name)
        self._opened: dict[str, Adapter] = {}
        self._folders: dict[str, Path] = {}
        self._chats: dict[tuple[str, str], Chat] = {}

    async def answer(self, command: dict[str, Any]) -> Any:
        """Do one command and return its result."""
        return await getattr(self, f"do_{command.pop('do')}")(**command)

    async def do_versions(self) -> dict[str, str]:
        """Return the versions of what the system is made of."""
        return {name: _version(name) for name in self._kind.packages}

    async def do_verbs(self) -> list[str]:
        """Return what the adapter can do."""
        return [name for name in dir(self._kind) if not name.startswith("_")]

    async def do_open(self, path: str, folder: str = "", on: str = "") -> None:
        """Open a database file, or a database whose server keeps its files in *folder*."""
        adapter = self._kind()
        await settled(adapter.open(path))
        self._opened[on], self._folders[on] = adapter, Path(folder or Path(path).parent)

    async def do_close(self, on: str = "") -> None:
        """Close it."""
        await settled(self._opened.pop(on).close())

    async def do_write(self, *, at_s: float | None = None, on: str = "", **how: Any) -> Any:
        """Write turns; from the moment *at_s* of the machine's monotonic clock on, if given."""
        sync_ms = sync_cost_s(self._folders[on]) * 1e3
        if at_s is not None:
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
        return await driving.write(self._opened[on], **how) | {"sync_ms": sync_ms}

    async def do_fill(self, chat: str, arguments: list[Any], on: str = "") -> None:
        """Make a long conversation and keep it under the name *chat*."""
        self._chats[on, chat] = await settled(self._verb(on, "fill")(*arguments))

    async def do_repeat(
        self, verb: str, *, seconds: float, chat: str = "", texts: bool = False, on: str = ""
    ) -> dict[str, Any]:
        """Call a verb again and again; with a kept conversation, and a turn's texts, if asked."""
        arguments = [self._chats[on, chat]] if chat else []
        if texts:
            arguments += driving.texts(time.monotonic_ns() % 10**8)
        return await driving.repeat(self._verb(on, verb), arguments, seconds)

    async def do_once(self, verb: str, arguments: list[Any], on: str = "") -> Any:
        """Call a verb of the adapter once and return what it returns."""
        return await settled(self._verb(on, verb)(*arguments))

    def _verb(self, on: str, name: str) -> Any:
        return getattr(self._opened[on], name)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


async def serve(adapter_name: str, answers: int) -> None:
    """Answer commands from standard input until it ends; nothing else runs in between."""
    worker: Worker | None = None
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        for line in sys.stdin:
            try:
                worker = worker or Worker(adapter_name)
                reply = {"ok": await worker.answer(json.loads(line))}
            except Exception as error:  # noqa: BLE001 - the parent is told, and goes on
                reply = {"error": f"{type(error).__name__}: {error}", "at": traceback.format_exc()}
            out.write(json.dumps(reply) + "\n")
            out.flush()


def main() -> None:
    """Serve; whatever the system prints goes to standard error, so that it cannot break a line."""
    answers = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(serve(sys.argv[1], answers))


if __name__ == "__main__":
    main()
