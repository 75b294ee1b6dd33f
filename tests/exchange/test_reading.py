"""What another program exported is read whole, whatever stands around it, and each record once."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from convostore.errors import FormatError
from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Found, Opaque, Refused
from tests.formats.samples import HERE, samples

FILES = {
    "chatgpt": samples(
        "chatgpt",
        "librechat.chatgpt-export.json",
        "librechat.chatgpt-tree.json",
        "librechat.chatgpt-citations.json",
        "librechat.chatgpt-modern-export.json",
    ),
    "claude": samples("claude"),
    "openwebui": samples("openwebui", "librechat.openwebui-export.json"),
    "librechat": samples(
        "librechat",
        "librechat.librechat-export.json",
        "librechat.librechat-linear.json",
        "librechat.librechat-opts-nonr-branches.json",
        "librechat.librechat-tree.json",
    ),
    "hf-chat-ui": samples("hf-chat-ui"),
    "sharegpt": samples(
        "sharegpt", "fastchat.dummy_conversation.json", "llamafactory.glaive_toolcall_en_demo.json"
    ),
    "openai": [
        *samples("openai-jsonl", "cookbook.toy_chat_fine_tuning.jsonl"),
        *samples("sharegpt", "llamafactory.mllm_demo.json")[1:],
    ],
    "g4f": samples("g4f"),
    "llama.cpp": samples("llama-cpp-webui"),
    "chat-logs": [
        one for one in samples("wildchat-lmsys") if str(one.values[0]).endswith(".jsonl")
    ],
}
CASES = [
    pytest.param(source, *one.values, id=str(one.id), marks=one.marks)
    for source, files in FILES.items()
    for one in files
]


OPEN = Path("/proc/self/fd")


def read(raw: bytes, format: str | None = None, limits: Limits | None = None) -> list[Found]:
    """Read a stream of these bytes."""
    with open_export(io.BytesIO(raw), format, limits or Limits()) as export:
        return list(export)


def told(found: list[Found]) -> list[str]:
    """Return the id of each conversation, and the place of everything else."""
    return [
        one.source_id if isinstance(one, ForeignConversation) else f"{one.where}!" for one in found
    ]


def chat(id_: str, text: str = "Hi") -> dict[str, Any]:
    """Return a small conversation of ChatGPT's form."""
    message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}
    return {"id": id_, "mapping": {"1": {"parent": None, "message": message}}, "current_node": "1"}


A, B = json.dumps(chat("a")).encode(), json.dumps(chat("b")).encode()


@pytest.mark.parametrize(("format", "file", "expected"), CASES)
def test_every_sample_is_recognised_and_counted(
    format: str, file: Path, expected: dict[str, Any]
) -> None:
    """By its structure alone each file gives as many conversations and messages as are in it."""
    with open_export(file) as export:
        found = list(export)
    conversations = [one for one in found if isinstance(one, ForeignConversation)]
    totals = expected.get("totals", {"conversations": 1, "usable_conversations": 1})
    assert len(found) == totals["conversations"]
    assert len(conversations) == totals["usable_conversations"]
    assert {one.source for one in conversations} == {format}
    if format not in {"g4f", "sharegpt", "openai"}:  # what they add or join, their own tests count
        messages = totals.get("messages") or expected["session"]["messages"]
        assert sum(len(one.messages) for one in conversations) == messages


@pytest.mark.parametrize(
    ("raw", "ids"),
    [
        (b"[%s, %s]" % (A, B), "a b"),
        (b"\xef\xbb\xbf \r\n[%s,%s,\n]\n" % (A, B), "a b"),
        (A, "a"),
        (json.dumps(chat("a"), indent=2).encode(), "a"),
        (b"%s\n\n%s\n" % (A, B), "a b"),
        (b"%s,\r\n%s," % (A, B), "a b"),
        (json.dumps([chat("a"), chat("b")], indent=1).encode(), "a b"),
        (json.dumps(chat("a"), indent=1).encode() + b"\n" + B, "a b"),
        (b'{"conversations": [%s, %s]}' % (A, B), "a b"),
        (b'{"v": 1, "conversations": [%s,\n%s]}' % (A, B), "a b beside the records!"),
        (b'{"v": 1, "conversations": [\n%s,\n%s\n]}' % (A, B), "a b beside the records!"),
        (b'{"data": {"n": [], "of": {"x": [%s]}, "more": [%s]}}' % (A, B), "a b"),
        (b"[[%s], [[%s]]]" % (A, B), "a b"),
        (b'[{"conversation": %s}, {"x": {"y": %s}}]' % (A, B), "a b"),
        (b'{"version": 4, "list": [%s], "folders": ["f"]}' % A, "a beside the records!"),
        (b"[%s, null, 7, {}, %s]" % (A, B), "a record 2! record 3! record 4! b"),
        (b"[[], %s]" % A, "record 1! a"),
        (b'[{"id": "x"}, {"mapping": 1, "id": "y"}, %s]' % A, "record 1! record 2! a"),
        (b'[{"mapping": tru}, %s, {"a": "\xff"}, {"a"}, %s]' % (A, B), "record 1! a record 3! record 4! b"),
        (b"[%s%s]" % (A, B), "a b"),
        (b"[%s, %s" % (A, B), "a b the end!"),
        (b"[%s, %s" % (A, B[:-9]), "a record 2!"),
        (b"%s\n%s\n%s" % (A, B[:-9], B), "a line 2! b"),
        (b"%s\n%s\n%s" % (A[:-9], A, B), "line 1! a b"),
        (b"%s\n*\n%s" % (A, B), "a line 2! b"),
        (b"[%s] %s x" % (A, B), "a b behind record 2!"),
        (b"[]", ""),
        (b'{"conversations": []}', ""),
    ],
)  # fmt: skip
def test_records_are_found_whatever_is_around_them(raw: bytes, ids: str) -> None:
    """In arrays, wrappers and lines; a spoiled one is told at its place and hides no other."""
    assert " ".join(told(read(raw))) == ids


def test_a_file_larger_than_what_is_looked_at_is_streamed_out_of_its_wrapper() -> None:
    """A wrapper of many megabytes is opened without being held."""
    many = b", ".join(json.dumps(chat(f"c{n}", "x" * 50_000)).encode() for n in range(60))
    raw = b'{"user": {"name": "x"}, "conversations": [%s], "next": 1}' % many
    found = read(raw, limits=Limits(record_bytes=1_500_000))
    assert told(found) == [*(f"c{n}" for n in range(60)), "beside the records!"]
    assert isinstance(found[-1], Opaque)
    assert json.loads(found[-1].raw) == {"user": {"name": "x"}, "conversations": [], "next": 1}


def test_first_conversation_may_be_larger_than_what_is_looked_at() -> None:
    """The wrapper is looked into again, further each time."""
    raw = b'{"conversations": [%s, %s]}' % (json.dumps(chat("a", "x" * 3_000_000)).encode(), B)
    assert told(read(raw)) == ["a", "b"]
    assert told(read(json.dumps(chat("a", "x" * 3_000_000), indent=1).encode())) == ["a"]


@pytest.mark.parametrize(
    ("raw", "reasons"),
    [
        (b"[%s, %s, %s]" % (A, json.dumps(chat("x", "y" * 5000)).encode(), B), ["longer than 4,000"]),
        (b"%s\n%s\n%s" % (A, json.dumps(chat("x", "y" * 5000)).encode(), B), ["longer than 4,000"]),
        (b"[%s, %s%s, %s]" % (A, b"[" * 1900, b"]" * 1900, B), ["1,000 levels"]),
        (b'[%s, {"mapping": %s%s, "id": 1}, %s]' % (A, b"[" * 1900, b"]" * 1900, B), ["1,000 levels"]),
    ],
)  # fmt: skip
def test_limits_refuse_one_record_and_no_other(raw: bytes, reasons: list[str]) -> None:
    """What is too long or too deep is refused by name; those beside it are read."""
    found = read(raw, limits=Limits(record_bytes=4000, line_bytes=4000, depth=1000))
    refusals = [one.reason for one in found if isinstance(one, Refused)]
    assert len(refusals) == len(reasons)
    for refusal, reason in zip(refusals, reasons, strict=True):
        assert reason in refusal
    assert [one.source_id for one in found if isinstance(one, ForeignConversation)] == ["a", "b"]


def test_hundred_thousand_levels_are_refused() -> None:
    """Nothing recurses on what a file nests, and what is beside it is read."""
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    found = read(b"[%s, %s, %s]" % (A, deep, b"[" * 100_000))
    assert told(found) == ["a", "record 2!", "record 3!"]
    found = read(b"[%s, %s, %s]" % (A, deep, B))
    assert told(found) == ["a", "record 2!", "b"]


def test_a_nested_conversation_deeper_than_python_recurses_is_read() -> None:
    """LibreChat nests an answer in its question, as deep as the chat is long."""
    length = 10_000
    text = "".join(
        f'{{"messageId": "{n}", "text": "x", "isCreatedByUser": true, "children": ['
        for n in range(length)
    )
    raw = f'{{"conversationId": "c", "messages": [{text}{"]}" * length}]}}'.encode()
    (one,) = read(raw)
    assert isinstance(one, ForeignConversation)
    assert len(one.messages) == length
    assert one.messages[-1].parent == str(length - 2)


def test_numbers_and_characters_that_json_does_not_know_are_kept_and_told() -> None:
    """NaN and 1e999 as text, half characters as U+FFFD; times and long numbers as they are."""
    raw = B.replace(b'"Hi"', b'"Hi \\ud800", NaN').replace(
        b'"id"', b'"create_time": 1767583930.285031, "n": 123456789012345678901234567890, '
        b'"big": 1e999, "id": "first", "id"',
    )  # fmt: skip
    (one,) = read(raw)
    assert isinstance(one, ForeignConversation)
    assert one.source_id == "b"
    assert one.remarks == (
        "numbers that are none in JSON, kept as text: 2",
        "halves of characters that were replaced: 1",
    )
    for kept in (b"1767583930.285031", b"123456789012345678901234567890", b'"1e999"'):
        assert kept in one.raw
    assert one.created_at_ms == 1767583930285
    assert "Hi \ufffd" in str(one.messages[0].parts)


def test_what_follows_a_known_conversation_is_refused_in_the_words_of_its_format() -> None:
    """A record of the same file that lacks something; and of several in one record, which it is."""
    found = read(b'[%s, {"id": "x"}, {"x": %s, "y": {"mapping": 7}}]' % (A, B))
    refusals = [(one.where, one.format) for one in found if isinstance(one, Refused)]
    assert refusals == [("record 2", "chatgpt"), ("record 3, conversation 2 in it", "chatgpt")]
    assert "mapping is missing" in str(found[1])


def test_a_format_that_is_named_reads_every_record() -> None:
    """What is not of it is refused in its words, though it is of another."""
    row = b'{"messages": [{"role": "user", "content": "Hi"}]}'
    found = read(b"%s\n%s\n7" % (row, A), "openai")
    assert [type(one).__name__ for one in found] == ["ForeignConversation", "Refused", "Refused"]
    refusals = [one for one in found if isinstance(one, Refused)]
    assert [one.format for one in refusals] == ["openai", "openai"]
    assert refusals[1].reason == "it is no object"
    with pytest.raises(FormatError, match="no import format 'nothing'") as caught:
        read(row, "nothing")
    assert "chatgpt" in caught.value.hint


def test_what_holds_nothing_known_is_not_read_to_its_end() -> None:
    """After a thousand records that nobody knows it is left, however long it is."""
    source = io.BytesIO(b'{"a": 1}\n' * 1_000_000)
    with open_export(source) as export, pytest.raises(FormatError, match="no conversation of a"):
        next(export)
    assert source.tell() < 5_000_000


def test_what_is_said_to_be_an_export_of_ours_begins_as_one() -> None:
    """Another file is refused in so many words."""
    with pytest.raises(FormatError, match="does not begin as an export of convostore"):
        read(A, "convostore")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "it is empty"),
        (b'{"name": "x", "version": "1.0", "dependencies": {}}', "no conversation of a known format"),
        (b"[1, 2, 3]", "no conversation of a known format"),
        (b"[" * 100_000, "in the middle of it"),
        (b"[1, 2", "in the middle of it"),
        (b'{"mapping": {', "in the middle of it"),
        (b"\x89PNG\r\n\x1a\n", "neither JSON nor"),
        ("[]".encode("utf-16"), "UTF-16"),
        ("[]".encode("utf-16-le"), "UTF-16"),
        ("[]".encode("utf-16-be"), "UTF-16"),
        (b"\x00" * 4, "neither JSON"),
        (b"[" + b'{"a": 1},' * 5000 + b"]", "no conversation of a known format"),
    ],
)  # fmt: skip
def test_what_is_no_export_is_refused_in_one_line(raw: bytes, reason: str) -> None:
    """One named error, and nothing was read."""
    with open_export(io.BytesIO(raw)) as export, pytest.raises(FormatError, match=reason) as caught:
        next(export)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    """It is missing, or a name that no file can have."""
    for name in (str(tmp_path / "no"), "a\x00b", "", "x" * 5000):
        with pytest.raises(FormatError, match="cannot read"):
            open_export(name)


@pytest.mark.skipif(not OPEN.is_dir(), reason="this system does not say which files are open")
def test_a_device_is_refused_before_it_is_read() -> None:
    """It may never end, and what it gives is nobody's export; a pipe is read."""
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(FormatError, match=f"{device}: it is neither a file, a folder nor a pi"):
            open_export(device)
    reading, writing = os.pipe()
    os.write(writing, b"[%s]" % A)
    os.close(writing)
    with open_export(f"/dev/fd/{reading}") as export:
        assert told(list(export)) == ["a"]
    os.close(reading)


def test_what_was_opened_is_closed_and_what_was_given_is_not(tmp_path: Path) -> None:
    """Read to its end or not; the stream that was handed in stays open for whoever opened it."""
    stream = io.BytesIO(A)
    with open_export(stream) as export:
        assert Counter(type(one).__name__ for one in export) == {"ForeignConversation": 1}
    assert not stream.closed
    file, archive = tmp_path / "a.json", tmp_path / "a.zip"
    file.write_bytes(b"[%s, %s]" % (A, B))
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(file, "conversations.json")
    database = HERE / "llm-logs" / "generated.llm-0.36.logs.db"
    before = {one.readlink() for one in OPEN.iterdir() if one.is_symlink()}
    for source in (file, archive, tmp_path, database):
        export = open_export(source)
        next(export)
        export.close()
        export.close()
        assert list(export) == []
    assert {one.readlink() for one in OPEN.iterdir() if one.is_symlink()} <= before


def test_spoiled_records_among_many_hide_no_other() -> None:
    """What is cut out many at a time is cut out one by one where one of them is spoiled."""
    rows = [json.dumps(chat(f"c{n}", '} , {"id": ' * (n % 50))) for n in range(4000)]
    spoil = {7: '{"id": tru}', 1500: '{"id": [}]', 2999: '{"id": NaN}', 3999: "7"}
    for number, spoiled in spoil.items():
        rows[number] = spoiled
    found = told(read(f"[{', '.join(rows)}] ".encode()))
    assert found == [f"record {n + 1}!" if n in spoil else f"c{n}" for n in range(4000)]


def test_how_much_was_read_is_known_of_files_alone(tmp_path: Path) -> None:
    """It grows from nothing to all; of a stream nobody can say."""
    file = tmp_path / "a.json"
    file.write_bytes(json.dumps([chat(f"c{n}", "x" * 50_000) for n in range(40)]).encode())
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(file, "conversations.json")
    database = HERE / "llm-logs" / "generated.llm-0.36.logs.db"
    for path, count in ((file, 40), (archive, 40), (tmp_path, 40), (database, 7)):
        with open_export(path) as export:
            parts = [export.part_read for _ in export]
        assert len(parts) == count
        assert all(part is not None and 0 < part <= 1 for part in parts)
        assert parts == sorted(parts, key=lambda part: part or 0)
        assert (parts[0] or 0) < 0.5
        assert parts[-1] == 1
    with file.open("rb") as stream, open_export(stream) as export:
        assert [export.part_read for _ in export] == [None] * 40
