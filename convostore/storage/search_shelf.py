"""Putting words into the index and taking them out, in each engine's way.

On SQLite the full-text table does not know a message's words: to take them out, they are made
again of the text as it still is. So whatever changes or removes a text that is indexed calls
`take_out` first, in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Text,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from convostore.parts import ReasoningPart
from convostore.storage.canonical import to_json
from convostore.storage.matching import APART, OWNED, THOUGHT
from convostore.storage.portable import Pairs
from convostore.storage.rows import decode_parts
from convostore.storage.search_renewal import renew
from convostore.storage.search_tables import full_text, indexed, numbers, vectors
from convostore.storage.statements import Hot
from convostore.storage.tables import conversation, message
from convostore.words import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.storage.statements import Tx

    At: TypeAlias = tuple[str, int]  # a conversation and a message's number


class Written(msgspec.Struct, frozen=True):
    """A text to be found: of a message, or of a title."""

    conversation_id: str
    seq: int
    at_ms: int
    text: str
    reasoning: str = ""


def reasoning_of(text: str, shape: str | None) -> str:
    """Return what a model thought, joined, of a message's text and parts as stored."""
    if shape is None or '"reasoning"' not in shape:
        return ""
    return "\n".join(
        part.text for part in decode_parts(text, shape) if isinstance(part, ReasoningPart)
    )


_places = Pairs("places")
LAST_NUMBER = Hot(select(func.max(numbers.c.docid)))
_ADD_NUMBER = Hot(insert(numbers))
_ADD_WORDS = Hot(
    insert(full_text).values(
        {name: bindparam(name) for name in ("rowid", "text", "owner", "reasoning")}
    )
)
_DELETE_WORDS = Hot(
    insert(full_text).values(
        {
            full_text.c.message_words: "delete",
            **{name: bindparam(name) for name in ("rowid", "text", "owner", "reasoning")},
        }
    )
)
_FOUND = Hot(
    select(
        numbers.c.docid,
        numbers.c.conversation_id,
        numbers.c.seq,
        func.coalesce(message.c.text, conversation.c.title, ""),
        message.c.parts,
    ).select_from(
        _places.table.outerjoin(
            numbers,
            (numbers.c.owner_id == bindparam("owner_id"))
            & (numbers.c.conversation_id == _places.first)
            & (numbers.c.seq == _places.second),
        )
        .outerjoin(
            conversation,
            (conversation.c.owner_id == numbers.c.owner_id)
            & (conversation.c.id == numbers.c.conversation_id),
        )
        .outerjoin(
            message,
            (message.c.owner_id == numbers.c.owner_id)
            & (message.c.conversation_id == numbers.c.conversation_id)
            & (message.c.seq == numbers.c.seq),
        )
    )
)
_REMOVE = Hot(
    delete(indexed).where(
        indexed.c.owner_id == bindparam("owner_id"),
        indexed.c.conversation_id == bindparam("conversation_id"),
        indexed.c.seq == bindparam("seq"),
    )
)
_given = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Text())),
        bindparam("seqs", type_=ARRAY(Integer())),
        bindparam("times", type_=ARRAY(BigInteger())),
        bindparam("words", type_=ARRAY(Text())),
    )
    .table_valued("id", "seq", "at_ms", "words", name="given")
    .render_derived()
)
_row = postgresql_insert(vectors).from_select(
    ["owner_id", "conversation_id", "seq", "at_ms", "words"],
    select(
        cast(bindparam("owner_id", type_=Text), Text),
        _given.c.id,
        _given.c.seq,
        _given.c.at_ms,
        cast(_given.c.words, TSVECTOR),
    ),
)
_KEEP_VECTORS = Hot(
    _row.on_conflict_do_update(
        index_elements=["owner_id", "conversation_id", "seq"],
        set_={"words": _row.excluded.words, "at_ms": _row.excluded.at_ms},
    )
)


def put_in(tx: Tx, owner_id: str, written: Sequence[Written]) -> None:
    """Put texts into the index that are not there."""
    if not written:
        return
    if tx.dialect.name == "postgresql":
        tx.run(
            _KEEP_VECTORS,
            owner_id=owner_id,
            ids=[one.conversation_id for one in written],
            seqs=[one.seq for one in written],
            times=[one.at_ms for one in written],
            words=[vector(owner_id, one.text, one.reasoning) for one in written],
        )
        return
    last = tx.rows(LAST_NUMBER)[0][0] or 0
    places, words = [], []
    for docid, one in enumerate(written, start=last + 1):
        at = {"conversation_id": one.conversation_id, "seq": one.seq}
        places.append({"docid": docid, "owner_id": owner_id, **at})
        words.append(_columns(docid, owner_id, one.text, one.reasoning))
    tx.many(_ADD_NUMBER, places)
    tx.many(_ADD_WORDS, words)


def take_out(tx: Tx, owner_id: str, places: Iterable[At]) -> None:
    """Take messages and titles out of the index, before their texts change or go."""
    named = [{"owner_id": owner_id, "conversation_id": id_, "seq": seq} for id_, seq in places]
    if not named:
        return
    if tx.dialect.name != "postgresql":
        renew(tx)  # what was put in by other words cannot be taken out by these
        given = to_json([(one["conversation_id"], one["seq"]) for one in named])
        tx.many(
            _DELETE_WORDS,
            [
                _columns(docid, owner_id, text, reasoning_of(text, shape) if seq else "")
                for docid, _, seq, text, shape in tx.rows(_FOUND, owner_id=owner_id, places=given)
                if docid is not None
            ],
        )
    tx.many(_REMOVE, named)


def vector(owner_id: str, text: str, reasoning: str) -> str:
    """Return a text's words and where they stand, as the text of a tsvector."""
    where: dict[str, list[int]] = {f"{OWNED}{owner_id}": []}
    at = 0
    for mark, part in (("", text), (THOUGHT, reasoning)):
        stems, forms = kept(part)
        at += 1  # apart from what is before: no phrase goes across
        for stem in stems:
            at += 1
            where.setdefault(mark + stem, []).append(min(at, _LAST_POSITION))
        for form in forms:
            where.setdefault(mark + form, [])
    words = []
    room = _MOST_BYTES
    for word, positions in where.items():
        room -= len(word.encode()) + 8 + 2 * min(len(positions), _MOST_POSITIONS)
        if room < 0:
            break
        listed = ",".join(map(str, positions[:_MOST_POSITIONS]))
        words.append(f"'{word}':{listed}" if listed else f"'{word}'")
    return " ".join(words)


# Source: PostgreSQL, "Limitations" of text search: a vector is under 1 MB, positions end at 16,383,
# and a word has 256 of them.
_LAST_POSITION = 16_383
_MOST_POSITIONS = 255
_MOST_BYTES = 900_000


def _columns(docid: int, owner_id: str, text: str, reasoning: str) -> dict[str, Any]:
    return {
        "rowid": docid,
        "text": _joined(text),
        "owner": owner_id,
        "reasoning": _joined(reasoning) if reasoning else "",
    }


def _joined(text: str) -> str:
    stems, forms = kept(text)
    return " ".join((*stems, APART, *forms) if forms else stems)
