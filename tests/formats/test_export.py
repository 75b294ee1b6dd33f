"""Exports as files: whole or not at all, private, safely named, read in pages."""

from __future__ import annotations

import asyncio
import errno
import signal
import stat
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import msgspec
import pytest

from convostore import targets
from convostore.errors import ConversationNotFoundError, FormatError, StoreFullError
from convostore.exchange.outgoing import MESSAGES_PER_READ
from convostore.parts import TextPart
from tests.formats.conftest import export_files, export_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from convostore.records import ConversationDossier, Message
    from tests.formats.conftest import Shelf


def names(folder: Path) -> list[str]:
    """Return what the folder holds."""
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.asyncio
async def test_file_has_what_stdout_has_and_is_private(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is the same wherever it goes; the file can be read by its owner alone."""
    monkeypatch.setattr("convostore.clock.now_ms", lambda: 1)
    shelf.put_plain(1)
    shelf.put_rich()
    file = tmp_path / "all.jsonl"
    report = await export_files(shelf, None, to=file)
    assert file.read_text() == "".join([piece async for piece in export_text(shelf, None)])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (report.conversations, report.messages, report.files, report.path) == (2, 6, 1, file)
    assert names(tmp_path) == ["all.jsonl"]


@pytest.mark.asyncio
async def test_folder_gets_one_whole_file_per_conversation(shelf: Shelf, tmp_path: Path) -> None:
    """Titles that are alike, hostile or missing make names of their own; none leaves the folder."""
    for number, title in enumerate(["../up", "../UP", None, "con"], 1):
        shelf.put_plain(number, title=title)
    folder = tmp_path / "new" / "notes"
    report = await export_files(shelf, None, to=folder, format="markdown")
    assert names(folder) == [
        "00000003.md",
        "con-00000004.md",
        "up-00000001.md",
        "up-00000002.md",
    ]
    assert all(file.read_text().startswith("---\ntitle: ") for file in folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (report.conversations, report.messages, report.files) == (4, 8, 4)
    assert report.path == folder


@pytest.mark.asyncio
async def test_one_conversation_into_a_folder_names_its_file(shelf: Shelf, tmp_path: Path) -> None:
    """The report says which file was made."""
    shelf.put_plain(1, title="Kyoto")
    report = await export_files(shelf, ["00000001"], to=tmp_path, format="jsonl")
    assert report.path == tmp_path / "kyoto-00000001.jsonl"
    assert report.path.read_text().count('"type":"end"') == 1


@pytest.mark.asyncio
async def test_trailing_slash_means_a_folder(shelf: Shelf, tmp_path: Path) -> None:
    """A folder that is not there yet is made when the name ends with a slash."""
    shelf.put_plain(1)
    report = await export_files(shelf, ["00000001"], to=f"{tmp_path}/new/")
    assert report.path == tmp_path / "new" / "00000001.jsonl"


@pytest.mark.asyncio
async def test_long_conversations_and_long_lists_are_read_in_pages(shelf: Shelf) -> None:
    """Never more than a page is asked for, and nothing is missed between two pages."""
    shelf.put_plain(1, turns=MESSAGES_PER_READ)
    for number in range(2, 420):
        shelf.put_plain(number, turns=0)
    pieces = [piece async for piece in export_text(shelf, None)]
    text = "".join(pieces)
    assert text.count('"type":"message"') == 2 * MESSAGES_PER_READ
    assert text.count('"type":"conversation"') == 419
    assert shelf.largest_page == MESSAGES_PER_READ
    assert max(piece.count("\n") for piece in pieces) == MESSAGES_PER_READ


@pytest.mark.asyncio
async def test_long_messages_are_read_a_few_at_a_time(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a page had more than some MiB the next ones have less, so that memory stays flat."""
    id_ = shelf.put_plain(1, turns=100)
    text = "x" * 300_000
    shelf.messages[id_] = [
        msgspec.structs.replace(one, text=text, parts=(TextPart(text),))
        for one in shelf.messages[id_]
    ]
    asked: list[int] = []
    between = shelf.messages_between

    async def noted(id: str, after: int, last: int, limit: int) -> tuple[Message, ...]:
        asked.append(limit)
        return await between(id, after, last, limit)

    monkeypatch.setattr(shelf, "messages_between", noted)
    pieces = [piece async for piece in export_text(shelf, None)]
    assert "".join(pieces).count('"type":"message"') == 200
    assert asked[0] == 64
    assert set(asked[1:]) == {8}


@pytest.mark.asyncio
async def test_what_is_said_during_an_export_is_left_for_the_next(shelf: Shelf) -> None:
    """Messages after the conversation's line was written would not fit to it."""
    dossier, messages = shelf.put_rich()
    shelf.messages[dossier.record.id] = [
        *messages,
        msgspec.structs.replace(messages[0], seq=5, id="m5"),
    ]
    text = "".join([piece async for piece in export_text(shelf, None)])
    assert text.count('"type":"message"') == dossier.record.message_count == 4


@pytest.mark.asyncio
async def test_unknown_reference_writes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    """All references are looked up before the first byte."""
    shelf.put_plain(1)
    with pytest.raises(ConversationNotFoundError):
        await export_files(shelf, ["00000001", "nothere0"], to=tmp_path / "x.jsonl")
    assert names(tmp_path) == []


@pytest.mark.asyncio
async def test_unknown_format_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    """The error lists the formats."""
    with pytest.raises(FormatError, match="no export format 'pdf'") as caught:
        await export_files(shelf, None, to=tmp_path / "x.pdf", format="pdf")
    assert "jsonl, markdown" in caught.value.hint


@pytest.mark.asyncio
async def test_conversation_deleted_meanwhile_is_missed_only_if_chosen(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all conversations it is no longer one; by name its absence is an error."""
    shelf.put_plain(1)
    shelf.put_plain(2)
    kept = shelf.kept["id-0002"]

    async def only_the_second(ids: Sequence[str]) -> tuple[ConversationDossier, ...]:
        return (kept,) if "id-0002" in ids else ()

    monkeypatch.setattr(shelf, "dossiers", only_the_second)
    report = await export_files(shelf, None, to=tmp_path / "all.jsonl")
    assert report.conversations == 1
    with pytest.raises(ConversationNotFoundError):
        await export_files(shelf, ["00000001"], to=tmp_path / "one.jsonl")
    assert names(tmp_path) == ["all.jsonl"]


@pytest.mark.asyncio
async def test_nothing_is_written_through_a_link(shelf: Shelf, tmp_path: Path) -> None:
    """A symbolic link in the file's place is refused, and what it points to stays."""
    shelf.put_plain(1)
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "x.jsonl").symlink_to(target)
    with pytest.raises(FormatError, match="not a plain file"):
        await export_files(shelf, None, to=tmp_path / "x.jsonl")
    assert target.read_text() == "mine"
    assert names(tmp_path) == ["precious", "x.jsonl"]


@pytest.mark.parametrize("place", ["missing/x.jsonl", "file/x.jsonl"])
@pytest.mark.asyncio
async def test_place_that_cannot_be_written_is_one_clear_error(
    shelf: Shelf, tmp_path: Path, place: str
) -> None:
    """The message names the place, the hint what to do."""
    shelf.put_plain(1)
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=f"cannot write .*{place}") as caught:
        await export_files(shelf, None, to=tmp_path / place)
    assert caught.value.hint


@pytest.mark.asyncio
async def test_full_disk_leaves_the_older_file(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says so, and no half file remains."""
    shelf.put_plain(1)
    file = tmp_path / "x.jsonl"
    file.write_text("older")

    def full(self: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(targets._NewFile, "write", full)
    with pytest.raises(StoreFullError):
        await export_files(shelf, None, to=file)
    assert (file.read_text(), names(tmp_path)) == ("older", ["x.jsonl"])


@pytest.mark.asyncio
async def test_cancelled_export_leaves_the_older_file(shelf: Shelf, tmp_path: Path) -> None:
    """Cancelling in the middle of reading removes what was begun."""
    shelf.put_plain(1)
    file = tmp_path / "x.jsonl"
    file.write_text("older")
    reading = asyncio.Event()

    async def never(ids: Sequence[str]) -> tuple[ConversationDossier, ...]:
        reading.set()
        await asyncio.Event().wait()
        return ()

    shelf.dossiers = never  # type: ignore[method-assign] # a source that stalls
    export = asyncio.create_task(export_files(shelf, None, to=file))
    await reading.wait()
    assert len(names(tmp_path)) == 2
    export.cancel()
    with pytest.raises(asyncio.CancelledError):
        await export
    assert (file.read_text(), names(tmp_path)) == ("older", ["x.jsonl"])


KILLED = """
    import asyncio, sys
    from convostore.exchange.exporting import Wish, export_files
    from convostore.records import ConversationDossier, ConversationRecord

    class Endless:
        async def mark(self):
            return "0123456789ab"
        async def conversation_ids(self, after_id, limit):
            return (str(int(after_id or 0) + 1),)
        async def dossiers(self, ids):
            if int(ids[0]) == 500:
                print("half", flush=True)
                sys.stdin.read()
            return [ConversationDossier(record=ConversationRecord(id=id, handle=id)) for id in ids]

    asyncio.run(export_files(Endless(), Wish(), to=sys.argv[1]))
"""


def test_killed_export_leaves_the_older_file(tmp_path: Path) -> None:
    """SIGKILL in the middle of writing: the file under its name is the old one, whole."""
    file = tmp_path / "x.jsonl"
    file.write_text("older")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
    assert file.read_text() == "older"
