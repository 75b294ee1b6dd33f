"""What an export of our own may not tell: bounds of numbers, times and names, on either engine."""

from __future__ import annotations

import json
from contextlib import nullcontext
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from convostore.formats import jsonl
from convostore.ids import new_id
from convostore.records import Message, Usage, UsageRecord
from convostore.testing import temporary, temporary_store
from tests.formats.test_own_round_trip import file_from, imported

if TYPE_CHECKING:
    from tests.engines import Where


@pytest.fixture(autouse=True)
def temporary_place(path: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `temporary_store` make its stores on the engine of the test."""
    monkeypatch.setattr(temporary, "_place", lambda: nullcontext(path))


@pytest.mark.asyncio
async def test_what_no_store_would_hold_is_refused_in_our_words() -> None:
    """Times of no calendar, numbers, counts and names beyond all bounds: one line, none of a driver's."""
    async with temporary_store() as store:
        chat = await store.create(title="One", metadata={"n": 1})
        await chat.append(Message.user("q"), Message.assistant("a"))
        lines = [json.loads(line) for line in (await file_from(store)).getvalue().splitlines()]
        paid = UsageRecord(
            id=new_id(),
            message_seq=2,
            provider="p",
            model="m",
            created_at_ms=7,
            usage=Usage(input_tokens=3, cost=0.25),
        )
        lines.insert(-1, json.loads(jsonl.usage(chat.id, paid)))
        far, many = 2**61, [f"tag {number}" for number in range(65)]
        odd: list[tuple[str, dict[str, Any], str]] = [
            *(
                ("conversation", {name: at}, "its times are of no calendar")
                for name in ("created_at_ms", "updated_at_ms", "archived_at_ms", "expires_at_ms")
                for at in (far, -1)
            ),
            ("message", {"created_at_ms": far}, "has a time of no calendar"),
            ("message", {"finished_at_ms": 2**70}, "has a time of no calendar"),
            ("conversation", {"last_seq": 2**40}, "its last number is none"),
            ("conversation", {"last_seq": -1}, "its last number is none"),
            ("message", {"conversation_id": []}, "cannot be read"),
            ("usage", {"created_at_ms": far}, "a time or a number of no message"),
            ("usage", {"message_seq": 2**40}, "a time or a number of no message"),
            ("usage", {"usage": {"input_tokens": -5}}, "a count that is none"),
            ("usage", {"usage": {"input_tokens": 2**66}}, "a count that is none"),
            ("usage", {"usage": {"cost": 1e300}}, "is no price"),
            ("conversation", {"tags": many}, "it would have 65 tags, more than the 64"),
            ("conversation", {"key": "k" * 100_000}, "the key has 100,000 characters"),
            ("conversation", {"source": "s" * 100_000}, "the source of a conversation has 100,000"),
            ("conversation", {"model": "m" * 100_000}, "the model of a conversation has 100,000"),
            ("message", {"author": "a" * 100_000}, "a name in a message has 100,000"),
            ("conversation", {"metadata": {"n": 10**100}}, "the metadata of a conversation"),
            ("conversation", {"metadata": {"n": "x" * 70_000}}, "the metadata has 70,"),
        ]
        bob = store.for_owner("bob")
        await bob.create(title="Mine")
        for kind, change, reason in odd:
            told_so = [one | change if one["type"] == kind else one for one in lines]
            file = BytesIO("".join(json.dumps(one) + "\n" for one in told_so).encode())
            (refused,) = [one for one in await imported(bob, file) if one.outcome != "opaque"]
            assert (refused.outcome, reason in refused.reason) == ("refused", True), refused.reason
        assert [one.title for one in (await bob.list()).items] == ["Mine"]
