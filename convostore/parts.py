"""The parts of a message: what of it are words, thoughts, calls of tools, attachments, and things unknown."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

# The kind of an opaque part that keeps a message as a framework has it: it is for that framework
# alone, and the parts beside it say all that a reader needs.
FRAME: Final = "frame"


class TextPart(msgspec.Struct, frozen=True, gc=False, tag_field="t", tag="text"):
    """A run of the message's own words."""

    text: str


class ReasoningPart(msgspec.Struct, frozen=True, gc=False, tag_field="t", tag="reasoning"):
    """What the model thought before or between its words; not part of the answer."""

    text: str


class ToolCallPart(msgspec.Struct, frozen=True, tag_field="t", tag="tool_call"):
    """A call of a tool by the model.

    Attributes:
        id: the far side's id of this call; where it gave none, one that was made for it here.
            Empty only in old records.
        name: the tool's name.
        args: the arguments as they came, usually JSON text.
    """

    id: str
    name: str
    args: str


class ToolResultPart(msgspec.Struct, frozen=True, tag_field="t", tag="tool_result"):
    """What a tool answered.

    Attributes:
        id: the id of the call it answers; empty when unknown.
        name: the tool's name; empty when unknown.
        content: the answer as text.
    """

    id: str
    name: str
    content: str


class OpaquePart(msgspec.Struct, frozen=True, tag_field="t", tag="opaque"):
    """Something of a kind this version does not know, kept whole so that nothing is lost.

    Attributes:
        kind: the word by which its origin named it.
        data: any JSON value.
    """

    kind: str
    data: Any


class AttachmentPart(msgspec.Struct, frozen=True, tag_field="t", tag="attachment"):
    """Bytes that a message refers to; they are kept apart from it, once for each owner.

    Attributes:
        sha256: of the bytes, in hex: by this they are found.
        size: in bytes.
        media_type: what they are, such as image/png; application/octet-stream is unknown.
        name: the file's name, without its folder; empty when it has none.
    """

    sha256: str
    size: int
    media_type: str = "application/octet-stream"
    name: str = ""


Part: TypeAlias = (
    TextPart | ReasoningPart | ToolCallPart | ToolResultPart | OpaquePart | AttachmentPart
)
