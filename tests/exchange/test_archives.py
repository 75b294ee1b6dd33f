"""Archives and folders are read as one export; what is dangerous in an archive is refused first."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from convostore.errors import FormatError
from convostore.exchange.limits import Limits
from convostore.exchange.reading import open_export
from convostore.formats.foreign import ForeignConversation
from convostore.formats.found import Found, Opaque, Refused
from tests.exchange.test_reading import A, B, chat, told
from tests.formats.samples import HERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n a heron"


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of these members."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return written.getvalue()


def read(raw: bytes, limits: Limits | None = None) -> list[Found]:
    """Read an archive."""
    with open_export(io.BytesIO(raw), limits=limits or Limits()) as export:
        return list(export)


def with_picture(id_: str, *uploads: dict[str, str]) -> bytes:
    """Return a conversation whose message refers to pictures and uploads."""
    value = chat(id_)
    message = value["mapping"]["1"]["message"]
    pointers = [
        {"content_type": "image_asset_pointer", "asset_pointer": pointer}
        for pointer in (
            "file-service://file-abc123",
            "sediment://file_00ff",
            "sediment://file_gone",
        )
    ]
    message["content"] = {"content_type": "multimodal_text", "parts": ["Look", *pointers]}
    message["metadata"] = {"attachments": list(uploads)}
    return json.dumps([value]).encode()


EXPORT = {
    "x/conversations-000.json": with_picture(
        "a",
        {"id": "file-abc123", "name": "heron.png", "mime_type": "image/png"},
        {"id": "file-doc9", "name": "notes.txt"},
    ),
    "x/conversations-001.json": b"[%s, %s]" % (B, B[:-9]),
    "x/export_manifest.json": json.dumps(
        {
            "version": 1,
            "logical_files": {
                "conversations.json": {
                    "sharded": True,
                    "files": [
                        "conversations-001.json",
                        "conversations-404.json",
                        "conversations-000.json",
                    ],
                }
            },
        }
    ).encode(),
    "x/conversation_asset_file_names.json": b'{"file_00ff.dat": "a/voice.wav"}',
    "x/file-abc123.dat": PNG,
    "x/file_00ff.dat": b"RIFF",
    "x/file-doc9-notes.txt": b"",
    "x/file-up1-chats.json": b"[%s]" % A,
    "x/user.json": b'{"id": "user-1"}',
    "x/chat.html": b"<html>",
    "x/broken.json": b"{",
}


def check_export(found: list[Found]) -> None:
    """Hold what was found in EXPORT to what is in it."""
    assert told(found) == [
        "conversations-404.json!",
        "b",
        "x/conversations-001.json: record 2!",
        "a",
        "x/broken.json!",
        "x/conversation_asset_file_names.json!",
        "x/export_manifest.json!",
        "x/user.json!",
    ]
    assert [type(one) for one in found[-4:]] == [Refused, Opaque, Opaque, Opaque]
    one = found[3]
    assert isinstance(one, ForeignConversation)
    assert one.remarks == ("files that are not in the export: 1",)
    assert [(file.part, file.name, file.media_type) for file in one.files] == [
        (1, "heron.png", "image/png"),
        (2, "voice.wav", None),
        (5, "notes.txt", None),
    ]


def test_sharded_archive_is_read_in_its_manifests_order_with_its_attachments() -> None:
    """Shards, one of which is missing; pictures by their ids; what was uploaded is no record."""
    with open_export(io.BytesIO(packed(EXPORT))) as export:
        found = list(export)
        check_export(found)
        one = found[3]
        assert isinstance(one, ForeignConversation)
        for _ in range(2):  # as often as is wished
            opened = [file.open() for file in one.files]
            assert [file.read() for file in opened] == [PNG, b"RIFF", b""]


def test_a_folder_is_read_as_the_archive_that_it_came_in(tmp_path: Path) -> None:
    """The same is found; a link in it is not followed."""
    for name, raw in EXPORT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    (tmp_path / "elsewhere.json").symlink_to(tmp_path / "x" / "conversations-001.json")
    with open_export(tmp_path) as export:
        found = list(export)
    check_export(found)
    one = found[3]
    assert isinstance(one, ForeignConversation)
    with one.files[0].open() as file:
        assert file.read() == PNG
    with (
        open_export(tmp_path, limits=Limits(entries=3)) as export,
        pytest.raises(FormatError, match="more than 3 files"),
    ):
        next(export)


def test_archive_comes_through_a_pipe() -> None:
    """It is copied to where it can be searched, up to the limit."""
    raw = packed({"conversations.json": b"[%s]" % A})
    for limits, ok in ((Limits(), True), (Limits(unpacked_bytes=200), False)):
        reading, writing = os.pipe()
        os.write(writing, raw)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe, open_export(pipe, limits=limits) as export:
            if ok:
                assert told(list(export)) == ["a"]
            else:
                with pytest.raises(FormatError, match="more than 200 bytes"):
                    list(export)


def test_what_a_mac_packs_beside_each_file_is_no_record() -> None:
    """Files of a binary form under the names of the others, in a folder of theirs or beside them."""
    beside = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"
    members = {
        "__MACOSX/x/._conversations.json": beside,
        "__MACOSX/x/conversations.json": beside,
        "x/._conversations.json": beside,
        "x/conversations.json": b"[%s]" % A,
        "x/._file-abc123-cat.png": beside,
    }
    assert told(read(packed(members))) == ["a"]


def test_names_with_the_slash_of_windows_are_names_in_folders() -> None:
    """Only those that leave the archive are refused: see below."""
    members = {name.replace("/", "\\"): raw for name, raw in EXPORT.items()}
    check_export(read(packed({"x\\": b"", **members})))


def test_archive_of_claude() -> None:
    """Its conversations, and what stands beside them."""
    sample = (HERE / "claude" / "synthetic.branched-official.json").read_bytes()
    found = read(
        packed({"conversations.json": sample, "users.json": b"[]", "projects.json": b"[{}]"})
    )
    assert told(found) == ["c-branched", "c-empty", "projects.json!"]


def test_a_format_that_is_named_is_the_only_one_that_is_taken() -> None:
    """Other conversations are refused by name; what stands beside is no refusal."""
    row = b'{"messages": [{"role": "user", "content": "Hi"}]}'
    raw = packed({"a.json": b"[%s]" % A, "b.json": row, "user.json": b'{"id": 1}'})
    with open_export(io.BytesIO(raw), "chatgpt") as export:
        found = list(export)
    assert [type(one) for one in found] == [ForeignConversation, Refused, Opaque]
    assert "is of openai, not of chatgpt" in str(found[1])
    with (
        open_export(io.BytesIO(raw), "claude") as export,
        pytest.raises(FormatError, match="is of chatgpt, not of claude"),
    ):
        next(export)


def evil(change: Callable[[zipfile.ZipInfo], Any], name: str = "a.json") -> bytes:
    """Return an archive with a member that is said to be something else."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("conversations.json", b"[%s]" % A)
        info = zipfile.ZipInfo(name)
        change(info)
        archive.writestr(info, b"[%s]" % B)
    return written.getvalue()


def nothing(info: zipfile.ZipInfo) -> None:
    """Change nothing."""


def link(info: zipfile.ZipInfo) -> None:
    """Make it a symbolic link."""
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def locked(raw: bytes) -> bytes:
    """Say of every member that it has a password."""
    at = raw.index(b"PK\x01\x02")
    return raw[: at + 8] + struct.pack("<H", 1) + raw[at + 10 :]


def same_names() -> bytes:
    """Return an archive of two members of one name."""
    raw = packed({"a.json": b"[%s]" % A, "b.json": b"[%s]" % B})
    return raw.replace(b"b.json", b"a.json")


def upon_each_other() -> bytes:
    """Return an archive whose directory names the same bytes many times."""
    raw = packed({"a.json": b"[%s]" % A * 200}, zipfile.ZIP_STORED)
    start, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    entry = raw[start:end]
    entries = b"".join(entry.replace(b"a.json", b"%d.json" % n) for n in range(9))
    tail = bytearray(raw[end:])
    struct.pack_into("<HHI", tail, 8, 9, 9, len(entries))
    return raw[:start] + entries + bytes(tail)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (evil(nothing, "../a.json"), "outside of itself"),
        (evil(nothing, "/etc/a.json"), "outside of itself"),
        (evil(nothing, "x/../../a.json"), "outside of itself"),
        (evil(nothing, "..\\a.json"), "outside of itself"),
        (evil(nothing, "\\a.json"), "outside of itself"),
        (evil(nothing, "x\\..\\..\\a.json"), "outside of itself"),
        (packed({"x/a.json": b"[%s]" % A, "x\\a.json": b"[%s]" % B}), "a member twice"),
        (evil(nothing, "C:a.json"), "outside of itself"),
        (evil(link), "holds a link"),
        (locked(evil(nothing)), "password"),
        (same_names(), "a member twice"),
        (packed({"a.json": b"[%s]" % A, "z.bin": b"\0" * 20_000_000}), "packed more than 200 times"),
        (packed({"a.json": b"[%s]" % A, "z.bin": os.urandom(60_000)}), "more than 50,000 bytes"),
        (upon_each_other(), "lie upon each other"),
        (packed({f"{n}.json": b"[%s]" % A for n in range(21)}), "more than 20 members"),
        (packed({"a.json": b"[%s]" % A})[:-30], "damaged"),
        (packed({"conversations.json": b"[%s]" % A})[: len(A) // 2], "damaged"),
        (b"PK\x03\x04", "damaged"),
        (packed({"more.zip": packed({"a.json": A})}), "more.zip: unpack it first"),
        (packed({"a.txt": A}), "no conversation of a known format"),
        (packed({"a.json": b"{", "b.json": b"{}"}), "in the middle"),
    ],
    ids=lambda one: one if isinstance(one, str) else "archive",  # its bytes hold the time
)  # fmt: skip
def test_dangerous_archive_is_refused_before_anything_is_read(raw: bytes, reason: str) -> None:
    """One line, by name; nothing of it was found before."""
    limits = Limits(entries=20, unpacked_bytes=50_000 if b"z.bin" in raw and len(raw) > 50_000 else 10**9)  # fmt: skip
    with (
        open_export(io.BytesIO(raw), limits=limits) as export,
        pytest.raises(FormatError, match=reason) as caught,
    ):
        next(export)
    assert "\n" not in str(caught.value)


def test_damaged_member_hides_no_other() -> None:
    """Bytes that are not those that were packed, or fewer of them, are told; the rest is read."""
    raw = packed({"a.json": b"[%s]" % A, "b.json": b"[%s]" % B}, zipfile.ZIP_STORED)
    at = raw.index(b"Hi")
    changed = raw[:at] + b"Ho" + raw[at + 2 :]
    found = read(changed)
    assert told(found)[-2:] == ["a.json!", "b"]
    assert "damaged" in str(found)
    shorter = bytearray(packed({"a.json": b"[%s]" % A, "b.json": b"[%s]" % B}))
    entry = shorter.index(b"PK\x01\x02")
    size = struct.unpack_from("<I", shorter, entry + 24)[0]
    struct.pack_into("<I", shorter, entry + 24, size + 5)
    assert told(read(bytes(shorter)))[-2:] == ["a.json!", "b"]
    struct.pack_into("<I", shorter, entry + 24, size - 50)
    assert told(read(bytes(shorter)))[-2:] == ["a.json!", "b"]


def test_small_member_may_be_packed_as_well_as_it_can_be() -> None:
    """The ratio is asked of what is long: a short text of one letter is no bomb."""
    raw = packed({"a.json": b"[%s]" % A, "z.txt": b"\0" * 1_000_000})
    with open_export(io.BytesIO(raw)) as export:
        assert not any(isinstance(one, Refused) for one in export)
