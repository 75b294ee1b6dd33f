"""ChatGPT's export is read whole: every message, the tree, and where it stood."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.formats import chatgpt
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.formats.counting import conversations, counted, path_of, shape
from tests.formats.samples import HERE, samples

if TYPE_CHECKING:
    from pathlib import Path


FILES = samples(
    "chatgpt",
    "librechat.chatgpt-export.json",
    "librechat.chatgpt-tree.json",
    "librechat.chatgpt-citations.json",
    "librechat.chatgpt-modern-export.json",
)


@pytest.mark.parametrize(("file", "expected"), FILES)
def test_counts_are_those_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Messages, roots, leaves, branch points, roles and the path, of each conversation."""
    found = conversations(file)
    assert len(found) == expected["totals"]["conversations"]
    for value, counts in zip(found, expected["conversations"], strict=True):
        assert chatgpt.is_one(value) == ("error" not in counts)
        if "error" in counts:
            with pytest.raises(FormatError, match="mapping is missing"):
                chatgpt.read(value)
            continue
        one = chatgpt.read(value)
        assert (one.source_id, one.title) == (counts["id"], counts["title"])
        assert counted(one) == {name: counts[name] for name in counted(one)}
        if counts["active_path_messages"] is not None:
            assert len(path_of(one)) == counts["active_path_messages"]
        else:
            assert any("newest message" in remark for remark in one.remarks)


@pytest.mark.parametrize(("file", "expected"), FILES)
def test_order_and_children_do_not_matter(file: Path, expected: dict[str, Any]) -> None:
    """Shuffled keys give the same; so do children that are removed or falsified."""
    del expected
    chance = random.Random(7)
    for value in filter(chatgpt.is_one, conversations(file)):
        nodes = list(value["mapping"].items())
        chance.shuffle(nodes)
        ids = [id_ for id_, _ in nodes]
        for children in ({}, {"children": ids}, {"children": ["nobody"]}):
            mapping = {
                id_: {name: kept for name, kept in node.items() if name != "children"} | children
                for id_, node in nodes
            }
            one, other = chatgpt.read(value), chatgpt.read({**value, "mapping": mapping})
            assert shape(one) == shape(other)


def test_each_kind_of_content_becomes_a_part_of_ours() -> None:
    """Text, thoughts, calls, results, pictures, transcripts; the unknown is kept whole."""
    (value,) = conversations(HERE / "chatgpt" / "synthetic.content-types-real-shapes.json")
    parts = {message.source_id: message.parts for message in chatgpt.read(value).messages}
    assert parts["t0"] == (ReasoningPart("Searching\n\nI should search first."),)
    assert parts["c0"] == (ToolCallPart("", "web.run", 'search("heron wingspan")'),)
    assert parts["x1"] == (ToolResultPart("", "python", "1.9"),)
    assert parts["w3"] == (
        ToolResultPart("", "web.run", "ClientResponseError: Error: 403 robots.txt"),
    )
    assert parts["u0"][0] == TextPart("Find a heron and plot its wingspan")
    assert [part.kind for part in parts["u0"] if isinstance(part, OpaquePart)] == ["attachment"]
    assert [part.kind for part in parts["s1"] if isinstance(part, OpaquePart)] == ["hidden"]
    kinds = {
        part.kind for found in parts.values() for part in found if isinstance(part, OpaquePart)
    }
    assert {"image_asset_pointer", "audio_asset_pointer", "tether_quote", "sonic_webpage"} <= kinds


def test_nothing_of_the_origin_is_lost() -> None:
    """From what is kept beside our own words the file's own object can be made again."""
    for value in conversations(HERE / "chatgpt" / "synthetic.slim-no-children-and-odd.json"):
        one = chatgpt.read(value)
        again = json.loads(one.raw)
        order = again.pop("mapping_order")
        nodes = again["mapping"] | {m.source_id: json.loads(m.raw) for m in one.messages}
        again["mapping"] = {id_: nodes[id_] for id_ in order}
        assert json.dumps(again) == json.dumps(value)


def chain(length: int) -> dict[str, Any]:
    """Return a conversation of one message after the other, between empty nodes."""
    mapping: dict[str, Any] = {"0": {"parent": None, "message": None}}
    for at in range(1, length):
        message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["x"]}}
        mapping[str(at)] = {"parent": str(at - 1), "message": message if at % 2 else None}
    return {"id": "long", "mapping": mapping, "current_node": str(length - 1)}


def test_long_chains_and_circles_are_read() -> None:
    """Ten thousand messages one after the other; two that follow each other; one that follows itself."""
    one = chatgpt.read(chain(20_000))
    assert len(path_of(one)) == 10_000
    value = chain(8)
    value["mapping"]["1"]["parent"] = "3"
    value["mapping"]["5"]["parent"] = "5"
    one = chatgpt.read(value)
    assert len(one.messages) == 4
    assert one.remarks == ("circles of messages that were cut open: 2",)


@pytest.mark.parametrize(
    "value",
    [
        {"id": "x", "mapping": None},
        {"id": "x", "mapping": []},
        {"mapping": {}},
        {"id": 7, "mapping": {}},
    ],
)
def test_what_is_no_conversation_is_refused_by_name(value: dict[str, Any]) -> None:
    """The error says what is missing."""
    with pytest.raises(FormatError, match=r"mapping is missing|no id") as caught:
        chatgpt.read(value)
    assert caught.value.format == "chatgpt"


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, [None], {"parts": None}, True, 1e400])
def test_odd_values_anywhere_are_no_error(odd: object) -> None:
    """Whatever stands where something else belongs, the rest is read."""
    (value,) = conversations(HERE / "chatgpt" / "synthetic.content-types-real-shapes.json")
    for name in value:
        if name not in {"mapping", "id", "conversation_id"}:
            assert chatgpt.read({**value, name: odd}).messages
    node = value["mapping"]["u0"]
    for name in node["message"]:
        changed = {**node, "message": {**node["message"], name: odd}}
        one = chatgpt.read({**value, "mapping": {**value["mapping"], "u0": changed}})
        assert len(one.messages) == 16
