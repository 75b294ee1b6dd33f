"""Our own export taken back later: nothing that is here is undone, and deleted stays deleted."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from convostore.records import Message
from convostore.testing import temporary, temporary_store
from tests.formats.test_own_round_trip import file_from, imported

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines import Where


@pytest.fixture(autouse=True)
def temporary_place(path: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `temporary_store` make its stores on the engine of the test."""
    monkeypatch.setattr(temporary, "_place", lambda: nullcontext(path))


def telling(type_: str, role: str | None = None, **fields: Any) -> Callable[[str], str]:
    """Return what makes an export tell other *fields* of its conversation, or of messages."""

    def change(text: str) -> str:
        lines = [json.loads(line) for line in text.rstrip("\n").split("\n")]
        for line in lines:
            if line["type"] == type_ and line.get("role") == role:
                line.update(fields)
        return "".join(json.dumps(line) + "\n" for line in lines)

    return change


@pytest.mark.asyncio
async def test_broken_off_answer_is_never_made_shorter() -> None:
    """Of two exports of a broken-off answer the longer one stays, in whatever order they come."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("count"), Message.assistant("one two"))
        for text, status, outcome, kept in (
            ("one two", "interrupted", "added", "one two"),
            ("one", "streaming", "unchanged", "one two"),
            ("two one and more", "interrupted", "unchanged", "one two"),
            ("one two three", "streaming", "updated", "one two three"),
            ("one", "stopped", "updated", "one"),
        ):
            change = telling("message", "assistant", text=text, status=status)
            (result,) = await imported(bob, await file_from(alice, change))
            there = (await (await bob.resume(chat.id)).messages())[-1]
            assert (result.outcome, there.text) == (outcome, kept)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_purged_stays_away_and_comes_back_with_restore() -> None:
    """What was said here, and what had expired, is known again by its id; `restore` shows it again."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("start"))
        file = await file_from(alice)
        await alice.delete(chat.id)
        await alice.purge(chat.id, scrub=False)
        for restore, outcomes in ((False, ["deleted"]), (True, ["added"]), (False, ["unchanged"])):
            file.seek(0)
            results = await imported(alice, file, restore=restore)
            assert [one.outcome for one in results] == outcomes
        assert [one.id for one in (await alice.list()).items] == [chat.id]

        past = await file_from(alice, telling("conversation", expires_at_ms=5))
        for restore, outcome, shown in (
            (False, "added", 0),
            (False, "deleted", 0),
            (True, "updated", 1),
        ):
            past.seek(0)
            (result,) = await imported(bob, past, restore=restore)
            assert (result.outcome, len((await bob.list()).items)) == (outcome, shown)
        carol = store.for_owner("carol")
        past.seek(0)
        (result,) = await imported(carol, past, restore=True)
        assert (result.outcome, len((await carol.list()).items)) == ("added", 1)
        assert (await store.check(deep=True)).problems == ()
