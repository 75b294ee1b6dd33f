"""Facts about the machine that a reader needs before any figure means something."""

from __future__ import annotations

import hashlib
import os
import platform
import sqlite3
from pathlib import Path


def facts() -> dict[str, str | int | float]:
    """Return what the measurements ran on."""
    return {
        "cores": os.cpu_count() or 1,
        "processor": _first("/proc/cpuinfo", "model name"),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load_before": round(os.getloadavg()[0], 2),
    }


def code() -> str:
    """Return a short hash of what is measured and of what measures it.

    Taken before and after a run: workers that were started early must not be of other code than
    those started late.
    """
    root = Path(__file__).parent.parent
    whole = hashlib.sha256()
    for folder in ("benchmarks", "convostore", "migrations"):
        for file in sorted((root / folder).rglob("*.py")):
            whole.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:12]


def _first(file: str, key: str) -> str:
    try:
        lines = Path(file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(key)]
    return found[0] if found else ""
