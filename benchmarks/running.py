"""One run: every workload and system in random order, one at a time, again for each repeat."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks import commands, machine
from benchmarks.child import END_S, ROOT, START_S, Child, ChildError
from benchmarks.environments import python_of
from benchmarks.server import NoServerError, database_server, version_of
from benchmarks.systems import OURS, SYSTEMS, System, named
from benchmarks.workloads import SERVER, Command, Scale, Workload, workloads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from convostore.testing.postgres_process import PostgresProcess

MEMORY = Path("/dev/shm")  # a file system in memory is what is wanted
FORMAT = 1  # of the recording
FILL_S = 6 * 3600.0  # ten million messages are stored and indexed within it


class Bench:
    """The children, the folders and the recording of one run."""

    def __init__(self, scale: Scale, seed: int, only: Sequence[str] = ()) -> None:
        self.scale, self.random = scale, Random(seed)
        self.workloads = [one for one in workloads(scale) if _wanted(one, only)]
        self.disk = disk = ROOT / "build" / "bench"
        disk.mkdir(parents=True, exist_ok=True)
        memory = MEMORY if MEMORY.is_dir() else disk
        self.folders = {
            "disk": Path(tempfile.mkdtemp(dir=disk)),
            "memory": Path(tempfile.mkdtemp(prefix="convostore-bench-", dir=memory)),
        }
        self.recording: dict[str, Any] = {
            "format": FORMAT,
            "kind": scale.name,
            "seed": seed,
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine.facts(),
            "code": machine.code(),
            "memory_is_memory": memory == MEMORY,
            "workloads": {one.id: one.title for one in self.workloads},
            "systems": {},
            "runs": [],
        }
        self._only = only
        self._children: dict[tuple[str, int], Child] = {}
        self._verbs: dict[str, list[str]] = {}
        self._shelves: set[tuple[str, str]] = set()
        self._numbers = count()
        self._paced: subprocess.Popen[bytes] | None = None
        self._url = ""
        self._started = ExitStack()
        self._server: PostgresProcess | None = None
        self._no_server = "not measured in this run"

    def __enter__(self) -> Self:
        """Start the paced server, and PostgreSQL where it is measured."""
        self._paced = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.streaming.paced"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._paced.stdout is not None
        self._url = f"http://127.0.0.1:{int(self._paced.stdout.readline())}/"
        if any(one.place == "server" for one in self.workloads):
            try:
                self._server = self._started.enter_context(database_server(self.disk))
                self.recording["machine"]["postgres"] = version_of(self._server)
            except NoServerError as error:
                self._no_server = str(error)
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started, and remove the files."""
        for child in self._children.values():
            child.end()
        self._started.close()
        if self._paced is not None:
            self._paced.communicate(timeout=END_S)
        for folder in self.folders.values():
            shutil.rmtree(folder, ignore_errors=True)

    def run(self) -> dict[str, Any]:
        """Measure everything and return the recording."""
        began_s = time.monotonic()
        systems = [one for one in SYSTEMS if self._introduce(one)]
        for repeat in range(self.scale.repeats):
            for workload in self.random.sample(self.workloads, len(self.workloads)):
                fit = [one for one in systems if self._fits(one, workload)]
                for order, system in enumerate(self.random.sample(fit, len(fit))):
                    self._record(workload, system, repeat, order)
            print(f"repeat {repeat + 1} of {self.scale.repeats} done", flush=True)
        if _wanted_id("commands", self._only):
            self.recording["runs"] += self._commands()
        self.recording["code_changed"] = machine.code() != self.recording["code"]
        self.recording["took_s"] = round(time.monotonic() - began_s, 1)
        return self.recording

    def _introduce(self, system: System) -> bool:
        """Note who the system is; False, with the reason in the recording, when it cannot run."""
        entry: dict[str, Any] = {"kind": system.kind, "note": system.note}
        self.recording["systems"][system.name] = entry
        if python_of(system.environment) is None:
            entry["left_out"] = "not installed (make bench-peers)"
            return False
        if "server" in system.places and self._server is None:
            entry["left_out"] = self._no_server
            return False
        try:
            child = self._child(system)
            entry["versions"] = child.ask({"do": "versions"}, within_s=START_S)
            self._verbs[system.name] = child.ask({"do": "verbs"}, within_s=START_S)
        except ChildError as error:
            entry["left_out"] = f"its adapter does not start: {error}"
            return False
        return True

    def _fits(self, system: System, workload: Workload) -> bool:
        named_here = not workload.systems or system.name in workload.systems
        if workload.place not in system.places:
            return False
        return named_here and set(workload.verbs) <= set(self._verbs[system.name])

    def _child(self, system: System, index: int = 0) -> Child:
        key = (system.name, index)
        if key not in self._children:
            python = python_of(system.environment)
            assert python is not None
            self._children[key] = Child(system, python, self.folders["memory"])
        return self._children[key]

    def _record(self, workload: Workload, system: System, repeat: int, order: int) -> None:
        run: dict[str, Any] = {
            "workload": workload.id,
            "system": system.name,
            "repeat": repeat,
            "order": order,
        }
        try:
            run["result"] = self._measure(workload, system)
        except ChildError as error:
            run["error"] = str(error)
            self._forget(system)
        self.recording["runs"].append(run)

    def _measure(self, workload: Workload, system: System) -> Any:
        if workload.processes > 1:
            return self._together(workload, system)
        child = self._child(system)
        command = self._addressed(workload.measure)
        if workload.shelf:
            self._fill(child, workload)
            return child.ask({**command, "on": workload.shelf}, within_s=workload.within_s)
        with self._place(workload) as place:
            child.ask({"do": "open", **place}, within_s=START_S)
            try:
                return child.ask(command, within_s=workload.within_s)
            finally:
                child.ask({"do": "close"}, within_s=START_S)

    @contextmanager
    def _place(self, workload: Workload) -> Iterator[Command]:
        """Name a new file or database for the worker; it is removed at the end."""
        if workload.place == "server":
            assert self._server is not None
            name = f"bench_{next(self._numbers)}"
            place = {"path": self._server.make(name), "folder": str(self.folders["disk"])}
            try:
                yield place
            finally:
                self._server.drop(name)
            return
        path = self._new_path(workload)
        try:
            yield {"path": str(path)}
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)

    def _fill(self, child: Child, workload: Workload) -> None:
        """Fill the file that this and other workloads keep, the first time."""
        key = (child.system.name, workload.shelf)
        if key not in self._shelves:
            path = self._new_path(workload)
            on = {"on": workload.shelf}
            child.ask({"do": "open", "path": str(path), **on}, within_s=START_S)
            for command in workload.prepare:
                child.ask({**command, **on}, within_s=FILL_S)
            self._shelves.add(key)

    def _together(self, workload: Workload, system: System) -> dict[str, Any]:
        """Let several processes write to one file; each measures itself, the first one counts."""
        path = self._new_path(workload)
        children = [self._child(system, index) for index in range(workload.processes)]
        for child in children:
            child.ask({"do": "open", "path": str(path)}, within_s=START_S)
        at_s = time.monotonic() + 0.3
        for child in children:
            child.tell({**workload.measure, "at_s": at_s})
        results = [child.told(within_s=workload.within_s) for child in children]
        found = children[0].ask({"do": "once", "verb": "count", "arguments": []}, within_s=60.0)
        for child in children:
            child.ask({"do": "close"}, within_s=START_S)
        shutil.rmtree(path.parent, ignore_errors=True)
        done = [result["operations"] for result in results]
        errors = sum((Counter(result["errors"]) for result in results), Counter[str]())
        return {
            "operations": sum(done),
            "elapsed_s": max(result["elapsed_s"] for result in results),
            "cpu_s": sum(result["cpu_s"] for result in results),
            "p99_ms": statistics.median(result["p99_ms"] for result in results),
            "worst_ms": max(result["worst_ms"] for result in results),
            "slowest_of_fastest": min(done) / max(*done, 1),
            "errors": dict(errors),
            "lost_messages": 2 * sum(done) - found,
            "sync_ms": statistics.median(result["sync_ms"] for result in results),
        }

    def _commands(self) -> list[dict[str, Any]]:
        """Measure whole processes, on a store with a few chats."""
        chats = self.folders["memory"] / "commands" / "chats.db"
        chats.parent.mkdir()
        child = self._child(named(OURS))
        child.ask({"do": "open", "path": str(chats), "on": "commands"}, within_s=START_S)
        for _ in range(30):
            fill = {"do": "fill", "chat": "short", "arguments": [10], "on": "commands"}
            child.ask(fill, within_s=START_S)
        child.ask({"do": "close", "on": "commands"}, within_s=START_S)
        self._log_for_llm()
        found = commands.typed(chats)
        return commands.measure(found, self.scale.commands, self.folders["memory"], self.random)

    def _log_for_llm(self) -> None:
        """Give llm's own command line something to show, where it is installed."""
        llm = named("llm")
        if llm.name in self._verbs:
            (self.folders["memory"] / "llm").mkdir(exist_ok=True)
            path = str(self.folders["memory"] / "llm" / "logs.db")
            child, on = self._child(llm), {"on": "commands"}
            child.ask({"do": "open", "path": path, **on}, within_s=START_S)
            child.ask({"do": "fill", "chat": "log", "arguments": [10], **on}, within_s=START_S)
            child.ask({"do": "close", **on}, within_s=START_S)

    def _new_path(self, workload: Workload) -> Path:
        folder = self.folders[workload.place] / f"{next(self._numbers)}"
        folder.mkdir(mode=0o700)
        return folder / "chats.db"

    def _addressed(self, command: Command) -> Command:
        if "arguments" not in command:
            return command
        arguments = [
            one.replace(SERVER, self._url) if isinstance(one, str) else one
            for one in command["arguments"]
        ]
        return {**command, "arguments": arguments}

    def _forget(self, system: System) -> None:
        """End all children of a system after a failure; the next workload starts new ones."""
        for key in [key for key in self._children if key[0] == system.name]:
            self._children.pop(key).end()
        self._shelves = {key for key in self._shelves if key[0] != system.name}


def _wanted_id(id_: str, only: Sequence[str]) -> bool:
    return not only or any(id_.startswith(word) for word in only)


def _wanted(workload: Workload, only: Sequence[str]) -> bool:
    return _wanted_id(workload.id, only)
