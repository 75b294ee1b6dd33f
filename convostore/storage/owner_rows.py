"""Whether an owner is still there, asked by whoever stores the first thing of something new."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, select

from convostore.storage.statements import Hot
from convostore.storage.tables import owner


class OwnerGone(msgspec.Struct, frozen=True):
    """Nothing was stored: the owner was erased since the caller learned who that is."""


# Held, so that whoever is just erasing the owner waits, and then looks again at what is kept.
OWNER_IS_THERE = Hot(
    select(owner.c.id)
    .where(owner.c.id == bindparam("owner_id"))
    .with_for_update(read=True, key_share=True)
)
# Held until the commit, so that of two imports of one owner the second finds what the first has
# stored; whoever makes a conversation, or goes on with one, does not wait for it.
OWNER_HELD = Hot(
    select(owner.c.id).where(owner.c.id == bindparam("owner_id")).with_for_update(key_share=True)
)
