"""What callers say about lists, made fit for the store: which conversations, and what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
from msgspec import UNSET

from convostore import clock
from convostore.errors import InvalidTextError
from convostore.records import Filter
from convostore.storage.ordering import Arrange
from convostore.text import FAR_MS, gate, gate_name, gate_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_TAGS_ASKED = 16  # in one filter; each is one more look for every conversation


class FilterWords(TypedDict, total=False):
    """The words that lists and changes of many take; see `Filter`. `tag` is one or several."""

    title: str | None
    provider: str | None
    model: str | None
    tag: str | Iterable[str]
    folder: str | None
    key_prefix: str | None
    since_ms: int | None
    until_ms: int | None
    interrupted: bool | None
    pinned: bool | None
    archived: bool | None
    deleted: bool


def meant(filter: Filter | None, words: FilterWords) -> Filter:
    """Return the filter that *words* make of *filter*, its texts as they are stored.

    Raises:
        InvalidTextError: a text cannot be in the store, or it names more than 16 tags.
        TypeError: a word that is none of a filter's.
    """
    given: dict[str, Any] = dict(words)
    tags = given.pop("tag", ())
    if tags or isinstance(tags, str):  # a blank one is refused: it would mean the whole list
        given["tags"] = (tags,) if isinstance(tags, str) else tuple(tags)
    found = msgspec.structs.replace(filter or Filter(), **given)
    for name in ("title", "provider", "model", "key_prefix"):
        gate(getattr(found, name) or "", f"the {name} to look for")
    tags = sorted({gate_tag(name) for name in found.tags})
    if len(tags) > _MOST_TAGS_ASKED:
        raise InvalidTextError(
            f"a filter has at most {_MOST_TAGS_ASKED} tags, and this one {len(tags)}",
            hint="name those that tell most",
        )
    return msgspec.structs.replace(
        found,
        tags=tuple(tags),
        folder=gate_name(found.folder, "the folder") if found.folder else found.folder,
        title=found.title or None,
        key_prefix=found.key_prefix or None,
        since_ms=_within(found.since_ms),
        until_ms=_within(found.until_ms),
    )


def _within(at_ms: int | None) -> int | None:
    return None if at_ms is None else max(0, min(at_ms, FAR_MS))


def arrange(
    conversation_id: str,
    *,
    title: str | None = None,
    pin: bool | None = None,
    archive: bool | None = None,
    folder: str | None = None,
    tag: Iterable[str] = (),
    untag: Iterable[str] = (),
) -> Arrange:
    """Return the job that changes how a conversation is listed; None leaves a thing as it is.

    Args:
        conversation_id: which.
        title: chosen by the caller.
        pin: True pins, False unpins.
        archive: True archives, False takes back.
        folder: "" is out of any.
        tag: names to add.
        untag: names to take away.

    Raises:
        InvalidTextError: a name is blank, too long, or cannot be stored.
    """
    moved: str | None = gate_name(folder, "the folder") if folder else None
    return Arrange(
        conversation_id=conversation_id,
        now_ms=clock.now_ms(),
        title=UNSET if title is None else gate_name(title, "the title"),
        pinned=UNSET if pin is None else pin,
        archived=UNSET if archive is None else archive,
        folder=UNSET if folder is None else moved,
        add_tags=tuple(gate_tag(name) for name in tag),
        drop_tags=tuple(gate_tag(name) for name in untag),
    )
