"""A session of the OpenAI Agents SDK: its protocol, over a conversation. The SDK is not needed."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import convostore
from convostore.cli.page import _part_line
from convostore.errors import InvalidTextError
from convostore.formats.framed import is_frame
from convostore.formats.response_items import items_as_stored
from convostore.integrations.openai_agents import ConvostoreSession
from convostore.parts import OpaquePart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import Message
from convostore.views.asked import Asked
from convostore.views.viewing import view
from tests.engines import change, place, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from convostore.store import Store
    from tests.engines import Where

LONG = "The bridge is in San Francisco, and it has been there since 1937."
ITEMS: list[Any] = [
    {"role": "user", "content": "What city is the Golden Gate Bridge in?"},
    {"content": "the other order", "role": "user"},
    {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": LONG, "annotations": [{"z": 1, "a": 2}], "logprobs": []}
        ],
    },
    {"role": "developer", "content": "Reply very concisely."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": LONG},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        ],
    },
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": LONG}],
        "encrypted_content": "gAAAA",
    },
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"b":1,"a":2}'},
    {"type": "function_call", "name": "nameless", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "nul \x00 and half \ud800"},
    {
        "type": "function_call_output",
        "call_id": "c1",
        "output": [{"type": "input_text", "text": "x"}],
    },
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"n": 2**70}},
    {"type": "made_up", "$part": 1, "$is": {"$part": 0}, "deep": [[[None, True, 1.5]]]},
    {"role": "user", "content": ""},
    {"type": "compaction", "encrypted_content": "x" * 3000},
]


@pytest_asyncio.fixture
async def store(path: Where) -> AsyncIterator[Store]:
    """Open a new store."""
    async with convostore.open(path) as opened:
        yield opened


@pytest.fixture
def session(store: Store) -> ConvostoreSession:
    """Give a session that has no item yet."""
    return ConvostoreSession("conversation_123", store)


def said(text: str) -> Any:
    """Make a user's item."""
    return {"role": "user", "content": text}


@pytest.mark.asyncio
async def test_items_come_back_as_they_were(store: Store, session: ConvostoreSession) -> None:
    """To the order of their keys, and in another session of the same id."""
    await session.add_items(ITEMS)
    again = await ConvostoreSession("conversation_123", store).get_items()
    assert json.dumps(again) == json.dumps(ITEMS)
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_session_is_listed_searched_and_exported_like_any_chat(
    store: Store, session: ConvostoreSession, tmp_path: Path
) -> None:
    """With the first question as its title, and nothing in the way that is for the SDK alone."""
    await session.add_items(ITEMS[2:])
    await session.add_items(ITEMS[:1])
    (listed,) = (await store.list()).items
    assert listed.key == "conversation_123"
    assert {hit.role for hit in (await store.search("bridge 1937")).items} >= {"assistant"}
    await store.export(listed.id, format="markdown", to=tmp_path / "chat.md")
    shown = (tmp_path / "chat.md").read_text("utf-8")
    assert LONG in shown
    assert "look" in shown
    assert "frame" not in shown


@pytest.mark.asyncio
async def test_items_go_along_with_an_export_and_a_fork(
    store: Store, session: ConvostoreSession, places: Callable[[], Where], tmp_path: Path
) -> None:
    """To another store, and to a conversation of its own: they are part of the messages."""
    await session.add_items(ITEMS)
    chat = await store.get("conversation_123")
    assert chat is not None
    fork = await chat.fork()
    told = [item for one in await fork.history() for item in items_as_stored(one)]
    assert json.dumps(told) == json.dumps(ITEMS)
    await store.export(chat.id, format="jsonl", to=tmp_path / "chat.jsonl")
    async with convostore.open(places()) as other:
        await other.import_(tmp_path / "chat.jsonl").finish()
        found = await ConvostoreSession("conversation_123", other).get_items()
    assert json.dumps(found) == json.dumps(ITEMS)


@pytest.mark.asyncio
async def test_chat_goes_on_with_a_session(store: Store, session: ConvostoreSession) -> None:
    """A provider is told what was said, and nothing of what only the SDK needs."""
    await session.add_items(ITEMS[2:3])
    chat = await store.get("conversation_123")
    assert chat is not None
    await chat.append(Message.user("Still?"))
    seen = view(await chat.history(), Asked(provider="far", model=None, tools=True))
    assert [one.text for one in seen.messages] == [LONG, "Still?"]
    assert seen.foreign_left_out == 0
    assert await session.get_items(1) == [said("Still?")]


@pytest.mark.asyncio
async def test_forgotten_item_is_told_to_no_agent(store: Store, session: ConvostoreSession) -> None:
    """Nothing of it is left, what only the SDK needs included."""
    await session.add_items([*ITEMS[4:6], said("kept")])
    chat = await store.get("conversation_123")
    assert chat is not None
    await chat.forget(1)
    await chat.forget(2)
    assert await session.get_items() == [said("kept")]
    kept = [str(one) for row in rows(place(store), "SELECT * FROM message") for one in row]
    assert not any("gAAAA" in one or "AAAA" in one or LONG in one for one in kept)


def test_what_is_for_the_sdk_alone_is_not_shown() -> None:
    """Where `convostore show` names the other parts."""
    assert _part_line("opaque", {"kind": "frame", "data": "{}"}) == ""
    assert _part_line("opaque", {"kind": "input_image", "data": {}}) == "[input_image]"


@pytest.mark.asyncio
async def test_text_is_not_stored_twice(store: Store, session: ConvostoreSession) -> None:
    """What is kept for the SDK alone names what the message says by its place."""
    await session.add_items([ITEMS[2], ITEMS[0]])
    chat = await store.get("conversation_123")
    assert chat is not None
    answer, question = await chat.history()
    (kept,) = (part.data for part in answer.parts if isinstance(part, OpaquePart))
    assert LONG not in kept
    assert not any(map(is_frame, question.parts))  # its one text says all of it


@pytest.mark.asyncio
async def test_latest_items_come_in_their_order(session: ConvostoreSession) -> None:
    """A limit counts from the end; none and a negative one are all; the settings' counts else."""
    assert await session.get_items() == []
    items = [said(str(number)) for number in range(5)]
    await session.add_items(items)
    assert await session.get_items(2) == items[3:]
    assert await session.get_items(9) == items
    assert await session.get_items(0) == []
    assert await session.get_items(-1) == items
    session.session_settings = SimpleNamespace(limit=1)
    assert await session.get_items() == items[4:]
    assert await session.get_items(3) == items[2:]


@pytest.mark.asyncio
async def test_taking_back_destroys_nothing(store: Store, session: ConvostoreSession) -> None:
    """What was popped and cleared stays in the tree; what is added next stands beside it."""
    items = [said("one"), said("two")]
    await session.add_items(items)
    assert await session.pop_item() == items[1]
    await session.add_items([said("three")])
    assert await session.get_items() == [items[0], said("three")]
    await session.clear_session()
    assert await session.get_items() == []
    assert await session.pop_item() is None
    await session.add_items([said("anew")])
    assert await session.get_items() == [said("anew")]
    chat = await store.get("conversation_123")
    assert chat is not None
    tree = await chat.messages()
    assert [(one.text, one.parent_seq) for one in tree] == [
        ("one", None),
        ("two", 1),
        ("three", 1),
        ("anew", None),
    ]
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_reading_makes_no_conversation(store: Store, session: ConvostoreSession) -> None:
    """Nor does taking back, or adding nothing."""
    await session.get_items()
    await session.pop_item()
    await session.clear_session()
    await session.add_items([])
    assert (await store.list()).items == ()


@pytest.mark.asyncio
async def test_session_follows_a_conversation_to_its_other_key(
    store: Store, session: ConvostoreSession
) -> None:
    """What it reads is where it writes."""
    await session.add_items([said("one")])
    await store.rename_key("conversation_123", "other")
    await session.add_items([said("two")])
    assert await session.get_items() == [said("one"), said("two")]
    assert await session.pop_item() == said("two")
    assert len((await store.list()).items) == 1


@pytest.mark.asyncio
async def test_batch_is_stored_whole_or_not_at_all(session: ConvostoreSession) -> None:
    """An item that is no JSON refuses those beside it; an endless one is told in one line."""
    with pytest.raises(InvalidTextError, match="JSON"):
        await session.add_items([said("good"), {"role": "user", "content": object()}])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidTextError, match="levels deep"):
        await session.add_items([said("good"), {"role": "user", "content": endless}])
    assert await session.get_items() == []


@pytest.mark.asyncio
async def test_batches_of_several_sessions_do_not_mix(
    store: Store, session: ConvostoreSession
) -> None:
    """Each stands in one piece, and none is lost."""
    other = ConvostoreSession("conversation_123", store)
    batches = [[said(f"{at} {number}") for number in range(3)] for at in range(8)]
    await session.add_items([said("first")])
    await asyncio.gather(
        *(
            one.add_items(batch)
            for at, batch in enumerate(batches)
            for one in [(session, other)[at % 2]]
        )
    )
    found = (await session.get_items())[1:]
    pieces = [found[at : at + 3] for at in range(0, len(found), 3)]
    assert sorted(pieces, key=str) == batches


@pytest.mark.asyncio
async def test_each_item_is_popped_once(store: Store, session: ConvostoreSession) -> None:
    """However many take items back at the same time."""
    other = ConvostoreSession("conversation_123", store)
    items = [said(str(number)) for number in range(6)]
    await session.add_items(items)
    popped = await asyncio.gather(*(one.pop_item() for one in [session, other] * 4))
    assert sorted(one["content"] for one in popped if one) == [str(number) for number in range(6)]
    assert popped.count(None) == 2


@pytest.mark.asyncio
async def test_cancelled_caller_waits_for_the_outcome(session: ConvostoreSession) -> None:
    """When the cancellation arrives it is known what is stored: all of it."""
    await session.add_items([said("there")])
    adding = asyncio.ensure_future(session.add_items([said("one"), said("two")]))
    await asyncio.sleep(0)
    for _ in range(3):
        adding.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert await session.get_items(2) == [said("one"), said("two")]


@pytest.mark.asyncio
async def test_agent_goes_on_with_a_chat_of_another_origin(
    store: Store, session: ConvostoreSession
) -> None:
    """What was said, called and answered there is told in the SDK's words, and can be taken back."""
    chat = await store.create(key="conversation_123", system="Be brief.")
    call, result = ToolCallPart("c1", "look", "{}"), ToolResultPart("c1", "look", "found")
    parts = (TextPart("Let me look."), call, result)
    await chat.append(Message.user("Hi"), Message.assistant("Let me look.", parts=parts))
    told = await session.get_items()
    assert [one.get("type", one.get("role")) for one in told] == [
        *("system", "user", "message", "function_call", "function_call_output"),
    ]
    assert await session.pop_item() == told[-1]
    assert await session.get_items() == told[:-1]


@pytest.mark.asyncio
async def test_item_that_cannot_be_read_hides_no_other(
    store: Store, session: ConvostoreSession
) -> None:
    """Where what was kept for the SDK is damaged, the message itself is told."""
    await session.add_items([ITEMS[2], said("after")])
    await asyncio.to_thread(
        change,
        place(store),
        "UPDATE message SET parts = ? WHERE seq = 1",
        json.dumps([len(LONG), {"t": "opaque", "kind": "frame", "data": "{broken"}]),
    )
    found = await session.get_items()
    assert found[0]["content"][0]["text"] == LONG
    assert found[1:] == [said("after")]


@pytest.mark.parametrize("session_id", ["", "x" * 2000, "nul \x00"])
@pytest.mark.asyncio
async def test_id_that_no_conversation_can_have_is_refused(store: Store, session_id: str) -> None:
    """Before anything is done."""
    with pytest.raises(InvalidTextError):
        ConvostoreSession(session_id, store)
