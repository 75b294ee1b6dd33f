"""Many rows in one call: on both engines what running the statement once for each would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.dialects.postgresql import asyncpg

from convostore.records import Message
from convostore.storage import endings, journal, search_marks, standing
from convostore.storage.at_once import rounds
from tests.engines import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore import Store
    from convostore.storage.statements import Hot, Tx
    from tests.engines import Where


def test_rows_are_split_where_a_key_comes_again() -> None:
    """Each list has every key once, and the order is kept; without a key nothing is split."""
    given = [{"id": one, "n": number} for number, one in enumerate("abacab")]
    parts = [[row["n"] for row in part] for part in rounds(given, ["id"])]
    assert parts == [[0, 1], [2, 3], [4, 5]]
    assert [len(part) for part in rounds(given, [])] == [6]
    assert list(rounds([], ["id"])) == []


@pytest.mark.parametrize(
    ("hot", "key"),
    [
        (search_marks.ADD_MESSAGE, []),
        (standing._ADVANCE, ["of_owner_id", "of_id"]),
        (journal._CLEAR, ["owner_id", "conversation_id", "seq"]),
        (journal._KEEP, ["owner_id", "conversation_id", "message_seq", "seq"]),
    ],
    ids=["insert", "update", "delete", "upsert"],
)
def test_one_statement_is_derived_from_the_statement_for_one_row(hot: Hot, key: list[str]) -> None:
    """It takes an array for each value, and knows what names a row."""
    statement = hot.at_once(asyncpg.dialect())  # type: ignore[no-untyped-call] # SQLAlchemy's dialects are not annotated
    assert "unnest(" in statement.sql
    assert sorted(statement.key) == sorted(key)


class Many:
    """A group function that runs one statement for many rows."""

    def __init__(self, hot: Hot, given: list[dict[str, Any]]) -> None:
        self.hot, self.given = hot, given

    def __call__(self, tx: Tx, _: str, jobs: Sequence[object]) -> list[None]:
        """Run it."""
        tx.many(self.hot, self.given)
        tx.many(self.hot, [])
        return [None for _ in jobs]


@pytest.mark.asyncio
async def test_a_row_that_is_changed_twice_has_both_changes(store: Store, path: Where) -> None:
    """Counts are added one after the other, the greatest time stays, and the first model."""
    chat = await store.create()
    place = chat._place
    given = [
        {
            "of_owner_id": place.owner_id,
            "of_id": chat.id,
            "now_ms": 2**41 - number,
            "new_model": f"model {number}",
            "new_provider": None,
        }
        for number in range(3)
    ]
    counts = [{"of_owner_id": place.owner_id, "of_id": chat.id, "more": more} for more in (1, 1, 5)]
    for hot, rows_ in ((endings._TOUCH, given), (journal._COUNT_INTERRUPTED, counts)):
        await place.database.write(Many(hot, rows_), place.owner_id, None)
    found = rows(path, "SELECT interrupted_count, provider, model, updated_at_ms FROM conversation")
    assert found == [(7, None, "model 0", 2**41)]


@pytest.mark.asyncio
async def test_an_upsert_of_the_same_row_keeps_the_last(store: Store, path: Where) -> None:
    """Values with quotes, backslashes, braces, commas, NULL-like words and any script stay as they are."""
    chat = await store.create()
    await chat.append(Message.user("q"))
    place = chat._place
    texts = ["first", 'it\'s \\ {a,b} "NULL" %s %% $1 :x ?', "NULL", "", "Привет 🌍\r\n\t", "last"]
    given = [
        {
            "owner_id": place.owner_id,
            "conversation_id": chat.id,
            "message_seq": 1,
            "seq": seq,
            "kind": "text",
            "text": text,
        }
        for seq, text in zip((0, 1, 2, 3, 4, 0), texts, strict=True)
    ]
    await place.database.write(Many(journal._KEEP, given), place.owner_id, None)
    found = [text for (text,) in rows(path, "SELECT text FROM journal ORDER BY seq")]
    assert found == ["last", *texts[1:5]]
