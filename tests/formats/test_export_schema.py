"""The schema of our own export, in the documents: it fits what is exported, and names all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from convostore.formats import jsonl
from convostore.records import ConversationRecord, Message, RemoteThreadNote, UsageRecord
from tests.formats.conftest import Shelf, export_text

if TYPE_CHECKING:
    import msgspec

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "export.schema.json").read_text(encoding="utf-8")
)
VALUES: dict[str, type[msgspec.Struct]] = {
    "convostore": jsonl.Header,
    "conversation": ConversationRecord,
    "unchanged": ConversationRecord,
    "message": Message,
    "attachment": jsonl.AttachmentPiece,
    "original": jsonl.Original,
    "usage": UsageRecord,
    "remote_thread": RemoteThreadNote,
    "end": jsonl.End,
}


@pytest.mark.asyncio
async def test_every_line_of_an_export_fits_the_schema(shelf: Shelf) -> None:
    """Of a conversation that has something of everything, and of one with next to nothing."""
    dossier, _ = shelf.put_rich()
    shelf.put_plain(1, turns=0)
    shelf.originals[dossier.record.id] = {0: b'{"a": 1.0}', 3: b"{}"}
    text = "".join([piece async for piece in export_text(shelf, None)])
    lines = [json.loads(line) for line in text.rstrip("\n").split("\n")]
    lines.append(json.loads(jsonl.unchanged(dossier.record)))
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for line in lines:
        validator.validate(line)
    assert {line["type"] for line in lines} == set(VALUES)
    for spoiled in ({"type": "message"}, {**lines[0], "version": 2}, {**lines[1], "title": 1}):
        assert not validator.is_valid(spoiled)


@pytest.mark.parametrize("kind", VALUES)
def test_schema_names_every_field(kind: str) -> None:
    """A field that is added to a record is added to the schema, or this fails."""
    fields = set(VALUES[kind].__struct_fields__) - {"anonymous_user_id"}
    told = set(SCHEMA["$defs"][f"line_{kind}"]["properties"])
    assert told - {"type", "conversation_id"} == fields - {"conversation_id"}
