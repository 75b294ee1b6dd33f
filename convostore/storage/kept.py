"""Which conversations there are: those that are neither in the bin nor expired.

A conversation that has expired is out of every list, name and search from that very moment on,
though its rows are removed only when somebody comes by. What a statement holds its time against is
the time at which it runs (`portable.picker`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, bindparam, func, literal_column

from convostore.storage.portable import SEEN_AT
from convostore.storage.tables import conversation

_FAR: Final = literal_column(str(2**63 - 1), BigInteger)
_c = conversation.c

# An expression, so that no index of times draws the planner away from the index of the list.
NOT_EXPIRED: Final = func.coalesce(_c.expires_at_ms, _FAR) > bindparam(SEEN_AT, type_=BigInteger)
EXPIRED: Final = (
    _c.expires_at_ms.is_not(None),  # as its index has it
    _c.expires_at_ms <= bindparam(SEEN_AT, type_=BigInteger),
)
NOT_BINNED: Final = _c.deleted_at_ms.is_(None)
KEPT: Final = (NOT_BINNED, NOT_EXPIRED)
BINNED: Final = (_c.deleted_at_ms.is_not(None), NOT_EXPIRED)
