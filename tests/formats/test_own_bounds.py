"""What an export of our own may not tell: bounds of numbers, times and names, on either engine."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convostore.errors import InvalidTextError
from convostore.events import Finished
from convostore.exchange.exporting import TextExport
from convostore.formats import jsonl
from convostore.handles import is_handle_like
from convostore.ids import new_id
from convostore.records import Message, Usage, UsageRecord
from convostore.testing import ScriptedProvider, temporary_store
from tests.exchange.test_trees import chatgpt, claude, openwebui
from tests.formats.test_own_round_trip import file_from, imported

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convostore.store import Store

pytestmark = pytest.mark.usefixtures("temporary_place")


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
            ("message", {"id": ""}, "has no number or id of its own"),
            ("message", {"source_id": "s" * 100_000}, "the source_id of a message has 100,000"),
            ("usage", {"id": "u" * 100_000}, "the id of what was paid has 100,000"),
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


@pytest.mark.asyncio
async def test_whatever_a_store_takes_in_comes_back() -> None:
    """Ids of a caller's own, names of any length, the longest keys, and what a far side reports."""
    async with temporary_store() as store:
        long = "ж" * 5_000
        chat = await store.create(key="k" * 1_000, title="One", provider=long, model=long)
        said = Message(
            role="user",
            text="q",
            id="m1",
            author="ж" * 1_000,
            source_id="s" * 1_000,
            provider=long,
        )
        answer = Message(role="assistant", text="a", id="é" * 1_000, model=long, finish_reason=long)
        await chat.append(said, answer)
        far = ScriptedProvider()
        far.script("Hi", Finished(model=long, finish_reason=long, usage=Usage(input_tokens=-4)))
        reply = await chat.send("more", provider=far, idempotency_key="o" * 1_000)
        assert (reply.model, reply.finish_reason) == (long, long)
        bob = store.for_owner("bob")
        (one,) = [one for one in await imported(bob, await file_from(store)) if one.id]
        assert (one.outcome, one.messages, one.reason) == ("added", 4, "")
        here, there = await chat.history(), await (await bob.resume(chat.id)).history()
        assert [(m.id, m.author, m.model, m.finish_reason) for m in there] == [
            (m.id, m.author, m.model, m.finish_reason) for m in here
        ]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["id", "source_id", "idempotency_key", "author", "author_id"])
async def test_what_stands_in_an_index_is_refused_where_it_is_too_long(name: str) -> None:
    """On either engine, before anything is stored."""
    async with temporary_store() as store:
        chat = await store.create(title="One")
        with pytest.raises(InvalidTextError, match="1,001 characters, more than the 1,000"):
            await chat.append(msgspec.structs.replace(Message.user("q"), **{name: "x" * 1_001}))
        assert await chat.history() == ()


@pytest.mark.asyncio
async def test_what_had_its_time_stays_gone_unless_it_is_wanted_back() -> None:
    """An export may be older than the end of a conversation; nobody is told that it was added."""
    async with temporary_store() as store:
        chat = await store.create(title="One")
        await chat.append(Message.user("q"))
        lines = [json.loads(line) for line in (await file_from(store)).getvalue().splitlines()]
        over = [
            one | ({"expires_at_ms": 5_000} if one["type"] == "conversation" else {})
            for one in lines
        ]
        file = "".join(json.dumps(one) + "\n" for one in over).encode()
        bob = store.for_owner("bob")
        await bob.create(title="Mine")
        for _ in range(2):
            (one,) = [one for one in await imported(bob, BytesIO(file)) if one.outcome != "opaque"]
            assert (one.outcome, one.messages, one.title) == ("deleted", 0, "One")
        results = [one async for one in bob.import_(BytesIO(file), restore=True)]
        assert [one.outcome for one in results if one.outcome != "opaque"] == ["added"]
        assert [one.title for one in (await bob.list()).items] == ["Mine", "One"]
        assert (await bob.resume(chat.id)).record.expires_at_ms is None


@pytest.mark.asyncio
async def test_what_a_hand_has_left_out_of_an_export_is_made_good() -> None:
    """A last number below the messages', a handle that is none, something paid for no message."""
    async with temporary_store() as store:
        chat = await store.create(title="One")
        await chat.append(Message.user("q"), Message.assistant("a"))
        paid = UsageRecord(
            id=new_id(), message_seq=None, provider="p", model="m", created_at_ms=7, usage=Usage()
        )
        lines = [json.loads(line) for line in (await file_from(store)).getvalue().splitlines()]
        lines.insert(-1, json.loads(jsonl.usage(chat.id, paid)))
        lines[1] |= {"last_seq": 0, "handle": "no handle"}
        file = "".join(json.dumps(one) + "\n" for one in lines).encode()
        bob = store.for_owner("bob")
        assert [one.outcome for one in await imported(bob, BytesIO(file))] == ["added"]
        record = (await bob.resume(chat.id)).record
        assert (record.last_seq, is_handle_like(record.handle)) == (2, True)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("write", [chatgpt, claude, openwebui])
async def test_no_original_is_in_the_way_of_a_later_export(write: Callable[..., Any]) -> None:
    """What is no JSON, or too deep, is refused; of one of another form what is here is told instead."""
    app = write.__name__
    async with temporary_store() as store:
        value = write({"1": None, "2": "1"}, {})
        await store.import_(BytesIO(json.dumps([value]).encode())).finish()
        text = (await file_from(store)).getvalue()

        async def taken(data: str, seq: int) -> tuple[Store, str]:
            """Take it in with another original, and return what became of it."""
            lines = [json.loads(line) for line in text.splitlines()]
            for one in lines:
                if one["type"] == "original" and one["seq"] == seq:
                    one["data"] = data
            file = "".join(json.dumps(one) + "\n" for one in lines).encode()
            bob = store.for_owner(f"bob {seq} {data[:40]}")
            results = await imported(bob, BytesIO(file))
            return bob, next(one.reason for one in results if one.outcome != "opaque")

        for seq, data in [(seq, data) for seq in (0, 1) for data in ("", "x", "[", "[" * 50_000)]:
            assert (await taken(data, seq))[1] == f"original {seq} cannot be read as JSON"
        odd = ["1", "[1]", "{}", '{"mapping": 7}', '{"chat_messages": 7}', '{"chat_messages": [7]}']
        odd += [
            '{"history": {"messages": {"x": []}}}',
            '{"history": {}}',
            '{"chat": {"history": 7}}',
        ]
        for seq, data in [(0, data) for data in odd] + [(1, "7"), (1, "[]")]:
            bob, reason = await taken(data, seq)
            assert not reason
            chat = await bob.resume("@")
            await chat.switch((await chat.messages())[0].id)
            await chat.append(Message.user("more"))
            (found,) = await told(bob, app)
            assert "more" in json.dumps(found)
        again = store.for_owner("again")
        await again.import_(await file_from(store)).finish()
        assert await told(again, app) == [value]


async def told(store: Store, app: str) -> list[Any]:
    """Export all in the format of a program, and return what it says."""
    text = await store.export(format=app)
    assert isinstance(text, TextExport)
    found: list[Any] = json.loads("".join([piece async for piece in text]))
    return found


@pytest.mark.asyncio
async def test_other_bytes_beside_an_export_refuse_the_conversation(tmp_path: Path) -> None:
    """An attachment is what its name, a sha256, says; nothing of it is stored else."""
    async with temporary_store() as store:
        chat = await store.create(title="One")
        await chat.append(Message.user("q", attachments=[await store.attach(b"cat")]))
        await store.export(to=tmp_path / "all.jsonl", attachments="beside")
        (file,) = (tmp_path / "all.jsonl.attachments").iterdir()
        file.write_bytes(b"dog")
        bob = store.for_owner("bob")
        (one,) = [one async for one in bob.import_(tmp_path / "all.jsonl")]
        assert (one.outcome, "are not those that it had" in one.reason) == ("refused", True)
        assert (await bob.list()).items == ()
