"""The server of the tests answers every recorded request as the real server did."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from convostore.testing import ManualClock, PlaygroundServer
from tests.testing.recorded import Answer, Recorded, cases, known_messages, send_bytes

if TYPE_CHECKING:
    from convostore.testing.playground_models import Dialect

DIALECT_OF: dict[str, Dialect] = {"a": "stream", "mid": "mid", "b": "threads"}

# What differs, and why; the rest of the answer is still compared.
UNRECORDED_THREADS = {"24-after-disconnect-list", "10-list-v3"}  # `total` counts others, too
OTHER_MODEL = {"mid/18-reply-slow"}  # the recorded model did not know this script; ours is slow

ALL = [case for era in DIALECT_OF for case in cases(era) if case.name not in OTHER_MODEL]

# Later turns of the same thread were recorded within the same second as these.
SAME_SECOND = {"05-parent-is-user-message", "24-after-disconnect-get"}

MICROSECONDS = re.compile(rb"(\.\d{3})\d{3}\+")  # this server's clock has milliseconds

# These were recorded after the thread of 01-first-turn had been deleted.
AFTER_DELETION = {"12-delete-again", "12-get-deleted", "12-parent-deleted"}


def seed(server: PlaygroundServer, case: Recorded) -> None:
    """Give the server what the real one had when the case was recorded."""
    era, name = case.folder.parent.name, case.folder.name
    shown = {m.id for m in case.messages}
    made = shown if case.is_send and case.answer.status == 200 else set()
    for message in known_messages(era).values():
        before = message.created_ms < case.at_ms + (0 if name in SAME_SECOND else 1000)
        if message.id not in made and (before or message.id in shown):
            server._kept.add(dataclasses.replace(message))
    if name in AFTER_DELETION:
        root = known_messages(era)[_first_turn_id(era)].root
        for message_id in [m.id for m in server.messages.values() if m.root == root]:
            del server.messages[message_id]
    if name.startswith("25-expired"):
        seed_expired(server, case)
    parent = re.search(rb'name="parent"\r\n\r\n(msg_\w+)', case.request)
    if made and parent and parent[1].decode() not in server.messages:
        seed_parent(server, case, parent[1].decode())


def seed_expired(server: PlaygroundServer, case: Recorded) -> None:
    """Give the server the thread that had expired a moment before."""
    found = re.search(rb"msg_\w+", case.request)
    if found is None:
        return
    any_message = next(iter(known_messages(case.folder.parent.name).values()))
    message_id = found[0].decode()
    server.messages[message_id] = dataclasses.replace(
        any_message,
        id=message_id,
        root=message_id,
        parent=None,
        creator="u-exp",
        expires_ms=case.at_ms - 1000,
    )


def seed_parent(server: PlaygroundServer, case: Recorded, parent_id: str) -> None:
    """Give the server a thread whose making was not recorded: hi, and the answer to it."""
    asked = next(m for m in case.messages if m.role in {"user", "tool_call_result"})
    said = re.match(r"I was sent \d+ message\(s\): user='([^']*)'", case.messages[-1].content)
    text = said[1] if said else "hi"
    root = dataclasses.replace(asked, id=asked.root, parent=None, content=text, final=True)
    reply = dataclasses.replace(
        root,
        id=parent_id,
        parent=root.id,
        role="assistant",
        content=f"I was sent 1 message(s): user={text!r}",
    )
    server.messages.update({root.id: root, reply.id: reply})


def _first_turn_id(era: str) -> str:
    return next(m.id for case in cases(era) if "01-first" in case.name for m in case.messages)


async def ask(case: Recorded, *, lines: int | None) -> Answer:
    """Send the recorded request to a server that stands where the real one stood."""
    dialect = DIALECT_OF[case.folder.parent.name]
    with ManualClock(start_ms=case.at_ms) as clock:
        async with PlaygroundServer(dialect) as server:
            seed(server, case)
            asking = asyncio.create_task(send_bytes(server.url, case.request, lines=lines))
            for _ in range(200):
                if asking.done():
                    break
                await clock.advance(0.1)
            return await asking


def without_total(answer: Any) -> Any:
    """Forget how many threads there are, where not all of them were recorded."""
    return answer | {"meta": answer["meta"] | {"total": None}}


def kind(value: Any) -> Any:
    """Return what has to be equal: the keys, in order, and the constants that carry meaning."""
    if isinstance(value, list):
        return [kind(item) for item in value]
    if not isinstance(value, dict):
        return type(value).__name__
    return {
        name: item if name in MEANING else kind(item)
        for name, item in value.items()
        if name not in {"parameters", "created", "expirationTime", "expiration_time"}
    }


MEANING = {
    *("type", "role", "final", "content", "snippet", "opts", "reason", "creator", "private"),
    *("finish_reason", "finishReason", "harmful", "thinking", "toolCalls", "tool_calls"),
    *("toolName", "args", "toolSource", "toolCallId", "model_host", "modelHost", "modelId"),
    *("file_urls", "fileUrls", "labels", "logprobs", "system_prompt", "host", "meta"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
async def test_a_recorded_request_gets_the_recorded_answer(case: Recorded) -> None:
    """Status, error texts, the sequence of objects, their keys and the words said are equal."""
    real = case.answer
    hung_up = case.folder.name == "24-client-disconnect"
    ours = await ask(case, lines=len(real.lines) if hung_up else None)
    assert ours.status == real.status
    content_type = real.header("Content-Type")
    assert ours.header("Content-Type") == content_type
    assert ours.header("Connection") == "close"
    if content_type == "application/jsonl":
        assert [kind(line) for line in ours.lines[: len(real.lines)]] == [
            kind(line) for line in real.lines
        ]
        assert ours.whole == real.whole
    elif content_type == "application/json" and real.status == 200:
        document, expected = json.loads(ours.body), json.loads(real.body)
        if case.folder.name in UNRECORDED_THREADS:
            document, expected = without_total(document), without_total(expected)
        assert kind(document) == kind(expected)
    elif content_type == "application/json":
        assert json.loads(ours.body) == json.loads(MICROSECONDS.sub(rb"\g<1>000+", real.body))
    elif real.status == 308:
        location = ours.header("Location") or ""
        assert location.endswith((real.header("Location") or "-").split("18022")[1])
