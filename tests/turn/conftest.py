"""What the tests of the turn share: a store, a scripted provider, a chat, and a look at the file."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.testing import ManualClock, ScriptedProvider, temporary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore import Conversation, Store
    from tests.engines import Where


@pytest.fixture
def watch(path: Where) -> Watch:
    """Look at the store's file as another program does."""
    return Watch(path)


@pytest.fixture
def provider() -> ScriptedProvider:
    """Give a provider that plays what the test writes."""
    return ScriptedProvider()


@pytest_asyncio.fixture
async def store(path: Where, provider: ScriptedProvider) -> AsyncIterator[Store]:
    """Open a new store."""
    async with convostore.open(path, provider=provider) as opened:
        yield opened


@pytest_asyncio.fixture
async def chat(store: Store) -> Conversation:
    """Give a conversation without a key."""
    return await store.create(model="scripted-1")


@pytest_asyncio.fixture
async def manual(store: Store) -> AsyncIterator[ManualClock]:
    """Stop the time, once the store is open."""
    with ManualClock() as clock:
        yield clock


@pytest.fixture(autouse=True)
def temporary_place(path: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `temporary_store` make its stores on the engine of the test."""
    monkeypatch.setattr(temporary, "_place", lambda: nullcontext(path))
