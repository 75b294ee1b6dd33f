"""What the tests of the schema's history share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import schemas  # type: ignore[import-not-found] # pytest puts this folder on the path

from convostore.storage import migrate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Give a store of this program with something in it."""
    path = tmp_path / "chats.db"
    asyncio.run(schemas.fill(path))
    return path


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Play a program whose newest revision is the one after ours; give the folder of its migrations.

    The folder's name has a `%`, which the configuration of alembic would take for its own.
    """
    scripts: Path = schemas.write_scripts(tmp_path / "100%(here)s", schemas.NEXT)
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)
    monkeypatch.setattr(migrate, "REVISION", schemas.LATER)
    return scripts
