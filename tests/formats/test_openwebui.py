"""Open WebUI's export is read whole: parallel answers, items of newer answers, both kinds of time."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.formats import openwebui
from convostore.parts import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.formats.counting import conversations, counted, path_of, shape
from tests.formats.samples import HERE, samples

if TYPE_CHECKING:
    from pathlib import Path

FILES = samples("openwebui", "librechat.openwebui-export.json")
BRANCHED = HERE / "openwebui" / "synthetic.branched-stale-children.json"


@pytest.mark.parametrize(("file", "expected"), FILES)
def test_counts_are_those_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Messages, roots, leaves, branch points, roles and the path, of each conversation."""
    for value, counts in zip(conversations(file), expected["conversations"], strict=True):
        assert openwebui.is_one(value)
        one = openwebui.read(value)
        assert (one.source_id, one.title) == (counts["id"], counts["title"])
        assert (one.pinned, one.archived) == (counts["pinned"], counts["archived"])
        found = counted(one)
        names = {"roots": "message_roots", "leaves": "message_leaves"}
        names |= {
            "branch_points": "message_branch_points",
            "messages": "messages",
            "roles": "roles",
        }
        assert {name: found[ours] for name, ours in names.items()} == {
            name: counts[name] for name in names
        }
        assert len(path_of(one)) == counts["active_path_messages"]


@pytest.mark.parametrize(("file", "expected"), FILES)
def test_order_and_children_do_not_matter(file: Path, expected: dict[str, Any]) -> None:
    """Shuffled keys give the same; so do children that are removed or falsified."""
    del expected
    for value in conversations(file):
        nodes = list(value["chat"]["history"]["messages"].items())
        random.Random(7).shuffle(nodes)
        for children in ({}, {"childrenIds": [id_ for id_, _ in nodes]}):
            messages = {
                id_: {name: kept for name, kept in one.items() if name != "childrenIds"} | children
                for id_, one in nodes
            }
            history = {**value["chat"]["history"], "messages": messages}
            other = {**value, "chat": {**value["chat"], "history": history}}
            assert shape(openwebui.read(value)) == shape(openwebui.read(other))


def test_row_and_bare_chat_are_the_same_conversation() -> None:
    """A single chat may be saved without its row; times in seconds and in milliseconds are times."""
    (value,) = conversations(BRANCHED)
    row, bare = openwebui.read(value), openwebui.read(value["chat"])
    assert shape(row) == shape(bare)
    assert row.created_at_ms == bare.created_at_ms == 1_756_000_000_000
    assert row.tags == ("birds", "demo")


def test_each_item_of_an_answer_becomes_a_part_of_ours() -> None:
    """Items count where there are any, for the content then only repeats them."""
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": 1}'},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "x"}],
        },
        {"type": "message", "content": [{"type": "output_text", "text": "seen"}]},
    ]
    messages = {"a": {"role": "assistant", "content": "<details>", "output": output, "done": False}}
    (one,) = openwebui.read({"id": "x", "history": {"messages": messages}}).messages
    assert one.parts == (
        ReasoningPart("hm"),
        ToolCallPart("c1", "look", '{"at": 1}'),
        ToolResultPart("c1", "", "x"),
        TextPart("seen"),
    )
    assert one.status == "interrupted"


def test_nothing_of_the_origin_is_lost() -> None:
    """From what is kept beside our own words the file's own object can be made again."""
    (value,) = conversations(BRANCHED)
    one = openwebui.read(value)
    again = json.loads(one.raw)
    by_id = {message.source_id: json.loads(message.raw) for message in one.messages}
    history = again["chat"]["history"]
    history["messages"] = {id_: by_id[id_] for id_ in history["messages"]}
    assert json.dumps(again) == json.dumps(value)


@pytest.mark.parametrize(
    "value", [{"id": "x"}, {"history": {"messages": {}}}, {"id": "x", "history": []}]
)
def test_what_is_no_conversation_is_refused_by_name(value: dict[str, Any]) -> None:
    """The error says what is missing."""
    with pytest.raises(FormatError, match=r"no history|no id"):
        openwebui.read(value)


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, [None], [[]], True, 1e400, 10**400])
def test_odd_values_anywhere_are_no_error(odd: object) -> None:
    """Whatever stands where something else belongs, the rest is read."""
    (value,) = conversations(BRANCHED)
    for name in value:
        if name not in {"id", "chat"}:
            assert len(openwebui.read({**value, name: odd}).messages) == 4
    history = value["chat"]["history"]
    for name in history["messages"]["r2"]:
        changed = {**history["messages"], "r2": {**history["messages"]["r2"], name: odd}}
        chat = {**value["chat"], "history": {**history, "messages": changed}}
        assert len(openwebui.read({**value, "chat": chat}).messages) == 4
