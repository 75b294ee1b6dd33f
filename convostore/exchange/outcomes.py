"""What became of the records of a file, one by one and all together."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

ImportOutcome: TypeAlias = Literal["added", "updated", "unchanged", "deleted", "refused", "opaque"]


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record of a file.

    Attributes:
        outcome: a conversation is `added`, `updated`, `unchanged`, or stays `deleted` as the user
            wished; `refused` is what cannot be taken, `opaque` what is no conversation.
        where: of what is refused or opaque, its place in the file.
        source: the format, as it is typed.
        source_id: the conversation's id there.
        id: the conversation's here; None where there is none, and so `handle`.
        title: as it is listed.
        messages: how many were added.
        reason: of what is refused, why, in one line; of what is opaque, what it is.
        remarks: what was mended or guessed, a line each.
    """

    outcome: ImportOutcome
    where: str = ""
    source: str | None = None
    source_id: str | None = None
    id: str | None = None
    handle: str | None = None
    title: str | None = None
    messages: int = 0
    reason: str = ""
    remarks: tuple[str, ...] = ()


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import came to; the outcomes add up to the records.

    Attributes:
        records: of the file.
        messages: how many were added.
        dry_run: nothing was written.
    """

    records: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    refused: int = 0
    opaque: int = 0
    messages: int = 0
    dry_run: bool = False
