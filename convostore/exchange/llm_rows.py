"""llm's log in a SQLite file: threads of the newer kind, conversations of the older, or both."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

import msgspec

from convostore.exchange.foreign_rows import Rows
from convostore.formats import llm_logs, llm_threads
from convostore.formats.foreign import ForeignConversation, ForeignFile
from convostore.parts import OpaquePart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from convostore.exchange.foreign_rows import Row

_THREADS: Final = "SELECT * FROM threads ORDER BY id"
_MESSAGE: Final = "SELECT hash, parent_hash, role, provider_metadata FROM messages WHERE hash = ?"
_PARTS: Final = "SELECT * FROM parts WHERE message_hash = ? ORDER BY position, id"
_TURNS: Final = "SELECT tip_message_hash AS of, id FROM turns ORDER BY datetime_utc, id"
_TURN: Final = "SELECT * FROM turns WHERE id = ?"
_OF_PART: Final = (
    "SELECT a.id, a.type, a.path, a.url FROM part_attachments p"
    ' JOIN attachments a ON a.id = p.attachment_id WHERE p.part_id = ? ORDER BY p."order"'
)
_FRAGMENTS: Final = (
    "SELECT f.id, f.content FROM part_fragments p"
    " JOIN fragments f ON f.id = p.fragment_id WHERE p.part_id = ?"
)
_CONVERSATIONS: Final = "SELECT * FROM conversations ORDER BY id"
_ALONE: Final = (
    "SELECT id, prompt AS name, model FROM responses WHERE conversation_id IS NULL ORDER BY id"
)
_RESPONSES: Final = "SELECT conversation_id AS of, id FROM responses ORDER BY datetime_utc, id"
_RESPONSE: Final = "SELECT * FROM responses WHERE id = ?"
_ATTACHED: Final = (
    "SELECT p.response_id, a.id, a.type, a.path, a.url FROM prompt_attachments p"
    ' JOIN attachments a ON a.id = p.attachment_id WHERE p.response_id = ? ORDER BY p."order"'
)
_PROMPT_FRAGMENTS: Final = (
    "SELECT f.content FROM prompt_fragments p"
    ' JOIN fragments f ON f.id = p.fragment_id WHERE p.response_id = ? ORDER BY p."order"'
)
_SYSTEM_FRAGMENTS: Final = (
    "SELECT f.content FROM system_fragments p"
    ' JOIN fragments f ON f.id = p.fragment_id WHERE p.response_id = ? ORDER BY p."order"'
)
_CALLS: Final = "SELECT response_id AS of, id FROM tool_calls ORDER BY id"
_CALL: Final = "SELECT * FROM tool_calls WHERE id = ?"
_RESULTS: Final = "SELECT response_id AS of, id FROM tool_results ORDER BY id"
_RESULT: Final = "SELECT * FROM tool_results WHERE id = ?"
_HAS_BYTES: Final = "SELECT 1 AS here FROM attachments WHERE id = ? AND content IS NOT NULL"
_BYTES: Final = "SELECT content FROM attachments WHERE id = ? AND content IS NOT NULL"
# What has no index there is looked up once: by whose it is, the ids of the rows, in order.
_UNINDEXED: Final = {
    "turns": (_TURNS, _TURN),
    "responses": (_RESPONSES, _RESPONSE),
    "tool_calls": (_CALLS, _CALL),
    "tool_results": (_RESULTS, _RESULT),
}


class LlmRows:
    """Reads conversations of both generations; one that is in both is read as the newer has it."""

    format: Final = llm_logs.SOURCE

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._ids: dict[str, dict[object, list[object]]] = {}

    @staticmethod
    def has(tables: frozenset[str]) -> bool:
        """Tell whether a file with these tables is such a log."""
        return "_llm_migrations" in tables and bool({"threads", "responses"} & tables)

    def places(self) -> list[Row]:
        """Return what names each conversation.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        for table, (statement, _) in _UNINDEXED.items():
            ids: dict[object, list[object]] = {}
            for row in self._rows.of(table, statement):
                ids.setdefault(row["of"], []).append(row["id"])
            self._ids[table] = ids
        threads = self._rows.of("threads", _THREADS)
        newer = {row["id"] for row in threads}
        older = self._rows.of("conversations", _CONVERSATIONS)
        alone = self._rows.of("responses", _ALONE)
        kinds: Iterable[tuple[Literal["thread", "conversation", "response"], list[Row]]] = (
            ("thread", threads),
            ("conversation", [row for row in older if row["id"] not in newer]),
            ("response", alone),
        )
        return [{"kind": kind, "row": row} for kind, found in kinds for row in found]

    def where(self, place: Row) -> str:
        """Say where a conversation is."""
        return f"{place['kind']} {place['row']['id']}"

    def read(self, place: Row) -> ForeignConversation:
        """Read one conversation.

        Raises:
            FormatError: it is none.
            sqlite3.Error: its rows cannot be read.
        """
        row = place["row"]
        if place["kind"] == "thread":
            found = llm_threads.read(row, self._path(row))
        else:
            alone = place["kind"] == "response"
            responses = (
                self._rows.all(_RESPONSE, row["id"]) if alone else self._of("responses", row["id"])
            )
            found = llm_logs.read(row, responses, self._beside(responses))
        return self._with_bytes(found)

    def _of(self, table: str, whose: object) -> list[Row]:
        """Read the rows of a table that has no index for it."""
        ids = self._ids[table].get(whose, ())
        return [row for id_ in ids for row in self._rows.all(_UNINDEXED[table][1], id_)]

    def _path(self, thread: Row) -> llm_threads.Path:
        """Read the messages from the tip up to one that follows no other, or that is not there."""
        messages: list[Row] = []
        seen: set[object] = set()
        at = thread.get("tip_message_hash")
        while at is not None and at not in seen:
            seen.add(at)
            found = self._rows.all(_MESSAGE, at)
            messages += found
            at = found[0]["parent_hash"] if found else at
        hashes = [row["hash"] for row in messages]
        parts = {hash_: self._rows.of("parts", _PARTS, hash_) for hash_ in hashes}
        ids = [part["id"] for found in parts.values() for part in found]
        return llm_threads.Path(
            messages=messages[::-1],
            parts=parts,
            turns={hash_: found[0] for hash_ in hashes if (found := self._of("turns", hash_))},
            attachments={id_: self._rows.of("part_attachments", _OF_PART, id_) for id_ in ids},
            fragments={
                row["id"]: row["content"]
                for id_ in ids
                for row in self._rows.of("part_fragments", _FRAGMENTS, id_)
            },
            whole=at is None,
        )

    def _beside(self, responses: list[Row]) -> llm_logs.Beside:
        def each(table: str, statement: str) -> dict[str, list[Row]]:
            return {row["id"]: self._rows.of(table, statement, row["id"]) for row in responses}

        return llm_logs.Beside(
            attachments=each("prompt_attachments", _ATTACHED),
            fragments=each("prompt_fragments", _PROMPT_FRAGMENTS),
            system_fragments=each("system_fragments", _SYSTEM_FRAGMENTS),
            calls={row["id"]: self._of("tool_calls", row["id"]) for row in responses},
            results={row["id"]: self._of("tool_results", row["id"]) for row in responses},
        )

    def _with_bytes(self, found: ForeignConversation) -> ForeignConversation:
        """Return the conversation with those attachments whose bytes are in the log."""
        files, absent = [], 0
        for message, part, data in _attachments(found):
            if self._rows.of("attachments", _HAS_BYTES, data.get("id")):
                name = str(data.get("path") or data.get("url") or "").rpartition("/")[2]
                files.append(
                    ForeignFile(
                        message=message,
                        part=part,
                        name=name,
                        media_type=data.get("type"),
                        open=BytesOpener(self._rows.path, data["id"]),
                    )
                )
            else:
                absent += 1
        remarks = [f"files that are not in the log: {absent}"] if absent else []
        return msgspec.structs.replace(
            found, files=tuple(files), remarks=(*found.remarks, *remarks)
        )


def _attachments(found: ForeignConversation) -> Iterator[tuple[str, int, Row]]:
    for message in found.messages:
        for at, part in enumerate(message.parts):
            if isinstance(part, OpaquePart) and part.kind == llm_logs.ATTACHMENT:
                yield message.source_id, at, part.data


class BytesOpener:
    """Opens the bytes of one attachment, as often as is wished."""

    def __init__(self, path: Path, id_: str) -> None:
        self._path = path
        self._id = id_

    def __call__(self) -> BinaryIO:
        """Open them for reading.

        Raises:
            OSError: they cannot be read, or are gone meanwhile.
        """
        try:
            with closing(Rows(self._path)) as rows:
                found = rows.all(_BYTES, self._id)
        except sqlite3.Error as error:
            raise OSError(None, f"the attachment cannot be read: {error}") from None
        content = found[0]["content"] if found else None
        if not isinstance(content, bytes):
            raise OSError(None, "the attachment is gone")
        return io.BytesIO(content)
