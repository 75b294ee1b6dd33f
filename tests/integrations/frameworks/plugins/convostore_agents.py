"""For the tests of the OpenAI Agents SDK: their SQLite session is ours."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import agents
import agents.memory
import pytest
from agents.memory.session_settings import SessionSettings, coerce_session_settings

import convostore
from convostore.integrations.openai_agents import ConvostoreSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.store import Store

URL = os.environ.get("CONVOSTORE_COMPAT_URL")  # a server's database; else files
_made = 0


class Session(ConvostoreSession):
    """Made as theirs is: by a file, which is opened when it is needed, in whatever loop that is."""

    def __init__(
        self,
        session_id: str,
        db_path: str | Path = ":memory:",
        sessions_table: str = "",
        messages_table: str = "",
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        del sessions_table, messages_table
        global _made  # noqa: PLW0603 - each test is told apart by it
        _made += 1
        settings = SessionSettings()
        if session_settings is not None:
            settings = coerce_session_settings(session_settings)
        path = str(db_path)
        if path == ":memory:":
            path = str(Path(tempfile.mkdtemp()) / "memory.db")
        super().__init__(session_id, cast("Store", _Stores(path)), settings)

    def close(self) -> None:
        """Close nothing: a store that is not closed loses nothing, and does not hold the exit."""


class _Stores:
    """The store at a path, one for each loop."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened: WeakKeyDictionary[asyncio.AbstractEventLoop, Store] = WeakKeyDictionary()

    def __getattr__(self, name: str) -> Any:
        loop = asyncio.get_running_loop()
        if loop not in self._opened:
            owner = hashlib.sha256(self._path.encode()).hexdigest()[:20] if URL else None
            self._opened[loop] = convostore.open(URL or f"{self._path}.convostore", owner=owner)
        return getattr(self._opened[loop], name)


# Found by the tests in the place of theirs.
agents.SQLiteSession = agents.memory.SQLiteSession = Session


@pytest.fixture(autouse=True)
def _told_whether_a_session_is_made(record_property: Any) -> Iterator[None]:
    before = _made
    yield
    record_property("counts", "yes" if _made > before else "no")
