"""A temporary store is a real one, and gone after the test."""

from __future__ import annotations

import pytest

from convostore.testing import ScriptedProvider, temporary_store


@pytest.mark.asyncio
async def test_a_temporary_store_keeps_a_turn_and_leaves_nothing_behind() -> None:
    """It is a file while the block lasts; then file and folder are gone and the provider closed."""
    provider = ScriptedProvider()
    provider.answer("Hello ", "Ada")
    async with temporary_store(provider) as store:
        assert store.path is not None
        folder = store.path.parent
        chat = await store.create(title="Names")
        assert (await chat.send("I am Ada")).text == "Hello Ada"
        again = await store.resume(chat.handle)
        assert [m.text for m in await again.history()] == ["I am Ada", "Hello Ada"]
        assert store.path.exists()
    assert not folder.exists()
    assert provider.is_closed
