"""Where the search index lies. It is derived from the messages: it can always be made again.

On SQLite a row says which message a number of the full-text table stands for; the full-text table
keeps no second copy of the text. On PostgreSQL one row holds a message's words. Both are made by
the migrations alone, and neither belongs to the tables that are the same everywhere.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    column,
    literal_column,
    table,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

TITLE_SEQ: Final = 0  # of a conversation's title; messages begin at 1
VERSION_NAME: Final = "search_words"  # in store_meta: the version of the words in the index

_C: Final = Text(collation="C")  # compared byte by byte, as in all tables of a server
on_sqlite: Final = MetaData()
on_postgresql: Final = MetaData()

# The number comes first here alone: it is all that a full-text table knows of a row.
numbers = Table(
    "message_search",
    on_sqlite,
    Column("docid", Integer, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    PrimaryKeyConstraint("docid"),
    Index("message_search_place", "owner_id", "conversation_id", "seq", unique=True),
)
FULL_TEXT: Final = (
    "CREATE VIRTUAL TABLE message_words"
    " USING fts5(text, owner, reasoning, content='', tokenize='ascii')"
)
full_text = table(
    "message_words",
    column("rowid", Integer),
    column("message_words", Text),
    column("text", Text),
    column("owner", Text),
    column("reasoning", Text),
)
MATCHES = literal_column("message_words", Text).op("MATCH")
# The owner's own word weighs nothing, and the model's thoughts half of what was said.
BM25 = literal_column("bm25(message_words, 1.0, 0.0, 0.5)", Float)

vectors = Table(
    "message_search",
    on_postgresql,
    Column("owner_id", _C, nullable=False),
    Column("conversation_id", _C, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("words", TSVECTOR, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "seq"),
    Index("message_search_time", "owner_id", "at_ms", "conversation_id", "seq"),
    Index("message_search_words", "words", postgresql_using="gin"),
)

indexed = table(  # what both have
    "message_search",
    column("owner_id", Text),
    column("conversation_id", Text),
    column("seq", Integer),
)
