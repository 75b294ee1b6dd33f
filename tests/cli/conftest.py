"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from farside import FarSide  # type: ignore[import-not-found] # pytest puts this folder on the path
from program import Program  # type: ignore[import-not-found] # pytest puts this folder on the path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where


@pytest.fixture
def program(tmp_path: Path, path: Where) -> Program:
    """Give the program, in an empty home, with the deterministic provider as its default.

    Its store is where the program itself would put it, or a database that the environment names.
    """
    home = tmp_path / "home"
    home.mkdir()
    return Program(home, {} if isinstance(path, Path) else {"CONVOSTORE_DB": path})


@pytest.fixture
def far(program: Program) -> Iterator[FarSide]:
    """Give a Playground server on loopback that the program takes for the real one."""
    with FarSide() as far:
        program.extra |= {
            "CONVOSTORE_PROVIDER": "playground",
            "CONVOSTORE_PLAYGROUND_URL": far.server.url,
        }
        yield far
