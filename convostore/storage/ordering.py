"""Changing where a conversation stands among the others: title, pin, archive, folder, tags, notes.

None of it is activity: `updated_at_ms` stays, and so does the place among those like it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam, delete, insert, select, update

from convostore import clock
from convostore.errors import ConvostoreError, InvalidTextError
from convostore.storage.canonical import to_json
from convostore.storage.kept import KEPT
from convostore.storage.rows import TAG_ROWS, object_from, tags_from
from convostore.storage.search_marks import mark
from convostore.storage.search_shelf import take_out
from convostore.storage.search_tables import TITLE_SEQ
from convostore.storage.standing import no_conversation
from convostore.storage.statements import Hot, one_of
from convostore.storage.tables import conversation, tag
from convostore.text import MOST_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.storage.statements import Tx

TitleSource: TypeAlias = Literal["user", "generated", "fallback"]
MOST_METADATA_BYTES: Final = 64 * 1024  # of one conversation, as JSON: each list reads all of it


class Arrange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of how a conversation is listed; what is not named stays as it is.

    Attributes:
        title: gives way, unless it is the user's own, to a title that somebody chose.
        title_source: who chose it.
        folder: None is out of any.
        drop_tags: taken away before *add_tags* are added.
        metadata: in the place of what is there.
        expires_at_ms: None is never.
        changes: of the metadata: the values by name; None takes the name out.
    """

    conversation_id: str
    now_ms: int
    title: str | UnsetType = UNSET
    title_source: TitleSource = "user"
    folder: str | UnsetType | None = UNSET
    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    add_tags: tuple[str, ...] = ()
    drop_tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | UnsetType = UNSET
    expires_at_ms: int | UnsetType | None = UNSET
    changes: dict[str, Any] = {}


class Arranged(msgspec.Struct, frozen=True, kw_only=True):
    """How a conversation is listed by now: fields of its record.

    Attributes:
        changed: the job changed something.
    """

    title: str | None
    title_source: str | None
    folder: str | None
    pinned: bool
    archived_at_ms: int | None
    metadata: dict[str, Any]
    expires_at_ms: int | None
    tags: tuple[str, ...]
    changed: bool = False

    def fields(self) -> dict[str, Any]:
        """Return the fields of the record, by name."""
        fields = msgspec.structs.asdict(self)
        del fields["changed"]
        return fields


_COLUMNS = (
    "title",
    "title_source",
    "folder",
    "pinned",
    "archived_at_ms",
    "metadata",
    "expires_at_ms",
)
_SEVERAL = Hot(
    select(conversation.c.id, *(conversation.c[name] for name in _COLUMNS), TAG_ROWS).where(
        conversation.c.owner_id == bindparam("owner_id"),
        one_of(conversation.c.id, "ids"),
        *KEPT,
    )
)
_KEEP = Hot(
    update(conversation)
    .where(
        conversation.c.owner_id == bindparam("of_owner_id"),
        conversation.c.id == bindparam("of_id"),
    )
    .values(
        {name: bindparam(f"new_{name}") for name in _COLUMNS}
        | {"listed_at_ms": bindparam("now_ms")}
    )
)
_ADD_TAG = Hot(insert(tag))
_DROP_TAG = Hot(
    delete(tag).where(
        tag.c.owner_id == bindparam("of_owner_id"),
        tag.c.conversation_id == bindparam("of_id"),
        tag.c.name == bindparam("of_name"),
    )
)


def arrange_conversations(
    tx: Tx, owner_id: str, jobs: Sequence[Arrange]
) -> list[Arranged | ConvostoreError]:
    """Change how conversations are listed, and return how they are by now.

    The same job run again finds its change made, and changes nothing.
    """
    before = _standing(tx, owner_id, [job.conversation_id for job in jobs])
    after = dict(before)
    outcomes: list[Arranged | ConvostoreError] = []
    for job in jobs:
        stands = after.get(job.conversation_id)
        if stands is None:
            outcomes.append(no_conversation(tx, owner_id, job.conversation_id))
            continue
        wanted = _arranged(stands, job)
        if isinstance(wanted, ConvostoreError):
            outcomes.append(wanted)
            continue
        outcomes.append(msgspec.structs.replace(wanted, changed=wanted != stands))
        after[job.conversation_id] = wanted
    _keep(tx, owner_id, before, after)
    return outcomes


def _standing(tx: Tx, owner_id: str, ids: Iterable[str]) -> dict[str, Arranged]:
    """Read how the named conversations are listed; missing and deleted ones are left out."""
    rows = tx.rows(_SEVERAL, owner_id=owner_id, ids=to_json(sorted(set(ids))))
    return {
        id_: Arranged(
            title=title,
            title_source=source,
            folder=folder,
            pinned=bool(pinned),
            archived_at_ms=archived_at_ms,
            metadata=object_from(metadata, "metadata"),
            expires_at_ms=expires,
            tags=tags_from(tags),
        )
        for id_, title, source, folder, pinned, archived_at_ms, metadata, expires, tags in rows
    }


def _arranged(stands: Arranged, job: Arrange) -> Arranged | ConvostoreError:
    """Return *stands* as *job* wants it, or the conflict."""
    tags = tuple(sorted(set(stands.tags) - set(job.drop_tags) | set(job.add_tags)))
    if len(tags) > MOST_TAGS and len(tags) > len(stands.tags):
        return InvalidTextError(
            f"a conversation has at most {MOST_TAGS} tags, and this would make {len(tags)}",
            hint="take some away first",
        )
    metadata = stands.metadata if job.metadata is UNSET else job.metadata
    if job.changes:
        kept = metadata | job.changes
        metadata = {name: value for name, value in kept.items() if value is not None}
    if metadata != stands.metadata and (refused := refused_metadata(metadata)) is not None:
        return refused
    title, source = _titled(stands, job)
    return Arranged(
        title=title,
        title_source=source,
        folder=stands.folder if job.folder is UNSET else job.folder,
        pinned=stands.pinned if job.pinned is UNSET else job.pinned,
        archived_at_ms=_archived(stands.archived_at_ms, job),
        metadata=metadata,
        expires_at_ms=stands.expires_at_ms if job.expires_at_ms is UNSET else job.expires_at_ms,
        tags=tags,
    )


def refused_metadata(metadata: dict[str, Any]) -> InvalidTextError | None:
    """Return the error for metadata that is too long to stand in every list."""
    if (size := len(to_json(metadata).encode())) <= MOST_METADATA_BYTES:
        return None
    return InvalidTextError(
        f"the metadata has {size:,} bytes as JSON, more than the {MOST_METADATA_BYTES:,} it may have",
        hint="keep there what lists and programs need, and the rest in messages",
    )


def is_own(title: str | None, source: str | None) -> bool:
    """Tell whether somebody chose a title, here or where it was imported from."""
    return title is not None and source not in {"generated", "fallback", None}


def _titled(stands: Arranged, job: Arrange) -> tuple[str | None, str | None]:
    """Return title and source: what a person or an import chose gives way to a person alone."""
    if job.title is UNSET:
        return stands.title, stands.title_source
    if job.title_source == "generated" and is_own(stands.title, stands.title_source):
        return stands.title, stands.title_source
    if job.title_source == "fallback" and stands.title is not None:
        return stands.title, stands.title_source
    return job.title, job.title_source


def _archived(since_ms: int | None, job: Arrange) -> int | None:
    if job.archived is UNSET or job.archived is (since_ms is not None):
        return since_ms
    return job.now_ms if job.archived else None


def _keep(tx: Tx, owner_id: str, before: dict[str, Arranged], after: dict[str, Arranged]) -> None:
    """Write what differs."""
    moved, added, dropped = [], [], []
    titled = [id_ for id_, wanted in after.items() if _title_of(wanted) != _title_of(before[id_])]
    take_out(tx, owner_id, [(id_, TITLE_SEQ) for id_ in titled])
    mark(tx, owner_id, [(id_, TITLE_SEQ) for id_ in titled])
    for id_, wanted in after.items():
        stood = before[id_]
        at = {"of_owner_id": owner_id, "of_id": id_}
        dropped += [at | {"of_name": name} for name in stood.tags if name not in wanted.tags]
        added += [
            {"owner_id": owner_id, "conversation_id": id_, "name": name}
            for name in wanted.tags
            if name not in stood.tags
        ]
        if stood != wanted:  # of tags alone, for the time at which it was
            moved.append(at | _row(wanted) | {"now_ms": clock.now_ms()})
    tx.many(_DROP_TAG, dropped)
    tx.many(_ADD_TAG, added)
    tx.many(_KEEP, moved)


def _title_of(one: Arranged) -> tuple[str | None, str | None]:
    return one.title, one.title_source


def _row(wanted: Arranged) -> dict[str, Any]:
    return {
        "new_title": wanted.title,
        "new_title_source": wanted.title_source,
        "new_folder": wanted.folder,
        "new_pinned": int(wanted.pinned),
        "new_archived_at_ms": wanted.archived_at_ms,
        "new_metadata": to_json(wanted.metadata) if wanted.metadata else None,
        "new_expires_at_ms": wanted.expires_at_ms,
    }
