"""A recording as Markdown: the goals, the ratios, each workload's figures, the machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.goals import Goal, goals
from benchmarks.recording import cpu_us, field, per_second, per_wall_second
from benchmarks.systems import LIMIT, ours_at, same_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.recording import Recording, Value

MAIN = (
    "turn-1-disk",
    "turn-64-disk",
    "append-1-disk",
    "append-64-disk",
    "append-1-memory",
    "append-64-memory",
    "turn-1-server",
    "turn-64-server",
    "append-1-server",
    "append-64-server",
)
SERVER = tuple(one for one in MAIN if one.endswith("-server"))
FILES_MAIN = tuple(one for one in MAIN if one not in SERVER)
WORDS = {"kept_up": {0.0: "no", 1.0: "yes"}}


def report(run: Recording) -> str:
    """Return the whole report."""
    parts = ["# Results", _summary(run), "## Goals", goals_table(run), "## Ratios", main_table(run)]
    for workload, title in run.data["workloads"].items():
        if run.systems(workload):
            parts += [f"### {title[0].upper()}{title[1:]}", workload_table(run, workload)]
    parts += ["### Commands, whole processes", _commands_table(run)]
    parts += ["## Systems", _systems_table(run), "## Machine", _machine_table(run)]
    return "\n\n".join(part for part in parts if part) + "\n"


def goals_table(run: Recording) -> str:
    """Return the goals, what was measured, and whether it is enough."""
    rows = []
    for goal in goals():
        value = goal.value(run)
        rows.append([goal.what, goal.against, *_measured(goal, run), _reached(goal.reached(value))])
    head = ("what", "against", "measured", "wall", "must", "aim", "met")
    return table(head, rows, "llrrrrl")


def _measured(goal: Goal, run: Recording) -> list[str]:
    sign = ">= " if goal.better == "more" else "<= "
    wanted = ["" if one is None else sign + figure(one, goal.unit) for one in (goal.must, goal.aim)]
    wall = None if goal.wall is None else goal.wall(run)
    return [figure(goal.value(run), goal.unit), figure(wall, goal.unit), *wanted]


def _reached(word: str) -> str:
    return {"no": "**no**", "aim": "yes, the aim too"}.get(word, word)


def main_table(run: Recording) -> str:
    """Return the ratios of the writes: the table that goes into the README."""
    rows = []
    for workload in filter(run.systems, MAIN):
        ours = (workload, ours_at(workload))
        best = run.best_peer(workload, per_second)
        peer = None if best is None else (workload, best)
        rows.append(
            [
                run.data["workloads"].get(workload, workload),
                figure(run.ratio(ours, (workload, same_at(workload)), per_second), "x"),
                figure(run.ratio(ours, (workload, LIMIT), per_second), "x"),
                figure(run.ratio(ours, peer, per_second) if peer else None, "x"),
                best or "",
            ]
        )
    head = (
        "a turn of 500 + 2,000 characters, durable",
        "of the same by hand",
        "of the bare limit",
        "of the best peer",
        "which is",
    )
    return table(head, rows, "lrrrl")


def server_table(run: Recording) -> str:
    """Return the figures of a server: the table that goes into the page on scale."""
    rows = []
    for workload in filter(run.systems, SERVER):
        ours, hand = (workload, ours_at(workload)), (workload, same_at(workload))
        rows.append(
            [
                run.data["workloads"].get(workload, workload),
                *(figure(run.median(*at, per_wall_second)) for at in (ours, hand)),
                figure(run.ratio(ours, hand, per_second), "x"),
                figure(run.ratio(ours, hand, per_wall_second), "x"),
                figure(run.median(*ours, field("p99_ms")), "ms"),
            ]
        )
    head = ("", "a second", "by hand", "of it, quiet", "of it, wall", "p99")
    return table(head, rows, "lrrrrr")


def workload_table(run: Recording, workload: str) -> str:
    """Return one workload's figures, the quickest system first."""
    systems = run.systems(workload)
    results = run.results(workload, systems[0])
    if "operations" not in results[0]:
        return _fields_table(run, workload, systems)
    rate: Value = per_second if "quiet_s" in results[0] else per_wall_second
    systems.sort(key=lambda system: -(run.median(workload, system, rate) or 0.0))
    return table(
        (
            *("system", "a second, quiet", "of same", "of limit", "a second, wall"),
            *("CPU us each", "p50 ms", "p99 ms", "worst ms", "sync ms", "errors"),
        ),
        [_row(run, workload, system, rate) for system in systems],
        "lrrrrrrrrrl",
    )


def _row(run: Recording, workload: str, system: str, rate: Value) -> list[str]:
    at = (workload, system)
    errors = run.errors(*at)
    median = run.results(*at)[0].keys()
    return [
        system,
        figure(run.median(*at, rate)),
        *(
            figure(run.ratio(at, (workload, other), rate), "x")
            for other in (same_at(workload), LIMIT)
        ),
        figure(run.median(*at, per_wall_second)),
        figure(run.median(*at, cpu_us)),
        *(
            figure(run.median(*at, field(name)) if name in median else None)
            for name in ("p50_ms", "p99_ms", "worst_ms", "sync_ms")
        ),
        "; ".join(f"{number} x {text}" for text, number in errors.items()),
    ]


def _fields_table(run: Recording, workload: str, systems: Sequence[str]) -> str:
    names = list(run.results(workload, systems[0])[0])
    rows = [
        [system, *(_field(run.median(workload, system, field(name)), name) for name in names)]
        for system in systems
    ]
    head = ("system", *(name.replace("_", " ") for name in names))
    return table(head, rows, "l" + "r" * len(names))


def _field(value: float | None, name: str) -> str:
    if name in WORDS and value is not None:
        return WORDS[name].get(value, "in part")
    return figure(value)


def _commands_table(run: Recording) -> str:
    cpu, wall = field("cpu_s"), field("elapsed_s")
    rows = [
        [
            system,
            *(
                figure((run.median("commands", system, one) or math.nan) * 1e3)
                for one in (cpu, wall)
            ),
        ]
        for system in run.systems("commands")
    ]
    return table(("command", "CPU ms", "wall ms"), rows, "lrr") if rows else ""


def _systems_table(run: Recording) -> str:
    rows = []
    for name, entry in run.data["systems"].items():
        versions = ", ".join(f"{one} {number}" for one, number in entry.get("versions", {}).items())
        left_out = f"**left out: {entry['left_out']}**" if "left_out" in entry else ""
        rows.append([name, entry["kind"], versions, left_out or entry["note"]])
    return table(("system", "", "packages", "note"), rows, "llll")


def _machine_table(run: Recording) -> str:
    rows = [[name.replace("_", " "), str(value)] for name, value in run.data["machine"].items()]
    return table(("", ""), rows, "ll")


def _summary(run: Recording) -> str:
    data = run.data
    memory = "" if data["memory_is_memory"] else " There is no /dev/shm: `memory` is the disk, too."
    return (
        f"A {data['kind']} run of {data['began']}, seed {data['seed']}, code {data.get('code', 'unknown')}, "
        f"{data.get('took_s', 0):,.0f} s. Every workload and system in random order, one at a time, "
        "again for each repeat; figures are medians of the repeats, ratios medians of the ratios "
        "within a repeat. Ratios are the result: absolute figures carry the machine. Quiet is "
        "elapsed time less the time in which ready threads had no CPU; of several threads that "
        "wait at once each counts, so on a busy machine it flatters what runs in threads, and the "
        f"wall time's ratio stands beside it. Here that was {run.busy():.0%} of the time.{memory}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> str:
    """Return a Markdown table; *sides* has `l` or `r` for each column."""
    lines = [
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---:' if side == 'r' else '---' for side in sides)} |",
    ]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def figure(value: float | None, unit: str = "") -> str:
    """Return a figure with two or three digits that mean something, and its unit."""
    if value is None or math.isnan(value):
        return ""
    size = abs(value)
    if size >= 100 or value == int(value):
        text = f"{value:,.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 0.1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.3f}"
    return text + (unit if unit == "x" else f" {unit}" if unit else "")
