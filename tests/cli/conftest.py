"""What the tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from program import Program  # type: ignore[import-not-found] # pytest puts this folder on the path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Give the program, in an empty home, with the deterministic provider as its default."""
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)
