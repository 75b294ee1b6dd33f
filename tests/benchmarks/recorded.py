"""A small recording of a run, with round figures, so that every ratio can be told by hand."""

from __future__ import annotations

from typing import Any

OURS, LIMIT, SAME = "convostore", "sqlite3 by hand: limit", "sqlite3 by hand: same"
PEER, OTHER_PEER = "llm", "agno SqliteDb"
RATES = {OURS: 400.0, LIMIT: 1_000.0, SAME: 800.0, PEER: 200.0, OTHER_PEER: 50.0}


def recording() -> dict[str, Any]:
    """Return a recording of three repeats, the machine half as fast in each one."""
    runs = [
        {
            "workload": "append-1-disk",
            "system": system,
            "repeat": repeat,
            "order": order,
            "result": written(rate / 2**repeat),
        }
        for repeat in range(3)
        for order, (system, rate) in enumerate(RATES.items())
    ]
    kinds = {OURS: "ours", LIMIT: "by hand", SAME: "by hand"}
    return {
        "format": 1,
        "kind": "quick",
        "seed": 1,
        "began": "2026-11-25T00:00:00+00:00",
        "took_s": 12.0,
        "memory_is_memory": True,
        "machine": {"cores": 2, "kernel": "6.18.0-x", "python": "3.11.7", "sqlite": "3.40.1"},
        "workloads": {"append-1-disk": "append of both messages, 1 task, disk"},
        "systems": {
            **{
                name: {"kind": kinds.get(name, "peer"), "note": "", "versions": {}}
                for name in RATES
            },
            "google-adk SqliteSessionService": {
                "kind": "peer",
                "note": "",
                "left_out": "not installed (make bench-peers)",
            },
        },
        "runs": runs,
    }


def written(rate: float) -> dict[str, Any]:
    """Return the result of a second of writing at that rate."""
    return {
        "operations": int(rate),
        "elapsed_s": 2.0,
        "quiet_s": int(rate) / rate,
        "cpu_s": 0.5,
        "p50_ms": 1_000 / rate,
        "p99_ms": 3_000 / rate,
        "worst_ms": 9_000 / rate,
        "sync_ms": 0.1,
        "errors": {},
    }
