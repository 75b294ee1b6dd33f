"""Whole conversations as an export takes them: with what was paid, and where the far side kept it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, exists, select

from convostore.records import ConversationDossier, RemoteThreadNote, UsageRecord
from convostore.storage.canonical import to_json
from convostore.storage.kept import KEPT
from convostore.storage.rows import (
    RECORD_COLUMNS,
    REMOTE_COLUMNS,
    USAGE_COLUMNS,
    conversation_from,
    remote_from,
    usage_from,
)
from convostore.storage.statements import Hot, json_rows, one_of
from convostore.storage.tables import conversation, remote_thread, usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.storage.database import Database
    from convostore.storage.statements import Row

_OWNED = conversation.c.owner_id == bindparam("owner_id")
_all_ids = (
    select(conversation.c.id)
    .where(_OWNED, conversation.c.id > bindparam("after"))
    .order_by(conversation.c.id)
    .limit(bindparam("most"))
)
_ALL_IDS = Hot(_all_ids)
_CONVERSATION_IDS = Hot(_all_ids.where(*KEPT))
_usages = (
    select(json_rows(*USAGE_COLUMNS, usage.c.id))
    .where(
        usage.c.owner_id == conversation.c.owner_id, usage.c.conversation_id == conversation.c.id
    )
    .scalar_subquery()
)
_remotes = (
    select(json_rows(*REMOTE_COLUMNS))
    .where(
        remote_thread.c.owner_id == conversation.c.owner_id,
        remote_thread.c.conversation_id == conversation.c.id,
    )
    .scalar_subquery()
)
_dossiers = select(*RECORD_COLUMNS, conversation.c.changed_at_ms, _usages, _remotes).where(
    _OWNED, one_of(conversation.c.id, "ids")
)
_ANY_DOSSIERS = Hot(_dossiers)
_DOSSIERS = Hot(_dossiers.where(*KEPT))
_ORPHANED_USAGE = Hot(
    select(usage.c.conversation_id, *USAGE_COLUMNS, usage.c.id)
    .where(
        usage.c.owner_id == bindparam("owner_id"),
        usage.c.id > bindparam("after"),
        ~exists().where(
            conversation.c.owner_id == usage.c.owner_id,
            conversation.c.id == usage.c.conversation_id,
        ),
    )
    .order_by(usage.c.id)
    .limit(bindparam("most"))
)


async def conversation_ids(
    database: Database, owner_id: str, after_id: str | None, limit: int, *, binned: bool = False
) -> tuple[str, ...]:
    """List conversation ids after *after_id*, ascending, archived ones too; *binned* ones, too."""
    hot = _ALL_IDS if binned else _CONVERSATION_IDS
    rows = await database.read(hot, owner_id=owner_id, after=after_id or "", most=limit)
    return tuple(row[0] for row in rows)


async def orphaned_usage(
    database: Database, owner_id: str, after_id: str | None, limit: int
) -> tuple[tuple[str, UsageRecord], ...]:
    """List what was paid in conversations that are gone, each with that conversation's id."""
    rows = await database.read(_ORPHANED_USAGE, owner_id=owner_id, after=after_id or "", most=limit)
    return tuple((row[0], _usage_record(tuple(row[1:]))) for row in rows)


async def dossiers(
    database: Database, owner_id: str, ids: Sequence[str], *, binned: bool = False
) -> tuple[ConversationDossier, ...]:
    """Read conversations with their usage and remote threads, in one statement, in the order of *ids*."""
    hot = _ANY_DOSSIERS if binned else _DOSSIERS
    rows = await database.read(hot, owner_id=owner_id, ids=to_json(list(ids)))
    found = {one.record.id: one for one in map(_dossier, rows)}
    return tuple(found[id_] for id_ in ids if id_ in found)


def _dossier(row: Row) -> ConversationDossier:
    *columns, changed_at_ms, usages, remotes = row
    return ConversationDossier(
        record=conversation_from(tuple(columns)),
        changed_at_ms=changed_at_ms,
        usage=tuple(_usage_record(one) for one in sorted(_rows(usages), key=lambda one: one[-1])),
        remotes=tuple(_note(one) for one in sorted(_rows(remotes))),
    )


def _rows(text: str | None) -> list[Row]:
    return [tuple(row) for row in msgspec.json.decode(text or "[]")]


def _usage_record(row: Row) -> UsageRecord:
    return UsageRecord(
        id=row[9],
        message_seq=row[0] or None,
        provider=row[1],
        model=row[2],
        created_at_ms=row[3],
        usage=usage_from(row),
    )


def _note(row: Row) -> RemoteThreadNote:
    remote = remote_from(row)
    return RemoteThreadNote(
        message_seq=row[0],
        server_url=remote.server_url,
        dialect=remote.dialect,
        same_text=remote.same_text,
        expires_at_ms=remote.expires_at_ms,
    )
