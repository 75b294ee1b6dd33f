"""What every writer of a format is: pure, fed one message at a time, honest about what it leaves out.

A writer yields text. Where it yields a number, it wants the message of that seq, and is handed it (a
second time where the number is negative); where it yields an attachment, its bytes are put there in base64. So nobody ever holds a conversation
whole, and no writer does any reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from convostore.parts import AttachmentPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from convostore.records import ConversationDossier, Message

Piece: TypeAlias = str | AttachmentPart
IMAGES = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp"}
)  # what every viewer shows


class Node(msgspec.Struct, frozen=True, gc=False):
    """Where a message stands in its tree.

    Attributes:
        id: its id here.
        source_id: its id where it was imported from, if that is what is written; else None.
    """

    seq: int
    parent_seq: int | None
    id: str = ""
    source_id: str | None = None


class Outline:
    """The shape of a conversation: all that a writer is told before it gets the messages.

    Attributes:
        nodes: by seq, ascending; parents have the lower number.
        path: the seqs from the root to the head, ascending.
    """

    def __init__(self, nodes: Iterable[Node], head_seq: int | None) -> None:
        self.nodes = {node.seq: node for node in nodes}
        self.path: list[int] = []
        seq = head_seq
        while seq is not None and seq in self.nodes:
            self.path.append(seq)
            above = self.nodes[seq].parent_seq
            seq = above if above is not None and above < seq else None
        self.path.reverse()

    @property
    def beside(self) -> int:
        """How many messages are not on the path."""
        return len(self.nodes) - len(self.path)

    def children(self) -> dict[int | None, list[int]]:
        """Return what stands below each message, oldest first; below None stand the roots."""
        below: dict[int | None, list[int]] = {}
        for seq, node in self.nodes.items():
            above = node.parent_seq if node.parent_seq in self.nodes else None
            below.setdefault(above, []).append(seq)
        return below

    def name(self, seq: int | None) -> str | None:
        """Return the id by which the message's origin knew it, else its own; None of none."""
        node = None if seq is None else self.nodes.get(seq)
        return None if node is None else node.source_id or node.id


class Losses:
    """What a format could not say, counted by what it was."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, what: str, number: int = 1) -> None:
        """Count *number* of *what*, which is named in the plural."""
        if number:
            self.counts[what] = self.counts.get(what, 0) + number


class Writer(Protocol):
    """Writes one file of a format.

    Attributes:
        origin: the format whose raw objects it can give back as they were; None is none.
        losses: what it has left out so far.
    """

    origin: str | None
    losses: Losses

    def opening(self) -> str:
        """Return how the file begins."""
        ...

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield a conversation: text, and the seq of each message where it is to be written.

        Args:
            one: the conversation.
            outline: its messages, without what they say.
            raw: the origin's own object; empty where there is none.
        """
        ...

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield a message that `conversation` asked for; *raw* as there."""
        ...

    def closing(self) -> str:
        """Return how the file ends."""
        ...


def seconds(ms: int | None) -> float | None:
    """Return a time in seconds, as JSON has it."""
    return None if ms is None else ms / 1000


def kept_as(raw: bytes, fits: Callable[[object], bool]) -> dict[str, Any] | None:
    """Return the origin's own object of a conversation; None of none, and where it does not fit."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if fits(value) else None


def dumps(value: object) -> str:
    """Return *value* as JSON on one line."""
    return msgspec.json.encode(value).decode()


def is_image(part: object) -> bool:
    """Tell whether a part is a picture that can be shown inside of a text."""
    return isinstance(part, AttachmentPart) and part.media_type in IMAGES
