"""Random trees of another program, imported in part, whole, and again."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convostore
from convostore.formats.foreign import ForeignConversation, ForeignMessage, in_order
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.foreigners import take

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore import Store
    from convostore.records import Message

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
PART = st.one_of(
    st.builds(TextPart, TEXT.filter(bool)),
    st.builds(ReasoningPart, TEXT),
    st.builds(ToolCallPart, TEXT, TEXT, TEXT),
    st.builds(ToolResultPart, TEXT, TEXT, TEXT),
    st.builds(OpaquePart, TEXT, JSON),
)
NUMBERS = itertools.count()


@st.composite
def trees(draw: st.DrawFn) -> tuple[ForeignConversation, int]:
    """Draw a conversation, and how many of its messages were there at first."""
    size = draw(st.integers(0, 8))
    messages = [
        ForeignMessage(
            source_id=f"m{at}",
            parent=None if not at else draw(st.sampled_from([None, *(f"m{n}" for n in range(at))])),
            role=draw(st.sampled_from(["system", "user", "assistant", "tool"])),
            parts=tuple(draw(st.lists(PART, max_size=3))),
            author=draw(st.none() | TEXT),
            status=draw(st.sampled_from(["completed", "stopped", "interrupted"])),
            created_at_ms=draw(st.none() | st.integers(0, 2**41)),
            raw=msgspec.json.encode({"at": at, "is": draw(JSON)}),
        )
        for at in range(size)
    ]
    ordered, _ = in_order(messages)
    one = ForeignConversation(
        source="chatgpt",
        source_id=f"c{next(NUMBERS)}",
        messages=ordered,
        head=draw(st.sampled_from([one.source_id for one in ordered])) if ordered else None,
        title=draw(st.none() | TEXT),
        raw=msgspec.json.encode({"is": draw(JSON)}),
    )
    return one, draw(st.integers(0, size))


def first(whole: ForeignConversation, size: int) -> ForeignConversation:
    """Return a conversation as it was when it had fewer messages."""
    kept = whole.messages[:size]
    names = {one.source_id for one in kept}
    head = whole.head if whole.head in names else (kept[-1].source_id if kept else None)
    return msgspec.structs.replace(whole, messages=kept, head=head)


def told(one: ForeignConversation) -> list[tuple[Any, ...]]:
    """Return what each message says there, by its id."""
    return sorted((m.source_id, m.parent, m.role, _joined(m.parts), m.status) for m in one.messages)


def kept(messages: tuple[Message, ...]) -> list[tuple[Any, ...]]:
    """Return what each message says here, by its id there."""
    names = {m.seq: m.source_id for m in messages}
    return sorted(
        (m.source_id, names.get(m.parent_seq or 0), m.role, m.parts, m.status) for m in messages
    )


def _joined(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return parts as the store gives them: it has no empty text standing alone."""
    return () if parts == (TextPart(""),) else parts


@pytest.fixture(scope="module")
def runner() -> Iterator[tuple[asyncio.Runner, Store]]:
    """Give one store for all examples: each has a conversation of its own."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        store = convostore.open(Path(folder) / "chats.db")
        runner.run(store.__aenter__())
        yield runner, store
        assert runner.run(store.check(deep=True)).problems == ()
        runner.run(store.aclose())


@given(trees())
@settings(max_examples=60)
def test_any_tree_is_kept_whole_and_once_however_it_comes(
    runner: tuple[asyncio.Runner, Store], drawn: tuple[ForeignConversation, int]
) -> None:
    """A part of it first, then all of it, then again: the same tree, and nothing twice."""
    loop, store = runner
    whole, size = drawn

    async def check() -> None:
        (result,), _ = await take(store, first(whole, size))
        assert (result.outcome, result.messages) == ("added", size)
        (grown,), _ = await take(store, whole)
        assert grown.messages == len(whole.messages) - size
        chat = await store.resume(result.id or "")
        assert kept(await chat.messages()) == told(whole)
        if grown.messages or not size:
            path = await chat.history()
            assert (path[-1].source_id if path else None) == whole.head
        (again,), _ = await take(store, whole)
        assert (again.outcome, again.messages) == ("unchanged", 0)

    loop.run(check())
