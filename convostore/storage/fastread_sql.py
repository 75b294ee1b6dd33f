"""Made by `python -m convostore.storage.generate_fastread`; do not change it by hand.

Each statement: its text, the names of its values in order, and those values that are fixed.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Statement: TypeAlias = tuple[str, tuple[str, ...], dict[str, Any]]

REVISION = "0010"
STORED_REVISION = "SELECT version_num \nFROM convostore_version"
CONVERSATION_COLUMNS = ("id", "handle", "key", "title", "title_source", "provider", "model", "anonymous_user_id", "settings", "metadata", "head_seq", "last_seq", "message_count", "interrupted_count", "folder", "pinned", "archived_at_ms", "deleted_at_ms", "expires_at_ms", "created_at_ms", "updated_at_ms", "source", "source_id", "scope", "tags",)
MESSAGE_COLUMNS = ("seq", "id", "parent_seq", "role", "author", "status", "text", "parts", "provider", "model", "finish_reason", "error", "idempotency_key", "lease", "created_at_ms", "finished_at_ms", "content_hash", "source_id", "author_id", "journal",)
PERSONAL_OWNER: Statement = (
    (
        "SELECT store_meta.value \n"
        "FROM store_meta \n"
        "WHERE store_meta.name = ?"
    ),
    ("name_1",),
    {"name_1": "personal_owner"},
)
OWNER_BY_NAME: Statement = (
    (
        "SELECT owner.id \n"
        "FROM owner \n"
        "WHERE owner.name = ?"
    ),
    ("name",),
    {},
)
PAGE: Statement = (
    (
        "SELECT conversation.id, conversation.handle, conversation.\"key\", conversation.title, conversation.title_source, conversation.provider, conversation.model, conversation.anonymous_user_id, conversation.settings, conversation.metadata, conversation.head_seq, conversation.last_seq, conversation.message_count, conversation.interrupted_count, conversation.folder, conversation.pinned, conversation.archived_at_ms, conversation.deleted_at_ms, conversation.expires_at_ms, conversation.created_at_ms, conversation.updated_at_ms, conversation.source, conversation.source_id, conversation.scope, (SELECT json_group_array(json_array(tag.name)) AS anon_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id) AS anon_1 \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.archived_at_ms IS NULL ORDER BY conversation.pinned DESC, conversation.updated_at_ms DESC, conversation.id DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("owner_id", "seen_at_ms", "most", "param_1",),
    {"param_1": 0},
)
ARCHIVE: Statement = (
    (
        "SELECT conversation.id, conversation.handle, conversation.\"key\", conversation.title, conversation.title_source, conversation.provider, conversation.model, conversation.anonymous_user_id, conversation.settings, conversation.metadata, conversation.head_seq, conversation.last_seq, conversation.message_count, conversation.interrupted_count, conversation.folder, conversation.pinned, conversation.archived_at_ms, conversation.deleted_at_ms, conversation.expires_at_ms, conversation.created_at_ms, conversation.updated_at_ms, conversation.source, conversation.source_id, conversation.scope, (SELECT json_group_array(json_array(tag.name)) AS anon_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id) AS anon_1 \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.archived_at_ms IS NOT NULL ORDER BY conversation.updated_at_ms DESC, conversation.id DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("owner_id", "seen_at_ms", "most", "param_1",),
    {"param_1": 0},
)
BIN: Statement = (
    (
        "SELECT conversation.id, conversation.handle, conversation.\"key\", conversation.title, conversation.title_source, conversation.provider, conversation.model, conversation.anonymous_user_id, conversation.settings, conversation.metadata, conversation.head_seq, conversation.last_seq, conversation.message_count, conversation.interrupted_count, conversation.folder, conversation.pinned, conversation.archived_at_ms, conversation.deleted_at_ms, conversation.expires_at_ms, conversation.created_at_ms, conversation.updated_at_ms, conversation.source, conversation.source_id, conversation.scope, (SELECT json_group_array(json_array(tag.name)) AS anon_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id) AS anon_1 \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NOT NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? ORDER BY conversation.deleted_at_ms DESC, conversation.id DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("owner_id", "seen_at_ms", "most", "param_1",),
    {"param_1": 0},
)
NTH: Statement = (
    (
        "SELECT anon_1.id \n"
        "FROM (SELECT anon_2.id AS id, anon_2.updated_at_ms AS updated_at_ms \n"
        "FROM (SELECT conversation.id AS id, conversation.updated_at_ms AS updated_at_ms \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.archived_at_ms IS NULL AND conversation.pinned = ? ORDER BY conversation.updated_at_ms DESC, conversation.id DESC\n"
        " LIMIT ? OFFSET ?) AS anon_2 UNION ALL SELECT anon_3.id AS id, anon_3.updated_at_ms AS updated_at_ms \n"
        "FROM (SELECT conversation.id AS id, conversation.updated_at_ms AS updated_at_ms \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.archived_at_ms IS NULL AND conversation.pinned = ? ORDER BY conversation.updated_at_ms DESC, conversation.id DESC\n"
        " LIMIT ? OFFSET ?) AS anon_3 UNION ALL SELECT anon_4.id AS id, anon_4.updated_at_ms AS updated_at_ms \n"
        "FROM (SELECT conversation.id AS id, conversation.updated_at_ms AS updated_at_ms \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.archived_at_ms IS NOT NULL ORDER BY conversation.updated_at_ms DESC, conversation.id DESC\n"
        " LIMIT ? OFFSET ?) AS anon_4) AS anon_1 ORDER BY anon_1.updated_at_ms DESC, anon_1.id DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("owner_id", "owner_id", "seen_at_ms", "pinned_1", "nth", "param_1", "owner_id", "owner_id", "seen_at_ms", "pinned_2", "nth", "param_2", "owner_id", "seen_at_ms", "nth", "param_3", "param_4", "skip",),
    {"pinned_1": 1, "param_1": 0, "pinned_2": 0, "param_2": 0, "param_3": 0, "param_4": 1},
)
BY_ID: Statement = (
    (
        "SELECT conversation.id, conversation.handle, conversation.\"key\", conversation.title, conversation.title_source, conversation.provider, conversation.model, conversation.anonymous_user_id, conversation.settings, conversation.metadata, conversation.head_seq, conversation.last_seq, conversation.message_count, conversation.interrupted_count, conversation.folder, conversation.pinned, conversation.archived_at_ms, conversation.deleted_at_ms, conversation.expires_at_ms, conversation.created_at_ms, conversation.updated_at_ms, conversation.source, conversation.source_id, conversation.scope, (SELECT json_group_array(json_array(tag.name)) AS anon_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id) AS anon_1 \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.id = ?"
    ),
    ("owner_id", "seen_at_ms", "id",),
    {},
)
BY_KEY: Statement = (
    (
        "SELECT conversation.id, conversation.handle, conversation.\"key\", conversation.title, conversation.title_source, conversation.provider, conversation.model, conversation.anonymous_user_id, conversation.settings, conversation.metadata, conversation.head_seq, conversation.last_seq, conversation.message_count, conversation.interrupted_count, conversation.folder, conversation.pinned, conversation.archived_at_ms, conversation.deleted_at_ms, conversation.expires_at_ms, conversation.created_at_ms, conversation.updated_at_ms, conversation.source, conversation.source_id, conversation.scope, (SELECT json_group_array(json_array(tag.name)) AS anon_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id) AS anon_1 \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.\"key\" = ?"
    ),
    ("owner_id", "seen_at_ms", "key",),
    {},
)
BY_HANDLE: Statement = (
    (
        "SELECT conversation.id, conversation.handle, conversation.\"key\", conversation.title, conversation.title_source, conversation.provider, conversation.model, conversation.anonymous_user_id, conversation.settings, conversation.metadata, conversation.head_seq, conversation.last_seq, conversation.message_count, conversation.interrupted_count, conversation.folder, conversation.pinned, conversation.archived_at_ms, conversation.deleted_at_ms, conversation.expires_at_ms, conversation.created_at_ms, conversation.updated_at_ms, conversation.source, conversation.source_id, conversation.scope, (SELECT json_group_array(json_array(tag.name)) AS anon_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id) AS anon_1 \n"
        "FROM conversation \n"
        "WHERE conversation.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND conversation.handle >= ? AND conversation.handle < ? ORDER BY conversation.handle\n"
        " LIMIT ? OFFSET ?"
    ),
    ("owner_id", "seen_at_ms", "low", "high", "param_1", "param_2",),
    {"param_1": 11, "param_2": 0},
)
UP_TO: Statement = (
    (
        "SELECT message.seq, message.id, message.parent_seq, message.role, message.author, message.status, message.text, message.parts, message.provider, message.model, message.finish_reason, message.error, message.idempotency_key, message.lease, message.created_at_ms, message.finished_at_ms, message.content_hash, message.source_id, message.author_id, CASE WHEN (message.status = ?) THEN (SELECT json_group_array(json_array(journal.seq, journal.kind, journal.text)) AS anon_2 \n"
        "FROM journal \n"
        "WHERE journal.owner_id = message.owner_id AND journal.conversation_id = message.conversation_id AND journal.message_seq = message.seq) END AS anon_1 \n"
        "FROM message \n"
        "WHERE message.owner_id = ? AND message.conversation_id = ? AND message.seq <= ? ORDER BY message.seq"
    ),
    ("status_1", "owner_id", "conversation_id", "last",),
    {"status_1": "streaming"},
)
REMOTE: Statement = (
    (
        "SELECT remote_thread.message_seq, remote_thread.server_url, remote_thread.dialect, remote_thread.remote_id, remote_thread.user_remote_id, remote_thread.root_id, remote_thread.same_text, remote_thread.expires_at_ms \n"
        "FROM remote_thread \n"
        "WHERE remote_thread.owner_id = ? AND remote_thread.conversation_id = ? AND remote_thread.message_seq = ?"
    ),
    ("owner_id", "conversation_id", "seq",),
    {},
)
STATE: Statement = (
    (
        "SELECT (SELECT store_meta.value \n"
        "FROM store_meta \n"
        "WHERE store_meta.name = ?) AS anon_1, (SELECT count(*) AS count_1 \n"
        "FROM (SELECT search_pending.seq AS seq \n"
        "FROM search_pending \n"
        "WHERE search_pending.owner_id = ?\n"
        " LIMIT ? OFFSET ?) AS anon_3) AS anon_2, (SELECT count(*) AS count_2 \n"
        "FROM (SELECT owner.id AS id \n"
        "FROM owner\n"
        " LIMIT ? OFFSET ?) AS anon_5) AS anon_4"
    ),
    ("name_1", "owner_id", "most", "param_1", "param_2", "param_3",),
    {"name_1": "search_words", "param_1": 0, "param_2": 2, "param_3": 0},
)
FILE_RANKED: Statement = (
    (
        "WITH fitting AS \n"
        "(SELECT message_words.rowid AS rowid \n"
        "FROM message_words \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid <= ? ORDER BY message_words.rowid DESC\n"
        " LIMIT ? OFFSET ?)\n"
        " SELECT message_words.rowid, -bm25(message_words, 1.0, 0.0, 0.5) \n"
        "FROM message_words \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid >= (SELECT min(fitting.rowid) AS min_1 \n"
        "FROM fitting) AND message_words.rowid <= (SELECT max(fitting.rowid) AS max_1 \n"
        "FROM fitting) AND +message_words.rowid IN (SELECT fitting.rowid \n"
        "FROM fitting) ORDER BY message_words.rowid DESC"
    ),
    ("match", "top", "most", "param_1", "wanted",),
    {"param_1": 0},
)
FILE_SCORED: Statement = (
    (
        "SELECT message_words.rowid, -bm25(message_words, 1.0, 0.0, 0.5) \n"
        "FROM message_words \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid <= ? ORDER BY message_words.rowid DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("match", "top", "most", "param_1",),
    {"param_1": 0},
)
FILE_NEWEST: Statement = (
    (
        "SELECT message_words.rowid, ? AS anon_1 \n"
        "FROM message_words \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid <= ? ORDER BY message_words.rowid DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("param_1", "match", "top", "most", "param_2",),
    {"param_1": 0, "param_2": 0},
)
FILE_RANKED_NARROWED: Statement = (
    (
        "WITH fitting AS \n"
        "(SELECT message_words.rowid AS rowid \n"
        "FROM message_words JOIN message_search ON message_search.docid = message_words.rowid LEFT OUTER JOIN conversation ON conversation.owner_id = message_search.owner_id AND conversation.id = message_search.conversation_id LEFT OUTER JOIN message ON message.owner_id = message_search.owner_id AND message.conversation_id = message_search.conversation_id AND message.seq = message_search.seq \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid <= ? AND message_search.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND coalesce(message.role, ?) IN (SELECT value FROM json_each(?)) AND lower(coalesce(message.model, conversation.model, ?)) LIKE ? ESCAPE '\\' AND (? = ? OR conversation.id = ?) AND ? <= coalesce(message.created_at_ms, conversation.created_at_ms) AND ? > coalesce(message.created_at_ms, conversation.created_at_ms) AND (SELECT count(*) AS count_1 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id AND tag.name IN (SELECT value FROM json_each(?))) = ? AND (SELECT count(*) AS count_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id AND tag.name IN (SELECT value FROM json_each(?))) = ? ORDER BY message_words.rowid DESC\n"
        " LIMIT ? OFFSET ?)\n"
        " SELECT message_words.rowid, -bm25(message_words, 1.0, 0.0, 0.5) \n"
        "FROM message_words \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid >= (SELECT min(fitting.rowid) AS min_1 \n"
        "FROM fitting) AND message_words.rowid <= (SELECT max(fitting.rowid) AS max_1 \n"
        "FROM fitting) AND +message_words.rowid IN (SELECT fitting.rowid \n"
        "FROM fitting) ORDER BY message_words.rowid DESC"
    ),
    ("match", "top", "owner_id", "seen_at_ms", "coalesce_1", "roles", "coalesce_2", "model", "within", "param_1", "within", "after_ms", "before_ms", "tags", "tag_count", "no_tags", "param_2", "most", "param_3", "wanted",),
    {"coalesce_1": "title", "coalesce_2": "", "param_1": "", "param_2": 0, "param_3": 0},
)
FILE_NEWEST_NARROWED: Statement = (
    (
        "SELECT message_words.rowid, ? AS anon_1 \n"
        "FROM message_words JOIN message_search ON message_search.docid = message_words.rowid LEFT OUTER JOIN conversation ON conversation.owner_id = message_search.owner_id AND conversation.id = message_search.conversation_id LEFT OUTER JOIN message ON message.owner_id = message_search.owner_id AND message.conversation_id = message_search.conversation_id AND message.seq = message_search.seq \n"
        "WHERE (message_words MATCH ?) AND message_words.rowid <= ? AND message_search.owner_id = ? AND conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ? AND coalesce(message.role, ?) IN (SELECT value FROM json_each(?)) AND lower(coalesce(message.model, conversation.model, ?)) LIKE ? ESCAPE '\\' AND (? = ? OR conversation.id = ?) AND ? <= coalesce(message.created_at_ms, conversation.created_at_ms) AND ? > coalesce(message.created_at_ms, conversation.created_at_ms) AND (SELECT count(*) AS count_1 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id AND tag.name IN (SELECT value FROM json_each(?))) = ? AND (SELECT count(*) AS count_2 \n"
        "FROM tag \n"
        "WHERE tag.owner_id = conversation.owner_id AND tag.conversation_id = conversation.id AND tag.name IN (SELECT value FROM json_each(?))) = ? ORDER BY message_words.rowid DESC\n"
        " LIMIT ? OFFSET ?"
    ),
    ("param_1", "match", "top", "owner_id", "seen_at_ms", "coalesce_1", "roles", "coalesce_2", "model", "within", "param_2", "within", "after_ms", "before_ms", "tags", "tag_count", "no_tags", "param_3", "most", "param_4",),
    {"param_1": 0, "coalesce_1": "title", "coalesce_2": "", "param_2": "", "param_3": 0, "param_4": 0},
)
FILE_DETAILS: Statement = (
    (
        "SELECT message_search.docid, message_search.seq, conversation.id, conversation.handle, conversation.title, conversation.head_seq, message.id AS id_1, message.role, message.status, coalesce(message.created_at_ms, conversation.created_at_ms) AS coalesce_1, message.text, message.parts \n"
        "FROM json_each(?) AS given LEFT OUTER JOIN message_search ON message_search.docid = CAST(given.value AS INTEGER) AND message_search.owner_id = ? LEFT OUTER JOIN conversation ON conversation.owner_id = message_search.owner_id AND conversation.id = message_search.conversation_id LEFT OUTER JOIN message ON message.owner_id = message_search.owner_id AND message.conversation_id = message_search.conversation_id AND message.seq = message_search.seq \n"
        "WHERE conversation.deleted_at_ms IS NULL AND coalesce(conversation.expires_at_ms, 9223372036854775807) > ?"
    ),
    ("places", "owner_id", "seen_at_ms",),
    {},
)
BRANCHED: Statement = (
    (
        "SELECT conversation.id \n"
        "FROM json_each(?) AS given LEFT OUTER JOIN conversation ON conversation.owner_id = ? AND conversation.id = CAST(given.value ->> 0 AS TEXT) \n"
        "WHERE EXISTS (SELECT * \n"
        "FROM message \n"
        "WHERE message.owner_id = conversation.owner_id AND message.conversation_id = conversation.id AND message.seq > CAST(given.value ->> 1 AS INTEGER) AND message.seq <= conversation.head_seq AND coalesce(message.parent_seq, 0) <> message.seq - 1)"
    ),
    ("places", "owner_id",),
    {},
)
LINKS: Statement = (
    (
        "SELECT message.conversation_id, message.seq, message.parent_seq \n"
        "FROM json_each(?) AS given LEFT OUTER JOIN conversation ON conversation.owner_id = ? AND conversation.id = CAST(given.value ->> 0 AS TEXT) LEFT OUTER JOIN message ON message.owner_id = conversation.owner_id AND message.conversation_id = conversation.id AND message.seq >= CAST(given.value ->> 1 AS INTEGER) AND message.seq <= conversation.head_seq"
    ),
    ("places", "owner_id",),
    {},
)
