"""`check` finds what is wrong in a store, and nothing in a sound one."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from filled_store import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    execute,
)

import convostore
from convostore.errors import StoreCorruptError, StoreError, StoreOpenError
from convostore.providers.echo import Echo
from convostore.storage import soundness as check_module
from convostore.storage.canonical import content_hash
from convostore.storage.check import check
from convostore.storage.soundness import MOST_PROBLEMS
from convostore.storage.tables import REVISION

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.only("sqlite", reason="it damages a file by hand")


def _problems(path: Path, *, deep: bool = True) -> tuple[str, ...]:
    return check(path, deep=deep).problems


def test_sound_store_has_no_problems(filled: Path) -> None:
    """What the program wrote is sound, and the report says how much was looked at."""
    report = check(filled, deep=True)
    assert report.problems == ()
    assert (report.conversations, report.messages, report.journal_rows) == (3, 15, 0)
    assert (report.revision, report.journal_mode, report.deep) == (REVISION, "wal", True)
    assert report.engine == f"SQLite {sqlite3.sqlite_version}"


def test_check_changes_nothing(filled: Path) -> None:
    """A check only reads."""
    before = {file.name: file.read_bytes() for file in filled.parent.iterdir()}
    check(filled, deep=True)
    assert {file.name: file.read_bytes() for file in filled.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("version", "remarked"),
    [((3, 40, 1), 1), ((3, 51, 2), 1), ((3, 51, 3), 0), ((3, 53, 0), 0)],
)
def test_sqlite_with_the_wal_fault_is_a_remark_and_no_problem(
    filled: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], remarked: int
) -> None:
    """A SQLite that has the rare fault is named; the store itself is none the worse."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    report = check(filled, deep=False)
    assert (len(report.remarks), report.problems) == (remarked, ())


def test_one_flipped_bit_in_a_text_is_found_by_the_hashes(filled: Path) -> None:
    """A bit in a text, of which SQLite knows nothing, is found by a deep check, with its message."""
    text = b"You said: Tell me of Kyoto"
    at = filled.read_bytes().index(text)
    with filled.open("r+b") as file:
        file.seek(at)
        file.write(bytes([text[0] ^ 1]) + text[1:])
    assert _problems(filled, deep=False) == ()
    found = _problems(filled)
    assert len(found) == 1
    assert "message 3: is not as it was stored" in found[0]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE message SET text = text || '.' WHERE seq = 3",
        "UPDATE message SET role = 'system' WHERE seq = 3",
        "UPDATE message SET parts = '[1]' WHERE seq = 3",
        "UPDATE message SET content_hash = 'f' || content_hash WHERE seq = 5",
    ],
)
def test_changed_content_is_found(filled: Path, sql: str) -> None:
    """Text, role and parts are under the hash, in every conversation where they were changed."""
    changed = execute(filled, sql)
    assert _problems(filled, deep=False) == ()
    assert len([line for line in _problems(filled) if "hash differs" in line]) == changed == 3


def test_changed_parent_is_found_by_its_children(filled: Path) -> None:
    """A message moved to another place in the tree, its own text untouched, is found."""
    execute(filled, "UPDATE message SET parent_seq = 2 WHERE seq = 4")
    assert len(_problems(filled)) == 3


def test_forgotten_message_is_sound_while_its_children_follow(filled: Path) -> None:
    """An erased message keeps its hash without its text; changing that hash shows below it."""
    execute(filled, "UPDATE message SET status = 'erased', text = '' WHERE seq = 2")
    assert _problems(filled) == ()
    execute(filled, "UPDATE message SET content_hash = 'other' WHERE seq = 2")
    assert [line.partition(", ")[2] for line in _problems(filled)] == [
        "message 3: is not as it was stored: its hash differs"
    ] * 3


@pytest.mark.parametrize(
    ("sql", "claim", "times"),
    [
        ("UPDATE conversation SET head_seq = 99", "stands at message 99, which is gone", 3),
        ("UPDATE conversation SET last_seq = 4", "last message is said to be 4, but is 5", 3),
        ("UPDATE conversation SET message_count = 4", "is said to be 4, but is 5", 3),
        ("UPDATE conversation SET interrupted_count = 1", "is said to be 1, but is 0", 3),
        ("UPDATE message SET parent_seq = 9 WHERE seq = 3", "message 9, is gone", 3),
        ("UPDATE message SET parent_seq = 4 WHERE seq = 3", "message 4, is not older", 3),
        ("UPDATE message SET parent_seq = 3 WHERE seq = 3", "message 3, is not older", 3),
        ("UPDATE message SET status = 'odd' WHERE seq = 3", "has the unknown status odd", 3),
        ("UPDATE message SET status = 'streaming' WHERE seq = 3", "is still running", 3),
        ("UPDATE message SET content_hash = NULL WHERE seq = 5", "has no hash", 3),
        ("DELETE FROM message WHERE seq = 5", "stands at message 5, which is gone", 3),
        (
            (
                "INSERT INTO journal SELECT owner_id, conversation_id, seq, 0, 'text', 'x'"
                " FROM message WHERE seq = 5"
            ),
            "has a journal, but its status is completed",
            3,
        ),
        (
            (
                "INSERT INTO summary SELECT owner_id, id, 99, 'x', 't', NULL, NULL, 0"
                " FROM conversation"
            ),
            "summary up to message 99: that message is gone",
            3,
        ),
        ("DELETE FROM conversation WHERE title = 'Bread'", "is not in conversation", 5),
    ],
)
def test_what_contradicts_itself_is_found_without_deep(
    filled: Path, sql: str, claim: str, times: int
) -> None:
    """Counts, head, parents, statuses, journals and owners of rows must agree; each breach is a line."""
    execute(filled, sql)
    found = [line for line in _problems(filled, deep=False) if claim in line]
    assert len(found) == times


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE conversation SET settings = '{'",
        "UPDATE conversation SET metadata = '[]'",
        "UPDATE message SET error = 'oh' WHERE seq = 5",
        "UPDATE message SET parts = '{\"a\": 1}' WHERE seq = 5",
        "UPDATE message SET status = 'streaming', lease = NULL WHERE seq = 5;",
    ],
)
def test_stored_values_that_cannot_be_read_are_found(filled: Path, sql: str) -> None:
    """JSON that is none, or of another shape, is a line each, and never the end of the check."""
    execute(filled, sql)
    execute(
        filled,
        "INSERT INTO journal SELECT owner_id, conversation_id, seq, 0, 'tool_call', 'x'"
        " FROM message WHERE status = 'streaming'",
    )
    assert _problems(filled, deep=False) == ()
    assert len([line for line in _problems(filled) if "cannot be read" in line]) == 3
    assert check(filled, deep=True).conversations == 3


def test_bytes_that_are_no_text_are_found(filled: Path) -> None:
    """A text that is no UTF-8 any more, and a text where a number was, are lines like others."""
    execute(filled, "UPDATE message SET text = CAST(x'ff41' AS TEXT) WHERE seq = 2")
    execute(filled, "UPDATE message SET parent_seq = 'odd' WHERE seq = 4")
    found = _problems(filled)
    assert len([line for line in found if "hash differs" in line]) >= 3
    assert len([line for line in found if "cannot be read" in line or "is gone" in line]) >= 3


def test_running_reply_is_sound(filled: Path) -> None:
    """A reply that is being written, with its journal and without a hash, is no problem."""
    execute(
        filled,
        "UPDATE message SET status = 'streaming', text = '', content_hash = NULL WHERE seq = 5",
    )
    execute(
        filled,
        "INSERT INTO journal SELECT owner_id, conversation_id, seq, 0, 'text', 'Once'"
        " FROM message WHERE seq = 5",
    )
    report = check(filled, deep=True)
    assert (report.problems, report.journal_rows) == ((), 3)


def test_long_list_of_problems_is_cut_and_says_so(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However broken a store is, its report stays readable."""
    assert MOST_PROBLEMS == 1_000
    monkeypatch.setattr(check_module, "MOST_PROBLEMS", 4)
    execute(filled, "UPDATE message SET status = 'odd'")
    found = _problems(filled, deep=False)
    assert len(found) == 5
    assert found[-1] == "and 11 more"


def test_what_is_no_store_is_not_checked(tmp_path: Path) -> None:
    """A missing file is an error of ours, and is not made."""
    with pytest.raises(StoreOpenError):
        check(tmp_path / "none.db", deep=False)
    assert list(tmp_path.iterdir()) == []


def test_noise_page_is_reported_or_refused(filled: Path) -> None:
    """Each page in turn filled with noise is found, and never ends in a foreign error."""
    sound = filled.read_bytes()
    for at in range(0, len(sound), 8_192):
        filled.write_bytes(sound[:at] + b"\xa5" * 8_192 + sound[at + 8_192 :])
        try:
            found = _problems(filled)
        except StoreError:
            continue
        assert found, at
    filled.write_bytes(sound)
    assert _problems(filled) == ()


def test_any_flipped_bit_in_a_conversation_is_found_or_harmless(filled: Path) -> None:
    """Of 200 random flips each is found, or the messages read exactly as they were stored."""
    sound = filled.read_bytes()
    before = _messages(filled)
    chance = random.Random(20_261_124)
    for _ in range(200):
        bit = chance.randrange(len(sound) * 8)
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        filled.write_bytes(flipped)
        try:
            found = _problems(filled)
        except StoreError:
            continue
        assert found or _messages(filled) == before, bit


def _messages(path: Path) -> list[Any]:
    sql = "SELECT conversation_id, seq, parent_seq, role, text, parts FROM message ORDER BY 1, 2"
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.asyncio
async def test_check_while_others_write_finds_nothing(filled: Path) -> None:
    """Checks that run beside eight writers see whole conversations only."""
    async with convostore.open(filled, provider=Echo()) as store:
        chats = [await store.create(title=f"{number}") for number in range(8)]

        async def write(number: int) -> None:
            for turn in range(6):
                await chats[number].send(f"Turn {turn}")

        writing = asyncio.gather(*(write(number) for number in range(8)))
        reports = [await store.check(deep=True)]
        while not writing.done():
            reports.append(await store.check(deep=True))
        await writing
        reports.append(await store.check(deep=True))
    assert [line for report in reports for line in report.problems] == []
    assert reports[-1].messages == 15 + 8 * 12


def test_check_of_a_very_long_conversation_keeps_its_memory(filled: Path) -> None:
    """Ten thousand messages are streamed: memory does not grow with their text."""
    import tracemalloc

    with closing(sqlite3.connect(filled)) as connection:
        owner_id, conversation_id = connection.execute(
            "SELECT owner_id, id FROM conversation WHERE title = 'Kyoto'"
        ).fetchone()
        above = connection.execute(
            "SELECT content_hash FROM message WHERE conversation_id = ? AND seq = 5",
            (conversation_id,),
        ).fetchone()[0]
        rows = []
        for seq in range(6, 10_006):
            text = f"{seq} " + "word " * 400
            above = content_hash(above, "user", text, None)
            rows.append((owner_id, conversation_id, seq, f"id-{seq}", seq - 1, text, above))
        connection.executemany(
            "INSERT INTO message (owner_id, conversation_id, seq, id, parent_seq, role, status,"
            " text, created_at_ms, content_hash) VALUES (?, ?, ?, ?, ?, 'user', 'completed', ?, 1, ?)",
            rows,
        )
        connection.execute(
            "UPDATE conversation SET last_seq = 10005, message_count = 10005 WHERE id = ?",
            (conversation_id,),
        )
        connection.commit()
    del rows
    tracemalloc.start()
    report = check(filled, deep=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.problems, report.messages) == ((), 10_015)
    assert peak < 4_000_000, f"{peak} bytes for 20 MB of text"


def test_schema_that_is_no_text_any_more_is_damage(filled: Path) -> None:
    """A flipped byte in the schema, which SQLite itself quotes, is an error of ours."""
    broken = filled.read_bytes().replace(b"CREATE TABLE tag", b"CREATE T\xe1BLE tag")
    filled.write_bytes(broken)
    with pytest.raises(StoreCorruptError, match="its schema"):
        check(filled, deep=True)
