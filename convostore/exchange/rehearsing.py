"""What a dry run would have stored by now, so that what comes twice is not told as added twice."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from convostore.storage.newcomers import ImportConversation, Imported


class _Told(msgspec.Struct):
    """What was told of a conversation: few bytes for each message, as there may be very many.

    Attributes:
        new: hashes of the messages that would have been added.
        says: a hash of the title and the JSON there.
        updated_at_ms: when they were as they are.
    """

    new: array[int]
    says: int
    updated_at_ms: int


class Rehearsal:
    """What was told of the conversations so far."""

    def __init__(self) -> None:
        self._told: dict[int, _Told] = {}

    def told(self, job: ImportConversation, outcome: Imported) -> Imported:
        """Return what would become of a conversation, if those before it had been stored."""
        if outcome.kept == "deleted":
            return outcome
        new = array("q", map(hash, outcome.new))
        says = hash((job.title, job.original, *((o.original, o.attachments) for o in job.messages)))
        name = hash((job.source, job.source_id))
        before = self._told.setdefault(name, fresh := _Told(new, says, job.updated_at_ms))
        if before is fresh:
            return outcome
        there = set(before.new)
        more = array("q", (one for one in new if one not in there))
        before.new.extend(more)
        changed = bool(more)
        if job.updated_at_ms >= before.updated_at_ms:
            changed |= outcome.kept != "unchanged" and says != before.says
            before.says, before.updated_at_ms = says, job.updated_at_ms
        kept = "updated" if changed else "unchanged"
        return msgspec.structs.replace(outcome, kept=kept, messages=len(more), new=())
