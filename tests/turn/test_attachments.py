"""Attachments: in and out piece by piece, once for each content, gone with the last who refers."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore import Message
from convostore.errors import (
    AttachmentError,
    AttachmentNotFoundError,
    FormatError,
    InvalidTextError,
    StoreCorruptError,
)
from convostore.parts import AttachmentPart, TextPart
from convostore.storage.attachments import CHUNK_BYTES
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from watching import Watch  # type: ignore[import-not-found] # pytest puts this folder on the path

    from convostore import Conversation, Store
    from convostore.testing import ManualClock
    from tests.engines import Where

TABLES = ("attachment", "attachment_chunk", "message_attachment")
BIG = os.urandom(2 * CHUNK_BYTES) + b"end"


def counts(where: Where) -> list[int]:
    """Return how many attachments, pieces and references there are."""
    return [rows(where, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


async def whole(pieces: AsyncGenerator[bytes]) -> bytes:
    """Read an attachment to its end."""
    return b"".join([piece async for piece in pieces])


async def in_bits(data: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield *data* in bits of *size* bytes."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.asyncio
async def test_what_went_in_comes_out_in_pieces(store: Store, path: Where, tmp_path: Path) -> None:
    """A file, bytes and an iterator of any bits are kept alike, in pieces of one size."""
    file = tmp_path / "photo.PNG"
    file.write_bytes(BIG)
    of_file = await store.attach(file)
    assert of_file == AttachmentPart(
        hashlib.sha256(BIG).hexdigest(), len(BIG), "image/png", "photo.PNG"
    )
    assert await store.attach(str(file), name="a/b\\c d.tar.gz") == AttachmentPart(
        of_file.sha256, len(BIG), "application/gzip", "c d.tar.gz"
    )
    assert (await store.attach(BIG)).media_type == "application/octet-stream"
    for size in (1000, CHUNK_BYTES + 7, len(BIG)):
        streamed = await store.attach(in_bits(BIG, size), media_type="Video/MP4")
        assert (streamed.sha256, streamed.media_type) == (of_file.sha256, "video/mp4")
    assert counts(path) == [1, 3, 0]
    pieces = [piece async for piece in store.attachment(of_file)]
    assert [len(piece) for piece in pieces] == [CHUNK_BYTES, CHUNK_BYTES, 3]
    assert b"".join(pieces) == await whole(store.attachment(of_file.sha256)) == BIG
    empty = await store.attach(b"", name="nothing")
    assert (empty.size, await whole(store.attachment(empty))) == (0, b"")


@pytest.mark.asyncio
async def test_message_refers_to_attachments_and_is_read_with_them(
    store: Store, chat: Conversation, path: Where
) -> None:
    """They are parts before the text; the hash stands for them, and db check finds all well."""
    one, two = await store.attach(b"one", name="one.txt"), await store.attach(b"two")
    stored = await chat.append(
        Message.user("See", attachments=[one, two, one]), Message.user("", attachments=[two])
    )
    assert stored[0].parts == (one, two, one, TextPart("See"))
    history = await chat.history()
    assert [message.parts for message in history] == [stored[0].parts, (two,)]
    assert history[0].content_hash == stored[0].content_hash
    (plain,) = await (await store.create()).append(Message.user("See"))
    assert plain.content_hash != stored[0].content_hash
    assert counts(path) == [2, 2, 4]
    assert (await store.check(deep=True)).problems == ()
    again = await chat.append(*stored)
    assert [message.seq for message in again] == [1, 2]
    assert counts(path) == [2, 2, 4]


@pytest.mark.asyncio
async def test_attachments_go_with_the_last_message_that_refers_to_them(
    store: Store, chat: Conversation, path: Where
) -> None:
    """A fork keeps what its origin drops; what another message refers to stays."""
    shared, own = await store.attach(b"shared"), await store.attach(b"own")
    await chat.append(Message.user("q", attachments=[shared]))
    await chat.append(Message.user("r", attachments=[own, shared]))
    fork = await chat.fork(1)
    await chat.delete_branch(2)
    assert counts(path) == [1, 1, 2]
    with pytest.raises(AttachmentNotFoundError):
        await whole(store.attachment(own))
    await chat.delete_branch(1)
    assert await whole(store.attachment((await fork.history())[0].parts[0])) == b"shared"  # type: ignore[arg-type]  # an attachment
    await fork.delete_branch(1)
    assert counts(path) == [0, 0, 0]


@pytest.mark.asyncio
async def test_what_somebody_is_handing_in_again_does_not_go(
    store: Store, chat: Conversation, path: Where
) -> None:
    """The same bytes, taken in between the last reference and its end, can be referred to."""
    first = await store.attach(b"same")
    await chat.append(Message.user("q", attachments=[first]))
    again = await store.attach(b"same")
    await chat.delete_branch(1)
    (stored,) = await chat.append(Message.user("r", attachments=[again]))
    assert await whole(store.attachment(again)) == b"same"
    await chat.delete_branch(stored.seq)
    assert counts(path) == [0, 0, 0]


@pytest.mark.asyncio
async def test_what_is_not_there_cannot_be_referred_to(
    store: Store, chat: Conversation, path: Where
) -> None:
    """Nobody else's either: an owner who knows a sha256 has not the bytes."""
    alice = store.for_owner("alice")
    hers = await alice.attach(b"hers", name="hers.txt")
    for call in (
        chat.append(Message.user("before"), Message.user("q", attachments=[hers])),
        whole(store.attachment(hers)),
        whole(store.attachment("0" * 64)),
    ):
        with pytest.raises(AttachmentNotFoundError, match="there is no attachment"):
            await call
    assert await chat.messages() == ()
    mine = await store.attach(b"hers")
    assert mine.sha256 == hers.sha256
    assert counts(path)[:2] == [2, 2]
    for odd in (
        AttachmentPart("x", 1),
        AttachmentPart(hers.sha256, -1),
        AttachmentPart(hers.sha256, "4"),  # type: ignore[arg-type]  # what a careless caller gives
    ):
        with pytest.raises(AttachmentError, match="no stored attachment"):
            await chat.append(Message.user("q", attachments=[odd]))
    with pytest.raises(InvalidTextError, match="no media type"):
        await chat.append(Message.user("q", attachments=[AttachmentPart(hers.sha256, 4, "png")]))


@pytest.mark.asyncio
async def test_larger_than_the_limit_is_refused_and_nothing_is_kept(
    path: Where, tmp_path: Path
) -> None:
    """At the limit it passes; one byte more is refused, wherever it comes from."""
    file = tmp_path / "big"
    file.write_bytes(b"x" * 300_001)
    async with convostore.open(path, max_attachment_bytes=300_000) as store:
        await store.attach(b"x" * 300_000)
        for source in (file, b"x" * 300_001, in_bits(b"x" * 400_000, 1000)):
            with pytest.raises(AttachmentError, match="larger than 300,000 bytes") as raised:
                await store.attach(source)
            assert "max_attachment_bytes" in raised.value.hint
    assert counts(path) == [1, 2, 0]


@pytest.mark.asyncio
async def test_source_that_fails_leaves_nothing(store: Store, path: Where, tmp_path: Path) -> None:
    """Its own error comes through; a cancelled caller's pieces go, too; odd files are named."""

    async def failing() -> AsyncIterator[bytes]:
        yield BIG
        raise OSError("the line is dead")

    async def hanging() -> AsyncIterator[bytes]:
        yield BIG
        await asyncio.Event().wait()

    await store.create()  # so that the owner is there
    with pytest.raises(OSError, match="the line is dead"):
        await store.attach(failing())
    task = asyncio.create_task(store.attach(hanging()))
    while counts(path) != [1, 2, 0]:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.mkfifo(tmp_path / "fifo")
    for odd, reason in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "no plain file"),
        (tmp_path / "fifo", "no plain file"),
        ("a\0b", "NUL"),
        ("", "empty"),
    ):
        with pytest.raises(AttachmentError, match=reason):
            await store.attach(odd)
    for wrong in (17, ["x"]):
        with pytest.raises(TypeError, match="attach a path, bytes"):
            await store.attach(wrong)  # type: ignore[arg-type]  # what a careless caller gives
    with pytest.raises(InvalidTextError, match="no media type"):
        await store.attach(b"x", media_type="image")
    assert counts(path) == [0, 0, 0]


@pytest.mark.asyncio
async def test_forsaken_attachments_are_removed_once_they_are_old(
    store: Store, chat: Conversation, manual: ManualClock, path: Where
) -> None:
    """What nobody refers to, and what a crash left half way; handing it in again counts anew."""
    used = await store.attach(b"used")
    await chat.append(Message.user("q", attachments=[used]))
    for number in range(45):
        await store.attach(b"%d" % number)
    await manual.advance(3000.0)
    await store.attach(b"0")
    assert await store.remove_forsaken_attachments() == 0
    await manual.advance(700.0)
    assert await store.remove_forsaken_attachments() == 44
    assert counts(path) == [2, 2, 1]
    assert rows(path, "SELECT name FROM store_meta WHERE name = 'scrub_owed'") == [("scrub_owed",)]
    change(path, "UPDATE attachment SET sha256 = NULL WHERE sha256 <> ?", used.sha256)
    assert await store.remove_forsaken_attachments(older_than_s=-1) == 1
    assert await whole(store.attachment(used)) == b"used"


@pytest.mark.asyncio
async def test_damage_is_noticed_when_the_bytes_are_read(
    store: Store, path: Where, tmp_path: Path
) -> None:
    """Other bytes, and a piece that is missing, end in an error, and in no file."""
    part = await store.attach(BIG, name="big.bin")
    saved = await store.save_attachment(part, tmp_path)
    assert (saved, saved.read_bytes()) == (tmp_path / "big.bin", BIG)
    assert saved.stat().st_mode & 0o777 == 0o600
    change(path, "UPDATE attachment_chunk SET data = ? WHERE number = 2", b"END")
    with pytest.raises(StoreCorruptError, match="damaged"):
        await whole(store.attachment(part))
    change(path, "DELETE FROM attachment_chunk WHERE number = 2")
    with pytest.raises(StoreCorruptError, match="damaged"):
        await store.save_attachment(part, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(FormatError, match="cannot write"):
        await store.save_attachment(part, tmp_path / "no" / "folder")


@pytest.mark.asyncio
async def test_check_finds_what_is_wrong_with_attachments(
    store: Store, chat: Conversation, path: Where
) -> None:
    """Other bytes only when it looks deep, once however many refer to them; a lost one always."""
    parts = [await store.attach(data) for data in (b"one", b"two", BIG)]
    await chat.append(Message.user("q", attachments=parts), Message.user("r", attachments=parts))
    assert (await store.check(deep=True)).problems == ()
    change(path, "UPDATE attachment_chunk SET data = ? WHERE number = 2", b"End")
    change(
        path,
        "DELETE FROM attachment_chunk WHERE attachment_id = (SELECT id FROM attachment"
        " WHERE sha256 = ?)",
        parts[0].sha256,
    )
    change(path, "DELETE FROM attachment WHERE sha256 = ?", parts[0].sha256)
    lost = [
        f"conversation {chat.handle}, message {seq}: its attachment {parts[0].sha256[:12]} is gone"
        for seq in (1, 2)
    ]
    assert list((await store.check()).problems) == lost
    deep = (await store.check(deep=True)).problems
    assert [problem for problem in deep if problem not in lost] == [
        (
            f"conversation {chat.handle}, message 1: its attachment {parts[2].sha256[:12]} "
            "is not as it was stored: its bytes differ"
        )
    ]


@pytest.mark.asyncio
async def test_deep_check_finds_attachments_that_nothing_keeps_or_nobody_names(
    store: Store, chat: Conversation, path: Where
) -> None:
    """What a message names and what it refers to are the same; a reference lost or left is told."""
    one, two = [await store.attach(data) for data in (b"one", b"two")]
    await chat.append(Message.user("q", attachments=[one, one, two]), Message.user("r"))
    assert (await store.check(deep=True)).problems == ()
    change(path, "UPDATE message_attachment SET message_seq = 2 WHERE sha256 = ?", two.sha256)
    assert (await store.check()).problems == ()
    where = f"conversation {chat.handle}, message"
    assert (await store.check(deep=True)).problems == (
        f"{where} 1: nothing keeps its attachment {two.sha256[:12]}: it is not referred to",
        f"{where} 2: it refers to attachment {two.sha256[:12]}, and does not name it",
    )


@pytest.mark.asyncio
async def test_two_at_once_of_one_content_are_kept_once(store: Store, watch: Watch) -> None:
    """Whichever ends first stays, and both callers can refer to it."""
    parts = await asyncio.gather(*(store.attach(in_bits(BIG, 5000 + n)) for n in range(8)))
    assert len(set(parts)) == 1
    assert watch.rows("SELECT count(*) FROM attachment_chunk") == [(3,)]
    assert await whole(store.attachment(parts[0])) == BIG


@pytest.mark.asyncio
async def test_export_carries_each_attachment_once(
    store: Store, chat: Conversation, tmp_path: Path
) -> None:
    """As lines of base64 after the messages that have it; Markdown names it."""
    import base64
    import json

    part = await store.attach(BIG, name="big.bin")
    await chat.append(Message.user("q", attachments=[part]), Message.user("r", attachments=[part]))
    report = await store.export(chat.id, to=tmp_path / "all.jsonl")
    assert getattr(report, "attachments", None) == 1
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert lines[0]["attachments"] == "base64"
    data = b"".join(
        base64.b64decode(line["data"]) for line in lines if line["type"] == "attachment"
    )
    assert data == BIG
    await store.export(chat.id, format="markdown", to=tmp_path / "chat.md")
    assert (
        f"*(attached: big.bin, application/octet-stream, {len(BIG)} bytes)*"
        in (tmp_path / "chat.md").read_text()
    )


@pytest.mark.asyncio
async def test_purge_takes_what_was_forsaken_with_it(
    store: Store, chat: Conversation, manual: ManualClock, path: Where
) -> None:
    """And what only the purged conversation had; what another one has stays."""
    shared, own = await store.attach(b"shared"), await store.attach(b"own")
    await chat.append(Message.user("q", attachments=[shared, own]))
    other = await store.create()
    await other.append(Message.user("q", attachments=[shared]))
    await store.attach(b"forsaken")
    await manual.advance(4000.0)
    await store.attach(b"just handed in")
    await chat.delete()
    assert (await store.purge(chat.id)).changed == 1
    assert counts(path) == [2, 2, 1]
    assert await whole(store.attachment(shared)) == b"shared"
