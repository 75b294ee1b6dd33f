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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

SYNCS = 9  # enough for a median, and 2 ms in all on a good disk
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Spent:
    """What some work has cost.

    Attributes:
        elapsed_s: wall time.
        waiting_s: how long its threads were ready without a CPU, all threads together.
        cpu_s: CPU time of the whole process.
        busiest_s: CPU time of the thread that used most of it.
    """

    elapsed_s: float = 0.0
    waiting_s: float = 0.0
    cpu_s: float = 0.0
    busiest_s: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        """Add two stretches of work."""
        return Spent(
            self.elapsed_s + other.elapsed_s,
            self.waiting_s + other.waiting_s,
            self.cpu_s + other.cpu_s,
            self.busiest_s + other.busiest_s,
        )

    @property
    def quiet_s(self) -> float:
        """The elapsed time without the waits for a CPU."""
        return quiet(self, os.cpu_count() or 1)


def quiet(spent: Spent, cores: int) -> float:
    """Return elapsed time less the waits, but never less than the CPU time allows.

    Several threads may wait at once, so the sum of their waits can pass what was lost. What was
    computed took its time all the same: all of it on *cores* processors, and each thread's part
    one thing after the other.
    """
    least_s = max(spent.cpu_s / cores, spent.busiest_s)
    return min(spent.elapsed_s, max(spent.elapsed_s - spent.waiting_s, least_s))


def threads() -> dict[str, tuple[int, int]]:
    """Return for each thread of this process its CPU time and its waits for a CPU, in ns.

    Source: Linux, Documentation/scheduler/sched-stats.rst: the first two fields of schedstat.
    Where the kernel keeps none, nothing is known of waits and quiet time is wall time.
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        folders = list(_TASKS.iterdir())
    except OSError:
        return found
    for folder in folders:
        try:
            ran, waited = (folder / "schedstat").read_text("ascii").split()[:2]
        except (OSError, ValueError):
            continue  # it ended meanwhile, or there is no such file
        found[folder.name] = (int(ran), int(waited))
    return found


class Stopwatch:
    """Measures the stretch of work inside its `with` block, or between `start` and `stop`."""

    def __init__(self) -> None:
        self.spent = Spent()
        self._before: dict[str, tuple[int, int]] = {}
        self._wall_s = self._cpu_s = 0.0

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Begin a stretch."""
        self._before = threads()
        self._cpu_s = time.process_time()
        self._wall_s = time.perf_counter()

    def stop(self) -> None:
        """End the stretch and add it to what was spent."""
        elapsed_s = time.perf_counter() - self._wall_s
        cpu_s = time.process_time() - self._cpu_s
        ran_ns, waited_ns = [0], [0]
        for name, (ran, waited) in threads().items():
            ran_before, waited_before = self._before.get(name, (0, 0))
            ran_ns.append(ran - ran_before)
            waited_ns.append(waited - waited_before)
        self.spent += Spent(elapsed_s, sum(waited_ns) / 1e9, cpu_s, max(ran_ns) / 1e9)


def percentile(sorted_values: list[float], share: float) -> float:
    """Return the value below which *share* (0 to 1) of the sorted values lie."""
    if not sorted_values:
        return float("nan")
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def sync_cost_s(folder: Path) -> float:
    """Return what one small durable write costs in *folder* right now, as a median."""
    probe = folder / f"sync-probe-{os.getpid()}"
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
