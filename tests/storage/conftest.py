"""What the tests of the repository layer share: an opened store, and a foreign program."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeAlias

import filled_store  # type: ignore[import-not-found] # pytest puts this folder on the path
import pytest
import pytest_asyncio

import convostore
from tests.engines import held

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from convostore import Store
    from convostore.storage.database import Database
    from tests.engines import Where

Foreign: TypeAlias = "Callable[..., AbstractContextManager[sqlite3.Connection]]"
Hold: TypeAlias = "Callable[[], AbstractContextManager[None]]"


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Give a closed store with three conversations in it."""
    path = tmp_path / "chats.db"
    asyncio.run(filled_store.fill(path))
    return path


@pytest_asyncio.fixture
async def store(path: Where) -> AsyncIterator[Store]:
    """Open a new store whose writes give up soon."""
    async with convostore.open(path, busy_timeout_s=0.3) as opened:
        yield opened


@pytest_asyncio.fixture
async def database(store: Store) -> Database:
    """Give the store's database, with its personal owner made."""
    await store.create(title="first")
    return (await store._opener.opened()).database


@pytest.fixture
def lock(path: Where) -> Hold:
    """Hold what every write has to have, as another process of ours that is writing."""

    @contextmanager
    def hold() -> Iterator[None]:
        if isinstance(path, str):
            with held(path):
                yield
            return
        file = os.open(path.with_name(path.name + "-lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    return hold


@pytest.fixture
def foreign(path: Path) -> Foreign:
    """Hold the store as a program that is not ours would, without our lock."""

    @contextmanager
    def hold(*statements: str) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements or ("BEGIN IMMEDIATE",):
                connection.execute(statement)
            yield connection

    return hold
