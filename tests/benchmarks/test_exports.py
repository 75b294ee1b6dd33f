"""The measure of exports measures what it says: all messages, by hand and by us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from benchmarks import exports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("system", ["json by hand", "msgspec by hand", "jsonl", "html"])
def test_every_system_writes_every_message(tmp_path: Path, system: str) -> None:
    """Each file has all texts of the store, and each figure is of that file."""
    where, to = tmp_path / "store.db", tmp_path / "out.html"
    asyncio.run(exports._fill(where, 80))
    found = exports.measured(system, where, to)
    assert to.read_text("utf-8").count("small steps") == 40 * 30
    assert found["per_s"] > 0
    assert found["mb"] == to.stat().st_size / 1e6
