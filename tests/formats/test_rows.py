"""Rows of data sets and fine-tuning files are read as conversations in a line, or with a choice."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.formats import openai_chat, sharegpt
from convostore.parts import OpaquePart, TextPart, ToolCallPart, ToolResultPart
from tests.formats.counting import counted, path_of
from tests.formats.samples import HERE, samples

if TYPE_CHECKING:
    from pathlib import Path

ROWS = HERE / "openai-jsonl" / "synthetic.tools-multimodal-preference.jsonl"
TURNS = HERE / "sharegpt" / "synthetic.roles-and-extras.json"


def rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, an array or lines."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    return list(json.loads(text))


@pytest.mark.parametrize(
    ("file", "expected"), samples("openai-jsonl", "cookbook.toy_chat_fine_tuning.jsonl")
)
def test_chat_rows_have_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Messages and roles of each row; a choice between answers has both below the question."""
    for value, counts in zip(rows(file), expected["rows"], strict=True):
        assert openai_chat.is_one(value)
        one = openai_chat.read(value)
        roles = Counter(counts["roles"])
        if counts["kind"] == "preference":
            roles["assistant"] += 2
            assert counted(one)["message_leaves"] == 2
            assert [m.parts for m in one.messages if m.source_id == one.head] == [(TextPart("A"),)]
        elif "developer" in roles:
            roles["system"] += roles.pop("developer")
        assert Counter(counted(one)["roles"]) == roles
        calls = [part for m in one.messages for part in m.parts if isinstance(part, ToolCallPart)]
        assert len(calls) == counts["tool_calls"]


@pytest.mark.parametrize(
    ("file", "expected"),
    samples(
        "sharegpt", "fastchat.dummy_conversation.json", "llamafactory.glaive_toolcall_en_demo.json"
    ),
)
def test_turns_have_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Conversations, messages and calls of tools; equal ids make no equal conversations, equal rows do."""
    found = [sharegpt.read(value) for value in rows(file) if sharegpt.is_one(value)]
    totals = expected["totals"]
    assert len(found) == totals["conversations"]
    systems = sum("system" in value for value in rows(file))
    assert sum(len(one.messages) for one in found) == totals["messages"] + systems
    different = {json.dumps(value, sort_keys=True) for value in rows(file)}
    assert len({one.source_id for one in found}) == len(different)
    parts = Counter(type(part) for one in found for m in one.messages for part in m.parts)
    assert parts[ToolCallPart] == totals["roles"].get("function_call", 0)
    assert parts[ToolResultPart] == totals["roles"].get("observation", 0)
    assert all(len(path_of(one)) == len(one.messages) for one in found)


def test_calls_pictures_and_names_become_parts_of_ours() -> None:
    """A call keeps its arguments as they were written; a picture is kept whole."""
    first, second, _ = (openai_chat.read(value) for value in rows(ROWS))
    assert first.messages[1].parts == (ToolCallPart("call_1", "get_weather", '{"city": "Oslo"}'),)
    assert first.messages[2].parts == (ToolResultPart("call_1", "", "-3C"),)
    text, picture = second.messages[1].parts
    assert text == TextPart("What is it?")
    assert isinstance(picture, OpaquePart)
    assert picture.kind == "image_url"
    turns = sharegpt.read(rows(TURNS)[0])
    assert [(m.role, m.author) for m in turns.messages] == [
        ("system", None),
        ("system", None),
        ("user", None),
        ("assistant", None),
        ("assistant", "chatgpt"),
        ("user", "user"),
        ("assistant", "bing"),
    ]


def test_equal_rows_are_the_same_conversation_and_others_are_not() -> None:
    """The id is made of the content, whatever the order of keys."""
    one = {"messages": [{"role": "user", "content": "Hi"}], "tools": []}
    other = dict(reversed(one.items()))
    assert openai_chat.read(one).source_id == openai_chat.read(other).source_id
    more = {"messages": [*one["messages"], {"role": "assistant", "content": "Hello"}]}
    assert openai_chat.read(more).source_id != openai_chat.read(one).source_id


@pytest.mark.parametrize(
    "value", [{}, {"messages": None}, {"messages": [7]}, {"messages": [{}]}, {"input": {}}]
)
def test_what_is_no_row_is_refused_by_name(value: dict[str, Any]) -> None:
    """The error says what is missing."""
    assert not openai_chat.is_one(value)
    with pytest.raises(FormatError, match="no list of messages"):
        openai_chat.read(value)
    with pytest.raises(FormatError, match="no list of turns"):
        sharegpt.read(value)


def test_row_of_a_choice_goes_on_at_what_there_is() -> None:
    """At the preferred answer, else at the question, else at the other answer; else nowhere."""
    asked, said = [{"role": "user", "content": "q"}], [{"role": "assistant", "content": "a"}]
    for question, preferred, other, head in (
        (asked, said, said, "a1"),
        (asked, 7, said, "1"),
        ([], None, said, "b1"),
        ([], [], [], None),
    ):
        row: dict[str, Any] = {"input": {"messages": question}, "preferred_output": preferred}
        assert openai_chat.read({**row, "non_preferred_output": other}).head == head
    row = {"input": "a text beside it", "messages": asked}
    assert [one.source_id for one in openai_chat.read(row).messages] == ["1"]


@pytest.mark.parametrize("odd", [None, 7, "text", [], {}, [None], [[]], True, "{"])
def test_odd_values_anywhere_are_no_error(odd: object) -> None:
    """Whatever stands where something else belongs, the rest is read."""
    for value in rows(ROWS)[:2]:
        for at, message in enumerate(value["messages"]):
            for name in message:
                if name == "role":
                    continue
                messages = [*value["messages"]]
                messages[at] = {**message, name: odd}
                assert openai_chat.read({**value, "messages": messages}).messages
    for call in (odd, {"function": odd}, {"function": {"name": odd, "arguments": odd}}):
        row = {"messages": [{"role": "assistant", "tool_calls": [call]}]}
        assert len(openai_chat.read(row).messages[0].parts) == 1
    for speaker in ("human", "function_call", "observation", "somebody"):
        assert sharegpt.read({"conversations": [{"from": speaker, "value": odd}]}).messages
