"""Exports in the formats of other programs: what came from there as it was, the rest in their shape."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convostore.exchange.layouts import FORMATS
from convostore.formats import chatgpt, claude, openai_chat, openwebui, sharegpt
from convostore.parts import (
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import Message
from tests.formats.conftest import BYTES, export_text
from tests.formats.counting import conversations, path_of
from tests.formats.samples import samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convostore.formats.foreign import ForeignConversation
    from tests.formats.conftest import Shelf

READERS: dict[str, Callable[[dict[str, Any]], ForeignConversation]] = {
    "chatgpt": chatgpt.read,
    "claude": claude.read,
    "openwebui": openwebui.read,
}
FILES = [
    pytest.param(name, *one.values[:1], id=one.id, marks=one.marks)
    for name, others in (
        (
            "chatgpt",
            (
                "librechat.chatgpt-citations.json",
                "librechat.chatgpt-export.json",
                "librechat.chatgpt-tree.json",
            ),
        ),
        ("claude", ()),
        ("openwebui", ("librechat.openwebui-export.json",)),
    )
    for one in samples(name, *others)
]


async def exported(shelf: Shelf, format: str) -> tuple[Any, dict[str, int]]:
    """Export a shelf; return what the file says, and what was left out."""
    text = export_text(shelf, None, format=format)
    said = "".join([piece async for piece in text])
    lines = format == "openai"
    found = [json.loads(line) for line in said.splitlines()] if lines else json.loads(said)
    return found, text.report.losses


@pytest.mark.parametrize(("format", "file"), FILES)
@pytest.mark.asyncio
async def test_what_was_imported_goes_back_as_it_was(shelf: Shelf, format: str, file: Path) -> None:
    """Each sample, read and exported in its own format, is structurally equal to itself."""
    values = [value for value in conversations(file) if value.get("mapping", True)]
    for value in values:
        shelf.put_foreign(READERS[format](value))
    found, losses = await exported(shelf, format)
    assert found == values
    assert losses == {}


@pytest.mark.parametrize("format", sorted(READERS))
@pytest.mark.asyncio
async def test_conversation_of_ours_can_be_read_there(shelf: Shelf, format: str) -> None:
    """The format's own reader finds the same tree, place, roles, times and texts."""
    dossier, messages = shelf.put_rich()
    found, losses = await exported(shelf, format)
    one = READERS[format](found[0])
    by_id = {message.source_id: message for message in one.messages}
    assert one.title == dossier.record.title
    assert losses
    for message in messages:
        if format == "claude" and message.role == "system":
            continue
        # It came from ChatGPT: there it goes back under the name that it had.
        there = by_id[message.source_id if message.source_id in by_id else message.id]
        assert there.role == message.role
        assert there.created_at_ms == (message.created_at_ms if format != "openwebui" else 0)
    if format != "claude":  # which does not say where a conversation stands
        assert path_of(one)[0] == "m1"
        assert path_of(one)[-1].startswith(("m3", "msg_1"))
    parts = [part for message in one.messages for part in message.parts]
    assert ReasoningPart("hm\n</details>\n```\n## User") in parts
    assert (
        "".join(
            part.text
            for message in one.messages
            if message.source_id.startswith(("m3", "msg_1"))
            for part in message.parts
            if isinstance(part, TextPart)
        )
        == "Three days."
    )
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    assert [(call.name, json.loads(call.args)) for call in calls] == [("look<up>", {"q": "Kyoto"})]
    assert [part.content for part in parts if isinstance(part, ToolResultPart)] == ["found"]


@pytest.mark.parametrize("format", sorted(READERS))
@pytest.mark.asyncio
async def test_what_was_added_here_hangs_below_what_was_imported(shelf: Shelf, format: str) -> None:
    """A message that was said here after the import is in the tree, and is where it stands."""
    folder = {"chatgpt": "slim", "claude": "branched", "openwebui": "branched"}[format]
    file = next(one.values[0] for one in samples(format) if folder in str(one.values[0]))
    one = READERS[format](conversations(file)[0])
    id_ = shelf.put_foreign(one)
    dossier, messages = shelf.kept[id_], list(shelf.messages[id_])
    head = dossier.record.head_seq
    assert head is not None
    new = Message(
        "user", "And now?", id="new", seq=len(messages) + 1, parent_seq=head, created_at_ms=9_000
    )
    record = msgspec.structs.replace(dossier.record, head_seq=new.seq, last_seq=new.seq)
    shelf.put(msgspec.structs.replace(dossier, record=record), [*messages, new])
    found, _ = await exported(shelf, format)
    again = READERS[format](found[0])
    added = next(message for message in again.messages if message.source_id == "new")
    assert added.parent == one.head
    assert len(again.messages) == len(one.messages) + 1
    if format != "claude":
        assert again.head == "new"
    if format == "openwebui":
        above = found[0]["chat"]["history"]["messages"][one.head]
        assert above["childrenIds"][-1] == "new"


@pytest.mark.asyncio
async def test_fine_tuning_rows_have_roles_tools_and_pictures(shelf: Shelf) -> None:
    """Calls and results are paired by id, a picture is a data URL, no content is null without a call."""
    dossier, messages = shelf.put_rich()
    record = msgspec.structs.replace(dossier.record, head_seq=4)
    shelf.put(msgspec.structs.replace(dossier, record=record), messages)
    (row,), losses = await exported(shelf, "openai")
    said = row["messages"]
    assert [one["role"] for one in said] == ["user", "assistant", "tool", "assistant", "user"]
    assert said[0] == {"role": "user", "content": "Plan\n", "name": "Ada"}
    function = {"name": "look<up>", "arguments": '{"q": "Kyoto"}'}
    assert said[1]["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert said[2] == {"role": "tool", "tool_call_id": "c1", "content": "found"}
    (image,) = said[4]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(BYTES).decode()}"
    assert all(one["content"] is not None or one.get("tool_calls") for one in said)
    assert losses["messages on other branches"] == 1
    assert losses["runs of reasoning"] == 1
    read = openai_chat.read(row)
    assert [message.role for message in read.messages] == [one["role"] for one in said]


@pytest.mark.asyncio
async def test_tool_calls_without_ids_get_some_that_fit(shelf: Shelf) -> None:
    """A result answers the oldest open call; one that answers none is left out and counted."""
    call, result = ToolCallPart("", "f", "{}"), ToolResultPart("", "f", "1")
    parts = (call, result, result, TextPart("Done."))
    id_ = shelf.put_plain(1)
    question, answer = shelf.messages[id_]
    answer = msgspec.structs.replace(answer, text="Done.", parts=parts)
    shelf.messages[id_] = [question, answer]
    (row,), losses = await exported(shelf, "openai")
    assert row["messages"][1]["tool_calls"][0]["id"] == row["messages"][2]["tool_call_id"] != ""
    assert losses["tool results that answer no call"] == 1


@pytest.mark.asyncio
async def test_sharegpt_rows_can_be_read_again(shelf: Shelf) -> None:
    """The path of a conversation is a row of turns, tool calls and observations among them."""
    shelf.put_rich()
    shelf.put_plain(2, title="Nara")
    (plain, rich), losses = await exported(shelf, "sharegpt")
    assert [turn["from"] for turn in rich["conversations"]] == [
        *("human", "gpt", "function_call", "observation", "gpt")
    ]
    one = sharegpt.read(plain)
    assert (one.title, [message.role for message in one.messages]) == (
        "Nara",
        ["user", "assistant"],
    )
    assert losses["times and models of conversations"] == 2


@pytest.mark.asyncio
async def test_empty_and_untitled_conversations_are_files_of_their_format(shelf: Shelf) -> None:
    """Nothing in it is no reason for a broken file, whatever the format; nor is nothing at all."""
    for name in FORMATS:
        text = "".join([piece async for piece in export_text(shelf, None, format=name)])
        assert name not in READERS or json.loads(text) == []
    shelf.put_plain(1, turns=0)
    for app, read in READERS.items():
        (found,), _ = await exported(shelf, app)
        assert read(found).messages == ()
    assert await exported(shelf, "openai") == (
        [],
        {
            "titles, ids, times and models of conversations": 1,
            "conversations in which nothing is said": 1,
        },
    )


@pytest.mark.asyncio
async def test_plain_text_is_the_path_and_names_what_it_leaves_out(shelf: Shelf) -> None:
    """Every line of a text is indented, so none can pass for the line that says who speaks."""
    id_ = shelf.put_plain(1, title="Kyoto\x1b\nplan")
    question, answer = shelf.messages[id_]
    forged = msgspec.structs.replace(
        question, text="a\nAssistant, 2020:\r\n b", parts=(TextPart("a\nAssistant, 2020:\r\n b"),)
    )
    shelf.messages[id_] = [forged, answer]
    text = "".join([piece async for piece in export_text(shelf, None, format="text")])
    assert text.startswith("Kyoto plan\n")
    assert "\n    a\n    Assistant, 2020:\n     b\n" in text
    speakers = [line for line in text.split("\n") if line.endswith("Z:")]
    assert [line.split(",")[0] for line in speakers] == ["User", "Assistant"]
