"""A source of conversations for exports: plain values, the whole tree of each."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec
import pytest

from convostore.errors import ConversationNotFoundError
from convostore.exchange import exporting
from convostore.exchange.exporting import TextExport, Wish
from convostore.formats.writing import Node
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import (
    ConversationDossier,
    ConversationRecord,
    ErrorRecord,
    Message,
    RemoteThreadNote,
    Usage,
    UsageRecord,
)
from convostore.testing import temporary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from convostore.exchange.counted import ExportReport
    from convostore.formats.foreign import ForeignConversation
    from tests.engines import Where

BYTES = b"\x89PNG\x00\xff"
ATTACHED = AttachmentPart(hashlib.sha256(BYTES).hexdigest(), len(BYTES), "image/png", "a [cat].png")


@pytest.fixture
def temporary_place(path: Where, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `temporary_store` make its stores on the engine of the test."""
    monkeypatch.setattr(temporary, "_place", lambda: nullcontext(path))


class Shelf:
    """Conversations by id, and what was asked for."""

    def __init__(self) -> None:
        self.kept: dict[str, ConversationDossier] = {}
        self.messages: dict[str, Sequence[Message]] = {}
        self.originals: dict[str, dict[int, bytes]] = {}
        self.largest_page = 0

    def put(self, dossier: ConversationDossier, messages: Sequence[Message]) -> None:
        self.kept[dossier.record.id] = dossier
        self.messages[dossier.record.id] = messages

    def put_plain(self, number: int, *, title: str | None = None, turns: int = 1) -> str:
        """Put a straight conversation in and return its id."""
        record, messages = plain(number, title=title, turns=turns)
        self.put(ConversationDossier(record=record), messages)
        return record.id

    def put_rich(self) -> tuple[ConversationDossier, Sequence[Message]]:
        """Put the conversation that has something of everything in, and return it."""
        dossier, messages = rich()
        self.put(dossier, messages)
        return dossier, messages

    def put_foreign(self, one: ForeignConversation) -> str:
        """Put in what an import makes of a conversation of another program, and return its id."""
        seqs = {message.source_id: at for at, message in enumerate(one.messages, 1)}
        ids = {seq: f"{one.source_id}-{seq}" for seq in seqs.values()}
        messages = []
        for seq, message in enumerate(one.messages, 1):
            above = seqs.get(message.parent or "")
            text = "".join(p.text for p in message.parts if isinstance(p, TextPart))
            messages.append(
                Message(
                    message.role,
                    text,
                    id=ids[seq],
                    seq=seq,
                    parent_seq=above,
                    parent_id=ids[above] if above else None,
                    author=message.author,
                    status=message.status,
                    parts=message.parts,
                    model=message.model,
                    created_at_ms=message.created_at_ms or 0,
                    source_id=message.source_id,
                )
            )
        record = ConversationRecord(
            id=f"own-{len(self.kept):04}-{one.source_id}",
            handle=f"{len(self.kept):08}",
            title=one.title,
            title_source="imported",
            head_seq=seqs.get(one.head or ""),
            last_seq=len(messages),
            message_count=len(messages),
            archived_at_ms=1 if one.archived else None,
            pinned=one.pinned,
            source=one.source,
            source_id=one.source_id,
        )
        self.put(ConversationDossier(record=record), messages)
        raws = {seq: message.raw for seq, message in enumerate(one.messages, 1)}
        self.originals[record.id] = {0: one.raw, **raws}
        return record.id

    async def find(self, ref: str) -> ConversationRecord:
        for dossier in self.kept.values():
            if ref in {dossier.record.id, dossier.record.handle}:
                return dossier.record
        raise ConversationNotFoundError(f"no conversation {ref}")

    async def conversation_ids(self, after_id: str | None, limit: int) -> tuple[str, ...]:
        ids = sorted(key for key in self.kept if after_id is None or key > after_id)
        return tuple(ids[:limit])

    async def orphaned_usage(
        self, after_id: str | None, limit: int
    ) -> tuple[tuple[str, UsageRecord], ...]:
        """Have nothing that was paid elsewhere."""
        del after_id, limit
        return ()

    async def mark(self) -> str:
        return "0123456789ab"

    async def nodes(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Node, ...]:
        rows = self.messages[conversation_id]
        found = [m for m in rows if after_seq < m.seq <= last_seq][:limit]
        return tuple(Node(m.seq, m.parent_seq, m.id, m.source_id) for m in found)

    async def origins(
        self, conversation_id: str, first_seq: int, last_seq: int
    ) -> dict[int, bytes]:
        found = self.originals.get(conversation_id, {})
        return {seq: raw for seq, raw in found.items() if first_seq <= seq <= last_seq}

    async def dossiers(self, ids: Sequence[str]) -> tuple[ConversationDossier, ...]:
        return tuple(self.kept[id_] for id_ in ids if id_ in self.kept)

    async def messages_of(self, ids: Sequence[str]) -> dict[str, tuple[Message, ...]]:
        return {id_: tuple(self.messages[id_]) for id_ in ids}

    async def messages_between(
        self, conversation_id: str, after_seq: int, last_seq: int, limit: int
    ) -> tuple[Message, ...]:
        rows = self.messages[conversation_id]
        page = tuple(m for m in rows if after_seq < m.seq <= last_seq)[:limit]
        self.largest_page = max(self.largest_page, len(page))
        return page

    async def attachment(self, sha256: str) -> AsyncGenerator[bytes]:
        assert sha256 == ATTACHED.sha256
        for data in (BYTES[:2], BYTES[2:]):
            yield data


async def export_files(
    shelf: Shelf,
    refs: Sequence[str] | None,
    *,
    to: str | Path,
    format: str = "jsonl",
    store: Path | None = None,
) -> ExportReport:
    """Export a shelf to files."""
    wish = Wish(refs=None if refs is None else tuple(refs), format=format)
    return await exporting.export_files(shelf, wish, to=to, store=store)


def export_text(shelf: Shelf, refs: Sequence[str] | None, *, format: str = "jsonl") -> TextExport:
    """Export a shelf as text."""
    wish = Wish(refs=None if refs is None else tuple(refs), format=format)
    return exporting.export_text(shelf, wish)


def plain(
    number: int, *, title: str | None, turns: int = 1
) -> tuple[ConversationRecord, list[Message]]:
    """Make a straight conversation of *turns* questions and answers."""
    messages = [
        Message(
            id=f"m-{number}-{seq}",
            seq=seq,
            parent_seq=seq - 1 or None,
            parent_id=f"m-{number}-{seq - 1}" if seq > 1 else None,
            role="user" if seq % 2 else "assistant",
            text=f"text {seq}",
            parts=(TextPart(f"text {seq}"),),
            created_at_ms=1_764_000_000_000 + seq,
        )
        for seq in range(1, 2 * turns + 1)
    ]
    record = ConversationRecord(
        id=f"id-{number:04}",
        handle=f"{number:08}",
        title=title,
        head_seq=2 * turns or None,
        last_seq=2 * turns,
        message_count=2 * turns,
        anonymous_user_id=f"secret-user-{number}",
        created_at_ms=1_764_000_000_000,
        updated_at_ms=1_764_000_001_234,
    )
    return record, messages


def rich() -> tuple[ConversationDossier, list[Message]]:
    """Make a conversation with two branches, every part, every ending, cost and remote threads."""
    question = Message(
        id="m1",
        seq=1,
        role="user",
        text="Plan\n",
        parts=(TextPart("Plan\n"),),
        author="Ada",
        idempotency_key="update-7",
        created_at_ms=1,
        finished_at_ms=1,
        content_hash="aa",
    )
    failed = Message(
        id="m2",
        seq=2,
        parent_seq=1,
        parent_id="m1",
        role="assistant",
        text="It",
        status="failed",
        parts=(TextPart("It"),),
        model="tulu3-405b",
        provider="playground",
        created_at_ms=2,
        error=ErrorRecord(code="incomplete_reply", message="broke *off*", hint="h", retryable=True),
    )
    answer = Message(
        id="m3",
        seq=3,
        parent_seq=1,
        parent_id="m1",
        role="assistant",
        text="Three days.",
        parts=(
            ReasoningPart("hm\n</details>\n```\n## User"),
            TextPart("Three "),
            ToolCallPart("c1", "look<up>", '{"q": "Kyoto"}'),
            ToolResultPart("c1", "look<up>", "found"),
            OpaquePart("citation", {"url": ["https://x.test"], "n": 1.5}),
            TextPart("days."),
        ),
        status="interrupted",
        finish_reason="length",
        model="tulu3-405b",
        source_id="msg_1",
        created_at_ms=3,
        finished_at_ms=4,
        content_hash="bb",
    )
    empty = Message(
        id="m4",
        seq=4,
        parent_seq=3,
        parent_id="m3",
        role="user",
        text="",
        parts=(ATTACHED,),
        created_at_ms=5,
    )
    record = ConversationRecord(
        id="id-rich",
        handle="7k3m0000",
        key="telegram:42",
        title="Kyoto",
        title_source="user",
        provider="playground",
        model="tulu3-405b",
        anonymous_user_id="secret-anonymous-user",
        settings={"temperature": 0.5},
        metadata={"b": [1, None, {"ä": True}]},
        head_seq=3,
        last_seq=4,
        message_count=4,
        interrupted_count=1,
        folder="trips",
        pinned=True,
        archived_at_ms=9,
        created_at_ms=1,
        updated_at_ms=9,
        source="chatgpt",
        source_id="c-1",
    )
    usage = UsageRecord(
        id="u1",
        message_seq=3,
        provider="playground",
        model="tulu3-405b",
        created_at_ms=4,
        usage=Usage(input_tokens=10, cost=0.25),
    )
    note = RemoteThreadNote(
        message_seq=3,
        server_url="https://playground.test",
        dialect="threads",
        same_text=True,
        expires_at_ms=99,
    )
    dossier = ConversationDossier(
        record=record,
        usage=(usage, msgspec.structs.replace(usage, id="u2", message_seq=None)),
        remotes=(note,),
    )
    return dossier, [question, failed, answer, empty]


@pytest.fixture
def shelf() -> Shelf:
    """Give an empty shelf."""
    return Shelf()
