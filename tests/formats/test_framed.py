"""A framework's message beside the parts that were made of it: given back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convostore.formats import langchain_messages, pydantic_messages, response_items
from convostore.formats.framed import framed, storable, unframed
from convostore.parts import OpaquePart, TextPart, ToolCallPart
from convostore.records import Message
from convostore.storage.canonical import encode_parts
from convostore.storage.rows import decode_parts
from convostore.text import gate

texts = st.text(st.characters(codec=None), max_size=40)
words = st.sampled_from(["role", "type", "content", "text", "$part", "$is", "arguments", "call_id"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | texts, inner, max_size=4),
    max_leaves=20,
)
items = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool", "odd"]),
        "type": st.sampled_from(["message", "reasoning", "function_call", "function_call_output"]),
        "content": values,
        "summary": values,
        "arguments": values,
        "output": values,
        "call_id": values,
        "name": values,
    },
)


@settings(max_examples=150)
@given(items)
def test_any_item_comes_back_from_the_store(item: dict[str, object]) -> None:
    """What is stored passes the gate, and says the same text, to the order of keys."""
    message = response_items.message_of(item)
    text, shape = encode_parts(message.parts)
    gate(text)
    gate(shape or "")
    read = Message(role=message.role, text=text, parts=decode_parts(text, shape))
    assert json.dumps(response_items.items_as_stored(read)) == json.dumps([item])


@settings(max_examples=100)
@given(values)
def test_any_value_comes_back_whatever_the_parts_are(value: object) -> None:
    """Also where it looks like the place of a part, or a part says the same."""
    parts = storable(
        [TextPart("a text that is long enough to be named"), ToolCallPart("", "n", "")]
    )
    found = unframed([*parts, framed({"all": [value, parts[0].text]}, parts)])  # type: ignore[union-attr] # it is a TextPart
    assert json.dumps(found) == json.dumps(
        {"all": [value, "a text that is long enough to be named"]}
    )


@pytest.mark.parametrize(
    "kept", ["{broken", '{"$part": [7]}', '{"$part": ["x"]}', '{"$part": 0}', 5, None]
)
def test_damaged_frame_is_none(kept: object) -> None:
    """Whoever asks falls back on the parts."""
    with pytest.raises(LookupError):
        unframed([TextPart("said"), OpaquePart("frame", kept)])


def test_request_of_pydantic_ai_is_whose_question_it_holds() -> None:
    """A system text in it is no part of what the user said."""
    value = {
        "kind": "request",
        "parts": [
            {"part_kind": "system-prompt", "content": "Be brief."},
            {"part_kind": "user-prompt", "content": ["Hi", {"kind": "image-url", "url": "x"}]},
        ],
    }
    message = pydantic_messages.message_of(value)
    assert (message.role, message.text) == ("user", "Hi")
    assert pydantic_messages.messages_as_stored(message) == [value]


def test_message_of_langchain_is_told_with_its_calls() -> None:
    """The text, what it calls, and the answer; what it is made of comes back."""
    call = {"name": "look", "args": {"b": 1, "a": 2}, "id": "c1", "type": "tool_call"}
    asked = {
        "type": "ai",
        "data": {"content": [{"type": "text", "text": "Hm"}], "tool_calls": [call]},
    }
    answer = {"type": "tool", "data": {"content": "found", "tool_call_id": "c1", "name": "look"}}
    for value, role in ((asked, "assistant"), (answer, "tool")):
        message = langchain_messages.message_of(value)
        assert message.role == role
        assert json.dumps(langchain_messages.messages_as_stored(message)) == json.dumps([value])
    assert langchain_messages.message_of(asked).parts[1] == ToolCallPart(
        "c1", "look", '{"b": 1, "a": 2}'
    )
