"""Importing: each conversation once and whole, what came since added, what was deleted left so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

import convostore
from convostore.formats.foreign import ForeignFile
from convostore.formats.found import Opaque, Refused
from convostore.parts import AttachmentPart, OpaquePart, TextPart
from convostore.records import Filter
from convostore.storage import importing, indexing
from convostore.storage.newcomer_rows import conversation_row
from convostore.storage.originals import originals
from tests.canaries import among, word
from tests.engines import change, rows
from tests.foreigners import everything, foreign, said, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from convostore import Store
    from convostore.formats.found import Found
    from tests.engines import Where

pytestmark = pytest.mark.asyncio

ORIGINAL = "SELECT seq, data FROM source_record ORDER BY seq"


@pytest_asyncio.fixture
async def store(path: Where, index_at_rest: None) -> AsyncIterator[Store]:
    """Give an open store, which is sound in the end."""
    async with convostore.open(path) as opened:
        yield opened
        assert (await opened.check(deep=True)).problems == ()


async def test_imported_conversation_says_what_its_origin_said(store: Store, path: Where) -> None:
    """Tree, texts, parts, times, places in lists and the origin's JSON are there, and are found."""
    tree = [
        said("u1", None, "where to in Kyoto", created_at_ms=1_000),
        said("a1", "u1", "to the moss garden", model="gpt-x", finish_reason="stop"),
        said("a2", "u1", status="interrupted", created_at_ms=5_000, author="nobody"),
        said("u2", "a1", parts=(TextPart("see "), OpaquePart("image", {"at": 1}), TextPart("it"))),
    ]
    listed = {"pinned": True, "archived": True, "folder": "trips", "tags": ("Starred",)}
    times = {"created_at_ms": 900, "updated_at_ms": 6_000}
    one = foreign("c1", tree, head="a2", model="gpt-x", **listed | times)
    (result,), report = await take(store, one, tags=["Old"])
    assert (report.added, report.messages, result.outcome) == (1, 4, "added")
    chat = await store.resume(result.handle or "")
    record = chat.record
    assert (record.title, record.title_source, record.model) == ("Title c1", "imported", "gpt-x")
    assert (record.source, record.source_id, record.head_seq) == ("chatgpt", "c1", 3)
    assert (record.pinned, record.folder, record.tags) == (True, "trips", ("old", "starred"))
    assert (record.created_at_ms, record.updated_at_ms, record.interrupted_count) == (900, 6_000, 1)
    assert record.archived_at_ms is not None
    tree_read = {each.source_id: each for each in await chat.messages()}
    assert [(each.seq, each.parent_seq) for each in tree_read.values()] == [
        *((1, None), (2, 1), (3, 1), (4, 2))
    ]
    assert (tree_read["u2"].parts, tree_read["u2"].text) == (tree[3].parts, "see it")
    assert [each.created_at_ms for each in tree_read.values()] == [1_000, 1_000, 5_000, 1_000]
    at = await store.rows_of()
    assert at is not None
    kept = await originals(*at, record.id, 0, 9)
    assert kept == {0: one.raw} | {seq: new.raw for seq, new in enumerate(tree, start=1)}
    hits = await store.search("moss kyoto", all_branches=True)
    assert {hit.message_id for hit in hits.items} <= {each.id for each in tree_read.values()}
    assert [hit.seq for hit in (await store.search("moss garden", all_branches=True)).items] == [2]


async def test_same_file_twice_changes_nothing(store: Store, path: Where) -> None:
    """No row is another one after the second time, whatever was in the file, and in what order."""
    long = said("u9", None, "long " * 1_000, raw=b'{"z": 1, "long": "' + b"x" * 20_000 + b'"}')
    found = [foreign("c1", 5), foreign("c2", []), foreign("c3", [long], title=None, raw=b"")]
    await take(store, *found, tags=["x"])
    await store.search("text")
    before = everything(path)
    again = msgspec.structs.replace(long, raw=b'{"long": "' + b"x" * 20_000 + b'", "z": 1}')
    found[2] = msgspec.structs.replace(found[2], messages=(again,))
    _, report = await take(store, *reversed(found), tags=["x"])
    assert (report.unchanged, report.messages) == (3, 0)
    assert everything(path) == before


async def test_deleted_stays_deleted_unless_it_is_wanted_back(store: Store, path: Where) -> None:
    """In the bin, expired and purged it stays away, and with `restore` it comes back whole."""
    both = (foreign("c1", 2), foreign("c2", 2))
    (first, _), _ = await take(store, *both)
    await store.delete(first.id or "")
    results, report = await take(store, *both)
    assert (report.deleted, report.unchanged, results[0].handle) == (1, 1, first.handle)
    _, report = await take(store, foreign("c1", 4), restore=True)
    assert (report.updated, report.messages) == (1, 2)
    assert (await store.resume(first.handle or "")).record.deleted_at_ms is None
    await store.delete(first.id or "")
    await store.purge(Filter(), scrub=False)
    assert len(rows(path, "SELECT * FROM tombstone")) == 2  # of its id, and of its name there
    (gone, _), report = await take(store, *both)
    assert (report.deleted, gone.id) == (1, None)
    (back, _), report = await take(store, *both, restore=True)
    assert (report.added, report.unchanged) == (1, 1)
    assert len(rows(path, "SELECT * FROM tombstone")) == 1  # what came back has another id
    assert len(await (await store.resume(back.handle or "")).history()) == 2


async def test_purge_and_forget_leave_nothing_of_the_origin(store: Store, path: Where) -> None:
    """A forgotten message loses its JSON and does not come back; of a purged one hashes are left."""
    await take(store, foreign("c1", 3))
    chat = await store.resume("@")
    await chat.forget(2, scrub=False)
    assert [seq for seq, _ in rows(path, ORIGINAL)] == [0, 1, 3]
    _, report = await take(store, foreign("c1", 3))
    assert (report.unchanged, report.messages) == (1, 0)
    assert [seq for seq, _ in rows(path, ORIGINAL)] == [0, 1, 3]
    fork = await chat.fork(1)
    await fork.purge(scrub=False)
    await chat.purge(scrub=False)
    assert rows(path, ORIGINAL) == []
    hashes = [hash_ for _, hash_ in rows(path, "SELECT * FROM tombstone")]
    assert [len(hash_) for hash_ in hashes] == [64] * 3  # two ids, and a name there
    await store.erase_owner(scrub=False)
    assert rows(path, "SELECT * FROM tombstone") == []
    assert (await take(store, foreign("c1", 3)))[1].added == 1


async def test_no_byte_of_a_purged_import_is_left(store: Store, path: Where) -> None:
    """Words of every place, the origin's JSON and its ids too, are out of the files after a purge."""
    places = ("id", "title", "folder", "tag", "said", "author", "original", "whole", "message")
    w = dict(zip(places, map(word, places), strict=True))
    original = f'{{"is": "{w["original"]}"}}'.encode()
    told = said(w["message"], None, w["said"], author=w["author"], raw=original)
    one = foreign(
        *(w["id"], [told]),
        title=w["title"],
        folder=w["folder"],
        tags=(w["tag"],),
        raw=f'{{"is": "{w["whole"]}"}}'.encode(),
    )
    await take(store, one)
    await store.search(w["said"])
    assert among(path, places) == set(places)
    await store.delete("@")
    await store.purge("@", scrub=True)
    assert among(path, places) == set()
    assert (await take(store, one))[1].deleted == 1


async def test_erased_owner_and_removed_branch_take_their_originals_along(
    store: Store, path: Where
) -> None:
    """What a branch was read from goes with it; of an erased owner no tombstone is left."""
    alice = store.for_owner("alice")
    await take(alice, foreign("c1", 3))
    chat = await alice.resume("@")
    await chat.delete_branch(3)
    assert [seq for seq, _ in rows(path, ORIGINAL)] == [0, 1, 2]
    await take(alice, foreign("c2", 1))
    await alice.delete("@")
    await alice.purge("@", scrub=False)
    await alice.erase_owner(scrub=False)
    for table in ("source_record", "tombstone", "conversation"):
        assert rows(path, f"SELECT * FROM {table}") == []


async def test_bad_one_in_the_middle_hides_none_of_the_others(
    store: Store, path: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused are those that cannot be stored, each with its reason; the database's no is one too."""
    twice = [said("u1", None), said("u1", None)]
    late = [said("u1", "a0"), said("a0", None)]
    monkeypatch.setattr(
        importing,
        "conversation_row",
        lambda owner, job, handle: (
            conversation_row(owner, job, handle)
            | ({"pinned": 2**80} if job.source_id == "odd" else {})
        ),
    )
    found: list[Found] = [
        foreign("c1", 2),
        Refused(where="record 2", reason="broken", format="chatgpt"),
        foreign("c3", twice),
        foreign("c4", late),
        foreign("", 2),
        foreign("odd", 2),
        Opaque(where="record 7", what="a list of prompts", raw=b"[]"),
        foreign("c8", [said("u1", None, "x" * (16 * 1024 * 1024 + 1), raw=b"")]),
        foreign("c9", 2),
    ]
    results, report = await take(store, *found)
    assert [one.outcome[:2] for one in results] == ["ad", *["re"] * 5, "op", "re", "ad"]
    assert (report.added, report.refused, report.opaque, report.messages) == (2, 6, 1, 4)
    for result, reason in zip(
        results[1:6], ("broken", "two of its", "before its parent", "its id is", ""), strict=True
    ):
        assert reason in result.reason
        assert result.where
    assert rows(path, "SELECT source_id FROM conversation ORDER BY 1") == [("c1",), ("c9",)]
    assert rows(path, "SELECT count(*) FROM message") == [(4,)]


async def test_what_no_store_can_hold_is_mended_and_told(store: Store) -> None:
    """NUL, half characters, odd times and long names are no reason to lose a conversation."""
    half = OpaquePart("k\x00", {"a\ud800": ["b\udc00", 1.5]})
    one = foreign(
        "c1",
        [
            said("u1", None, "nul\x00 half\ud800", created_at_ms=2**62, raw=b""),
            said("a1", "u1", parts=(half,), created_at_ms=-5, author="w" * 900, raw=b""),
        ],
        title=" \n ",
        tags=(" ", *(f"t{n}" for n in range(99))),
        created_at_ms=-1,
        updated_at_ms=2**61,
        folder=" a\n b ",
    )
    (result,), _ = await take(store, one, tags=["mine"])
    record = (chat := await store.resume("@")).record
    first, second = await chat.history()
    assert (first.text, first.source_id) == ("nul\ufffd half\ufffd", "u1")
    assert second.parts == (OpaquePart("k\ufffd", {"a\ufffd": ["b\ufffd", 1.5]}),)
    assert (len(record.tags), record.title_source, record.folder) == (64, "fallback", "a b")
    assert any("replaced: 5" in remark for remark in result.remarks)
    assert any("left out: 36" in remark for remark in result.remarks)
    assert (await take(store, one, tags=["mine"]))[1].unchanged == 1


async def test_dry_run_writes_nothing_and_tells_the_same(store: Store, path: Where) -> None:
    """Without an owner, beside what is there, and of what comes twice in the same file."""
    found = [foreign("c1", 2), foreign("c1", 2), foreign("c1", 4), foreign("c2", 1)]
    _, told = await take(store, *found, dry_run=True)
    assert (told.added, told.updated, told.unchanged, told.dry_run) == (2, 1, 1, True)
    assert rows(path, "SELECT * FROM owner") == []
    await take(store, found[0])
    before = everything(path)
    _, told = await take(store, foreign("c1", 3), foreign("c2", 1), dry_run=True, tags=["x"])
    assert (told.updated, told.added, told.messages) == (1, 1, 2)
    assert everything(path) == before
    _, done = await take(store, *found)
    assert (done.added, done.updated, done.unchanged) == (1, 1, 2)


async def test_what_came_along_is_attached_and_purged_with_it(store: Store, path: Where) -> None:
    """Bytes are kept once, in the place of what pointed to them; what cannot be read stays a pointer."""
    import io

    def gone() -> Any:
        raise OSError("the member is cut off")

    picture, pointer = b"picture " * 90_000, OpaquePart("image", {"at": "file-1"})
    files = (
        ForeignFile(message="u1", part=0, name="cat.png", open=lambda: io.BytesIO(picture)),
        ForeignFile(message="u1", part=1, name="dog.png", open=gone),
    )
    one = foreign("c1", [said("u1", None, parts=(pointer, pointer, TextPart("see")))], files=files)
    (result,), _ = await take(store, one)
    (message,) = await (chat := await store.resume("@")).history()
    part = message.parts[0]
    assert isinstance(part, AttachmentPart)
    assert (part.name, part.media_type, part.size) == ("cat.png", "image/png", len(picture))
    assert message.parts[1:] == (pointer, TextPart("see"))
    assert b"".join([piece async for piece in store.attachment(part)]) == picture
    assert any("dog.png: the member is cut off" in remark for remark in result.remarks)
    assert (await take(store, one))[1].unchanged == 1
    assert rows(path, "SELECT count(*) FROM attachment") == [(1,)]
    await chat.purge(scrub=False)
    assert rows(path, "SELECT count(*) FROM attachment") == [(0,)]


async def test_check_finds_what_is_wrong_with_what_is_kept_of_a_file(path: Where) -> None:
    """What belongs to nothing, or to what was forgotten, at once; what cannot be read, deep."""
    async with convostore.open(path) as store:
        await take(store, foreign("c1", 3))

        async def found(*, deep: bool) -> list[str]:
            problems = (await store.check(deep=deep)).problems
            return [one.partition(", ")[2] for one in problems if "kept of its file" in one]

        assert await found(deep=True) == []
        for data in (b"x\x9cnone", b"{", b"[" * 50_000):
            change(path, "UPDATE source_record SET data = ? WHERE seq = 0", data)
            assert await found(deep=False) == []
            assert await found(deep=True) == ["message 0: what is kept of its file cannot be read"]
        change(path, "UPDATE source_record SET data = ?", b"{}")
        assert await found(deep=True) == []
        change(path, "UPDATE source_record SET seq = 9 WHERE seq = 3")
        change(path, "UPDATE message SET status = 'erased' WHERE seq = 2")
        assert await found(deep=False) == [
            "message 2: what is kept of its file is still there, though the message was forgotten",
            "message 9: what is kept of its file has no message",
        ]


async def test_import_that_is_left_early_keeps_what_it_has_told(store: Store) -> None:
    """Whoever stops asking has stored what was told, and says it again for the rest."""
    found = [foreign(f"c{n}", 1) for n in range(500)]
    run = store.import_(found)
    told = [await anext(run) for _ in range(3)]
    await run.aclose()
    await run.aclose()
    assert run.report.records == 3
    for result in told:
        await store.resume(result.id or "")
    _, report = await take(store, *found)
    assert (report.records, report.added + report.unchanged) == (500, 500)
    assert report.unchanged >= 3


@pytest.mark.only("sqlite", reason="who indexes is the writer's matter, on both engines alike")
async def test_index_waits_until_all_is_stored(
    path: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two parts of an import the writer indexes nothing; after it, all, if it is asked to."""
    monkeypatch.setattr(indexing, "IDLE_S", 0.0)
    indexed = "SELECT count(*) FROM message_search"
    async with convostore.open(path) as store:
        run = store.import_(foreign(f"c{n}", 2) for n in range(450))
        for _ in range(201):  # the first part, and the next one is on its way
            await anext(run)
        await asyncio.sleep(0.1)
        assert rows(path, indexed) == [(0,)]
        await run.finish()
        assert sum([count async for count in store.index()]) <= 1_350
        assert rows(path, indexed) == [(1_350,)]
        page = await store.search("title c449")
        assert (len(page.items), page.unindexed) == (1, 0)


async def test_index_waits_until_all_of_our_own_is_stored(
    path: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of an export of our own."""
    monkeypatch.setattr(indexing, "IDLE_S", 0.0)
    indexed = "SELECT count(*) FROM message_search"
    async with convostore.open(path) as store:
        await take(store, *(foreign(f"c{n}", 2) for n in range(210)))
        await store.export(to=tmp_path / "all.jsonl")
        assert [count async for count in store.index()]
        run = store.for_owner("bob").import_(tmp_path / "all.jsonl")
        for _ in range(201):  # the first part, and the next one is on its way
            await anext(run)
        await asyncio.sleep(0.1)
        assert rows(path, indexed) == [(630,)]
        await run.finish()
        assert [count async for count in store.index()]
        assert rows(path, indexed) == [(1_260,)]
