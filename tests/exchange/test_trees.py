"""Trees of every form come out as they went in, in each format that has trees, however it is shuffled."""

from __future__ import annotations

import io
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from convostore.exchange.reading import open_export
from convostore.formats.claude import ROOT as CLAUDE_ROOT
from convostore.formats.foreign import ForeignConversation
from convostore.formats.librechat import ROOT as LIBRECHAT_ROOT
from convostore.parts import TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Tree = dict[str, str | None]
START_S = 1_767_225_600


def at(number: int) -> str:
    """Return a time as text."""
    return f"2026-01-01T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000001Z"


def chatgpt(tree: Tree, texts: Mapping[str, str]) -> Any:
    """Write a tree as ChatGPT's export would, with children that lie."""
    mapping: dict[str, Any] = {"root": {"id": "root", "parent": None, "message": None}}
    for number, (id_, parent) in enumerate(tree.items()):
        content = {"content_type": "text", "parts": [texts.get(id_, "x")]}
        message = {"author": {"role": "user"}, "content": content, "create_time": START_S + number}
        mapping[id_] = {"parent": parent or "root", "children": ["lie", id_], "message": message}
    return {"id": "c", "mapping": mapping, "current_node": "nobody"}


def claude(tree: Tree, texts: Mapping[str, str]) -> Any:
    """Write a tree as claude.ai's export would."""
    messages = [
        {
            "uuid": id_,
            "sender": "human",
            "text": texts.get(id_, "x"),
            "created_at": at(number),
            "parent_message_uuid": parent or CLAUDE_ROOT,
        }
        for number, (id_, parent) in enumerate(tree.items())
    ]
    return {"uuid": "c", "chat_messages": messages}


def openwebui(tree: Tree, texts: Mapping[str, str]) -> Any:
    """Write a tree as Open WebUI would, with children that lie."""
    messages = {
        id_: {
            "id": id_,
            "parentId": parent,
            "childrenIds": ["lie", id_],
            "role": "user",
            "content": texts.get(id_, "x"),
            "timestamp": START_S + number,
        }
        for number, (id_, parent) in enumerate(tree.items())
    }
    return {"id": "c", "chat": {"history": {"messages": messages, "currentId": "nobody"}}}


def librechat(tree: Tree, texts: Mapping[str, str]) -> Any:
    """Write a tree as LibreChat would, flat."""
    messages = [
        {
            "messageId": id_,
            "parentMessageId": parent or LIBRECHAT_ROOT,
            "isCreatedByUser": True,
            "text": texts.get(id_, "x"),
            "createdAt": at(number),
        }
        for number, (id_, parent) in enumerate(tree.items())
    ]
    return {"conversationId": "c", "messages": messages}


def hf_chat_ui(tree: Tree, texts: Mapping[str, str]) -> Any:
    """Write a tree as chat-ui would; of the ancestors the last one is enough."""
    messages = [
        {
            "id": id_,
            "from": "user",
            "content": texts.get(id_, "x"),
            "ancestors": [parent] if parent else [],
            "children": ["lie"],
            "createdAt": at(number),
        }
        for number, (id_, parent) in enumerate(tree.items())
    ]
    return {"_id": "c", "messages": messages}


FORMATS: list[Callable[[Tree, Mapping[str, str]], Any]] = [
    chatgpt,
    claude,
    openwebui,
    librechat,
    hf_chat_ui,
]
CHAIN: Tree = {str(n): str(n - 1) if n else None for n in range(10_000)}
FAN: Tree = {"top": None} | {str(n): "top" for n in range(1000)}
COMB: Tree = {str(n): (f"{n - 1 - n % 2}" if n > 1 else None) for n in range(400)}


def shuffled(value: Any, chance: random.Random) -> Any:
    """Return the value with the keys of its objects, and messages in arrays, in another order."""
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    if isinstance(value, list) and len(value) > 1 and isinstance(value[0], dict):
        value = [shuffled(one, chance) for one in value]
        chance.shuffle(value)
    return value


def read(value: Any) -> ForeignConversation:
    """Read one conversation from a file of an array."""
    with open_export(io.BytesIO(json.dumps([value]).encode())) as export:
        (one,) = list(export)
    assert isinstance(one, ForeignConversation)
    return one


def tree_of(one: ForeignConversation) -> Tree:
    """Return the parents."""
    return {message.source_id: message.parent for message in one.messages}


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("tree", [CHAIN, FAN, COMB], ids=["chain", "fan", "comb"])
def test_trees_come_out_as_they_went_in(
    write: Callable[[Tree, Mapping[str, str]], Any], tree: Tree
) -> None:
    """Ten thousand in a chain, a thousand side by side, a comb; whole and shuffled."""
    value = write(tree, {})
    one = read(value)
    assert tree_of(one) == tree
    other = read(shuffled(value, random.Random(7)))
    assert tree_of(other) == tree
    assert [m.source_id for m in one.messages] == [m.source_id for m in other.messages]
    assert one.head == other.head


@pytest.mark.parametrize("write", FORMATS)
def test_broken_trees_are_mended_and_told(
    write: Callable[[Tree, Mapping[str, str]], Any],
) -> None:
    """One that follows itself, two that follow each other, one whose parent is missing."""
    tree: Tree = {
        "a": None,
        "self": "self",
        "b": "c",
        "c": "b",
        "d": "c",
        "orphan": "gone",
        "e": "a",
    }
    one = read(write(tree, {}))
    mended = tree | {"self": None, "b": None, "orphan": None}
    assert tree_of(one) == mended
    assert "circles of messages that were cut open: 2" in one.remarks
    assert "messages that begin anew, for those before them are missing: 1" in one.remarks


@pytest.mark.parametrize("write", [claude, librechat, hf_chat_ui])
def test_messages_of_one_id_are_told_apart(
    write: Callable[[Tree, Mapping[str, str]], Any],
) -> None:
    """The same again is left out; another of the same id stays, in whatever order they come."""
    value = write({"a": None, "b": "a", "c": "a"}, {"b": "first", "c": "second"})
    name = "chat_messages" if "chat_messages" in value else "messages"
    _, other, third = value[name]
    id_ = next(key for key in third if third[key] == "c")
    third[id_] = "b"
    value[name] += [dict(other), {**third, "more": 1}]
    one = read(value)
    assert tree_of(one) == {"a": None, "b": "a", "b~2": "a", "b~3": "a"}
    assert [m.parts for m in one.messages] == [(TextPart(t),) for t in ("x", "first", "second", "second")]  # fmt: skip
    assert "messages that stand there again, and were left out: 1" in one.remarks
    assert "messages of an id that another one has, and were told apart: 2" in one.remarks
    value[name].reverse()
    assert read(value).messages == one.messages


def test_a_message_keeps_its_id_beside_one_that_is_told_apart() -> None:
    """What stands below it stays there, though another one might have been called so."""
    one = read(claude({"a": None, "b": "a", "b~2": "a", "c": "b~2"}, {}))
    value = claude({"a": None, "b": "a", "b_": "a", "b~2": "a", "c": "b~2"}, {"b_": "other"})
    value["chat_messages"][2]["uuid"] = "b"
    again = read(value)
    assert tree_of(again) == tree_of(one) | {"b~3": "a"}


def test_ten_thousand_messages_of_one_id_are_soon_told_apart() -> None:
    """They take as long as others do, and not as long as their number squared: that was 14 s."""
    value = claude({"a": None}, {})
    (first,) = value["chat_messages"]
    value["chat_messages"] = [first | {"number": number} for number in range(10_000)]
    start = time.process_time()
    assert len(read(value).messages) == 10_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize("write", FORMATS)
def test_texts_are_kept_character_by_character(
    write: Callable[[Tree, Mapping[str, str]], Any],
) -> None:
    """NUL, marks of citations, right to left, joined emoji, both normal forms, ten megabytes, none."""
    texts = {
        "a": "\x00 \u202e\u05e9\u05dc\u05d5\u05dd \ue200cite\ue202turn0search1\ue201 \u2028",
        "b": "\U0001f469\u200d\U0001f680 e\u0301 \u00e9 \ufeff\r\n\t",
        "c": "0123456789abcdef" * 655_360,
        "d": "",
    }
    one = read(write({"a": None, "b": "a", "c": "b", "d": "c"}, texts))
    said = {
        message.source_id: "".join(getattr(part, "text", "") for part in message.parts)
        for message in one.messages
    }
    assert said == texts


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("null", None),
        ("0", 0),
        ("-86400", -86_400_000),
        ("1767583930.285031", 1_767_583_930_285),
        ('"1767583930.285031"', 1_767_583_930_285),
        ("253402300799", 253_402_300_799_000),
        ("1e300", None),
        ("1e999", None),
        ("NaN", None),
        ("true", None),
        ('"yesterday"', None),
        ("{}", None),
    ],
)
def test_times_in_seconds_are_read_or_none(written: str, ms: int | None) -> None:
    """Null, nothing, before 1970, microseconds, text, the far future, and what is no time."""
    raw = json.dumps([chatgpt({"a": None}, {})]).replace(f'"create_time": {START_S}', f'"create_time": {written}')  # fmt: skip
    with open_export(io.BytesIO(raw.encode())) as export:
        (one,) = list(export)
    assert isinstance(one, ForeignConversation)
    assert one.messages[0].created_at_ms == ms


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        (None, None),
        ("2026-01-05T03:32:10.285031Z", 1_767_583_930_285),
        ("2026-01-05T03:32:10.285031+00:00", 1_767_583_930_285),
        ("2026-01-05T05:32:10+02:00", 1_767_583_930_000),
        ("2026-01-05 03:32:10", 1_767_583_930_000),
        ("1969-12-31T23:59:59Z", -1000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000),
        ("10000-01-01T00:00:00Z", None),
        ("soon", None),
        (1_767_583_930, None),
    ],
)
def test_times_as_text_are_read_or_none(written: object, ms: int | None) -> None:
    """With a zone, without one, before 1970, the last that there is, and what is no time."""
    value = claude({"a": None}, {})
    value["chat_messages"][0]["created_at"] = written
    assert read(value).messages[0].created_at_ms == ms
