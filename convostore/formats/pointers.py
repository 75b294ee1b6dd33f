"""Where a message of an export refers to a file that may have come along with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convostore.formats import chatgpt
from convostore.formats.foreign import known
from convostore.parts import OpaquePart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.foreign import ForeignConversation, ForeignMessage
    from convostore.parts import Part

_SCHEMES: Final = ("file-service://", "sediment://")
_ID: Final = re.compile(r"file[-_][A-Za-z0-9]+")
_ATTACHMENT: Final = "attachment"  # the kind of part that names an upload


class Pointer(NamedTuple):
    """A reference to a file.

    Attributes:
        message: the source id of the message.
        part: the place among its parts.
        file_id: the origin's id of the file; what came along is called by it.
        name: the file's, as the message has it; empty where it does not say.
        media_type: as the message has it.
    """

    message: str
    part: int
    file_id: str
    name: str = ""
    media_type: str | None = None


def file_id_of(name: str) -> str | None:
    """Return the id with which a file's name begins; None where it begins with none."""
    found = _ID.match(name)
    return found[0] if found else None


def pointers_in(conversation: ForeignConversation) -> Iterator[Pointer]:
    """Yield the references to files, each file once for each message."""
    if conversation.source != chatgpt.SOURCE:
        return
    for message in conversation.messages:
        if any(isinstance(part, OpaquePart) for part in message.parts):
            yield from _of_message(message)


def _of_message(message: ForeignMessage) -> Iterator[Pointer]:
    """Yield what stands for a file before what only names an upload."""
    uploads = {id_: said for part in message.parts for id_, said in _upload(part)}
    shown = [(at, id_) for at, part in enumerate(message.parts) if (id_ := _pointed_at(part))]
    named = [(at, id_) for at, part in enumerate(message.parts) for id_, _ in _upload(part)]
    seen: set[str] = set()
    for at, id_ in [*shown, *named]:
        if id_ not in seen:
            seen.add(id_)
            said = uploads.get(id_, {})
            type_ = known(said.get("mime_type"), str) or known(said.get("mimeType"), str)
            name = known(said.get("name"), str) or ""
            yield Pointer(message.source_id, at, id_, name, type_ or None)


def _upload(part: Part) -> list[tuple[str, dict[str, Any]]]:
    """Return the id of the upload that a part names, and what it says of it; nothing of others."""
    data = part.data if isinstance(part, OpaquePart) and part.kind == _ATTACHMENT else None
    id_ = file_id_of(known(data.get("id"), str) or "") if isinstance(data, dict) else None
    return [(id_, data)] if id_ and isinstance(data, dict) else []


def _pointed_at(part: Part) -> str | None:
    """Return the id of the file that a part stands for: a picture, a recording."""
    data = part.data if isinstance(part, OpaquePart) else None
    if not isinstance(data, dict):
        return None
    inner = known(data.get("audio_asset_pointer"), dict) or data  # of a recording with pictures
    pointer = known(inner.get("asset_pointer"), str) or ""
    for scheme in _SCHEMES:
        if pointer.startswith(scheme):
            found = _ID.search(pointer, len(scheme))  # a page of a file has more around it
            return found[0] if found else None
    return None
