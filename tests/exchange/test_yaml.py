"""Sessions in YAML are read as they were written, and nothing else is made of them."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.exchange.yaml_values import NoYamlError, yaml_value
from convostore.formats.foreign import ForeignConversation
from tests.formats.samples import samples

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits()


@pytest.mark.parametrize(("file", "expected"), samples("aichat"))
def test_sessions_have_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """The older messages that were pressed into a summary, then the others."""
    counts = expected["session"]
    with open_export(file) as export:
        (one,) = list(export)
    assert isinstance(one, ForeignConversation)
    assert (one.source, one.title, one.model) == ("aichat", file.stem, counts["model"])
    assert len(one.messages) == counts["messages"] + counts["compressed_messages"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no\nb: 2024-01-01\nc: 12:30:45\nd: 0x1F", {"a": "no", "b": "2024-01-01", "c": "12:30:45", "d": "0x1F"}),
        ("a: ~\nb:\nc: null\nd: 'null'", {"a": None, "b": None, "c": None, "d": "null"}),
        ("a: true\nb: 'true'\nc: 12\nd: -1.5e3\ne: .nan\nf: 0012", {"a": True, "b": "true", "c": 12, "d": -1500.0, "e": ".nan", "f": 12}),
        ("1: x\ntrue: y\n? z\n", {"1": "x", "True": "y", "z": None}),
        ("a: |\n  text  \n  more\nb: >-\n  x\n  y", {"a": "text  \nmore\n", "b": "x y"}),
        ("a: &x [1, {b: []}]\n<<: y", {"a": [1, {"b": []}], "<<": "y"}),
        ("a: !!str 12\nb: !!python/object:os.system x", {"a": "12", "b": "x"}),
        ("- 1", [1]),
        ("", None),
    ],
)  # fmt: skip
def test_scalars_are_what_was_written(text: str, value: object) -> None:
    """No date, no yes for true, no object of a program's."""
    assert yaml_value(text, LIMITS) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "aliases"),
        ("a: &a\n  b: *a", "aliases"),
        ("a: 1\n---\nb: 2", "several documents"),
        ("[1]: 2", "no text"),
        ("{{a: 1}: 2}", "no text"),
        ("a: [" * 200 + "]" * 200, "100 levels"),
        ("a: 'x", "no YAML"),
        ("a:\n\t- x", "no YAML"),
        ("a: \x01", "no YAML"),
    ],
)
def test_what_is_not_read_is_refused_in_one_line(text: str, reason: str) -> None:
    """Bombs of aliases, circles, several documents, odd keys, depth, and what is no YAML."""
    with pytest.raises(NoYamlError, match=reason) as caught:
        yaml_value(text, Limits(depth=100))
    assert "\n" not in str(caught.value)


def test_depth_does_not_recurse() -> None:
    """A hundred thousand levels are refused, however the parser is made."""
    with pytest.raises(NoYamlError):
        yaml_value("a: " + "[" * 100_000, LIMITS)


@pytest.mark.parametrize(
    ("raw", "format", "reason"),
    [
        (b"model: x\nmessages: []\n", "openai", "neither JSON"),
        (b"[1]", "aichat", "as no export of aichat is"),
        (b"{}", "llm", "as no export of llm is"),
        (b"name: x\nversion: 1\n", None, "no conversation of a known format"),
        (b"model: x\nmessages: [*a]\n", None, "aliases"),
        (b"model: \xff\n", None, "not UTF-8"),
        (b"model: x\n" + b"#" * 3000, None, "more than 2,000 bytes"),
        (b"Dear all,\nhow are you?\n", None, "neither JSON"),
    ],
)
def test_other_texts_are_refused(raw: bytes, format: str | None, reason: str) -> None:
    """Each in one line that says what it is not."""
    with (
        open_export(io.BytesIO(raw), format, Limits(yaml_bytes=2000)) as export,
        pytest.raises(FormatError, match=reason) as caught,
    ):
        next(export)
    assert "\n" not in str(caught.value)


def test_sessions_of_a_folder_are_called_by_their_files(tmp_path: Path) -> None:
    """Two of one name in two folders stay two; what is no session is told."""
    text = "# mine\nmodel: openai:gpt-4o\nmessages:\n- role: user\n  content: Hi\n"
    (tmp_path / "agents").mkdir()
    for name in ("trip.yaml", "birds.yml", "agents/trip.yaml"):
        (tmp_path / name).write_text(text)
    (tmp_path / "config.yaml").write_text("model: x\nstream: false\n")
    (tmp_path / "wrong.yaml").write_text("model: *x\n")
    with open_export(tmp_path) as export:
        found = list(export)
    told = [
        one.title if isinstance(one, ForeignConversation) else f"{type(one).__name__} {one.where}"
        for one in found
    ]
    assert told == ["agents/trip", "birds", "Opaque config.yaml", "trip", "Refused wrong.yaml"]


def test_sessions_of_streams_are_called_by_what_is_in_them() -> None:
    """A stream has no name; two of them are never taken for one session."""
    names = set()
    for text in (b"model: x\nmessages: []\n", b"model: y\nmessages: []\n"):
        for _ in range(2):
            with open_export(io.BytesIO(text)) as export:
                (one,) = list(export)
            assert isinstance(one, ForeignConversation)
            names.add(one.source_id)
    assert len(names) == 2


def test_a_long_session_is_read_in_time() -> None:
    """Ten thousand messages take seconds, not minutes."""
    text = "model: x\nmessages:\n" + "- role: user\n  content: Hello there\n" * 10_000
    start = time.process_time()
    with open_export(io.BytesIO(text.encode())) as export:
        (one,) = list(export)
    assert isinstance(one, ForeignConversation)
    assert len(one.messages) == 10_000
    assert time.process_time() - start < 30
