"""Objects of a stream become events; nothing counts as complete that is not."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convostore import errors
from convostore.events import (
    Finished,
    ReasoningDelta,
    RemoteUpdate,
    TextDelta,
    ToolCallDelta,
    ToolResultDelta,
)
from convostore.providers.ndjson import BadLineError, ObjectReader
from convostore.providers.playground_objects import StreamObject, parse_line
from convostore.providers.playground_stream import ReplyDecoder
from convostore.records import RemoteThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convostore.events import Event
    from tests.providers.conftest import Recording

URL = "http://127.0.0.1:1"
EXPIRES = "2026-11-23T10:33:29.934281+00:00"
EXPIRES_MS = 1_795_430_009_934
WHOLE_STREAMS = [
    "a/18-reply-whitespace",
    "a/15-sysprompt-first",
    "a/18-reply-length",
    "b/18-reply-toolcall",
    "b/18-reply-thinking",
    "b/09-boundary-looking",
]


def run(
    pieces: Iterable[bytes], *, continued: RemoteThread | None = None
) -> tuple[list[Event], Exception | None]:
    """Return the events of a body that ended properly, and the error that ended them."""
    reader: ObjectReader[StreamObject] = ObjectReader(parse_line)
    reply = ReplyDecoder(server_url=URL, dialect="threads", continued=continued)
    events: list[Event] = []
    try:
        for piece in pieces:
            for found in reader.feed(piece):
                events.extend(reply.feed(found))
        for found in reader.end():
            events.extend(reply.feed(found))
        for event in reply.end():
            events.append(event)  # noqa: PERF402 - what came before an error counts
    except (BadLineError, errors.ProviderError) as error:
        return events, error
    return events, None


def body(*objects: dict[str, Any]) -> list[bytes]:
    """Return the objects as lines."""
    return [json.dumps(one).encode() + b"\n" for one in objects]


def message(name: str, role: str, content: str = "", **more: Any) -> dict[str, Any]:
    """Return a message as the newer dialect has it."""
    return {
        "id": name,
        "role": role,
        "content": content,
        "final": bool(content),
        "root": "msg_U",
        "expirationTime": EXPIRES,
        **more,
    }


START = {"message": "msg_U", "type": "start"}
END = {"message": "msg_U", "type": "end"}
OPEN = {"id": "msg_U", "messages": [message("msg_U", "user", "hi"), message("msg_A", "assistant")]}


def closed(text: str) -> dict[str, Any]:
    """Return the filled messages of the newer dialect."""
    return {
        "id": "msg_U",
        "messages": [message("msg_U", "user", "hi"), message("msg_A", "assistant", text)],
    }


def chunk(text: str, kind: str = "modelResponse") -> dict[str, Any]:
    """Return a piece as the newer dialect sends it."""
    return {"type": kind, "message": "msg_A", "content": text}


def tree(text: str, *, final: bool, **more: Any) -> dict[str, Any]:
    """Return the message tree of the older dialect."""
    reply = {"id": "msg_A", "role": "assistant", "content": text, "final": final, **more}
    return {"id": "msg_U", "role": "user", "content": "hi", "final": final, "children": [reply]}


@given(name=st.sampled_from(WHOLE_STREAMS), places=st.lists(st.integers(0), max_size=30))
@settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it only reads files
)
def test_any_split_of_a_recorded_stream_gives_the_same_events(
    recording: Callable[[str], Recording], name: str, places: list[int]
) -> None:
    """Where the network cuts the bytes does not show in the events or in the error."""
    whole = recording(name).body
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    events, error = run(pieces)
    expected, expected_error = run([whole])
    assert events == expected
    assert repr(error) == repr(expected_error)


@pytest.mark.parametrize("name", WHOLE_STREAMS)
def test_single_bytes_of_a_recorded_stream_give_the_same_events(
    recording: Callable[[str], Recording], name: str
) -> None:
    """A server that sends byte by byte is understood too."""
    whole = recording(name).body
    events, error = run(whole[i : i + 1] for i in range(len(whole)))
    expected, expected_error = run([whole])
    assert events == expected
    assert repr(error) == repr(expected_error)


@pytest.mark.parametrize("name", WHOLE_STREAMS)
def test_stream_cut_at_any_line_is_never_complete(
    recording: Callable[[str], Recording], name: str
) -> None:
    """A body that ends early is an error at every line, with all text so far."""
    lines = recording(name).body.splitlines(keepends=True)
    for count in range(len(lines)):
        events, error = run(lines[:count])
        assert isinstance(error, errors.ProviderError)
        assert not any(isinstance(event, Finished) for event in events)


def test_ids_come_before_any_text() -> None:
    """The first event has the ids, to be stored before text is shown."""
    events, error = run(body(START, OPEN, chunk("hi"), closed("hi"), END))
    assert error is None
    assert isinstance(events[0], RemoteUpdate)
    remote = events[0].remote
    assert (remote.remote_id, remote.user_remote_id, remote.root_id) == ("msg_A", "msg_U", "msg_U")
    assert remote.same_text is False
    assert remote.expires_at_ms == EXPIRES_MS
    assert events[1:2] == [TextDelta("hi")]
    assert isinstance(events[2], Finished)
    assert events[2].remote is not None
    assert events[2].remote.same_text is True


def test_blank_and_empty_pieces_are_kept_unchanged() -> None:
    """Indentation and lone newlines are part of the answer."""
    pieces = ["", "def f(x):", "\n", "    ", "return x", "\n", "\n", "", "\tend \n"]
    events, error = run(body(START, OPEN, *map(chunk, pieces), closed("".join(pieces)), END))
    assert error is None
    assert [event.text for event in events if isinstance(event, TextDelta)] == pieces


def test_empty_answer_is_a_reply() -> None:
    """A model may say nothing."""
    events, error = run(body(START, OPEN, chunk(""), closed(""), END))
    assert error is None
    assert isinstance(events[-1], Finished)
    events, error = run(body(tree("", final=False), tree("", final=True)))
    assert error is None
    assert isinstance(events[-1], Finished)


def test_unknown_kinds_and_keys_are_passed_over() -> None:
    """A later server may say more; what it says is not mistaken for the answer."""
    events, error = run(
        body(
            {**START, "later": [1]},
            OPEN,
            {"type": "annotation", "content": ["not", "text"], "message": 5},
            {**chunk("hi"), "later": {"a": 1}},
            {"type": "heartbeat"},
            closed("hi"),
            END,
        )
    )
    assert error is None
    assert [event for event in events if isinstance(event, TextDelta)] == [TextDelta("hi")]


@pytest.mark.parametrize(
    "objects",
    [
        [chunk("hi")],
        [OPEN],
        [END],
        [START, chunk("hi")],
        [START, END],
        [START, START],
        [START, OPEN, {"unknown": 1}],
        [START, tree("", final=False)],
        [START, OPEN, closed("hi"), END, chunk("more")],
        [tree("", final=False), tree("hi", final=True), {"message": "msg_A", "content": "more"}],
        [{"id": "msg_U", "role": "user", "content": "hi", "children": None}],
        [{"id": "msg_A", "role": "assistant", "content": "hi", "final": True}],
        [START, {"id": "msg_U", "messages": []}],
        [{"choices": [{"delta": {"content": "hi"}}]}],
    ],
)
def test_object_in_a_wrong_place_is_a_protocol_error(objects: list[dict[str, Any]]) -> None:
    """What is not the protocol is said to be so, not guessed at."""
    _, error = run(body(*objects))
    assert isinstance(error, errors.ProviderProtocolError)


@pytest.mark.parametrize("line", [b"[]\n", b"null\n", b'"text"\n', b"7\n", b'{"type":"start"\n'])
def test_line_that_is_no_object_is_a_bad_line(line: bytes) -> None:
    """JSON alone is not enough."""
    _, error = run([line])
    assert isinstance(error, BadLineError)


def test_wrong_type_in_a_known_kind_is_a_bad_line() -> None:
    """A known kind with content of another type is not the protocol."""
    _, error = run(body(START, OPEN, {"type": "modelResponse", "content": 5}))
    assert isinstance(error, BadLineError)


def test_second_end_mark_changes_nothing() -> None:
    """An end said twice is an end."""
    events, error = run(body(START, OPEN, chunk("hi"), closed("hi"), END, END))
    assert error is None
    assert len([event for event in events if isinstance(event, Finished)]) == 1


@pytest.mark.parametrize(
    ("reason", "text", "kind"),
    [
        ("model overloaded", "", errors.IncompleteReplyError),
        ("grpc inference failed", "half", errors.IncompleteReplyError),
        ("length", "half", errors.IncompleteReplyError),
        ("length", "", errors.ContextLengthError),
        ("tool error", "half", errors.IncompleteReplyError),
    ],
)
def test_error_object_fails_the_reply_though_an_end_follows(
    reason: str, text: str, kind: type[errors.ProviderError]
) -> None:
    """`final` and `end` do not mean success; the text so far is kept, the reason is told."""
    problem = {"message": "msg_A", "error": "at 10.0.0.1", "reason": reason}
    events, error = run(body(START, OPEN, chunk(text), problem, closed(text), END))
    assert type(error) is kind
    assert "10.0.0.1" not in str(error)
    assert TextDelta(text) in events
    assert not any(isinstance(event, Finished) for event in events)


def test_tool_error_keeps_the_streamed_text() -> None:
    """The newer server empties the final text then; it is not taken over."""
    problem = {"type": "error", "errorCode": "toolCallError", "error": "x", "reason": "y"}
    events, error = run(body(START, OPEN, chunk("kept"), problem, closed(""), END))
    assert isinstance(error, errors.IncompleteReplyError)
    assert TextDelta("kept") in events
    updates = [event for event in events if isinstance(event, RemoteUpdate)]
    assert [update.remote.same_text for update in updates] == [False]


def test_final_text_of_the_older_dialect_wins() -> None:
    """There the last object is the truth; it replaces what was streamed."""
    events, error = run(
        body(
            tree("", final=False),
            {"message": "msg_A", "content": "one"},
            tree("one two", final=True, finish_reason="stop"),
        )
    )
    assert error is None
    last = events[-1]
    assert isinstance(last, Finished)
    assert (last.text, last.finish_reason) == ("one two", "stop")
    assert last.remote is not None
    assert last.remote.same_text


def test_final_text_that_is_not_said_to_be_final_does_not_win() -> None:
    """A last object whose reply is still open has nothing to replace what was streamed."""
    said = {"message": "msg_A", "content": "one two"}
    last = tree("", final=True)
    last["children"][0]["final"] = False
    events, error = run(body(tree("", final=False), said, last))
    assert error is None
    assert isinstance(events[-1], Finished)
    assert events[-1].text is None
    assert events[-1].remote is not None
    assert not events[-1].remote.same_text


def test_less_final_text_of_the_newer_dialect_does_not_win() -> None:
    """There the final text may be less than what was streamed; more of it is kept."""
    events, _ = run(body(START, OPEN, chunk("one two"), closed("one"), END))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.text is None
    assert last.remote is not None
    assert not last.remote.same_text
    events, _ = run(body(START, OPEN, chunk("one"), closed("one two"), END))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.text == "one two"


def test_line_ends_do_not_make_texts_differ() -> None:
    """The newer server turns CRLF into LF; that is the same text."""
    events, _ = run(body(START, OPEN, chunk("a\r"), chunk("\nb"), closed("a\nb"), END))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.text is None
    assert last.remote is not None
    assert last.remote.same_text


def test_expiry_is_that_of_the_root() -> None:
    """A thread lives from its first message on, however late the turn."""
    before = RemoteThread(
        server_url=URL,
        dialect="threads",
        remote_id="msg_0",
        root_id="msg_U",
        expires_at_ms=EXPIRES_MS - 5_000,
    )
    events, _ = run(body(START, OPEN, closed(""), END), continued=before)
    assert isinstance(events[0], RemoteUpdate)
    assert events[0].remote.expires_at_ms == EXPIRES_MS - 5_000


def test_thread_with_another_root_is_gone() -> None:
    """The server cut the older turns loose: the model does not know them, so start anew."""
    before = RemoteThread(server_url=URL, dialect="threads", remote_id="msg_0", root_id="msg_OTHER")
    events, error = run(body(START, OPEN, chunk("hi")), continued=before)
    assert events == []
    assert isinstance(error, errors.RemoteThreadGoneError)


def test_arguments_of_a_tool_call_in_ten_thousand_pieces_are_joined() -> None:
    """Pieces belong together by the call's id, also between pieces of another call."""
    calls = [
        {"type": "toolCall", "toolCallId": f"call_{i % 2}", "toolName": "f", "args": str(i % 10)}
        for i in range(10_000)
    ]
    events, error = run(body(START, OPEN, *calls, closed(""), END))
    assert error is None
    found = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(call.args for call in found if call.id == "call_0") == "02468" * 1000
    assert [call.name for call in found if call.name] == ["f", "f"]


def test_arguments_as_an_object_are_taken_once() -> None:
    """An object is the whole; after pieces of text it says the same again."""
    call = {"type": "toolCall", "toolCallId": "call_1", "toolName": "f"}
    events, _ = run(body(START, OPEN, {**call, "args": {"a": [1, "é"]}}, closed(""), END))
    assert ToolCallDelta("call_1", "f", '{"a":[1,"é"]}') in events
    events, _ = run(
        body(START, OPEN, {**call, "args": '{"a":1}'}, {**call, "args": {"a": 1}}, closed(""), END)
    )
    found = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(piece.args for piece in found) == '{"a":1}'


def test_result_of_a_tool_is_given_once() -> None:
    """Each later message object repeats it; what was sent along by the caller is no result."""
    result = message(
        "msg_T", "tool_call_result", "7", toolCalls=[{"toolCallId": "call_1", "toolName": "f"}]
    )
    full = {"id": "msg_U", "messages": [*OPEN["messages"], result]}
    events, _ = run(body(START, OPEN, full, full, chunk("so 7"), full, END))
    assert [e for e in events if isinstance(e, ToolResultDelta)] == [
        ToolResultDelta("call_1", "f", "7")
    ]


def test_thinking_is_no_part_of_the_answer() -> None:
    """Only the type tells it from the answer."""
    events, _ = run(body(START, OPEN, chunk("hm", "thinking"), chunk("42"), closed("42"), END))
    assert events[1:3] == [ReasoningDelta("hm"), TextDelta("42")]
    assert isinstance(events[-1], Finished)
    assert events[-1].text is None


def test_endless_answer_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text of any kind counts, in bytes; what arrived before is kept."""
    monkeypatch.setattr("convostore.providers.playground_stream.ANSWER_LIMIT_BYTES", 100)
    events, error = run(body(START, OPEN, chunk("x" * 50, "thinking"), *[chunk("é" * 10)] * 9))
    assert isinstance(error, errors.IncompleteReplyError)
    assert "larger than 100 bytes" in str(error)
    assert len([event for event in events if isinstance(event, TextDelta)]) == 2


def test_deeply_nested_objects_are_no_crash() -> None:
    """A tree deeper than Python recurses is a bad line; one of 200 levels is read."""
    deep = b'{"id":"m","role":"user","children":[' * 100_000
    _, error = run([deep + b"\n"])
    assert isinstance(error, BadLineError)
