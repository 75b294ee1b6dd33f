"""What is kept of a conversation in a format of level A is enough to write it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.exchange.yaml_values import yaml_value
from convostore.formats.foreign import ForeignConversation
from tests.formats.samples import samples
from tests.formats.test_other_apps import NESTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def by_id(one: ForeignConversation) -> dict[str, Any]:
    """Return what was kept of each message."""
    return {message.source_id: json.loads(message.raw) for message in one.messages}


def librechat(one: ForeignConversation) -> Any:
    """Write LibreChat's object again, flat or nested."""
    again, kept = json.loads(one.raw), by_id(one)
    name = next(name for name in ("messages", "messagesTree") if name in again)
    order = again[name]
    if not again.get("recursive"):
        return {**again, name: [kept[id_] for id_ in order]}
    for id_ in order:
        kept[id_]["children"] = []
    for id_ in order:
        parent = kept.get(kept[id_].get("parentMessageId"))
        if parent is not None:
            parent["children"].append(kept[id_])
    return {
        **again,
        name: [kept[id_] for id_ in order if kept[id_].get("parentMessageId") not in kept],
    }


def hf_chat_ui(one: ForeignConversation) -> Any:
    """Write chat-ui's document again."""
    again, kept = json.loads(one.raw), by_id(one)
    return {**again, "messages": [kept[id_] for id_ in again["messages"]]}


def llama_cpp(one: ForeignConversation) -> Any:
    """Write the lines of a session again."""
    again, kept = json.loads(one.raw), by_id(one)
    order = again.pop("order")
    return [again, *(kept[id_] for id_ in order)]


def chat_logs(one: ForeignConversation) -> Any:
    """Write a row again."""
    return {**json.loads(one.raw), "conversation": [json.loads(m.raw) for m in one.messages]}


def aichat(one: ForeignConversation) -> Any:
    """Write a session again."""
    again, kept = json.loads(one.raw), [json.loads(message.raw) for message in one.messages]
    for name in ("compressed_messages", "messages"):
        if name in again:
            count = again[name]
            again[name], kept = kept[:count], kept[count:]
    return again


def values(file: Path) -> list[Any]:
    """Return what stands in a file, parsed by other means."""
    text = file.read_text("utf-8-sig")
    if file.suffix == ".yaml":
        return [yaml_value(text, Limits())]
    if file.parent.name == "llama-cpp-webui":
        return [[json.loads(line) for line in text.split("\n") if line]]
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.split("\n") if line]
    value = json.loads(text)
    return value if isinstance(value, list) else [value]


FILES = [
    (librechat, samples("librechat", "librechat.librechat-export.json",
                        "librechat.librechat-linear.json", "librechat.librechat-tree.json",
                        "librechat.librechat-opts-nonr-branches.json")),
    (hf_chat_ui, samples("hf-chat-ui")),
    (llama_cpp, samples("llama-cpp-webui")),
    (chat_logs, samples("wildchat-lmsys")),
    (aichat, samples("aichat")),
]  # fmt: skip
CASES = [
    pytest.param(again, one.values[0], id=str(one.id), marks=one.marks)
    for again, files in FILES
    for one in files
]


@pytest.mark.parametrize(("again", "file"), CASES)
def test_the_file_can_be_written_again(
    again: Callable[[ForeignConversation], Any], file: Path
) -> None:
    """Every key, every value, in the order of the messages; absent stays apart from null."""
    with open_export(file) as export:
        found = [one for one in export if isinstance(one, ForeignConversation)]
    assert [again(one) for one in found] == values(file)


def test_a_nested_export_can_be_written_again(tmp_path: Path) -> None:
    """LibreChat's newer nesting, whose messages name no parent."""
    file = tmp_path / "nested.json"
    file.write_text(json.dumps(NESTED))
    with open_export(file) as export:
        (one,) = list(export)
    assert isinstance(one, ForeignConversation)
    kept = by_id(one)
    assert json.loads(one.raw)["messagesTree"] == ["q", "a", "b"]
    assert {message.source_id: message.parent for message in one.messages} == {
        "q": None,
        "a": "q",
        "b": "q",
    }
    assert kept["q"] | {"children": [kept["a"], kept["b"]]} == NESTED["messagesTree"][0]
