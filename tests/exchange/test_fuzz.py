"""Whatever stands in a file, it is read or refused by name: nothing else is ever raised.

Values are put in the place of others in real records, and bytes in the place of others in real files:
so many cases for each reader with every run, and FUZZ_CASES of them in the long one.
"""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convostore.errors import FormatError
from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.exchange.recognising import READERS
from convostore.exchange.yaml_values import yaml_value
from convostore.formats import aichat, llama_cpp, llm_json
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Opaque, Refused
from tests.formats.samples import HERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EACH_RUN = 100
FUZZ_CASES = int(os.environ.get("CONVOSTORE_TEST_FUZZ_CASES", "5000"))
CASES = [
    pytest.param(EACH_RUN, id=f"{EACH_RUN}"),
    pytest.param(FUZZ_CASES, id="many", marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
]
FOLDERS = {
    "chatgpt": "chatgpt",
    "claude": "claude",
    "openwebui": "openwebui",
    "hf-chat-ui": "hf-chat-ui",
    "chat-logs": "wildchat-lmsys",
    "sharegpt": "sharegpt",
    "openai": "openai-jsonl",
    "g4f": "g4f",
}
LIBRECHAT = {
    "conversationId": "c",
    "title": "t",
    "options": {"model": "m"},
    "messages": [
        {
            "messageId": "q",
            "parentMessageId": "00000000-0000-0000-0000-000000000000",
            "isCreatedByUser": True,
            "text": "Hi",
            "createdAt": "2026-01-01T00:00:00Z",
            "files": [{"file_id": "f"}],
            "children": [
                {
                    "messageId": "a",
                    "content": [
                        {"type": "think", "think": "hm"},
                        {"type": "tool_call", "tool_call": {"id": "t", "name": "n", "args": "{}"}},
                    ],
                }
            ],
        }
    ],
}
ODD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [None, True, False, 0, -1, 2**63, 10**400, 1.5, -0.0, 1e308, "", "x", "\x00", "\u202e",
         "2026-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+14:00",
         "all", "text", "a1", [], {}]
    ),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["id", "text", "parts", "type", "role"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def records_of(file: Path) -> list[Any]:
    """Return the records of a sample."""
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    value = json.loads(text)
    return list(value) if isinstance(value, list) else [value]


def seeds(name: str) -> list[Any]:
    """Return real records of a format."""
    if name == "librechat":
        return [LIBRECHAT]
    files = [one for one in sorted((HERE / FOLDERS[name]).iterdir()) if "json" in one.suffix]
    reader = next(one for one in READERS if one.name == name)
    return [value for file in files for value in records_of(file) if reader.is_one(value)]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return each place in a value: what holds it, and under which key."""
    found, ahead = [], [value]
    while ahead:
        one = ahead.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        for key in keys:
            found.append((one, key))
            if isinstance(one[key], dict | list):
                ahead.append(one[key])
    return found


def change(data: st.DataObject, value: Any) -> Any:
    """Return a copy in which something is gone, doubled, or something else."""
    changed = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 4))):
        here = places(changed)
        if not here:
            return changed
        held_by, key = here[data.draw(st.integers(0, len(here) - 1))]
        how = data.draw(st.sampled_from(["odd", "odd", "gone", "other"]))
        if how == "gone" and isinstance(held_by, dict):
            del held_by[key]
        elif how == "other":
            other_by, other = here[data.draw(st.integers(0, len(here) - 1))]
            if other_by is not held_by or other in held_by:
                held_by[key] = copy.deepcopy(other_by[other])
        else:
            held_by[key] = data.draw(ODD)
    return changed


def check(one: ForeignConversation) -> None:
    """Hold a conversation to what its readers may rely on."""
    ids = [message.source_id for message in one.messages]
    assert all(isinstance(id_, str) for id_ in ids)
    assert len(set(ids)) == len(ids)
    seen: set[str] = set()
    for message in one.messages:
        assert message.parent is None or message.parent in seen
        seen.add(message.source_id)
        assert message.role in {"system", "user", "assistant", "tool"}
        assert message.model is None or isinstance(message.model, str)
        assert message.author is None or isinstance(message.author, str)
        assert message.created_at_ms is None or abs(message.created_at_ms) < 2**63
        msgspec.json.decode(message.raw or b"{}")
    msgspec.json.decode(one.raw or b"{}")
    assert (one.head in seen) if ids else one.head is None
    assert isinstance(one.source_id, str)
    assert one.source_id
    assert all(isinstance(remark, str) for remark in one.remarks)
    assert all(isinstance(tag, str) for tag in one.tags)


def in_one_line(error: Exception) -> None:
    """Hold an error to one line."""
    assert "\n" not in str(error)


def fuzz(cases: int, value: Any, read: Callable[[Any], ForeignConversation]) -> None:
    """Read so many changed copies of a record."""

    @settings(max_examples=cases)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        changed = change(data, value)
        try:
            one = read(changed)
        except FormatError as error:
            in_one_line(error)
        else:
            check(one)

    run()


@pytest.mark.parametrize("cases", CASES)
@pytest.mark.parametrize("name", [reader.name for reader in READERS])
def test_reader_of_changed_records_reads_or_refuses(name: str, cases: int) -> None:
    """No value in any place is an error of Python's, or a conversation that cannot be stored."""
    reader = next(one for one in READERS if one.name == name)
    found = seeds(name)
    for value in found:
        fuzz(max(1, cases // len(found)), value, reader.read)


def objects(value: Any) -> list[Any]:
    """Return the objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


@pytest.mark.parametrize("cases", CASES)
def test_reader_of_changed_sessions_reads_or_refuses(cases: int) -> None:
    """The same for what is no single object: llama.cpp's lines, llm's rows, aichat's mapping."""
    lines = records_of(HERE / "llama-cpp-webui" / "synthetic.session.jsonl")
    fuzz(cases // 3, lines, lambda value: llama_cpp.read(objects(value)))
    rows = records_of(HERE / "llm-logs" / "generated.llm-0.36.logs.json")
    fuzz(cases // 3, rows, lambda value: llm_json.read([*filter(llm_json.is_row, objects(value))]))
    text = (HERE / "aichat" / "synthetic.compressed-tools-images.yaml").read_text("utf-8")
    fuzz(cases // 3, yaml_value(text, Limits()), lambda value: aichat.read(value, "name"))


SEEDS = [
    file
    for file in sorted(HERE.rglob("*.*"))
    if file.suffix in {".json", ".jsonl", ".yaml"} and file.name != "expected.json"
]
PIECES = [b"", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b"\n", b"\x00", b"\xff", b"\xef\xbb\xbf",
          b'"mapping"', b"null", b"1e999", b"[" * 2000, b'"\\ud800"', b"*a", b"- ", b"\\u0000"]  # fmt: skip


@pytest.mark.parametrize("cases", CASES)
def test_changed_bytes_are_read_or_refused(cases: int) -> None:
    """No byte in any place is an error of Python's; what is told of a place is one line."""

    @settings(max_examples=cases)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        raw = data.draw(st.sampled_from(SEEDS)).read_bytes()
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(raw)))
            length = data.draw(st.sampled_from([0, 0, 1, 7, 100, len(raw)]))
            raw = raw[:start] + data.draw(st.sampled_from(PIECES)) + raw[start + length :]
        try:
            with open_export(io.BytesIO(raw), limits=Limits(depth=500)) as export:
                for found in export:
                    if isinstance(found, ForeignConversation):
                        check(found)
                    else:
                        assert isinstance(found, Refused | Opaque)
                        told = found.reason if isinstance(found, Refused) else found.what
                        assert "\n" not in f"{told}{found.where}"
                        assert "cannot be read: " not in told
        except FormatError as error:
            in_one_line(error)

    run()


ARCHIVE_OR_DATABASE = [
    *sorted((HERE / "llm-logs").glob("*.db")),
    *sorted((HERE / "openai-agents").iterdir()),
]


@pytest.mark.parametrize("cases", CASES)
def test_changed_databases_are_read_or_refused(cases: int, tmp_path: Path) -> None:
    """Values of any kind in any column, then bytes in any place of the file."""
    path = tmp_path / "log.db"

    @settings(max_examples=cases // 2)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        shutil.copy(data.draw(st.sampled_from(ARCHIVE_OR_DATABASE)), path)
        if data.draw(st.booleans()):
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                spoil(data, database)
        else:
            with path.open("r+b") as file:
                file.seek(data.draw(st.integers(0, path.stat().st_size)))
                file.write(data.draw(st.binary(min_size=1, max_size=64)))
        try:
            with open_export(path) as export:
                for found in export:
                    if isinstance(found, ForeignConversation):
                        check(found)
                        for file_along in found.files:
                            assert file_along.open().read() is not None
        except (FormatError, OSError) as error:
            in_one_line(error)

    run()


def spoil(data: st.DataObject, database: sqlite3.Connection) -> None:
    """Put something else into a column of all rows of a table."""
    tables = [
        name
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
            " AND name NOT LIKE '%fts%' AND name NOT LIKE 'sqlite%' ORDER BY name"
        )
    ]
    table = data.draw(st.sampled_from(tables))
    columns = [row[1] for row in database.execute("SELECT * FROM pragma_table_info(?)", (table,))]
    column = data.draw(st.sampled_from(columns))
    odd = st.sampled_from([None, 7, 1.5, b"\xff\x00", "", "x", "[]", '{"a": 1}', "[" * 3000])
    statement = f'UPDATE OR REPLACE "{table}" SET "{column}" = ?'
    try:
        database.execute(statement, (data.draw(odd),))
    except sqlite3.Error:
        return  # a key of its own kind
