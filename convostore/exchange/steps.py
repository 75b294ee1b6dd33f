"""Exports in steps: a cursor says from when on, and whose, the next one has to tell what changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from convostore.errors import FormatError

if TYPE_CHECKING:
    from convostore.records import ConversationDossier

# Twice is harmless, missed is not: clocks of several writers differ, and a write takes its time
# before it is committed.
MARGIN_MS: Final = 5 * 60 * 1000
_CURSOR: Final = re.compile(r"step1-(\d{1,15})-([0-9a-f]{12})")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed, for one export.

    Attributes:
        since_ms: from then on.
    """

    since_ms: int

    def changed(self, one: ConversationDossier) -> bool:
        """Tell whether messages of a conversation may have changed, or came here since.

        Forgetting and removing are no activity, but use up a number: where that ever happened, all
        is told each time.
        """
        record = one.record
        newest_ms = max(record.updated_at_ms, one.changed_at_ms or 0)
        return newest_ms >= self.since_ms or record.message_count != record.last_seq


def is_cursor(text: str) -> bool:
    """Tell whether *text* is a cursor, rather than a time."""
    return text.startswith("step1-")


def next_cursor(begun_ms: int, mark: str) -> str:
    """Return the cursor for the export after one that began then."""
    return f"step1-{max(begun_ms - MARGIN_MS, 0)}-{mark}"


def since_ms(cursor: str, mark: str) -> int:
    """Return from when on a cursor wants what changed.

    Raises:
        FormatError: it is none, or another owner's or store's.
    """
    found = _CURSOR.fullmatch(cursor)
    if found is None or found[2] != mark:
        reason = "not one that an export gave" if found is None else "of another store or owner"
        raise FormatError(
            f"the cursor {cursor} is {reason}",
            format="cursor",
            record=None,
            reason=reason,
            hint="take the one that the last export told, or export all without --since",
        )
    return int(found[1])
