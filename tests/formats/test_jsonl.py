"""Our own export, line by line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostore.errors import FormatError
from convostore.formats import jsonl
from convostore.parts import OpaquePart, ReasoningPart, TextPart
from convostore.records import ConversationRecord, Message
from tests.formats.conftest import ATTACHED, BYTES, export_text

if TYPE_CHECKING:
    from tests.formats.conftest import Shelf

PIECES = [
    jsonl.AttachmentPiece(sha256=ATTACHED.sha256, size=6, number=0, data=BYTES[:2]),
    jsonl.AttachmentPiece(sha256=ATTACHED.sha256, size=6, number=1, data=BYTES[2:]),
]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


async def everything(shelf: Shelf) -> list[str]:
    """Return the lines of an export of all."""
    text = "".join([piece async for piece in export_text(shelf, None)])
    return text.removesuffix("\n").split("\n")


def fields(line: str) -> dict[str, Any]:
    """Return a line as any JSON reader has it."""
    value: dict[str, Any] = json.loads(line)
    return value


@pytest.mark.asyncio
async def test_export_reads_back_equal_but_for_the_secret(shelf: Shelf) -> None:
    """Every field of every record comes back, except the anonymous user id."""
    dossier, messages = shelf.put_rich()
    entries = list(jsonl.decode(await everything(shelf)))
    owner = dossier.record.id
    assert entries[1:-1] == [
        msgspec.structs.replace(dossier.record, anonymous_user_id=None),
        *(jsonl.Owned(owner, message) for message in messages),
        *(jsonl.Owned(owner, piece) for piece in PIECES),
        *(jsonl.Owned(owner, usage) for usage in dossier.usage),
        *(jsonl.Owned(owner, remote) for remote in dossier.remotes),
    ]


@pytest.mark.asyncio
async def test_no_secret_is_exported(shelf: Shelf) -> None:
    """The anonymous user id stands nowhere in the file, not even as a key."""
    shelf.put_rich()
    text = "".join(await everything(shelf))
    assert "secret" not in text
    assert "anonymous_user_id" not in text
    assert "remote_id" not in text


@pytest.mark.asyncio
async def test_file_says_its_version_and_its_end(shelf: Shelf) -> None:
    """The first line names the version and scope, the last one counts what the file holds."""
    shelf.put_plain(1, turns=2)
    shelf.put_rich()
    lines = await everything(shelf)
    first, last = fields(lines[0]), fields(lines[-1])
    assert list(first)[:2] == ["type", "version"]
    assert (first["type"], first["version"], first["scope"]) == ("convostore", 1, "all")
    assert last == {"type": "end", "conversations": 2, "messages": 8}


def test_plain_text_stands_in_its_line_once() -> None:
    """The text of a plain message is not repeated as a part."""
    line = jsonl.message("c", Message(role="user", text="once", parts=(TextPart("once"),)))
    assert line.count("once") == 1


@pytest.mark.parametrize(
    "parts", [(), (TextPart("a"),), (TextPart("ab"),), (ReasoningPart("x"), TextPart("ab"))]
)
def test_parts_come_back_exactly(parts: tuple[TextPart | ReasoningPart, ...]) -> None:
    """No parts, one text part and other text parts are told apart."""
    message = Message(role="assistant", text="ab", parts=parts)
    assert jsonl.entry(jsonl.message("c", message)) == jsonl.Owned("c", message)


HEADER = jsonl.header(jsonl.Header(version=1, program="p", created_at_ms=1, scope="all"))


@given(text=TEXT, title=TEXT, data=st.recursive(TEXT | st.integers(-(2**60), 2**60), st.lists))
def test_any_text_makes_one_line_and_comes_back(text: str, title: str, data: object) -> None:
    """Line separators, quotes and control characters stay within one line."""
    message = Message(role="user", text=text, parts=(OpaquePart("k", data),))
    record = ConversationRecord(id="c", handle="h", title=title)
    lines = [
        HEADER,
        jsonl.conversation(record),
        jsonl.message("c", message),
        jsonl.end(conversations=1, messages=1),
    ]
    back = list(jsonl.decode("".join(lines).rstrip("\n").split("\n")))
    assert back[1:3] == [record, jsonl.Owned("c", message)]


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ([], 0),
        (['{"type":"end","conversations":0,"messages":0}'], 1),
        (['{"type":"convostore","version":2,"program":"p","created_at_ms":1,"scope":"all"}'], 1),
        ([HEADER], 1),
        ([HEADER, "{"], 2),
        ([HEADER, '{"type":"new"}'], 2),
        ([HEADER, '{"type":"message"}'], 2),
        ([HEADER] * 2, 2),
        (
            [
                HEADER,
                *[jsonl.end(conversations=0, messages=0)] * 2,
            ],
            3,
        ),
    ],
)
def test_what_is_no_whole_export_is_refused_with_its_line(lines: list[str], number: int) -> None:
    """A cut, doubled, foreign or newer file is an error that names the line."""
    with pytest.raises(FormatError) as caught:
        list(jsonl.decode(lines))
    assert caught.value.record == number
