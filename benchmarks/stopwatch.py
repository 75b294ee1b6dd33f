"""What a stretch of work cost: wall time, quiet time, CPU; percentiles; what a sync costs.

Quiet time is elapsed time less the time in which threads of this process were ready to run and
had no CPU. It is what a shared machine's wall time would be if the neighbours were silent.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

SYNCS = 9  # enough for a median, and 2 ms in all on a good disk
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Spent:
    """What some work has cost.

    Attributes:
        elapsed_s: wall time.
        waiting_s: how long its threads were ready without a CPU, all threads together.
        cpu_s: CPU time of the whole process.
    """

    elapsed_s: float = 0.0
    waiting_s: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        """Add two stretches of work."""
        return Spent(
            self.elapsed_s + other.elapsed_s,
            self.waiting_s + other.waiting_s,
            self.cpu_s + other.cpu_s,
        )

    @property
    def quiet_s(self) -> float:
        """The elapsed time without the waits for a CPU."""
        return quiet(self.elapsed_s, self.waiting_s, self.cpu_s, os.cpu_count() or 1)


def quiet(elapsed_s: float, waiting_s: float, cpu_s: float, cores: int) -> float:
    """Return elapsed time less the waits, but never less than the CPU time allows.

    Several threads may wait at once, so their sum can pass the elapsed time: what was computed
    on *cores* processors still took its share of it.
    """
    return min(elapsed_s, max(elapsed_s - waiting_s, cpu_s / cores))


def waits() -> dict[str, int]:
    """Return for each thread of this process how long it was ready without a CPU, in ns.

    Source: Linux, Documentation/scheduler/sched-stats.rst: the second field of schedstat. Where
    the kernel keeps none, nothing is known of waits and quiet time is wall time.
    """
    found: dict[str, int] = {}
    try:
        threads = os.listdir(_TASKS)
    except OSError:
        return found
    for thread in threads:
        try:
            found[thread] = int((_TASKS / thread / "schedstat").read_text("ascii").split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile, or there is no such file
    return found


class Stopwatch:
    """Measures the stretch of work inside its `with` block, or between `start` and `stop`."""

    def __init__(self) -> None:
        self.spent = Spent()
        self._waits: dict[str, int] = {}
        self._wall_s = self._cpu_s = 0.0

    def __enter__(self) -> Stopwatch:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Begin a stretch."""
        self._waits = waits()
        self._cpu_s = time.process_time()
        self._wall_s = time.perf_counter()

    def stop(self) -> None:
        """End the stretch and add it to what was spent."""
        elapsed_s = time.perf_counter() - self._wall_s
        cpu_s = time.process_time() - self._cpu_s
        waited = sum(ns - self._waits.get(thread, 0) for thread, ns in waits().items())
        self.spent += Spent(elapsed_s, waited / 1e9, cpu_s)


def percentile(sorted_values: list[float], share: float) -> float:
    """Return the value below which *share* (0 to 1) of the sorted values lie."""
    if not sorted_values:
        return float("nan")
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def sync_cost_s(folder: Path) -> float:
    """Return what one small durable write costs in *folder* right now, as a median."""
    probe = folder / "sync-probe"
    file = os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        took = []
        for _ in range(SYNCS):
            os.pwrite(file, os.urandom(4096), 0)
            began_s = time.perf_counter()
            os.fsync(file)
            took.append(time.perf_counter() - began_s)
    finally:
        os.close(file)
        probe.unlink()
    return statistics.median(took)
