"""Beginning again with the search index: where its words are not this program's, or on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, literal, select

from convostore.storage.search_tables import TITLE_SEQ, VERSION_NAME, full_text, indexed
from convostore.storage.statements import Hot, upsert
from convostore.storage.tables import conversation, message, search_pending, store_meta
from convostore.words import version

if TYPE_CHECKING:
    from convostore.storage.statements import Tx

STORED_VERSION = Hot(select(store_meta.c.value).where(store_meta.c.name == VERSION_NAME))
_version = upsert(store_meta)
_SET_VERSION = Hot(
    _version.on_conflict_do_update(index_elements=["name"], set_={"value": _version.excluded.value})
)
_EMPTY_WORDS = Hot(insert(full_text).values({full_text.c.message_words: "delete-all"}))
EMPTY_PLACES = Hot(delete(indexed))
EMPTY_MARKS = Hot(delete(search_pending))
_NAMES = ["owner_id", "conversation_id", "seq"]
_MARK_MESSAGES = Hot(
    insert(search_pending).from_select(
        _NAMES,
        select(message.c.owner_id, message.c.conversation_id, func.min(message.c.seq)).group_by(
            message.c.owner_id, message.c.conversation_id
        ),
    )
)
_MARK_TITLES = Hot(
    insert(search_pending).from_select(
        _NAMES,
        select(conversation.c.owner_id, conversation.c.id, literal(TITLE_SEQ)).where(
            conversation.c.title.is_not(None), conversation.c.title_source != "fallback"
        ),
    )
)


def restart(tx: Tx) -> None:
    """Empty the index, and mark everything that is to be in it."""
    if tx.dialect.name != "postgresql":
        tx.run(_EMPTY_WORDS)
    for hot in (EMPTY_PLACES, EMPTY_MARKS, _MARK_MESSAGES, _MARK_TITLES):
        tx.run(hot)
    tx.run(_SET_VERSION, name=VERSION_NAME, value=version())


def renew(tx: Tx) -> None:
    """Begin again with an index whose words are not this program's: nothing in it is of use."""
    stored = tx.rows(STORED_VERSION)
    if not stored:
        tx.run(_SET_VERSION, name=VERSION_NAME, value=version())
    elif stored[0][0] != version():
        restart(tx)
