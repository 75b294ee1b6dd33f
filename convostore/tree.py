"""The tree that messages make: built from parents alone, whatever order they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.records import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """One way through a conversation, from its first message to a message nothing follows.

    Attributes:
        leaf: its last message.
        begins: the first message that no other branch has.
        length: how many messages it has from the root to the leaf.
        active: the conversation stands on it: at its leaf, or above.
    """

    leaf: Message
    begins: Message
    length: int
    active: bool


class Tree:
    """All messages of a conversation, as the tree that their parents make.

    A message whose parent is missing is a root. Where parents make a circle, which an import may
    bring, the circle is cut at its earliest message. Siblings stand in order of `seq`, then of
    time, then of id. Nothing here recurses: a chain may be as long as memory allows.

    Attributes:
        messages: all of them, in that same order.
        roots: those without a parent.
        head: the message at which the conversation stands; None where it is empty.
    """

    def __init__(self, messages: Iterable[Message], head_seq: int | None = None) -> None:
        self.messages = tuple(sorted(messages, key=_order))
        self._by_id = {one.id: one for one in self.messages}
        self._above: dict[str, str | None] = {
            one.id: one.parent_id if one.parent_id in self._by_id else None for one in self.messages
        }
        self._cut_circles()
        self._below: dict[str | None, list[Message]] = {}
        for one in self.messages:
            self._below.setdefault(self._above[one.id], []).append(one)
        self.roots = tuple(self._below.get(None, ()))
        self.head = next((one for one in self.messages if one.seq == head_seq), None)

    def children(self, message: Message) -> tuple[Message, ...]:
        """Return the messages right below one."""
        return tuple(self._below.get(message.id, ()))

    def siblings(self, message: Message) -> tuple[Message, ...]:
        """Return the messages with the same parent, this one among them."""
        return tuple(self._below[self._above[message.id]])

    def position(self, message: Message) -> tuple[int, int]:
        """Return which of its siblings a message is: (2, 3) is the second of three."""
        siblings = self.siblings(message)
        return siblings.index(message) + 1, len(siblings)

    def path(self, message: Message) -> tuple[Message, ...]:
        """Return the messages from the root to this one."""
        return tuple(reversed(list(self._up(message))))

    def walk(self) -> Iterator[tuple[Message, int]]:
        """Yield all messages, each branch after its beginning, with how often it has branched.

        The depth grows by one only where siblings part, so that a plain conversation stays flat.
        """
        ahead = [(one, 0) for one in reversed(self.roots)]
        while ahead:
            message, depth = ahead.pop()
            yield message, depth
            below = self._below.get(message.id, ())
            deeper = depth + (len(below) > 1)
            ahead += [(one, deeper) for one in reversed(below)]

    def below(self, message: Message) -> int:
        """Return how many messages stand below this one."""
        ahead, found = [message], -1
        while ahead:
            ahead += self._below.get(ahead.pop().id, ())
            found += 1
        return found

    def leaf_of(self, message: Message) -> Message:
        """Return the newest message at or below this one that nothing follows."""
        ahead, leaves = [message], []
        while ahead:
            one = ahead.pop()
            below = self._below.get(one.id, ())
            ahead += below
            if not below:
                leaves.append(one)
        return max(leaves, key=_order)

    def branches(self) -> tuple[Branch, ...]:
        """Return the ways through the conversation, in order of their leaves."""
        ordered = [one for one, _ in self.walk()]  # parents first
        length: dict[str | None, int] = {None: 0}
        for one in ordered:
            length[one.id] = length[self._above[one.id]] + 1
        passing = dict.fromkeys(length, 0)  # how many leaves stand at or below a message
        for one in reversed(ordered):
            passing[one.id] += one.id not in self._below
            passing[self._above[one.id]] += passing[one.id]
        active = self.leaf_of(self.head) if self.head is not None else None
        return tuple(
            Branch(
                leaf=leaf,
                begins=self._begins(leaf, passing),
                length=length[leaf.id],
                active=leaf is active,
            )
            for leaf in self.messages
            if leaf.id not in self._below
        )

    def _begins(self, leaf: Message, passing: dict[str | None, int]) -> Message:
        """Return the highest message above a leaf that leads to no other leaf."""
        begins = leaf
        for one in self._up(leaf):
            if passing[one.id] > 1:
                break
            begins = one
        return begins

    def _up(self, message: Message) -> Iterator[Message]:
        at: str | None = message.id
        while at is not None:
            yield self._by_id[at]
            at = self._above[at]

    def _cut_circles(self) -> None:
        """Take the parent from the earliest message of each circle."""
        safe: set[str] = set()  # from here a root is reached
        for one in self.messages:
            way: dict[str, None] = {}
            at: str | None = one.id
            while at is not None and at not in safe and at not in way:
                way[at] = None
                at = self._above[at]
            if at is not None and at in way:
                circle = list(way)[list(way).index(at) :]
                earliest = min((self._by_id[id_] for id_ in circle), key=_order)
                self._above[earliest.id] = None
            safe.update(way)


def _order(message: Message) -> tuple[int, int, str]:
    return message.seq, message.created_at_ms, message.id
