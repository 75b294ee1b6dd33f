"""Exports of other programs, and what is counted in them.

The files beside this one were made for the tests. Others may not be copied: they are found in the
folder that CONVOSTORE_TEST_SAMPLES names, and their tests skip, with the reason, where it is unset.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ELSEWHERE = os.environ.get("CONVOSTORE_TEST_SAMPLES")


def _expected(file: Path) -> dict[str, Any]:
    counts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return counts


EXPECTED = _expected(HERE / "expected.json")
_FOREIGN = _expected(Path(ELSEWHERE) / "EXPECTED.json")["files"] if ELSEWHERE else {}


def samples(folder: str, *elsewhere: str) -> list[Any]:
    """Return the files of a format as parameters: (bytes, counts), those *elsewhere* by name."""
    own = [
        pytest.param(HERE / name, counts, id=name)
        for name, counts in EXPECTED.items()
        if name.startswith(f"{folder}/")
    ]
    return own + [_elsewhere(f"{folder}/{name}") for name in elsewhere]


def _elsewhere(name: str) -> Any:
    reason = "this sample may not be copied: set CONVOSTORE_TEST_SAMPLES to the folder that has it"
    skip = pytest.mark.skipif(ELSEWHERE is None, reason=reason)
    return pytest.param(Path(ELSEWHERE or "") / name, _FOREIGN.get(name), id=name, marks=skip)
