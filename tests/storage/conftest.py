"""What the tests of the store's file share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import filled_store  # type: ignore[import-not-found] # pytest puts this folder on the path
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Give a closed store with three conversations in it."""
    path = tmp_path / "chats.db"
    asyncio.run(filled_store.fill(path))
    return path
