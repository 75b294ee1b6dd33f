"""What was to be reached, and whether it was: each goal a row, computed from the recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from benchmarks.commands import BARE
from benchmarks.recording import field, per_second, per_wall_second
from benchmarks.systems import BY_ASYNCPG, ON_A_SERVER, OURS, SAME, STREAM, UNJOURNALED

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.recording import Recording, Value

Better: TypeAlias = Literal["more", "less"]
FIRST_MS = 2.0  # what a store may add to the time to the first delta, if two syncs are quicker


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row: a figure, and what it must be and aims to be.

    Attributes:
        value: computes it; None when the run does not have it.
        wall: the same of wall time, where `value` is of quiet time.
        unit: `x` is a ratio.
        must: None is only shown.
    """

    what: str
    against: str
    value: Callable[[Recording], float | None]
    wall: Callable[[Recording], float | None] | None = None
    must: float | None = None
    aim: float | None = None
    better: Better = "less"
    unit: str = "x"

    def reached(self, value: float | None) -> str:
        """Say in a word whether *value* is enough."""
        if value is None or self.must is None:
            return "-"
        if self.aim is not None and self._enough(value, self.aim):
            return "aim"
        return "yes" if self._enough(value, self.must) else "no"

    def _enough(self, value: float, wanted: float) -> bool:
        return value >= wanted if self.better == "more" else value <= wanted


def goals() -> list[Goal]:
    """Return all goals, in the order of the results table."""
    return [
        *_writes(),
        *_together(),
        *_growth(),
        *_streams(),
        *_reads(),
        *_libraries(),
        *_imports(),
        *_commands(),
        *_on_a_server(),
    ]


def _writes() -> list[Goal]:
    of_same = (
        ("turn-1-disk", "a turn, 1 task, disk", 0.5, 0.6),
        ("append-1-disk", "append of both messages, 1 task, disk", 0.55, 0.7),
        ("turn-1-memory", "a turn, 1 task, memory", 0.25, 0.35),
        ("append-1-memory", "append of both messages, 1 task, memory", 0.3, 0.4),
        ("turn-64-disk", "a turn, 64 tasks, disk", 0.7, 0.9),
        ("append-64-disk", "append of both messages, 64 tasks, disk", 0.7, 0.9),
        ("turn-64-memory", "a turn, 64 tasks, memory", 0.6, 0.8),
        ("append-64-memory", "append of both messages, 64 tasks, memory", 0.6, 0.8),
    )
    found = [
        Goal(
            what=what,
            against="the same by hand",
            value=_of(workload, SAME, per_second),
            wall=_of(workload, SAME, per_wall_second),
            must=must,
            aim=aim,
            better="more",
        )
        for workload, what, must, aim in of_same
    ]
    of_peers = (
        ("append-1-disk", "append of both messages, 1 task, disk", 1.0),
        ("append-64-disk", "append of both messages, 64 tasks, disk", 8.0),
        ("append-64-memory", "append of both messages, 64 tasks, memory", 8.0),
    )
    found += [
        Goal(
            what=what,
            against="the best peer",
            value=_of_best_peer(workload, per_second),
            wall=_of_best_peer(workload, per_wall_second),
            must=must,
            better="more",
        )
        for workload, what, must in of_peers
    ]
    return found


def _of(workload: str, other: str, rate: Value) -> Callable[[Recording], float | None]:
    return lambda run: run.ratio((workload, OURS), (workload, other), rate)


def _of_best_peer(workload: str, rate: Value) -> Callable[[Recording], float | None]:
    def value(run: Recording) -> float | None:
        best = run.best_peer(workload, rate)
        return None if best is None else run.ratio((workload, OURS), (workload, best), rate)

    return value


def _together() -> list[Goal]:
    found = []
    for workload, what, worst_ms, fair in (
        ("together-4x1", "4 processes, 1 task each", 100.0, 0.8),
        ("together-4x16", "4 processes, 16 tasks each", 100.0, 0.8),
        ("together-8x16", "8 processes, 16 tasks each", 150.0, None),
    ):
        found += [
            Goal(
                what=f"{what}: worst wait",
                against="",
                value=_median(workload, "worst_ms"),
                must=worst_ms,
                unit="ms",
            ),
            Goal(
                what=f"{what}: slowest of fastest process",
                against="",
                value=_median(workload, "slowest_of_fastest"),
                must=fair,
                better="more",
            ),
            Goal(
                what=f"{what}: errors and lost messages",
                against="",
                value=_faults(workload),
                must=0.0,
                unit="",
            ),
        ]
    return found


def _faults(workload: str) -> Callable[[Recording], float | None]:
    def value(run: Recording) -> float | None:
        results = run.results(workload, OURS)
        if not results:
            return None
        lost = sum(max(0, result["lost_messages"]) for result in results)
        return float(lost + sum(run.errors(workload, OURS).values()))

    return value


def _growth() -> list[Goal]:
    p50 = field("p50_ms")
    return [
        Goal(
            what="append to 10,000 messages",
            against="to 10",
            value=lambda run: run.ratio(("grow-10000", OURS), ("grow-10", OURS), p50),
            must=1.15,
        ),
        Goal(
            what="append, many conversations stored",
            against="1,000 stored",
            value=lambda run: run.ratio(("crowd-many", OURS), ("crowd-few", OURS), p50),
        ),
    ]


def _streams() -> list[Goal]:
    one, many = "stream-one", "stream-200"
    return [
        Goal(
            what="a streamed reply that is kept: wall time",
            against="read and parse",
            value=lambda run: run.ratio((one, OURS), (one, STREAM), field("elapsed_s")),
            must=1.02,
        ),
        Goal(
            what="a streamed reply that is kept: CPU",
            against="read and parse",
            value=lambda run: run.ratio((one, OURS), (one, STREAM), field("cpu_s")),
            must=1.5,
            aim=1.3,
        ),
        Goal(
            what="200 replies at once: kept up",
            against="",
            value=_median(many, "kept_up"),
            must=1.0,
            better="more",
            unit="",
        ),
        Goal(
            what="200 replies at once: p99 lag of a delta",
            against="",
            value=_median(many, "p99_lag_ms"),
            must=250.0,
            unit="ms",
        ),
        Goal(
            what="200 replies at once: CPU of the journal",
            against="no journal",
            value=lambda run: run.difference((many, OURS), (many, UNJOURNALED), field("cores")),
            must=0.05,
            unit="cores",
        ),
        Goal(
            what="200 replies at once: CPU of keeping them",
            against="reading them",
            value=lambda run: run.difference((many, OURS), (many, STREAM), field("cores")),
            unit="cores",
        ),
        Goal(
            what="time to the first delta, beyond 2 ms or two syncs",
            against="reading alone",
            value=_late_ms,
            must=0.0,
            unit="ms",
        ),
    ]


def _late_ms(run: Recording) -> float | None:
    """Return by how much the first delta comes later than allowed; below 0 is in time."""
    at = "stream-first"
    more = run.difference((at, OURS), (at, STREAM), field("first_ms"))
    sync_ms = run.median(at, OURS, field("sync_ms"))
    return None if more is None or sync_ms is None else more - max(FIRST_MS, 2 * sync_ms)


def _reads() -> list[Goal]:
    p50 = field("p50_ms")
    return [
        Goal(
            what="load 1,000 messages",
            against="raw rows",
            value=lambda run: run.ratio(("load-1000", OURS), ("load-1000", SAME), p50),
            must=1.6,
            aim=1.3,
        ),
        Goal(
            what="load 10 messages",
            against="",
            value=_median("load-10", "p50_ms"),
            must=0.2,
            unit="ms",
        ),
        Goal(
            what="the newest 50 of many conversations",
            against="of 1,000",
            value=lambda run: run.ratio(("newest-many", OURS), ("newest-few", OURS), p50),
            must=2.0,
        ),
        Goal(
            what="the newest 50 of many conversations",
            against="",
            value=_median("newest-many", "p50_ms"),
            must=1.0,
            unit="ms",
        ),
        Goal(
            what="page 1,000 of many conversations",
            against="page 1",
            value=lambda run: run.ratio(("far-page", OURS), ("newest-many", OURS), p50),
            must=1.5,
        ),
        Goal(
            what="open a store of many conversations",
            against="",
            value=_median("open-many", "p50_ms"),
            must=50.0,
            unit="ms",
        ),
    ]


def _libraries() -> list[Goal]:
    names = (
        ("library", "chats"),
        ("ones", "conversations of one message"),
        ("huge", "a huge store"),
    )
    found = [goal for name, of in names for goal in _lists_and_searches(name, of)]
    p50 = field("p50_ms")
    found += [
        Goal(
            what="resume and load 100 messages among many",
            against="raw rows",
            value=lambda run: run.ratio(("library-resume", OURS), ("library-raw", OURS), p50),
            must=2.0,
        ),
        Goal(
            what="append among many messages",
            against="an empty store",
            value=lambda run: run.ratio(("library-append", OURS), ("grow-10", OURS), p50),
            must=1.15,
        ),
        Goal(
            what="found right after its commit",
            against="",
            value=_median("library-at-once", "found"),
            must=1.0,
            better="more",
            unit="",
        ),
        Goal(
            what="bytes on disk for a character, without search",
            against="",
            value=_median("library-facts", "plain"),
            must=1.6,
            unit="",
        ),
        Goal(
            what="bytes on disk for a character, with search",
            against="",
            value=_median("library-facts", "indexed"),
            must=2.3,
            unit="",
        ),
    ]
    return found


def _imports() -> list[Goal]:
    what = "import from a file of ChatGPT's"
    return [
        Goal(
            what=f"{what}: messages a second",
            against="",
            value=_median("import", "messages_per_s"),
            must=20_000.0,
            better="more",
            unit="",
        ),
        Goal(
            what=f"{what}: of its rows by hand",
            against="executemany",
            value=_median("import", "of_hand"),
            better="more",
        ),
        Goal(
            what=f"{what}: memory for four times as much",
            against="a quarter",
            value=_median("import", "peak_grown_mib"),
            must=16.0,
            unit="MiB",
        ),
    ]


def _lists_and_searches(name: str, of: str) -> list[Goal]:
    p50 = field("p50_ms")
    searches = (
        ("rare", "a rare word", 1.0),
        ("common", "a common word, ranked", 8.0),
        ("common-newest", "a common word, newest first", 1.0),
        ("everywhere", "a word of most messages, ranked", None),
    )
    return [
        Goal(
            what=f"first page of the list, {of}",
            against="of 1,000",
            value=lambda run: run.ratio((f"{name}-first", OURS), ("newest-few", OURS), p50),
            must=2.0,
        ),
        Goal(
            what=f"a far page of the list, {of}",
            against="the first",
            value=lambda run: run.ratio((f"{name}-far", OURS), (f"{name}-first", OURS), p50),
            must=1.5,
        ),
        *(
            Goal(
                what=f"search for {what}, {of}",
                against="",
                value=_median(f"{name}-{verb}", "p50_ms"),
                must=must_ms,
                unit="ms",
            )
            for verb, what, must_ms in searches
        ),
    ]


def _commands() -> list[Goal]:
    def of_bare(name: str) -> Callable[[Recording], float | None]:
        return lambda run: run.ratio(("commands", name), ("commands", BARE), field("cpu_s"))

    return [
        Goal(
            what=f"{name}: CPU of the whole process",
            against=BARE,
            value=of_bare(name),
            must=None if name.startswith("llm") else 6.0,
            aim=None if name.startswith("llm") else 5.0,
        )
        for name in (
            *("convostore list", "convostore show @", "convostore search", "convostore, Tab"),
            "llm logs -n 1",
        )
    ]


def _on_a_server() -> list[Goal]:
    def of_hand(workload: str, rate: Value) -> Callable[[Recording], float | None]:
        return lambda run: run.ratio((workload, ON_A_SERVER), (workload, BY_ASYNCPG), rate)

    return [
        Goal(
            what=f"{what}, {tasks} task{'s' * (tasks > 1)}, PostgreSQL",
            against="asyncpg by hand",
            value=of_hand(f"{operation}-{tasks}-server", per_second),
            wall=of_hand(f"{operation}-{tasks}-server", per_wall_second),
            must=must,
            aim=aim,
            better="more",
        )
        for operation, what in (("turn", "a turn"), ("append", "append of both messages"))
        for tasks, must, aim in ((1, 0.3, 0.7), (64, 0.7, 0.8))
    ]


def _median(workload: str, name: str) -> Callable[[Recording], float | None]:
    return lambda run: run.median(workload, OURS, field(name))
