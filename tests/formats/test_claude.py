"""Claude's export is read whole: blocks, branches, pasted texts."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.formats import claude
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.formats.counting import conversations, counted, path_of, shape
from tests.formats.samples import HERE, samples

if TYPE_CHECKING:
    from pathlib import Path

FILES = samples("claude")
BRANCHED = HERE / "claude" / "synthetic.branched-official.json"


@pytest.mark.parametrize(("file", "expected"), FILES)
def test_counts_are_those_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Messages, roots, leaves, branch points, and the path to where it stood or to the newest."""
    for value, counts in zip(conversations(file), expected["conversations"], strict=True):
        assert claude.is_one(value)
        one = claude.read(value)
        assert (one.source_id, one.title) == (counts["id"], counts["title"])
        found = counted(one)
        assert found["messages"] == counts["messages"]
        assert len(path_of(one)) == (
            counts.get("active_path_messages") or counts.get("path_to_latest_created") or 0
        )
        if counts["has_parent_pointers"]:
            assert found["message_roots"] == counts["roots"]
            assert found["message_leaves"] == counts["leaves"]
            assert found["message_branch_points"] == counts["branch_points"]


@pytest.mark.parametrize(("file", "expected"), FILES)
def test_order_does_not_matter(file: Path, expected: dict[str, Any]) -> None:
    """Messages in any order make the same tree."""
    del expected
    for value in conversations(file):
        messages = list(value["chat_messages"])
        random.Random(7).shuffle(messages)
        assert shape(claude.read(value)) == shape(claude.read({**value, "chat_messages": messages}))


def test_each_block_becomes_a_part_of_ours() -> None:
    """Thoughts, calls, results and texts in order; the unknown is kept whole."""
    value = conversations(BRANCHED)[0]
    parts = {message.source_id: message.parts for message in claude.read(value).messages}
    assert parts["a1b"] == (ReasoningPart("try again"), TextPart("Answer one, regenerated"))
    assert parts["a2"] == (
        ToolCallPart("toolu_1", "web_search", '{"query":"heron"}'),
        ToolResultPart("toolu_1", "web_search", "A heron is a bird."),
        OpaquePart("token_budget", {"type": "token_budget"}),
        TextPart("Herons are birds."),
    )
    assert any(
        isinstance(part, OpaquePart) and part.kind == "file"
        for found in parts.values()
        for part in found
    )


def test_messages_without_parents_follow_each_other() -> None:
    """The old form has no tree: its order is the order that was."""
    (value,) = conversations(HERE / "claude" / "synthetic.api-style-single.json")
    bare = [
        {name: kept for name, kept in one.items() if name != "parent_message_uuid"}
        for one in value["chat_messages"]
    ]
    one = claude.read({**value, "chat_messages": bare, "current_leaf_message_uuid": None})
    assert path_of(one) == ["h1", "a1", "a1b"]


def test_nothing_of_the_origin_is_lost() -> None:
    """From what is kept beside our own words the file's own object can be made again."""
    for value in conversations(BRANCHED):
        one = claude.read(value)
        again = json.loads(one.raw)
        by_id = {message.source_id: json.loads(message.raw) for message in one.messages}
        again["chat_messages"] = [by_id[id_] for id_ in again["chat_messages"]]
        assert json.dumps(again) == json.dumps(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"chat_messages": []}, "no id"),
        ({"uuid": "x", "chat_messages": None}, "no list"),
        ({"uuid": "x", "chat_messages": [7]}, "no list"),
        ({"uuid": "x", "chat_messages": [{}]}, "no id"),
    ],
)
def test_what_is_no_conversation_is_refused_by_name(value: dict[str, Any], reason: str) -> None:
    """The error says what is missing."""
    with pytest.raises(FormatError, match=reason):
        claude.read(value)


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, [None], [[]], True, "2026-99-99"])
def test_odd_values_anywhere_are_no_error(odd: object) -> None:
    """Whatever stands where something else belongs, the rest is read."""
    value = conversations(BRANCHED)[0]
    for name in value:
        if name not in {"uuid", "chat_messages"}:
            assert len(claude.read({**value, name: odd}).messages) == 7
    first, *rest = value["chat_messages"]
    for name in first:
        if name != "uuid":
            changed = [{**first, name: odd}, *rest]
            assert len(claude.read({**value, "chat_messages": changed}).messages) == 7
