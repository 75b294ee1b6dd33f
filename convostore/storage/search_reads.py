"""The statements of a search: a window of what fits, what stands there, and how it hangs together."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from convostore.query import TITLE
from convostore.storage.kept import KEPT
from convostore.storage.portable import Numbers, Pairs
from convostore.storage.search_tables import (
    BM25,
    MATCHES,
    VERSION_NAME,
    full_text,
    numbers,
    vectors,
)
from convostore.storage.statements import Hot, one_of, pair_of
from convostore.storage.tables import (
    BRANCHING,
    conversation,
    message,
    owner,
    search_pending,
    store_meta,
    tag,
)

_OWNER: Any = bindparam("owner_id")
_LIKE_ESCAPE = "\\"


def _beside(rows: Any, places: Any) -> Any:
    """Join places of the index with their conversation, and with their message if they are one."""
    return rows.outerjoin(
        conversation,
        and_(
            conversation.c.owner_id == places.c.owner_id,
            conversation.c.id == places.c.conversation_id,
        ),
    ).outerjoin(
        message,
        and_(
            message.c.owner_id == places.c.owner_id,
            message.c.conversation_id == places.c.conversation_id,
            message.c.seq == places.c.seq,
        ),
    )


_AT_MS = func.coalesce(message.c.created_at_ms, conversation.c.created_at_ms)
_MODEL = func.lower(func.coalesce(message.c.model, conversation.c.model, ""))


def _tagged(name: str) -> Any:
    """Count those of a list of tags that a conversation has."""
    return (
        select(func.count())
        .select_from(tag)
        .where(
            tag.c.owner_id == conversation.c.owner_id,
            tag.c.conversation_id == conversation.c.id,
            one_of(tag.c.name, name),
        )
        .scalar_subquery()
    )


def _narrowed(places: Any) -> tuple[Any, ...]:
    """Return the conditions of the filters; each has a value that lets everything through."""
    within = bindparam("within", type_=Text)
    return (
        places.c.owner_id == _OWNER,
        *KEPT,
        one_of(func.coalesce(message.c.role, TITLE), "roles"),
        _MODEL.like(bindparam("model", type_=Text), escape=_LIKE_ESCAPE),
        or_(within == "", conversation.c.id == within),
        bindparam("after_ms") <= _AT_MS,
        bindparam("before_ms") > _AT_MS,
        _tagged("tags") == bindparam("tag_count"),
        _tagged("no_tags") == literal(0),
    )


# On a file the newest are those with the highest numbers: a number is given when a text is indexed.
_window = select(full_text.c.rowid).where(
    MATCHES(bindparam("match", type_=Text)), full_text.c.rowid <= bindparam("top")
)
_narrow = (
    select(full_text.c.rowid)
    .select_from(_beside(full_text.join(numbers, full_text.c.rowid == numbers.c.docid), numbers))
    .where(
        MATCHES(bindparam("match", type_=Text)),
        full_text.c.rowid <= bindparam("top"),
        *_narrowed(numbers),
    )
)


def _newest_rows(statement: Any, score: Any) -> Hot:
    return Hot(
        statement.add_columns(score).order_by(full_text.c.rowid.desc()).limit(bindparam("most"))
    )


def _ranked(statement: Any) -> Hot:
    """Score the newest rows that fit, by the words that are wanted alone.

    To score a row FTS5 counts the rows of each word of the query, all of them; with the owner's word
    among them that would be every row of the store, however rare the others are.
    """
    fitting = statement.order_by(full_text.c.rowid.desc()).limit(bindparam("most")).cte("fitting")
    row = fitting.c.rowid
    return Hot(
        select(full_text.c.rowid, -BM25)
        .where(
            MATCHES(bindparam("wanted", type_=Text)),
            full_text.c.rowid >= select(func.min(row)).scalar_subquery(),
            full_text.c.rowid <= select(func.max(row)).scalar_subquery(),
            # With a sign before it, or SQLite would ask FTS5 for each of them alone.
            literal_column(f"+{full_text.name}.rowid").in_(select(row)),
        )
        .order_by(full_text.c.rowid.desc())
    )


FILE_RANKED = _ranked(_window)
FILE_SCORED = _newest_rows(_window, -BM25)  # the same where nothing but what ranks a row is asked
FILE_NEWEST = _newest_rows(_window, literal(0))
FILE_RANKED_NARROWED = _ranked(_narrow)
FILE_NEWEST_NARROWED = _newest_rows(_narrow, literal(0))

_COLUMNS = (
    conversation.c.id,
    conversation.c.handle,
    conversation.c.title,
    conversation.c.head_seq,
    message.c.id,
    message.c.role,
    message.c.status,
    _AT_MS,
    message.c.text,
    message.c.parts,
)
_given = Numbers("places")
FILE_DETAILS = Hot(
    select(numbers.c.docid, numbers.c.seq, *_COLUMNS)
    .select_from(
        _beside(
            _given.table.outerjoin(
                numbers, and_(numbers.c.docid == _given.number, numbers.c.owner_id == _OWNER)
            ),
            numbers,
        )
    )
    .where(*KEPT)
)

_asked = cast(bindparam("match", type_=Text), TSQUERY)
_PLACE = (vectors.c.at_ms, vectors.c.conversation_id, vectors.c.seq)
# The same filters always: the server plans each statement by the values that it is given.
_served = (
    select(*_PLACE)
    .select_from(_beside(vectors, vectors))
    .where(
        vectors.c.words.op("@@")(_asked),
        tuple_(*_PLACE)
        <= tuple_(bindparam("top_ms"), bindparam("top_id", type_=Text), bindparam("top_seq")),
        *_narrowed(vectors),
    )
    .order_by(*(column.desc() for column in _PLACE))
    .limit(bindparam("most"))
)
_BY_LENGTH: Final = 1  # Source: PostgreSQL, "Ranking Search Results", the normalization flag
SERVER_RANKED = Hot(
    _served.add_columns(
        func.ts_rank(vectors.c.words, cast(bindparam("wanted", type_=Text), TSQUERY), _BY_LENGTH)
    )
)
SERVER_NEWEST = Hot(_served.add_columns(literal(0)))
SERVER_DETAILS = Hot(
    select(*_PLACE, vectors.c.seq, *_COLUMNS)
    .select_from(_beside(vectors, vectors))
    .where(
        vectors.c.owner_id == _OWNER,
        pair_of(vectors.c.conversation_id, vectors.c.seq, "places"),
        *KEPT,
    )
)

_lowest = Pairs("places")
# Of each conversation, from a message's number to the head, whether any does not follow the one before.
BRANCHED = Hot(
    select(conversation.c.id)
    .select_from(
        _lowest.table.outerjoin(
            conversation,
            and_(conversation.c.owner_id == _OWNER, conversation.c.id == _lowest.first),
        )
    )
    .where(
        exists().where(
            message.c.owner_id == conversation.c.owner_id,
            message.c.conversation_id == conversation.c.id,
            message.c.seq > _lowest.second,
            message.c.seq <= conversation.c.head_seq,
            BRANCHING,
        )
    )
)
LINKS = Hot(
    select(message.c.conversation_id, message.c.seq, message.c.parent_seq).select_from(
        _lowest.table.outerjoin(
            conversation,
            and_(conversation.c.owner_id == _OWNER, conversation.c.id == _lowest.first),
        ).outerjoin(
            message,
            and_(
                message.c.owner_id == conversation.c.owner_id,
                message.c.conversation_id == conversation.c.id,
                message.c.seq >= _lowest.second,
                message.c.seq <= conversation.c.head_seq,
            ),
        )
    )
)
_waiting = (
    select(search_pending.c.seq)
    .where(search_pending.c.owner_id == _OWNER)
    .limit(bindparam("most"))
    .subquery()
)
_owners = select(owner.c.id).limit(2).subquery()
# Whose words the index has, how many marks are left, counted up to a bound, and whether there is
# one owner, 1, or more.
STATE = Hot(
    select(
        select(store_meta.c.value).where(store_meta.c.name == VERSION_NAME).scalar_subquery(),
        select(func.count()).select_from(_waiting).scalar_subquery(),
        select(func.count()).select_from(_owners).scalar_subquery(),
    )
)
