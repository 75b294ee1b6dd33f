"""Bytes in any pieces become the same objects."""

from __future__ import annotations

import itertools
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convostore.providers.ndjson import LINE_LIMIT_BYTES, BadLineError, ObjectReader

decode = msgspec.json.Decoder().decode
VALUES = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def read(pieces: list[bytes], limit_bytes: int = LINE_LIMIT_BYTES) -> tuple[list[object], str]:
    """Return the objects, and the reason where reading ended early."""
    reader = ObjectReader(decode, limit_bytes=limit_bytes)
    found: list[object] = []
    try:
        for piece in pieces:
            found.extend(reader.feed(piece))
        found.extend(reader.end())
    except BadLineError as error:
        return found, error.reason
    return found, ""


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """Cut a body at some places."""
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]


@given(
    values=st.lists(VALUES, max_size=8),
    ascii_only=st.booleans(),
    places=st.lists(st.integers(0, 10_000)),
    last_lf=st.booleans(),
)
@settings(max_examples=500)
def test_any_split_gives_the_same_objects(
    values: list[object], ascii_only: bool, places: list[int], last_lf: bool
) -> None:
    """Where the network cuts the bytes does not show, inside of characters or escapes neither."""
    lines = [json.dumps(value, ensure_ascii=ascii_only).encode() for value in values]
    body = b"\n".join(lines) + (b"\n" if last_lf else b"")
    assert read(cut(body, places)) == (values, "")


def test_bytes_one_at_a_time_give_the_same_objects() -> None:
    """A character of several bytes, cut at each of them, stays whole."""
    body = '{"a":"é汉🙂"}\n["\u2028\u0085"]\n'.encode()
    expected = ([{"a": "é汉🙂"}, ["\u2028\u0085"]], "")
    assert read([body[i : i + 1] for i in range(len(body))]) == expected
    for place in range(len(body)):
        assert read([body[:place], body[place:]]) == expected


@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\u0085", "\u000b", "\u000c", "\u001c"])
def test_only_line_feed_ends_a_line(inside: str) -> None:
    """What text line splitting takes for an end may stand inside a string, raw or escaped."""
    raw = json.dumps({"a": f"x{inside}y"}, ensure_ascii=inside < " ").encode()
    assert read([raw + b"\n"]) == ([{"a": f"x{inside}y"}], "")


def test_carriage_return_before_line_feed_is_blank_space() -> None:
    """CRLF ends a line too, cut between the two as well."""
    assert read([b"1\r", b"\n2\r\n"]) == ([1, 2], "")


def test_blank_lines_carry_nothing() -> None:
    """Ten million empty lines give nothing, and keep nothing in memory."""
    reader = ObjectReader(decode)
    flood = b"\n" * 100_000
    for _ in range(100):
        assert list(reader.feed(flood)) == []
    assert list(reader.end()) == []


def test_line_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    """The limit counts the line without its LF, however it arrives."""
    line = b'"' + b"x" * 98 + b'"'
    for pieces in ([line + b"\n"], [line, b"\n"], [line[:50], line[50:]]):
        assert read(pieces, limit_bytes=100) == (["x" * 98], "")
        assert read(pieces, limit_bytes=99) == ([], "a line is longer than 99 bytes")


def test_ten_megabytes_without_line_feed_end_at_the_limit() -> None:
    """An endless line is given up before it fills the memory; what came before it counts."""
    pieces = [b"1\n", *[b"x" * 65_536] * 160]
    found, reason = read(pieces)
    assert found == [1]
    assert reason == "a line is longer than 8,388,608 bytes"


@pytest.mark.parametrize(
    "line",
    [
        b"<html>",
        b"{",
        b"nul",
        b"NaN",
        b"\xef\xbb\xbf{}",
        b'"\xe9"',
        b'"\xed\xa0\x80"',
        b'"a\x00b"',
        b"[" * 400_000,
        b"{} {}",
    ],
    ids=["html", "cut", "word", "nan", "bom", "latin-1", "surrogate", "nul", "deep", "two"],
)
def test_line_that_is_not_json_is_an_error_and_not_skipped(line: bytes) -> None:
    """Objects before it are given, it is not passed over, and its beginning is kept."""
    reader = ObjectReader(decode)
    feed = reader.feed(b"1\n" + line + b"\n2\n")
    assert next(feed) == 1
    with pytest.raises(BadLineError, match="not the JSON") as caught:
        next(feed)
    assert caught.value.excerpt
    assert len(caught.value.excerpt) <= 500


def test_cut_last_line_is_an_error_and_a_whole_one_is_not() -> None:
    """Without its LF a last line counts only if it is whole."""
    assert read([b'{"a":1}\n{"b":2}']) == ([{"a": 1}, {"b": 2}], "")
    found, reason = read([b'{"a":1}\n{"b":'])
    assert found == [{"a": 1}]
    assert "not the JSON" in reason
