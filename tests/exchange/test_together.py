"""Lines and rows that are a conversation only together come together, whatever stands between them."""

from __future__ import annotations

import io
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Found, Refused
from tests.exchange.test_reading import A, told
from tests.formats.samples import HERE, samples

if TYPE_CHECKING:
    from pathlib import Path

SESSION = (HERE / "llama-cpp-webui" / "synthetic.session.jsonl").read_bytes().strip()


def read(raw: bytes, format: str | None = None, limits: Limits | None = None) -> list[Found]:
    """Read a stream."""
    with open_export(io.BytesIO(raw), format, limits or Limits()) as export:
        return list(export)


@pytest.mark.parametrize(
    ("file", "expected"), [one for one in samples("llm-logs") if str(one.id).endswith(".json")]
)
def test_rows_of_llm_are_the_conversations_of_its_log(file: Path, expected: dict[str, Any]) -> None:
    """As many as are counted; of the same ids, titles and prompts as in the database itself."""
    rows = json.loads(file.read_text("utf-8"))
    random.Random(7).shuffle(rows)
    found = read(json.dumps(rows).encode())
    assert len(found) == expected["totals"]["conversations"]
    ones = {one.source_id: one for one in found if isinstance(one, ForeignConversation)}
    answers = sum(m.role == "assistant" for one in ones.values() for m in one.messages)
    assert answers == expected["totals"]["rows"]
    with open_export(file.with_suffix(".db")) as export:
        for one in export:
            assert isinstance(one, ForeignConversation)
            other = ones[one.source_id]
            assert one.title == other.title
            count = len(other.messages)  # of a fork the rows have what is its own
            assert [(m.role, m.parts) for m in one.messages[-count:] if m.role != "assistant"] == [
                (m.role, m.parts) for m in other.messages if m.role != "assistant"
            ]


def test_sessions_follow_each_other_between_other_lines() -> None:
    """A spoiled line first, two sessions, another conversation, a line of no session."""
    other = SESSION.replace(b"s-1", b"s-2")
    lone = b'{"type": "message", "message": {"id": "x"}}'
    raw = b"\n".join([b'{"type": "x', SESSION, other, A, lone])
    assert told(read(raw)) == ["line 1!", "s-1", "s-2", "a", "line 13!"]
    assert told(read(b"\n".join([SESSION, A]), "llama.cpp")) == ["s-1", "line 6!"]


def test_what_belongs_together_is_held_to_a_limit() -> None:
    """Messages and rows behind the limit are refused, each at its place."""
    line = b'{"type": "message", "message": {"id": "n%d", "content": "%s"}}'
    raw = b"\n".join([SESSION, *(line % (n, b"x" * 100) for n in range(20))])
    found = read(raw, limits=Limits(record_bytes=2000))
    kept = [one for one in found if isinstance(one, ForeignConversation)]
    assert len(kept) == 1
    assert len(kept[0].messages) + len(found) - 1 == 4 + 20
    rows = json.loads((HERE / "llm-logs" / "generated.llm-0.27.1.logs.json").read_text("utf-8"))
    found = read(json.dumps(rows).encode(), limits=Limits(record_bytes=2500))
    assert next(one.reason for one in found if isinstance(one, Refused)).endswith("2,500 bytes")
    assert any(isinstance(one, ForeignConversation) for one in found)


def test_a_format_that_is_named_is_the_only_one() -> None:
    """Rows of llm are none of llama.cpp's lines, and the other way round."""
    rows = (HERE / "llm-logs" / "generated.llm-0.36.logs.json").read_bytes()
    assert len(read(rows, "llm-json")) == 7
    with pytest.raises(FormatError, match="no conversation of a known format"):
        read(rows, "llama.cpp")
    with pytest.raises(FormatError, match="no conversation of a known format"):
        read(SESSION, "llm-json")


def test_other_samples_are_read_as_what_they_are_or_refused() -> None:
    """Chatbot UI's history has the form of OpenAI's rows; HTML and Parquet are refused by name."""
    history = {"version": 4, "folders": [{"id": "f"}], "prompts": [], "history": [
        {"id": "h", "name": "n", "messages": [{"role": "user", "content": "Hi"}], "model": {"id": "m"}}
    ]}  # fmt: skip
    found = read(json.dumps(history).encode())
    assert [type(one).__name__ for one in found] == ["ForeignConversation", "Opaque"]
    for raw, reason in ((b"<html>", "neither JSON"), (b"PAR1\x15", "Parquet")):
        with pytest.raises(FormatError, match=reason):
            read(raw)
