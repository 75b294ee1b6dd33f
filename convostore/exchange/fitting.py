"""Conversations of other programs, made fit for the store.

What no store can hold is mended, and told: characters, names that are too long, times of no
calendar. What cannot be mended refuses the conversation, and no other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec

from convostore.errors import ConvostoreError, FormatError, InvalidTextError
from convostore.formats.foreign import refused
from convostore.ids import new_id
from convostore.parts import AttachmentPart, OpaquePart, Part, TextPart
from convostore.storage.canonical import content_hash, encode_parts
from convostore.storage.newcomers import ImportConversation, ImportedMessage
from convostore.storage.packing import packed
from convostore.text import FAR_MS, MOST_NAME, MOST_TAGS, fallback_title, gate, gate_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convostore.formats.foreign import ForeignConversation, ForeignMessage

_MOST_ID: Final = 500  # characters of a conversation's id there: it stands in an index
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MARK: Final = "\ufffd"


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller of an import wants of each conversation.

    Attributes:
        tags: to be added.
        restore: bring back what was deleted.
        dry_run: write nothing.
    """

    tags: tuple[str, ...] = ()
    restore: bool = False
    dry_run: bool = False


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that can be stored, and what had to be mended for it, a line each."""

    job: ImportConversation
    remarks: tuple[str, ...]


def fit(
    foreign: ForeignConversation,
    wish: Wish,
    *,
    attached: Mapping[tuple[str, int], AttachmentPart],
    now_ms: int,
) -> Fitted:
    """Return the job that stores a conversation.

    Args:
        foreign: as it was read.
        wish: what the caller wants.
        attached: what came along, by the message's source id and the place among its parts.
        now_ms: nothing of a list is newer.

    Raises:
        FormatError: it cannot be stored.
    """
    try:
        return _Fitting(foreign, now_ms).fitted(wish, attached)
    except FormatError:
        raise
    except ConvostoreError as error:
        raise refused(foreign.source, error.message) from error
    except RecursionError as error:
        raise refused(foreign.source, "a part of a message is nested too deep") from error
    except (ValueError, TypeError) as error:  # what JSON does not have, as a number of 80 digits
        raise refused(foreign.source, f"a value cannot be stored: {error}") from error


class _Fitting:
    """One conversation that is just being made fit."""

    def __init__(self, foreign: ForeignConversation, now_ms: int) -> None:
        self.foreign, self.now_ms = foreign, now_ms
        self.replaced = 0  # characters
        self._names: dict[str, str | None] = {}  # few stand at many messages
        times = [one.created_at_ms for one in foreign.messages if one.created_at_ms is not None]
        began = foreign.created_at_ms
        self.created_at_ms = self._past(min(times, default=now_ms) if began is None else began)
        ended = foreign.updated_at_ms
        last_ms = max(times, default=self.created_at_ms) if ended is None else ended
        self.updated_at_ms = max(self._past(last_ms), self.created_at_ms)

    def fitted(self, wish: Wish, attached: Mapping[tuple[str, int], AttachmentPart]) -> Fitted:
        foreign = self.foreign
        source_id = self._text(foreign.source_id)
        if not source_id or len(source_id) > _MOST_ID:
            raise refused(foreign.source, f"its id is empty, or longer than {_MOST_ID} characters")
        messages = self._messages(attached)
        places = {one.source_id: at for at, one in enumerate(foreign.messages)}
        title, title_source = self._title(messages)
        tags, left_out = self._tags(wish)
        job = ImportConversation(
            source=foreign.source,
            source_id=source_id,
            id=new_id(),
            anonymous_user_id=str(uuid4()),
            title=title,
            title_source=title_source,
            model=self._name(foreign.model),
            folder=self._name(foreign.folder),
            pinned=foreign.pinned,
            archived=foreign.archived,
            tags=tags,
            more_tags=wish.tags,
            head=None if foreign.head is None else places.get(foreign.head),
            messages=messages,
            original=packed(foreign.raw),
            created_at_ms=self.created_at_ms,
            updated_at_ms=self.updated_at_ms,
            now_ms=self.now_ms,
            dated=foreign.updated_at_ms is not None,
            restore=wish.restore,
            dry_run=wish.dry_run,
        )
        remarks = [*foreign.remarks]
        if left_out:
            remarks.append(f"tags that were left out: {left_out}")
        if self.replaced:
            remarks.append(f"characters that no store can hold, and were replaced: {self.replaced}")
        return Fitted(job=job, remarks=tuple(remarks))

    def _messages(
        self, attached: Mapping[tuple[str, int], AttachmentPart]
    ) -> tuple[ImportedMessage, ...]:
        places: dict[str, int] = {}
        made: list[ImportedMessage] = []
        for at, one in enumerate(self.foreign.messages):
            if one.source_id in places:
                raise refused(
                    self.foreign.source, f"two of its messages have the id {one.source_id}"
                )
            above = None if one.parent is None else places.get(one.parent)
            if above is None and one.parent is not None:
                raise refused(
                    self.foreign.source, f"message {one.source_id} stands before its parent"
                )
            made.append(self._message(one, above, made, attached))
            places[one.source_id] = at
        return tuple(made)

    def _message(
        self,
        one: ForeignMessage,
        above: int | None,
        made: list[ImportedMessage],
        attached: Mapping[tuple[str, int], AttachmentPart],
    ) -> ImportedMessage:
        parts = [
            self._part(attached.get((one.source_id, at), part)) if attached else self._part(part)
            for at, part in enumerate(one.parts)
        ]
        text, shape = self._encoded(parts)
        parent = None if above is None else made[above]
        at_ms = one.created_at_ms
        if at_ms is None:
            at_ms = self.created_at_ms if parent is None else parent.created_at_ms
        return ImportedMessage(
            id=new_id(),
            source_id=self._text(one.source_id),
            parent=above,
            role=one.role,
            author=self._name(one.author),
            status=one.status,
            text=gate(text, "the text of a message"),
            shape=shape,
            model=self._name(one.model),
            finish_reason=self._name(one.finish_reason),
            created_at_ms=max(0, min(at_ms, FAR_MS)),
            content_hash=content_hash(
                parent.content_hash if parent else None, one.role, text, shape
            ),
            original=packed(one.raw),
            attachments=tuple(part.sha256 for part in parts if isinstance(part, AttachmentPart)),
        )

    def _encoded(self, parts: list[Part]) -> tuple[str, str | None]:
        try:
            return encode_parts(parts)
        except InvalidTextError:  # half a character somewhere in what is opaque
            return encode_parts([self._mended(part) for part in parts])

    def _part(self, part: Part) -> Part:
        """Return a part with texts that can be stored; almost always it is the same one."""
        if type(part) is TextPart:  # by far the most
            text = self._text(part.text)
            return part if text is part.text else TextPart(text)
        if isinstance(part, OpaquePart | AttachmentPart):
            return part
        changed = {
            name: mended
            for name in part.__struct_fields__
            if (mended := self._text(value := getattr(part, name))) is not value
        }
        return msgspec.structs.replace(part, **changed) if changed else part

    def _mended(self, part: Part) -> Part:
        if not isinstance(part, OpaquePart):
            return part
        return OpaquePart(self._text(part.kind), self._value(part.data))

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list | tuple):
            return [self._value(one) for one in value]
        if isinstance(value, dict):
            return {self._value(key): self._value(one) for key, one in value.items()}
        return value

    def _text(self, text: str) -> str:
        """Return *text* with what no store can hold replaced, and count it."""
        if text.isascii() and "\x00" not in text:
            return text
        mended, replaced = _UNSTORABLE.subn(_MARK, text)
        self.replaced += replaced
        return mended if replaced else text

    def _name(self, text: str | None) -> str | None:
        """Return what stands in lists, in one line; the whole of it is in the original."""
        if text is None or text in self._names:
            return self._names[text] if text else None
        words = " ".join(self._text(text[: 4 * MOST_NAME]).split())
        found = self._names[text] = words[:MOST_NAME] or None
        return found

    def _title(self, messages: Iterable[ImportedMessage]) -> tuple[str | None, str | None]:
        if title := self._name(self.foreign.title):
            return title, "imported"
        asked = (fallback_title(one.text) for one in messages if one.role == "user")
        first = next((line for line in asked if line), None)
        return (first, "fallback") if first else (None, None)

    def _tags(self, wish: Wish) -> tuple[tuple[str, ...], int]:
        """Return the origin's tags, and how many of them are left out."""
        names = {gate_tag(name) for one in self.foreign.tags if (name := self._name(one))}
        room = max(0, MOST_TAGS - len(wish.tags))
        tags = sorted(names - set(wish.tags))
        return tuple(tags[:room]), len(tags[room:])

    def _past(self, at_ms: int) -> int:
        return max(0, min(at_ms, self.now_ms))
