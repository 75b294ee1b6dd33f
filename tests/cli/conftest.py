"""What the tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from farside import FarSide  # type: ignore[import-not-found] # pytest puts this folder on the path
from program import Program  # type: ignore[import-not-found] # pytest puts this folder on the path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Give the program, in an empty home, with the deterministic provider as its default."""
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)


@pytest.fixture
def far(program: Program) -> Iterator[FarSide]:
    """Give a Playground server on loopback that the program takes for the real one."""
    with FarSide() as far:
        program.extra |= {
            "CONVOSTORE_PROVIDER": "playground",
            "CONVOSTORE_PLAYGROUND_URL": far.server.url,
        }
        yield far
