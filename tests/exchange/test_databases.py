"""Databases of other programs are read while those write, and never written."""

from __future__ import annotations

import hashlib
import io
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import FormatError
from convostore.exchange.reading import open_export
from convostore.formats.foreign import HEAD_GUESSED, ForeignConversation
from convostore.formats.found import Refused
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from tests.formats.counting import counted, path_of
from tests.formats.samples import HERE, samples

if TYPE_CHECKING:
    from pathlib import Path

LLM_OLD = HERE / "llm-logs" / "generated.llm-0.27.1.logs.db"
LLM_NEW = HERE / "llm-logs" / "generated.llm-0.36.logs.db"
AGENTS = HERE / "openai-agents" / "generated.sessions-0.24.0.db"


def read(path: Path, format: str | None = None) -> list[ForeignConversation]:
    """Read a database in which nothing is refused."""
    with open_export(path, format) as export:
        found = list(export)
    conversations = [one for one in found if isinstance(one, ForeignConversation)]
    assert conversations == found
    return conversations


def changed(sample: Path, path: Path, *statements: str) -> Path:
    """Copy a sample and change it."""
    shutil.copy(sample, path)
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path


@pytest.mark.parametrize(
    ("file", "expected"), [one for one in samples("llm-logs") if str(one.id).endswith(".db")]
)
def test_llm_logs_of_both_generations_have_the_counts_of_the_file(
    file: Path, expected: dict[str, Any]
) -> None:
    """Threads with the lengths of their paths; older conversations with their exchanges."""
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    counts = expected["database"]
    found = read(file)
    assert {one.source for one in found} == {"llm"}
    if counts["generation"] == "legacy":
        assert len(found) == counts["legacy_conversations"]
        answers = [counted(one)["roles"].get("assistant", 0) for one in found]
        assert sorted(answers) == counts["legacy_responses_per_conversation"]
    else:
        assert len(found) == counts["threads"]
        lengths = [len(path_of(one)) for one in found]
        assert sorted(lengths) == counts["thread_path_lengths"]
        assert lengths == [len(one.messages) for one in found]
        messages = {message.source_id: message for one in found for message in one.messages}
        assert Counter(message.role for message in messages.values()) == counts["roles"]
    assert before == hashlib.sha256(file.read_bytes()).hexdigest() == expected["sha256"]
    assert not list(file.parent.glob("*.db-*"))


@pytest.mark.parametrize("file", [LLM_OLD, LLM_NEW])
def test_llm_prompts_have_their_fragments_times_and_attachments(file: Path) -> None:
    """What stands in other tables belongs to the prompt; bytes are opened as often as is wished."""
    found = {one.title: one for one in read(file)}
    assert found["Look at this image"].model == "echo"
    otters = found["First question about otters"]
    assert [message.role for message in otters.messages] == ["system", *["user", "assistant"] * 2]
    assert otters.messages[0].parts == (TextPart("Be terse"),)
    assert all(message.created_at_ms for message in otters.messages)
    fragment = found[" fragment body about herons Fra…"]
    assert fragment.messages[0].parts == (TextPart("\nfragment body about herons Fragment please"),)
    look = found["Look at this image"]
    (picture,) = look.files
    assert picture.media_type == "image/png"
    assert (picture.message, picture.part) == (look.messages[0].source_id, 1)
    for _ in range(2):
        with picture.open() as file_of_bytes:
            assert file_of_bytes.read(8) == b"\x89PNG\r\n\x1a\n"


def test_llm_old_tools_reasoning_and_what_has_no_conversation(tmp_path: Path) -> None:
    """Calls and results, fragments of the system prompt, a response of its own."""
    path = changed(
        LLM_OLD,
        tmp_path / "logs.db",
        "ALTER TABLE responses ADD COLUMN reasoning TEXT",
        "UPDATE responses SET reasoning = 'hm' WHERE prompt LIKE 'Second%'",
        "UPDATE responses SET conversation_id = NULL WHERE prompt LIKE 'Unicode%'",
        "DELETE FROM conversations WHERE name LIKE 'Unicode%'",
        "INSERT INTO fragments (id, content) VALUES (7, 'You are a heron.')",
        "INSERT INTO system_fragments SELECT id, 7, 0 FROM responses WHERE prompt LIKE 'First%'",
        "INSERT INTO tool_calls (response_id, name, arguments, tool_call_id)"
        " SELECT id, 'look', '{}', 'c1' FROM responses WHERE prompt LIKE 'First%'",
        "INSERT INTO tool_results (response_id, name, output, tool_call_id)"
        " SELECT id, 'look', 'seen', 'c1' FROM responses WHERE prompt LIKE 'Second%'",
        "UPDATE attachments SET content = NULL, path = '/home/x/otter.png'",
    )
    found = {one.title: one for one in read(path)}
    assert len(found) == 4
    otters = found["First question about otters"]
    assert otters.messages[0].parts == (TextPart("You are a heron.\n\nBe terse"),)
    assert otters.messages[2].parts[1] == ToolCallPart("c1", "look", "{}")
    assert otters.messages[3].parts == (ToolResultPart("c1", "look", "seen"),)
    assert [one.role for one in otters.messages][3:] == ["tool", "user", "assistant"]
    assert otters.messages[5].parts[0] == ReasoningPart("hm")
    assert len(found["Unicode: naïve café 日本語 🦦"].messages) == 2
    look = found["Look at this image"]
    assert look.files == ()
    assert look.remarks == ("files that are not in the log: 1",)
    kept = look.messages[0].parts[1]
    assert isinstance(kept, OpaquePart)
    assert kept.data["path"] == "/home/x/otter.png"


def test_llm_new_parts_of_every_type_and_broken_chains(tmp_path: Path) -> None:
    """Text that refers to fragments, calls, results; a circle, a missing parent, an older copy."""
    path = changed(
        LLM_NEW,
        tmp_path / "logs.db",
        "INSERT INTO fragments (id, content) VALUES (7, 'herons')",
        "UPDATE parts SET text = NULL, payload ="
        " '{\"text_ref\": [{\"literal\": \"About \"}, {\"fragment\": 7}, {\"fragment\": 99}]}'"
        " WHERE text = 'Branch A'",
        "INSERT INTO part_fragments SELECT id, 7, 0 FROM parts WHERE payload LIKE '%text_ref%'",
        "UPDATE parts SET type = 'tool_result', text = NULL,"
        " payload = '{\"name\": \"look\", \"output\": \"seen\", \"tool_call_id\": \"c1\"}'"
        " WHERE text = 'Branch B'",
        "UPDATE parts SET type = 'tool_call', text = NULL, payload ="
        " '{\"name\": \"look\", \"arguments\": {\"b\": 1, \"a\": 2}, \"tool_call_id\": \"c1\"}'"
        " WHERE text LIKE '%naive%' OR text LIKE '%na\\u00efve%'",
        "UPDATE parts SET type = 'riddle', payload = '[1]' WHERE text LIKE 'Unicode%'",
        "UPDATE messages SET parent_hash = hash WHERE hash = 'b2:68402bde58f917bef6d30b0ebc27fe0d'",
        "UPDATE messages SET parent_hash = 'gone' WHERE hash = 'b2:81b3059c3c71c63747876afeca15d759'",
        "INSERT INTO conversations SELECT id, name, 'older' FROM threads",
        "UPDATE threads SET forked_from = 'other' WHERE name LIKE 'Unicode%'",
    )  # fmt: skip
    found = {one.source_id: one for one in read(path)}
    assert len(found) == 7
    parts = {m.source_id: m.parts for one in found.values() for m in one.messages}
    assert (TextPart("About herons"),) in parts.values()
    assert (ToolResultPart("c1", "look", "seen"),) in parts.values()
    assert (ToolCallPart("c1", "look", '{"b":1,"a":2}'),) in parts.values()
    riddle = OpaquePart("riddle", {"payload": [1], "text": "Unicode: naïve café 日本語 🦦"})
    assert (riddle,) in parts.values()
    remarks = Counter(remark for one in found.values() for remark in one.remarks)
    assert remarks == {"its first messages are missing": 2, "it is a fork of other": 1}


@pytest.mark.parametrize(("file", "expected"), samples("openai-agents"))
def test_agents_sessions_have_the_counts_of_the_file(file: Path, expected: dict[str, Any]) -> None:
    """Items one after the other, or in branches that share their beginning."""
    counts = expected["database"]
    found = read(file)
    assert {one.source for one in found} == {"openai-agents"}
    assert len(found) == counts["sessions"]
    assert [len(one.messages) for one in found] == counts["messages"]
    assert [counted(one)["message_leaves"] for one in found] == counts["leaves"]
    assert all((HEAD_GUESSED in one.remarks) == (counts["branches"] > 1) for one in found)
    if counts["branches"]:
        assert path_of(found[0]) == ["1", "2", "5", "6"]
    else:
        assert [type(part).__name__ for m in found[0].messages for part in m.parts] == [
            "TextPart",
            "ReasoningPart",
            "ToolCallPart",
            "ToolResultPart",
            "TextPart",
        ]


def test_agents_rows_that_are_no_json_are_kept(tmp_path: Path) -> None:
    """What cannot be read is told, and stands where it stood."""
    path = changed(
        AGENTS,
        tmp_path / "agents.db",
        "UPDATE agent_messages SET message_data = '{' WHERE id = 2",
        "UPDATE agent_messages SET message_data = x'ff' WHERE id = 3",
    )
    one = read(path)[0]
    assert one.remarks == ("messages that are no JSON, kept as they are: 2",)
    assert one.messages[1].parts == (OpaquePart("item", "{"),)
    assert path_of(one) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_database_is_read_while_its_program_writes(tmp_path: Path, mode: str) -> None:
    """A writer in the middle of a transaction is no obstacle, and is never made to wait."""
    path = changed(AGENTS, tmp_path / "agents.db")
    with closing(sqlite3.connect(path, timeout=0.1, isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM agent_messages")
        with open_export(path) as export:
            one = next(export)
            assert isinstance(one, ForeignConversation)
            assert len(one.messages) == 5
            writer.execute("COMMIT")  # waits for nobody
            assert isinstance(next(export), ForeignConversation)
        assert [len(one.messages) for one in read(path)] == [0, 0]


def test_nothing_but_tables_is_asked(tmp_path: Path) -> None:
    """A view in the place of a table never runs."""
    path = changed(
        LLM_OLD,
        tmp_path / "logs.db",
        "DROP TABLE tool_calls",
        "CREATE VIEW tool_calls AS WITH RECURSIVE n(id, response_id) AS"
        " (SELECT 1, 1 UNION ALL SELECT id + 1, 1 FROM n) SELECT * FROM n",
    )
    assert len(read(path)) == 4


def test_a_damaged_conversation_hides_no_other(tmp_path: Path) -> None:
    """What is larger than a record may be is refused alone."""
    path = changed(
        AGENTS,
        tmp_path / "agents.db",
        "INSERT INTO agent_sessions (session_id) VALUES ('huge'), ('last')",
        "INSERT INTO agent_messages (session_id, message_data)"
        " VALUES ('huge', '\"' || hex(zeroblob(40000000)) || '\"'), ('last', '{}')",
    )
    with open_export(path) as export:
        found = list(export)
    assert [type(one) for one in found] == [ForeignConversation] * 2 + [
        Refused,
        ForeignConversation,
    ]
    refused = found[2]
    assert isinstance(refused, Refused)
    assert refused.where == "session huge"
    assert "too big" in refused.reason


def sqlite_with(path: Path, *statements: str) -> Path:
    """Make a database."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path


def test_other_databases_are_refused_in_one_line(tmp_path: Path) -> None:
    """One of nobody, a very old one, a damaged one, one in a stream, our own, one of another."""
    unknown = sqlite_with(tmp_path / "unknown.db", "CREATE TABLE t (a)")
    old = sqlite_with(
        tmp_path / "old.db", "CREATE TABLE logs (a)", "CREATE TABLE _llm_migrations (name)"
    )
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(AGENTS.read_bytes()[:5000])
    cases: list[tuple[Any, str | None, str]] = [
        (unknown, None, "no known program"),
        (old, None, "very old llm"),
        (damaged, None, "cannot be read"),
        (io.BytesIO(AGENTS.read_bytes()), None, "name its file"),
        (AGENTS, "llm", "no known program"),
    ]
    for source, asked, reason in cases:
        with (
            open_export(source, asked) as export,
            pytest.raises(FormatError, match=reason) as caught,
        ):
            next(export)
        assert "\n" not in str(caught.value)


@pytest.mark.asyncio
async def test_our_own_store_is_no_export(tmp_path: Path) -> None:
    """It is told what it is."""
    async with convostore.open(tmp_path / "chats.db") as store:
        await store.create(title="Own")
    with (
        open_export(tmp_path / "chats.db") as export,
        pytest.raises(FormatError, match="a store of convostore"),
    ):
        next(export)
