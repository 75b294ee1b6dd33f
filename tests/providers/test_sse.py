"""Server-sent events from bytes: any line ends, any chunking, bounded."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from convostore.providers.ndjson import BadLineError
from convostore.providers.sse import SIGN_OF_LIFE, EventReader, ServerEvent

LIMIT = 40


def read(*pieces: bytes, limit: int = 1000) -> list[ServerEvent | str]:
    """Return the events of a body that came in *pieces*; of one too long, what is said of it."""
    reader = EventReader(limit_bytes=limit)
    events: list[ServerEvent | str] = []
    try:
        for piece in pieces:
            events.extend(reader.feed(piece))
        events.extend(reader.end())
    except BadLineError as error:
        events.append(error.reason)
    return events


def data(*texts: str) -> list[ServerEvent]:
    """Return plain events with *texts*."""
    return [ServerEvent(text.encode()) for text in texts]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_at_cr_lf_and_crlf(end: bytes) -> None:
    """Proxies and servers send all three, and an event ends at an empty line of the same kind."""
    assert read(end.join([b"data: a", b"", b"data: b", b"", b""])) == data("a", "b")


def test_line_ends_may_be_mixed_in_one_body() -> None:
    """A proxy adds lines of its own kind to what a server sends."""
    assert read(b"data: a\r\n\ndata: b\r\rdata: c\n\r\n") == data("a", "b", "c")


def test_a_crlf_that_is_cut_in_two_ends_one_line() -> None:
    """An LF at the beginning of a read belongs to the CR at the end of the read before."""
    assert read(b"data: a\r", b"\ndata: b\r", b"", b"\n\r", b"\n") == data("a\nb")


def test_an_event_is_there_as_soon_as_its_empty_line_is() -> None:
    """Where CR ends lines, nothing waits for an LF that never comes."""
    reader = EventReader()
    assert list(reader.feed(b"data: a\r\r")) == data("a")


def test_several_lines_of_data_are_one_event() -> None:
    """They are joined by LF, as the standard says, whatever ended them."""
    assert read(b'data: {"a":\r\ndata:  1}\r\n\r\n') == data('{"a":\n 1}')


def test_a_field_may_lack_the_space_and_the_value() -> None:
    """One space after the colon belongs to the field; a line may be a name alone."""
    assert read(b"data:a\ndata\ndata:  b\n\n") == data("a\n\n b")


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    """It stands before the first line alone; elsewhere it belongs to a name that nobody knows."""
    bom = "\ufeff".encode()
    assert read(bom[:1], bom[1:] + b"data: a\n\n" + bom + b"data: b\n\n") == data("a")


def test_comments_are_signs_of_life() -> None:
    """They say nothing, but that the server is there, and end no event."""
    body = b": OPENROUTER PROCESSING\n:\ndata: a\n: ping - 12:00\ndata: b\n\n"
    assert read(body) == [SIGN_OF_LIFE] * 3 + data("a\nb")


def test_an_event_has_its_name() -> None:
    """The name counts for one event, and other fields are nothing."""
    body = b"id: 7\nretry: 100\nevent: error\ndata: a\n\ndata: b\n\nevent: none\n\n"
    assert read(body) == [ServerEvent(b"a", "error"), ServerEvent(b"b")]


def test_a_character_may_be_cut_anywhere() -> None:
    """Bytes are put together before anything is decoded."""
    body = "data: Grüße 🌍\n\n".encode()
    assert read(*(body[at : at + 1] for at in range(len(body)))) == data("Grüße 🌍")


def test_what_the_end_cuts_off_is_handed_over_last() -> None:
    """Whoever takes it sees whether it is whole."""
    reader = EventReader()
    assert list(reader.feed(b"data: a\n\ndata: b\ndata: c")) == data("a")
    assert list(reader.end()) == data("b\nc")
    assert list(reader.end()) == []


@pytest.mark.parametrize("body", [b"data: " + b"x" * LIMIT, b":" + b"x" * LIMIT + b"\ndata: a"])
def test_a_line_beyond_the_limit_is_refused_before_it_ends(body: bytes) -> None:
    """A server that never ends a line fills no memory."""
    assert read(body, limit=LIMIT) == [f"a line is longer than {LIMIT} bytes"]


def test_an_event_beyond_the_limit_is_refused_before_it_ends() -> None:
    """Neither does one that never ends an event."""
    body = b"data: ok\n\n" + b"data: 123456789\n" * 5
    assert read(body, limit=LIMIT) == [*data("ok"), f"an event is longer than {LIMIT} bytes"]


_WORDS = [
    "data: ",
    "data",
    ":",
    "event: e",
    "\r",
    "\n",
    "\r\n",
    " ",
    "{}",
    "é🌍",
    "\ufeff",
    "[DONE]",
]
_PIECES = st.sampled_from([word.encode() for word in (*_WORDS, "x" * (LIMIT - 4))])


@given(
    body=st.lists(_PIECES, max_size=30).map(b"".join) | st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 120), max_size=12),
)
@example(body=b"data: a\r\n\r\n", cuts=[8, 9, 10])
def test_any_chunking_gives_the_same_events(body: bytes, cuts: list[int]) -> None:
    """Where a read ends means nothing, in sound bodies and in any others."""
    ends = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    pieces = [body[a:b] for a, b in pairwise(ends)]
    assert read(*pieces, limit=LIMIT) == read(body, limit=LIMIT)
