"""A conversation as another program kept it, in our words: what a reader makes, and import stores.

Readers are pure: they take what was parsed, and never trust its order. The tree is made of parents
alone; where those are missing or run in a circle it is mended, and a remark says so.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from convostore.errors import FormatError
from convostore.parts import Part
from convostore.records import Role, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD_GUESSED = "where it stood is not in the export: it goes on at its newest message"
_FAR_FUTURE_MS = 2**62  # where no time is known: after all that have one


class ForeignMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message of another program.

    Attributes:
        source_id: its id there, or one made of its place; no other one of the conversation has it.
        parent: the source id of the message before it; None at a root.
        role: ours; what the origin called it is in `raw`.
        parts: the content in order; what has no kind of ours is opaque.
        author: who wrote it, or which tool; None where the role says it all.
        created_at_ms: None where the origin does not say.
        raw: the origin's own object as JSON, for a way back without loss; empty where there is none.
    """

    source_id: str
    parent: str | None
    role: Role
    parts: tuple[Part, ...] = ()
    author: str | None = None
    status: Status = "completed"
    model: str | None = None
    finish_reason: str | None = None
    created_at_ms: int | None = None
    raw: bytes = b""


class ForeignFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came along in an export, to which a message refers.

    Attributes:
        message: the source id of that message.
        part: the place among its parts of what refers to it; an attachment comes in its stead.
        name: the file's, without a folder.
        media_type: such as image/png; None is what the name stands for.
        open: opens it for reading from its beginning, as often as is wished; from any thread.
    """

    message: str
    part: int
    name: str
    open: Callable[[], BinaryIO]
    media_type: str | None = None


class ForeignConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation of another program.

    Attributes:
        source: the format, as it is typed: chatgpt.
        source_id: its id there.
        messages: parents before children, else the earliest first.
        head: the source id of the message at which it stood; None where it is empty.
        title: as it was; None and blank happen.
        model: which answers next.
        folder: the project it belongs to.
        files: what came along of what its messages refer to.
        remarks: what was mended or guessed, a line each.
        raw: the origin's own object as JSON, without the messages.
    """

    source: str
    source_id: str
    messages: tuple[ForeignMessage, ...]
    head: str | None
    title: str | None = None
    model: str | None = None
    created_at_ms: int | None = None
    updated_at_ms: int | None = None
    pinned: bool = False
    archived: bool = False
    folder: str | None = None
    tags: tuple[str, ...] = ()
    files: tuple[ForeignFile, ...] = ()
    remarks: tuple[str, ...] = ()
    raw: bytes = b""


def in_order(messages: Iterable[ForeignMessage]) -> tuple[tuple[ForeignMessage, ...], list[str]]:
    """Return *messages* with parents before children, and what had to be mended.

    Beside that the earliest comes first, then the one with the smaller id, so that the order in
    which they are given does not matter. A message whose parent is missing becomes a root; a circle
    is cut at its earliest message. One that stands there again is left out, and one of an id that
    another one has gets an id of its own, below which nothing stands. Nothing recurses: a chain may
    be as long as memory allows.
    """
    given = tuple(messages)
    by_id = {one.source_id: one for one in given}
    remarks: list[str] = []
    if len(by_id) < len(given):
        by_id = _told_apart(given, remarks)
    orphans = [one.source_id for one in by_id.values() if one.parent and one.parent not in by_id]
    if orphans:
        remarks.append(
            f"messages that begin anew, for those before them are missing: {len(orphans)}"
        )
    above = {id_: one.parent if one.parent in by_id else None for id_, one in by_id.items()}
    if circles := _cut_circles(by_id, above):
        remarks.append(f"circles of messages that were cut open: {circles}")
    below: dict[str | None, list[str]] = {}
    for id_, parent in above.items():
        below.setdefault(parent, []).append(id_)
    ready = [_rank(by_id[id_]) for id_ in below.get(None, ())]
    heapq.heapify(ready)
    ordered = []
    while ready:
        _, id_ = heapq.heappop(ready)
        one = by_id[id_]
        parent = above[id_]
        ordered.append(one if one.parent == parent else msgspec.structs.replace(one, parent=parent))
        for child in below.get(id_, ()):
            heapq.heappush(ready, _rank(by_id[child]))
    return tuple(ordered), remarks


def newest_end(messages: Sequence[ForeignMessage]) -> str | None:
    """Return the id of the latest message that nothing follows; of ordered *messages*."""
    parents = {one.parent for one in messages}
    ends = [one for one in messages if one.source_id not in parents]
    return max(ends, key=_age).source_id if ends else None


def head_of(messages: Sequence[ForeignMessage], stood_at: object, remarks: list[str]) -> str | None:
    """Return the id at which ordered *messages* stood; where it names none, their newest end.

    That is a guess, and told in *remarks*.
    """
    if isinstance(stood_at, str) and any(one.source_id == stood_at for one in messages):
        return stood_at
    if messages:
        remarks.append(HEAD_GUESSED)
    return newest_end(messages)


def time_ms(seconds: object) -> int | None:
    """Return a time in seconds, a number or a number's text, in milliseconds; else None."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float | str):
        return None
    try:
        found = round(float(seconds) * 1000)
    except (ValueError, OverflowError):  # no number, not finite
        return None
    return found if abs(found) < _FAR_FUTURE_MS else None


def iso_ms(text: object) -> int | None:
    """Return an ISO 8601 time in milliseconds; one without a zone is UTC. None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        found = datetime.fromisoformat(f"{found.isoformat()}+00:00")
    return round(found.timestamp() * 1000)


def whole_ms(value: object) -> int | None:
    """Return a time that is written in milliseconds, whole; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return time_ms(value / 1000)
    except OverflowError:  # more than a float can hold
        return None


def refused(source: str, reason: str) -> FormatError:
    """Return the error for a conversation that cannot be taken."""
    return FormatError(reason, format=source, record=None, reason=reason)


def known(value: Any, kind: type) -> Any:
    """Return *value* if it is of the kind that belongs there, else None: other programs have bugs."""
    return value if isinstance(value, kind) else None


def _age(one: ForeignMessage) -> tuple[int, str]:
    return -1 if one.created_at_ms is None else one.created_at_ms, one.source_id


def _rank(one: ForeignMessage) -> tuple[int, str]:
    return _FAR_FUTURE_MS if one.created_at_ms is None else one.created_at_ms, one.source_id


def _told_apart(
    messages: Sequence[ForeignMessage], remarks: list[str]
) -> dict[str, ForeignMessage]:
    """Return *messages*, of which some have the same id, each by an id that no other one has."""
    by_id: dict[str, ForeignMessage] = {}
    taken, seen = {one.source_id for one in messages}, set[tuple[str, bytes]]()
    numbers, renamed = dict[str, int](), 0
    for one in sorted(messages, key=lambda one: (*_rank(one), one.raw)):
        if (one.source_id, one.raw) in seen:
            continue
        seen.add((one.source_id, one.raw))
        id_ = one.source_id
        if id_ in by_id:
            while id_ in taken:
                number = numbers[one.source_id] = numbers.get(one.source_id, 1) + 1
                id_ = f"{one.source_id}~{number}"
            taken.add(id_)
            renamed += 1
        by_id[id_] = msgspec.structs.replace(one, source_id=id_)
    if again := len(messages) - len(by_id):
        remarks.append(f"messages that stand there again, and were left out: {again}")
    if renamed:
        remarks.append(f"messages of an id that another one has, and were told apart: {renamed}")
    return by_id


def _cut_circles(by_id: dict[str, ForeignMessage], above: dict[str, str | None]) -> int:
    """Take the parent from the earliest message of each circle; return how many there were."""
    safe: set[str] = set()  # from here a root is reached
    cut = 0
    for id_ in by_id:
        way: dict[str, None] = {}
        at: str | None = id_
        while at is not None and at not in safe and at not in way:
            way[at] = None
            at = above[at]
        if at is not None and at in way:
            circle = list(way)[list(way).index(at) :]
            above[min((by_id[one] for one in circle), key=_rank).source_id] = None
            cut += 1
        safe.update(way)
    return cut
