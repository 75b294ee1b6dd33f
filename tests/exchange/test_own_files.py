"""Exports of our own, read where they are: in a file, a folder, an archive, several in one."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.formats import jsonl
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Found, Refused
from convostore.formats.own import OwnConversation
from convostore.parts import AttachmentPart
from convostore.records import ConversationRecord, Message
from tests.exchange.test_archives import packed
from tests.exchange.test_reading import A

if TYPE_CHECKING:
    from pathlib import Path

DATA = b"a heron" * 1_000
HERON = AttachmentPart(hashlib.sha256(DATA).hexdigest(), len(DATA), "image/png", "heron.png")


def id_of(number: int) -> str:
    """Return the id of a conversation or a message."""
    return f"00000000-0000-7000-8000-{number:012d}"


def header(at_ms: int = 1, **more: Any) -> str:
    """Return the first line of an export that was written at *at_ms*."""
    first = jsonl.Header(version=1, program="a test", created_at_ms=at_ms, scope="all", **more)
    return jsonl.header(first)


def one(number: int, *parts: AttachmentPart, title: str | None = None) -> str:
    """Return the lines of a conversation of one message."""
    record = ConversationRecord(
        id=id_of(number), handle="abcdefgh", title=title or f"Chat {number}", head_seq=1, last_seq=1
    )
    said = Message("user", "Look", id=id_of(number + 500), seq=1, parts=parts)
    return jsonl.conversation(record) + jsonl.message(record.id, said)


def piece(data: bytes = DATA) -> str:
    """Return the line of the attachment, as the first conversation has it."""
    value = jsonl.AttachmentPiece(sha256=HERON.sha256, size=len(DATA), number=0, data=data)
    return jsonl.attachment(id_of(1), value)


END = jsonl.end(conversations=1, messages=1)


def told(found: list[Found]) -> list[str]:
    """Return the title of each conversation of our own, the id of each other, and other places."""
    return [
        str(one.record.title)
        if isinstance(one, OwnConversation)
        else one.source_id
        if isinstance(one, ForeignConversation)
        else f"{one.where}!"
        for one in found
    ]


def read(raw: str) -> list[Found]:
    """Read a file."""
    with open_export(io.BytesIO(raw.encode())) as export:
        return list(export)


def attached(found: Found) -> bytes | None:
    """Return the bytes of the attachment of a conversation; None where they did not come along."""
    assert isinstance(found, OwnConversation)
    if (opened := found.opener(HERON.sha256)) is None:
        return None
    with opened() as file:
        return file.read()


def test_our_exports_in_a_folder_or_an_archive_are_read_in_the_order_they_were_written(
    tmp_path: Path,
) -> None:
    """Each with its attachments, told or beside it; steps in order; what another wrote follows."""
    files = {
        "conversations.json": b"[%s]" % A,
        "a/step.jsonl": (header(9) + one(1, title="Later") + END).encode(),
        "a/whole.jsonl": (header(3) + one(1, HERON) + piece() + END).encode(),
        "b/beside.jsonl": (
            header(5, attachments="beside", attachments_folder="files") + one(2, HERON) + END
        ).encode(),
        f"b/files/{HERON.sha256}": DATA,
        "c/newer.jsonl": header(7).replace('"version":1', '"version":2').encode(),
        "c/cut.jsonl": (header(8) + one(3)).encode(),
    }
    for name, raw in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(raw)
    archive = io.BytesIO(packed(files))
    for source in (tmp_path, archive):
        with open_export(source) as export:
            found = list(export)
            assert told(found) == [
                "Chat 1",
                "Chat 2",
                "c/newer.jsonl!",
                "c/cut.jsonl: line 2!",
                "Later",
                "a",
            ]
            assert [attached(found[at]) for at in (0, 1, 4)] == [DATA, DATA, None]
    for asked, refusal in (
        ("convostore", "conversation a is of chatgpt, not of convostore"),
        ("chatgpt", f"conversation {id_of(1)} is of convostore, not of chatgpt"),
    ):
        with open_export(tmp_path, asked) as export:
            assert refusal in [one.reason for one in export if isinstance(one, Refused)]


@pytest.mark.parametrize("folder", ["", ".", "..", "a/b", "/etc", "a\x00b"])
def test_attachments_are_looked_for_in_a_folder_beside_the_file_alone(
    tmp_path: Path, folder: str
) -> None:
    """A name that leads elsewhere refuses the file."""
    file = tmp_path / "x" / "own.jsonl"
    file.parent.mkdir()
    file.write_text(header(attachments="beside", attachments_folder=folder) + one(1, HERON) + END)
    (tmp_path / HERON.sha256).write_bytes(DATA)
    with open_export(file) as export, pytest.raises(FormatError, match="no folder beside it"):
        next(export)


def test_no_link_to_attachments_is_followed(tmp_path: Path) -> None:
    """Neither of the folder nor of a file in it; without links they are there."""
    file = tmp_path / "own.jsonl"
    file.write_text(header(attachments="beside", attachments_folder="files") + one(1, HERON) + END)
    real, folder = tmp_path / "real", tmp_path / "files"
    real.mkdir()
    (real / HERON.sha256).write_bytes(DATA)

    def there() -> bytes | None:
        with open_export(file) as export:
            return attached(next(export))

    folder.symlink_to(real)
    assert there() is None
    folder.unlink()
    folder.mkdir()
    (folder / HERON.sha256).symlink_to(real / HERON.sha256)
    assert there() is None
    (folder / HERON.sha256).unlink()
    (folder / HERON.sha256).write_bytes(DATA)
    assert there() == DATA


UNREAD = one(2).replace('"pinned":false', '"pinned":7')
NAMELESS = UNREAD.replace('"id":', '"i":', 1)
CUT = "the file is cut off"


@pytest.mark.parametrize(
    ("raw", "there", "reasons"),
    [
        (header() + one(1) + END + header(2) + one(2) + END, ["Chat 1", "Chat 2"], []),
        (header() + one(1) + header(2) + one(2) + END, ["line 2!", "Chat 2"], [CUT]),
        ("\n" + header() + "\n \r\n" + one(1) + "\n" + END + "\n\n", ["Chat 1"], []),
        (header() + one(1) + END + one(2) * 9, ["Chat 1", "line 5!"], ["after the end"]),
        (header() + one(1) + UNREAD + one(3) + END, ["Chat 1", "line 4!", "Chat 3"], ["line 4 cannot"]),
        (header() + one(1) + NAMELESS + END, ["Chat 1", "line 4!"], ["line 4 cannot"]),
        (header() + one(1) + one(2).splitlines()[1] + "\n" + END, ["line 4!", "Chat 1"], []),
        (header() + one(1) + END[:30], ["Chat 1", "line 4!"], [CUT]),
        (header() + one(1) + one(2)[:40], ["Chat 1", "line 4!"], [CUT]),
        (header() + one(1) + one(2)[:-30], ["Chat 1", "line 4!"], [CUT]),
        (header() + one(1)[:40], ["line 2!"], [CUT]),
        (header(), ["line 1!"], [CUT]),
    ],
)  # fmt: skip
def test_conversations_are_counted_and_not_lines(
    raw: str, there: list[str], reasons: list[str]
) -> None:
    """Files one after the other, blank lines, a broken conversation, a cut: each is told once."""
    found = read(raw)
    assert told(found) == there
    refusals = [one.reason for one in found if isinstance(one, Refused)]
    assert len(refusals) == len(reasons)
    assert all(reason in refusal for reason, refusal in zip(reasons, refusals, strict=True))


def test_second_file_that_cannot_be_read_is_refused_alone() -> None:
    """What was read before it counts, what follows in it is told once, and a third file is read."""
    newer = header().replace('"version":1', '"version":2')
    raw = header() + one(1) + END + newer + one(2) + one(3) + END + header() + one(4) + END
    found = read(raw)
    assert told(found) == ["Chat 1", "line 5!", "Chat 4"]
    assert "version 2" in str(found)


def test_export_of_ours_is_none_of_another_format() -> None:
    """Where another one is named, none of its lines is a conversation."""
    raw = (header() + one(1) + END).encode()
    with open_export(io.BytesIO(raw), "chatgpt") as export:
        assert all(isinstance(found, Refused) for found in export)


def test_line_that_is_too_long_refuses_its_conversation_alone() -> None:
    """As a message it spoils what it belongs to; as a conversation's own it is that one."""
    long = one(2, title="x" * 3_000)
    spoiled = one(3).splitlines(keepends=True)
    spoiled[1] = spoiled[1].replace("Look", "y" * 3_000)
    raw = header() + one(1) + long + "".join(spoiled) + one(4) + END
    with open_export(io.BytesIO(raw.encode()), limits=Limits(line_bytes=2_000)) as export:
        found = list(export)
    assert told(found) == ["Chat 1", "line 4!", "line 6!", "Chat 4"]
    assert str(found).count("it is too long") == 2
