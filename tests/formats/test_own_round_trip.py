"""Our own export read back: what it told is there again, once, on either engine."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convostore.errors import FormatError
from convostore.exchange.exporting import TextExport
from convostore.formats import jsonl
from convostore.ids import new_handle, new_id
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import (
    ROLES,
    ConversationRecord,
    ErrorRecord,
    Message,
    Status,
    Usage,
    UsageRecord,
)
from convostore.storage.canonical import content_hash, encode_parts
from convostore.testing import temporary_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convostore.exchange.outcomes import ImportResult
    from convostore.parts import Part
    from convostore.store import Store

pytestmark = pytest.mark.usefixtures("temporary_place")

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
WORD = st.text("abcxyz", min_size=1, max_size=8)
TIME = st.integers(0, 2**42)
STATUS: st.SearchStrategy[Status] = st.sampled_from(
    ["completed", "stopped", "failed", "interrupted", "erased"]
)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | TEXT, st.lists, max_leaves=4)
DATA = (b"", b"\x00\xff", b"x" * 100_000)
PART = (
    st.builds(TextPart, TEXT)
    | st.builds(ReasoningPart, TEXT)
    | st.builds(ToolCallPart, TEXT, TEXT, TEXT)
    | st.builds(ToolResultPart, TEXT, TEXT, TEXT)
    | st.builds(OpaquePart, WORD, JSON)
    | st.sampled_from(DATA).map(
        lambda data: AttachmentPart(hashlib.sha256(data).hexdigest(), len(data), "a/b", "n.b")
    )
)


@st.composite
def trees(draw: st.DrawFn) -> list[str]:
    """Make the lines of an export of one conversation: any tree, any ending, any part."""
    seqs = sorted(draw(st.sets(st.integers(1, 30), max_size=7)))
    messages: list[Message] = []
    hashes: dict[int | None, str | None] = {None: None}
    ids: dict[int | None, str | None] = {None: None}
    for seq in seqs:
        status = draw(STATUS)
        parts: tuple[Part, ...] = ()
        if status != "erased":
            parts = tuple(draw(st.lists(PART, max_size=3)))
        text, shape = encode_parts(parts)
        if parts == (TextPart(""),):
            parts = ()
        above = draw(st.sampled_from([None, *[m.seq for m in messages]]))
        role = draw(st.sampled_from(ROLES))
        author = draw(st.none() | WORD)
        hashes[seq], ids[seq] = content_hash(hashes[above], role, text, shape), new_id()
        messages.append(
            Message(
                role,
                text,
                id=ids[seq] or "",
                parent_id=ids[above],
                seq=seq,
                parent_seq=above,
                author=author,
                status=status,
                parts=parts,
                provider=draw(st.none() | WORD),
                model=draw(st.none() | WORD),
                finish_reason=draw(st.none() | WORD),
                error=draw(st.none() | st.builds(ErrorRecord, code=WORD, message=TEXT)),
                idempotency_key=draw(st.none() | st.just(new_id())),
                created_at_ms=draw(TIME),
                finished_at_ms=draw(st.none() | TIME),
                content_hash=hashes[seq],
                source_id=draw(st.none() | WORD),
                author_id=author or draw(st.none() | WORD),
            )
        )
    record = ConversationRecord(
        id=new_id(),
        handle=new_handle(),
        key=draw(st.none() | st.just(f"bot:{new_id()}")),
        scope=draw(st.none() | WORD),
        title=draw(st.none() | WORD),
        title_source=draw(st.sampled_from(["user", "generated", "fallback"])),
        provider=draw(st.none() | WORD),
        model=draw(st.none() | WORD),
        settings=draw(st.dictionaries(WORD, JSON, max_size=2)),
        metadata=draw(st.dictionaries(WORD, JSON, max_size=2)),
        head_seq=draw(st.sampled_from([None, *seqs])),
        last_seq=draw(st.integers(max(seqs, default=0), 40)),
        message_count=len(messages),
        interrupted_count=sum(one.status == "interrupted" for one in messages),
        folder=draw(st.none() | WORD),
        tags=tuple(sorted(draw(st.sets(WORD, max_size=3)))),
        pinned=draw(st.booleans()),
        archived_at_ms=draw(st.none() | TIME),
        created_at_ms=draw(TIME),
        updated_at_ms=draw(TIME),
        source=draw(st.none() | st.just("chatgpt")),
        source_id=draw(st.none() | WORD),
    )
    return lines_of(record, messages, draw(st.booleans()))


def lines_of(record: ConversationRecord, messages: list[Message], paid: bool) -> list[str]:
    """Write a conversation down as an export does."""
    told = [jsonl.conversation(record)]
    if record.source:
        told.append(jsonl.originals(record.id, {0: b'{"mapping":{},"n":1.50}'}))
    told += [jsonl.message(record.id, one) for one in messages]
    sizes = {hashlib.sha256(data).hexdigest(): data for data in DATA}
    for part in {p for one in messages for p in one.parts if isinstance(p, AttachmentPart)}:
        data = sizes[part.sha256]
        for at in range(0, len(data) or 1, 60_000):
            piece = data[at : at + 60_000]
            told.append(
                jsonl.attachment(
                    record.id,
                    jsonl.AttachmentPiece(
                        sha256=part.sha256, size=part.size, number=at // 60_000, data=piece
                    ),
                )
            )
    if paid and messages:
        usage = Usage(input_tokens=3, cost=0.25)
        one = UsageRecord(
            id=new_id(),
            message_seq=messages[-1].seq,
            provider="p",
            model=None,
            created_at_ms=7,
            usage=usage,
        )
        told.append(jsonl.usage(record.id, one))
    return told


def file_of(lines: list[str]) -> BytesIO:
    """Make a file of lines."""
    first = jsonl.header(jsonl.Header(version=1, program="p", created_at_ms=1, scope="all"))
    return BytesIO("".join([first, *lines, jsonl.end(conversations=1, messages=1)]).encode())


async def exported(store: Store, **how: Any) -> list[dict[str, Any]]:
    """Export all; return what is told, without attachments' pieces, which may be cut otherwise."""
    text = await store.export(**how)
    assert isinstance(text, TextExport)
    said = "".join([piece async for piece in text])
    return told([json.loads(line) for line in said.rstrip("\n").split("\n")])


def told(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what lines say, in an order of its own."""
    found = [one for one in lines if one["type"] not in {"convostore", "end", "attachment"}]
    found += [
        one
        for one in lines
        if one["type"] == "attachment" and one["number"] == 0 and one["size"] < 60_000
    ]
    return sorted(found, key=lambda one: json.dumps(one, sort_keys=True))


async def imported(store: Store, file: BytesIO, **how: Any) -> list[ImportResult]:
    """Import a file, and return what became of each record."""
    return [result async for result in store.import_(file, **how)]


@pytest.mark.asyncio
async def test_any_tree_comes_back_as_it_was_told() -> None:
    """Ids, handles, keys, numbers, times, endings, parts, tags, usage, attachments: all the same, twice."""
    async with temporary_store() as store:
        seen: list[list[str]] = []

        @given(trees())
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        def collect(lines: list[str]) -> None:
            seen.append(lines)

        collect()
        for number, lines in enumerate(seen):
            owner = store.for_owner(f"owner {number}")
            (first,) = await imported(owner, file_of(lines))
            assert (first.outcome, first.reason) == ("added", "")
            assert await exported(owner) == told(
                [json.loads(one) for block in lines for one in block.rstrip("\n").split("\n")]
            )
            (again,) = await imported(owner, file_of(lines))
            assert again.outcome == "unchanged"
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_real_store_comes_back_in_another(tmp_path: Path) -> None:
    """What was said, branched, forgotten, filed and attached is exported, imported, and exported the same."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        part = await alice.attach(b"bytes" * 10_000, name="a.bin")
        chat = await alice.create(title="Kyoto", key="bot:1", metadata={"n": 1}, system="Be brief.")
        await chat.append(Message.user("see this", attachments=[part]), Message.assistant("Seen."))
        await chat.switch((await chat.messages())[1].id, exactly=True)
        await chat.append(Message.assistant("Another answer."))
        await chat.append(Message.user("forget this"))
        await chat.forget((await chat.messages())[-1].id)
        await alice.update_all([chat.id], tag=["trip", "japan"], folder="work", pin=True)
        for how, outcome in (("embedded", "added"), ("beside", "unchanged")):
            file = tmp_path / f"{how}.jsonl"
            await alice.export(to=file, attachments=how)
            (result,) = [one async for one in bob.import_(file)]
            assert result.outcome == outcome
        told_there = await exported(bob)
        assert told_there == await exported(alice)
        assert b"".join([piece async for piece in bob.attachment(part)]) == b"bytes" * 10_000
        found = await bob.search("answer")
        assert [hit.excerpt for hit in found.items] == ["Another answer."]
        again = await bob.resume("bot:1")
        assert again.anonymous_user_id
        assert again.anonymous_user_id != chat.anonymous_user_id
        carol = store.for_owner("carol")
        await alice.export(to=tmp_path / "bare.jsonl", attachments="reference")
        (bare,) = [one async for one in carol.import_(tmp_path / "bare.jsonl")]
        assert bare.remarks == ("attachments of which the export has no bytes: 1",)
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_steps_bring_another_store_up_to_date() -> None:
    """What was added, ended, forgotten or filed meanwhile is there after the step; nothing twice."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chats = [await alice.create(title=title) for title in ("One", "Two", "Three")]
        for chat in chats:
            await chat.append(Message.user("secret"), Message.assistant("hello"))
        await imported(bob, await file_from(alice))
        await chats[0].append(Message.user("more"))
        await chats[1].forget((await chats[1].messages())[0].id)
        await alice.update_all([chats[2].id], folder="filed", tag="done")
        await chats[2].rename("Third")
        step = await file_from(alice)
        outcomes = {one.title: (one.outcome, one.messages) for one in await imported(bob, step)}
        assert outcomes == {"One": ("updated", 1), "Two": ("updated", 0), "Third": ("updated", 0)}
        step.seek(0)
        assert {one.outcome for one in await imported(bob, step)} == {"unchanged"}
        assert await exported(bob) == await exported(alice)
        assert (await bob.search("secret")).items[0].handle != chats[1].handle
        assert [hit.title for hit in (await bob.search("third")).items] == ["Third"]
        assert (await store.check(deep=True)).problems == ()


async def file_from(store: Store, change: Callable[[str], str] = str, **how: Any) -> BytesIO:
    """Export all as a file."""
    text = await store.export(**how)
    assert isinstance(text, TextExport)
    return BytesIO(change("".join([piece async for piece in text])).encode())


@pytest.mark.asyncio
async def test_broken_off_answer_gets_its_end() -> None:
    """An export told an answer that was still running; the next one tells how it ended."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto")
        await chat.append(Message.user("count"), Message.assistant("one two three"))

        def half(text: str) -> str:
            lines = [json.loads(line) for line in text.rstrip("\n").split("\n")]
            for line in lines:
                if line.get("role") == "assistant":
                    line |= {"text": "one", "status": "streaming", "content_hash": None}
                    line["finished_at_ms"] = None
            return "".join(json.dumps(line) + "\n" for line in lines)

        await imported(bob, await file_from(alice, half))
        there = await bob.resume(chat.id)
        assert [one.status for one in await there.messages()] == ["completed", "interrupted"]
        assert there.record.interrupted_count == 1
        (result,) = await imported(bob, await file_from(alice))
        assert result.outcome == "updated"
        assert await exported(bob) == await exported(alice)
        assert len((await bob.search("three")).items) == 1
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_deleted_stays_deleted_and_nothing_of_a_refused_one_is_written() -> None:
    """What is in the bin stays there unless it is wanted back; a dry run writes nothing at all."""
    async with temporary_store() as store:
        alice, bob = store.for_owner("alice"), store.for_owner("bob")
        chat = await alice.create(title="Kyoto", key="bot:1")
        await chat.append(Message.user("start"))
        (dry,) = await imported(bob, await file_from(alice), dry_run=True)
        assert (dry.outcome, (await bob.list()).items) == ("added", ())
        taken = await bob.create(title="Other", key="bot:1")
        (added,) = await imported(bob, await file_from(alice), tags=["new"])
        assert added.outcome == "added"
        assert ((await bob.find(chat.id)).key, (await bob.resume("bot:1")).id) == (None, taken.id)
        assert (await bob.find(chat.id)).tags == ("new",)
        await bob.delete(chat.id)
        assert [one.outcome for one in await imported(bob, await file_from(alice))] == ["deleted"]
        (back,) = await imported(bob, await file_from(alice), restore=True)
        assert (back.outcome, (await bob.find(chat.id)).title) == ("updated", "Kyoto")

        def elsewhere(text: str) -> str:
            return text.replace(chat.id, new_id())

        (refused,) = await imported(bob, await file_from(alice, elsewhere))
        assert refused.outcome == "refused"
        assert "another conversation here has its message" in refused.reason
        assert len((await bob.list()).items) == 2


@pytest.mark.only("sqlite", reason="a file that cannot be read reaches no engine")
@pytest.mark.asyncio
async def test_flawed_lines_refuse_their_conversation_and_no_other() -> None:
    """A broken line, a wrong tree, a cut file, a newer version: each is told by its line."""
    async with temporary_store() as store:
        for title in ("One", "Two"):
            chat = await store.create(title=title)
            await chat.append(Message.user(f"in {title}"), Message.assistant("x"))
        text = (await file_from(store)).getvalue().decode()
        bob = store.for_owner("bob")
        lines = text.splitlines(keepends=True)
        one = next(at for at, line in enumerate(lines) if '"in One"' in line)
        flaws: list[tuple[Callable[[str], str], str]] = [
            (lambda line: line[:40] + "\n", "cannot be read"),
            (lambda line: line.replace('"seq":1', '"seq":9'), "no number or id of its own"),
            (
                lambda line: line.replace('"parent_seq":null', '"parent_seq":5'),
                "is not there before it",
            ),
            (lambda line: line.replace("in One", "in \\u0000"), "NUL"),
            (
                lambda line: line.replace('"status":"completed"', '"status":"done"'),
                "cannot be read",
            ),
        ]
        for number, (flaw, reason) in enumerate(flaws):
            broken = "".join([*lines[:one], flaw(lines[one]), *lines[one + 1 :]])
            owner = store.for_owner(f"owner {number}")
            results = await imported(owner, BytesIO(broken.encode()))
            assert sorted(result.outcome for result in results) == ["added", "refused"]
            assert reason in next(r.reason for r in results if r.outcome == "refused")
            assert [record.title for record in (await owner.list()).items] == ["Two"]
        cut = BytesIO("".join(lines[:-2]).encode())
        assert [result.outcome for result in await imported(bob, cut)] == ["added", "refused"]
        newer = text.replace('"version":1', '"version":2', 1)
        with pytest.raises(FormatError, match="version 2"):
            await imported(bob, BytesIO(newer.encode()))
