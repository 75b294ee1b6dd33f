"""A recording of one run, and how single values and ratios are read out of it."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result: TypeAlias = dict[str, Any]
Value: TypeAlias = "Callable[[Result], float]"


def per_second(result: Result) -> float:
    """Return operations a second of quiet time."""
    return float(result["operations"]) / max(float(result["quiet_s"]), 1e-9)


def per_wall_second(result: Result) -> float:
    """Return operations a second of wall time."""
    return float(result["operations"]) / max(float(result["elapsed_s"]), 1e-9)


def cpu_us(result: Result) -> float:
    """Return CPU microseconds an operation."""
    return float(result["cpu_s"]) * 1e6 / max(int(result["operations"]), 1)


def field(name: str) -> Value:
    """Return the reader of one field."""
    return lambda result: float(result[name])


class Recording:
    """All raw repeats of a run."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self._results: dict[tuple[str, str], dict[int, Result]] = {}
        for run in data["runs"]:
            if "result" in run:
                at = (run["workload"], run["system"])
                self._results.setdefault(at, {})[run["repeat"]] = run["result"]

    @classmethod
    def read(cls, file: Path) -> Recording:
        """Read a recording from its JSON file."""
        return cls(json.loads(file.read_text("utf-8")))

    def systems(self, workload: str, kind: str | None = None) -> list[str]:
        """List the systems that have results there, of one kind or of all."""
        known = self.data["systems"]
        return [
            system
            for at, system in self._results
            if at == workload and (kind is None or known.get(system, {}).get("kind") == kind)
        ]

    def results(self, workload: str, system: str) -> list[Result]:
        """Return the results of all repeats."""
        return list(self._results.get((workload, system), {}).values())

    def median(self, workload: str, system: str, value: Value) -> float | None:
        """Return the median over the repeats; None where there is no result, or no figure."""
        values = [value(result) for result in self._timed(workload, system).values()]
        return statistics.median(values) if values else None

    def ratio(self, one: tuple[str, str], other: tuple[str, str], value: Value) -> float | None:
        """Return how much *one* (workload, system) is of *other*: the median over the repeats.

        Both are of the same repeat each time, so that what the machine did then falls out.
        """
        pairs = self._pairs(one, other, value)
        ratios = [mine / theirs for mine, theirs in pairs if theirs]
        return statistics.median(ratios) if ratios else None

    def difference(
        self, one: tuple[str, str], other: tuple[str, str], value: Value
    ) -> float | None:
        """Return by how much *one* (workload, system) is above *other*, likewise."""
        pairs = self._pairs(one, other, value)
        return statistics.median([mine - theirs for mine, theirs in pairs]) if pairs else None

    def _pairs(
        self, one: tuple[str, str], other: tuple[str, str], value: Value
    ) -> list[tuple[float, float]]:
        """Return the values of both, for each repeat that has them."""
        ones, others = self._timed(*one), self._timed(*other)
        return [(value(ones[at]), value(others[at])) for at in ones.keys() & others.keys()]

    def best_peer(self, workload: str, value: Value) -> str | None:
        """Return the peer with the highest value there; None without peers."""
        found = {
            system: median
            for system in self.systems(workload, "peer")
            if (median := self.median(workload, system, value)) is not None
        }
        return max(found, key=lambda system: found[system]) if found else None

    def busy(self) -> float:
        """Return the share of the measured time in which threads were ready and had no CPU."""
        timed = [one["result"] for one in self.data["runs"] if "quiet_s" in one.get("result", {})]
        elapsed_s = sum(result["elapsed_s"] for result in timed)
        return 1 - sum(result["quiet_s"] for result in timed) / elapsed_s if elapsed_s else 0.0

    def _timed(self, workload: str, system: str) -> dict[int, Result]:
        """Leave out repeats in which not one operation succeeded: they have no times."""
        results = self._results.get((workload, system), {})
        return {repeat: one for repeat, one in results.items() if one.get("operations", 1)}

    def errors(self, workload: str, system: str) -> dict[str, int]:
        """Count the errors of all repeats, failed repeats too."""
        counted: dict[str, int] = {}
        for result in self.results(workload, system):
            for text, number in result.get("errors", {}).items():
                counted[text] = counted.get(text, 0) + number
        for run in self.data["runs"]:
            if (run["workload"], run["system"]) == (workload, system) and "error" in run:
                counted[run["error"]] = counted.get(run["error"], 0) + 1
        return counted
