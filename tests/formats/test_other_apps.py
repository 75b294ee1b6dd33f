"""Exports of LibreChat, HF chat-ui, llama.cpp, g4f, aichat, and rows of collected chats."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.formats import aichat, chat_logs, g4f_chat, hf_chat_ui, librechat, llama_cpp
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.formats.counting import conversations, counted, path_of, shape
from tests.formats.samples import samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convostore.formats.foreign import ForeignConversation

LIBRECHAT = samples(
    "librechat",
    "librechat.librechat-export.json",
    "librechat.librechat-linear.json",
    "librechat.librechat-opts-nonr-branches.json",
    "librechat.librechat-tree.json",
)
NESTED: dict[str, Any] = {
    "conversationId": "c",
    "title": "Nested",
    "options": {"model": "gpt-4o"},
    "messagesTree": [
        {
            "messageId": "q",
            "isCreatedByUser": True,
            "text": "Hi",
            "createdAt": "2026-01-01T00:00:00Z",
            "children": [
                {
                    "messageId": "a",
                    "sender": "GPT",
                    "content": [
                        {"type": "think", "think": "hm"},
                        {
                            "type": "tool_call",
                            "tool_call": {
                                "id": "t",
                                "name": "look",
                                "args": "{}",
                                "output": "seen",
                            },
                        },
                        {"type": "text", "text": {"value": "Hello"}},
                    ],
                    "createdAt": "2026-01-01T00:00:01Z",
                },
                {"messageId": "b", "text": "Halt", "unfinished": True},
            ],
        }
    ],
}


def lines(file: Path) -> list[dict[str, Any]]:
    """Return the parsed lines of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def tree(one: ForeignConversation) -> dict[str, int]:
    """Count as the expected counts of programs without empty nodes name it."""
    found = counted(one)
    return {
        "messages": found["messages"],
        "roots": found["message_roots"],
        "leaves": found["message_leaves"],
        "branch_points": found["message_branch_points"],
    }


@pytest.mark.parametrize(("file", "expected"), LIBRECHAT)
def test_librechat_has_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Flat or nested, linear or a tree."""
    for value, counts in zip(conversations(file), expected["conversations"], strict=True):
        assert librechat.is_one(value)
        one = librechat.read(value)
        assert (one.source_id, one.title) == (counts["id"], counts["title"])
        assert tree(one) == {name: counts[name] for name in tree(one)}
        assert counted(one)["roles"].get("user", 0) == counts["by_user"]


def test_librechat_nested_messages_and_typed_pieces() -> None:
    """Where no parent is named the nesting is; pieces count before the text."""
    one = librechat.read(NESTED)
    by_id = {message.source_id: message for message in one.messages}
    assert {id_: message.parent for id_, message in by_id.items()} == {
        "q": None,
        "a": "q",
        "b": "q",
    }
    assert by_id["a"].parts == (
        ReasoningPart("hm"),
        ToolCallPart("t", "look", "{}"),
        ToolResultPart("t", "look", "seen"),
        TextPart("Hello"),
    )
    assert by_id["b"].status == "interrupted"
    assert one.model == "gpt-4o"


@pytest.mark.parametrize(("file", "expected"), samples("hf-chat-ui"))
def test_hf_chat_ui_has_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Trees by ancestors, the line from before, and one without any message."""
    for value, counts in zip(conversations(file), expected["conversations"], strict=True):
        assert hf_chat_ui.is_one(value)
        one = hf_chat_ui.read(value)
        assert (one.source_id, one.title) == (counts["id"], counts["title"])
        assert tree(one) == {name: counts[name] for name in tree(one)}
        assert counted(one)["roles"] == counts["roles"]
        if not counts["legacy_linear"]:
            messages = list(value["messages"])
            random.Random(7).shuffle(messages)
            other = hf_chat_ui.read({**value, "messages": messages})
            assert [m.source_id for m in one.messages] == [m.source_id for m in other.messages]


@pytest.mark.parametrize(("file", "expected"), samples("llama-cpp-webui"))
def test_llama_cpp_has_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """The session's line, then its messages, in any order."""
    found = lines(file)
    counts = expected["session"]
    assert llama_cpp.is_first(found[0])
    one = llama_cpp.read(found)
    assert (one.source_id, one.title) == (counts["id"], counts["title"])
    assert tree(one) == {name: counts[name] for name in tree(one)}
    assert counted(one)["roles"] == counts["roles"]
    assert len(path_of(one)) == counts["active_path_messages"]
    assert shape(one) == shape(llama_cpp.read([found[0], *reversed(found[1:])]))
    assert not llama_cpp.is_first(found[1])


@pytest.mark.parametrize(("file", "expected"), samples("g4f"))
def test_g4f_alternatives_stand_side_by_side(file: Path, expected: dict[str, Any]) -> None:
    """An answer that goes on is one message with the one before; provider state is left out."""
    (value,) = conversations(file)
    counts = expected["conversation"]
    assert g4f_chat.is_one(value)
    one = g4f_chat.read(value)
    assert len(one.messages) == counts["items"] - counts["continue_flags"]
    assert counted(one)["message_branch_points"] == counts["regenerate_flags"]
    assert all(
        state not in json.loads(one.raw).get("data", {}) for state in counts["provider_state"]
    )
    if counts["continue_flags"]:
        assert one.title == counts["title"]
        last = one.messages[-1]
        assert (last.parts, last.finish_reason) == ((TextPart("A kingfisher."),), "stop")
        assert json.loads(last.raw) == value["items"][-2:]


@pytest.mark.parametrize(("file", "expected"), samples("wildchat-lmsys"))
def test_collected_rows_have_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Messages, roles, and answers without a word."""
    for value, counts in zip(lines(file), expected["rows"], strict=True):
        assert chat_logs.is_one(value)
        one = chat_logs.read(value)
        assert (len(one.messages), one.model) == (counts["messages"], counts["model"])
        assert counted(one)["roles"] == counts["roles"]
        assert sum(not message.parts for message in one.messages) == counts["empty_messages"]


def test_aichat_puts_what_was_pressed_first_and_its_summary_is_no_turn() -> None:
    """The older messages, the summary, the newer ones; calls stand before what came of them."""
    result = {"call": {"name": "ls", "arguments": {"path": "."}, "id": None}, "output": "a.txt"}
    session = {
        "model": "openai:gpt-4o",
        "compressed_messages": [
            {"role": "user", "content": "List the files"},
            {"role": "tool", "content": {"tool_results": [result], "text": "", "sequence": True}},
            {"role": "assistant", "content": "There is one file."},
        ],
        "messages": [
            {"role": "system", "content": "You manage files. The user listed the files."},
            {"role": "user", "content": [{"type": "text", "text": "And?"}, {"type": "image_url"}]},
            {"role": "assistant", "content": "null"},
        ],
    }
    assert aichat.is_one(session)
    one = aichat.read(session, "files")
    assert [message.parts for message in one.messages] == [
        (TextPart("List the files"),),
        (ToolCallPart("", "ls", '{"path":"."}'), ToolResultPart("", "ls", "a.txt")),
        (TextPart("There is one file."),),
        (OpaquePart("summary", "You manage files. The user listed the files."),),
        (TextPart("And?"), OpaquePart("image_url", {"type": "image_url"})),
        (TextPart("null"),),
    ]
    assert (one.title, one.model) == ("files", "openai:gpt-4o")
    assert one.source_id.startswith("files-")
    plain = aichat.read({"model": "m", "messages": session["messages"]}, "plain")
    assert plain.messages[0].parts == (TextPart("You manage files. The user listed the files."),)


def test_aichat_sessions_of_one_name_are_one_only_where_they_began_alike() -> None:
    """A session that has grown, or was pressed meanwhile, is still itself; another default is another."""

    def id_of(*messages: tuple[str, str], pressed: int = 0) -> str:
        said = [{"role": role, "content": text} for role, text in messages]
        session = {"model": "m", "compressed_messages": said[:pressed], "messages": said[pressed:]}
        return aichat.read(session, "default").source_id

    first = [("system", "Be brief."), ("user", "Where do herons live?"), ("assistant", "In trees.")]
    more = [("system", "You were asked where herons live."), ("user", "And owls?")]
    assert id_of(*first) == id_of(*first, *more, pressed=3)
    assert id_of(*first) != id_of(first[0], ("user", "Plan three days"))
    assert id_of() == "default"


READERS: list[tuple[Callable[[Any], ForeignConversation], dict[str, Any]]] = [
    (librechat.read, NESTED),
    (hf_chat_ui.read, {"_id": "x", "messages": [{"from": "user", "id": "1", "content": "a"}]}),
    (g4f_chat.read, {"added": 1, "items": [{"role": "user", "content": "a"}]}),
    (chat_logs.read, {"conversation_id": "x", "conversation": [{"role": "user", "content": "a"}]}),
    (
        lambda value: aichat.read(value, "s"),
        {"model": "m", "messages": [{"role": "user", "content": "a"}]},
    ),
    (
        lambda value: llama_cpp.read([value, {"type": "message", "message": value.get("message")}]),
        {
            "type": "session",
            "id": "s",
            "message": {"id": "m", "role": "user", "content": "a", "timestamp": 1},
        },
    ),
]
ODD: list[Any] = [None, 7, "text", [], {}, [None], [[]], True, 1e400, 10**400]


@pytest.mark.parametrize(("read", "value"), READERS)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_anywhere_are_read_or_refused_by_name(
    read: Callable[[Any], ForeignConversation], value: dict[str, Any], odd: object
) -> None:
    """Whatever stands where something else belongs: a conversation, or an error that says what."""
    for name, found in value.items():
        _read_or_refused(read, {**value, name: odd})
        inner = found[0] if isinstance(found, list) else found
        if isinstance(inner, dict):
            for key in inner:
                changed = {**inner, key: odd}
                _read_or_refused(
                    read, {**value, name: [changed] if isinstance(found, list) else changed}
                )


def _read_or_refused(read: Callable[[Any], ForeignConversation], value: dict[str, Any]) -> None:
    try:
        found = read(value).source_id
    except FormatError as error:
        found = error.reason
    assert found
