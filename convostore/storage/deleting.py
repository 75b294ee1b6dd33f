"""The bin: conversations that are out of sight until they are brought back or purged.

Being in the bin is one time in the conversation's row. Its messages, tags and pin are not touched,
so what comes back is as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import BigInteger, bindparam, func, select, update

from convostore import clock
from convostore.storage.canonical import to_json
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.errors import ConvostoreError
    from convostore.storage.statements import Tx


class MoveBin(msgspec.Struct, frozen=True, kw_only=True):
    """Put a conversation into the bin, or bring it back.

    Attributes:
        deleted_at_ms: when it goes there; None brings it back.
    """

    conversation_id: str
    deleted_at_ms: int | None


class Binned(msgspec.Struct, frozen=True, kw_only=True):
    """Where a conversation is by now.

    Attributes:
        deleted_at_ms: since when it is in the bin; None is not there.
        key: what is left of its name among programs.
        changed: the job moved it.
    """

    deleted_at_ms: int | None
    key: str | None
    changed: bool


_STANDS = Hot(
    select(conversation.c.id, conversation.c.deleted_at_ms, conversation.c.key).where(
        conversation.c.owner_id == bindparam("owner_id"), one_of(conversation.c.id, "ids")
    )
)
_MOVE = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        deleted_at_ms=bindparam("new_deleted_at_ms"),
        changed_at_ms=func.coalesce(
            bindparam("new_changed_at_ms", type_=BigInteger), conversation.c.changed_at_ms
        ),
    )
)


def move_bins(tx: Tx, owner_id: str, jobs: Sequence[MoveBin]) -> list[Binned | ConvostoreError]:
    """Put each conversation into the bin or bring it back; one that is there already stays so.

    What is put there again keeps the time at which it went.
    """
    ids = to_json(sorted({job.conversation_id for job in jobs}))
    stands = {id_: (since, key) for id_, since, key in tx.rows(_STANDS, owner_id=owner_id, ids=ids)}
    outcomes: list[Binned | ConvostoreError] = []
    moved: dict[str, int | None] = {}
    for job in jobs:
        id_ = job.conversation_id
        if id_ not in stands:
            outcomes.append(no_conversation(tx, owner_id, id_))
            continue
        (since, key), to = stands[id_], job.deleted_at_ms
        changes = (since is None) is not (to is None)
        if changes:
            stands[id_], moved[id_] = (to, key), to
        # Where an earlier try has moved it, it is this job that did.
        done = changes or (tx.again and since == to)
        outcomes.append(Binned(deleted_at_ms=stands[id_][0], key=key, changed=done))
    tx.many(
        _MOVE,
        [
            {
                "of_owner_id": owner_id,
                "of_id": id_,
                "new_deleted_at_ms": to,
                "new_changed_at_ms": clock.now_ms() if to is None else None,
            }
            for id_, to in moved.items()
        ],
    )
    return outcomes
