"""What states and writes are made of: items, stored once each, and the numbers that name them.

A state is JSON in which `{"$": "item", "n": 7}` stands for an item, and `{"$": "list", "r": [1, 9,
12, 12]}` for a list of items, by the first and the last number of each run. Numbers are handed out
in order, apart in each space, so that a list which only grows is one run, however long it is. The
space of messages has no name; another one is named at `s`. A list of very many runs has the
beginning of them in items of their own (at `c`), which stay the same while it grows.

What a message says stands in the message that shows it, and not in its item as well, where that is
the very text. What a task has written is often the message itself: an item that has a hash and no
data is the message of the same hash.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import bindparam, insert, select, update

from convostore.records import Usage
from convostore.storage.canonical import to_json
from convostore.storage.checkpoint_tables import checkpoint_item
from convostore.storage.exchanges import NewMessage
from convostore.storage.statements import Hot, one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convostore.storage.statements import Tx

MESSAGES: Final = ""  # the space of messages
RUNS: Final = "#"  # the space of runs
TAG: Final = "$"  # the key by which a value that is no plain JSON is known
_RUNS_TOGETHER: Final = 32
_HASH_BYTES: Final = 15  # 20 letters of base 64, without padding


def as_json(value: object) -> str:
    """Write a value as JSON, its keys in their order.

    Raises:
        UnicodeEncodeError: a text in it holds half a character.
    """
    return msgspec.json.encode(value).decode()


class Shown(msgspec.Struct, frozen=True):
    """What a conversation shows of a message of a graph.

    Attributes:
        used: what the model call cost that made it, as far as it was reported; None is no call.
    """

    message: NewMessage
    used: Usage | None = None


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A part of a value that is stored as an item.

    Attributes:
        space: where its number is from.
        data: as JSON, without pieces in it.
        content_hash: of *data*; see `hash_of`.
        show: makes what a conversation shows of it; None is nothing.
        message_id: the graph's own id of a message; None is no message.
        text: what a message says, where that is one text and nothing else.
    """

    space: str
    data: str
    content_hash: str
    show: Callable[[], Shown] | None = None
    message_id: str | None = None
    text: str | None = None


class Held(msgspec.Struct):
    """An item as it is stored, or will be.

    Attributes:
        message_seq: the message that shows it.
        is_new: it has no row yet.
        is_moved: it has a row that has to say what shows it.
        is_said: its text stands in the message that shows it.
        is_copy: it is the message of the same hash.
    """

    number: int
    message_seq: int | None
    is_new: bool = False
    is_moved: bool = False
    is_said: bool = False
    is_copy: bool = False


_OF = (
    checkpoint_item.c.owner_id == bindparam("owner_id"),
    checkpoint_item.c.conversation_id == bindparam("conversation_id"),
)
_KNOWN = Hot(
    select(
        checkpoint_item.c.space,
        checkpoint_item.c.number,
        checkpoint_item.c.content_hash,
        checkpoint_item.c.message_seq,
    ).where(*_OF, one_of(checkpoint_item.c.space, "spaces"))
)
_ADD = Hot(insert(checkpoint_item))
_show = update(checkpoint_item).where(
    checkpoint_item.c.owner_id == bindparam("of_owner_id"),
    checkpoint_item.c.conversation_id == bindparam("of_conversation_id"),
    checkpoint_item.c.space == bindparam("of_space"),
    checkpoint_item.c.number == bindparam("of_number"),
)
_SHOW = Hot(_show.values(message_seq=bindparam("new_seq")))
_COPY = Hot(_show.values(message_seq=bindparam("new_seq"), data=""))


class Items:
    """The items of one conversation, while a transaction looks them up and adds to them.

    Attributes:
        gone: ids of messages that were forgotten: pieces of theirs are left out of every value.
        aside: the space from which new messages get their numbers. Only what has them in their
            order hands out numbers of messages; a task may be done before one that stands above it.
    """

    def __init__(self, tx: Tx, owner_id: str, conversation_id: str) -> None:
        self._tx = tx
        self._at = {"owner_id": owner_id, "conversation_id": conversation_id}
        self._held: dict[tuple[str, str], Held] = {}
        self._new: list[tuple[str, Piece, Held]] = []
        self._last: dict[str, int] = {}
        self.gone: frozenset[str] = frozenset()
        self.aside = MESSAGES

    def load(self, pieces: Iterable[Piece], *channels: str) -> None:
        """Look up what is stored already where pieces like these are, and parts of channels."""
        self._load({piece.space for piece in pieces} | {space_of(one) for one in channels})

    def _load(self, spaces: set[str]) -> None:
        missing = sorted(spaces - self._last.keys())
        if not missing:
            return
        self._last |= dict.fromkeys(missing, 0)
        rows = self._tx.rows(_KNOWN, **self._at, spaces=to_json(missing))
        for space, number, hash_, seq in rows:
            self._last[space] = max(self._last[space], number)
            if hash_:
                self._held[space, hash_] = Held(number, seq)

    def held(self, piece: Piece) -> Held:
        """Return a piece's item, which is made if it is new."""
        space = self._space(piece)
        self._load({space})
        held = self._held.get((space, piece.content_hash))
        if held is None:
            self._last[space] += 1
            held = Held(self._last[space], None, is_new=True)
            self._held[space, piece.content_hash] = held
            self._new.append((space, piece, held))
        return held

    def _space(self, piece: Piece) -> str:
        aside = piece.space == MESSAGES != self.aside and self.is_new(piece)
        return self.aside if aside else piece.space

    def show(self, piece: Piece, seq: int, text: str) -> None:
        """Note which message shows a piece, and what that says; copies are it from now on."""
        held = self.held(piece)
        held.message_seq, held.is_moved = seq, True
        held.is_said = text == piece.text
        for space in self._last.keys() - {piece.space}:
            copy = self._held.get((space, piece.content_hash))
            if copy is not None and not copy.is_new:
                copy.message_seq, copy.is_moved, copy.is_copy = seq, True, True

    def is_new(self, piece: Piece) -> bool:
        """Tell whether nothing of the kind is stored yet."""
        return (piece.space, piece.content_hash) not in self._held

    def laid(self, tree: Any) -> Any:
        """Return a value as JSON has it, numbers in the place of pieces."""
        if isinstance(tree, Piece):
            return None if tree.message_id in self.gone else self._named(tree)
        if isinstance(tree, dict):
            return {key: self.laid(inner) for key, inner in tree.items()}
        if isinstance(tree, list):
            return self._list(tree)
        return tree

    def _named(self, piece: Piece) -> dict[str, Any]:
        return _in_space({TAG: "item", "n": self.held(piece).number}, self._space(piece))

    def _list(self, tree: list[Any]) -> Any:
        left = [one for one in tree if not (isinstance(one, Piece) and one.message_id in self.gone)]
        spaces = {self._space(one) if isinstance(one, Piece) else None for one in left}
        space = spaces.pop() if len(spaces) == 1 else None
        if space is None:
            return [self.laid(one) for one in left]
        found = list(runs(self.held(one).number for one in left))
        named: dict[str, Any] = _in_space({TAG: "list"}, space)
        if (more := len(found) // 2 - _RUNS_TOGETHER) > _RUNS_TOGETHER:
            size = 2 * _RUNS_TOGETHER
            cut = more // _RUNS_TOGETHER * size
            parts = [piece(RUNS, found[at : at + size]) for at in range(0, cut, size)]
            named["c"] = list(runs(self.held(one).number for one in parts))
            found = found[cut:]
        return named | {"r": found}

    def keep(self) -> None:
        """Write what is new."""
        rows = [
            {
                **self._at,
                "space": space,
                "number": held.number,
                "content_hash": piece.content_hash,
                "message_seq": held.message_seq,
                "data": bare(piece.data) if held.is_said else piece.data,
            }
            for space, piece, held in self._new
        ]
        self._tx.many(_ADD, rows)
        moved = [(at, held) for at, held in self._held.items() if held.is_moved and not held.is_new]
        for hot, is_copy in ((_SHOW, False), (_COPY, True)):
            self._tx.many(
                hot,
                [
                    {
                        "of_owner_id": self._at["owner_id"],
                        "of_conversation_id": self._at["conversation_id"],
                        "of_space": space,
                        "of_number": held.number,
                        "new_seq": held.message_seq,
                    }
                    for (space, _), held in moved
                    if held.is_copy is is_copy
                ],
            )


def bare(data: str) -> str:
    """Return a message's item without what it says."""
    value = msgspec.json.decode(data)
    return as_json(value | {"of": {k: v for k, v in value["of"].items() if k != "content"}})


def whole(data: str, text: str | None) -> str:
    """Return an item as it was made, with what the message says that shows it."""
    value = msgspec.json.decode(data) if data and text is not None else None
    of = value.get("of") if isinstance(value, dict) and TAG in value else None
    if not isinstance(value, dict) or not isinstance(of, dict) or "content" in of:
        return data
    return as_json({**value, "of": {"content": text, **of}})


def piece(space: str, tree: Any) -> Piece:
    """Return a value without pieces as one itself."""
    data = as_json(tree)
    return Piece(space, data, hash_of(data))


def space_of(channel: str) -> str:
    """Return the space of the parts of a channel's values."""
    return f":{channel}"  # so that it is none of our own


def hash_of(data: str) -> str:
    """Return the name of what is stored once."""
    digest = hashlib.sha256(data.encode()).digest()
    return urlsafe_b64encode(digest[:_HASH_BYTES]).decode()


def runs(numbers: Iterable[int]) -> Iterator[int]:
    """Yield the first and the last number of each run of numbers that follow one another."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield from (first, last)
        first = last = number
    if first is not None and last is not None:
        yield from (first, last)


def unrolled(found: list[int]) -> Iterator[int]:
    """Yield the numbers of runs."""
    return chain.from_iterable(
        range(first, last + 1) for first, last in zip(found[::2], found[1::2], strict=True)
    )


def pieces_in(tree: Any) -> Iterator[Piece]:
    """Yield every piece of a value."""
    if isinstance(tree, Piece):
        yield tree
    elif isinstance(tree, dict | list):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from pieces_in(inner)


def named_in(value: Any) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield of every item that a stored value names the space and runs, and the runs in `RUNS`.

    The latter are of items that have more runs of the same space.
    """
    if isinstance(value, list):
        for inner in value:
            yield from named_in(inner)
    elif isinstance(value, dict):
        match value.get(TAG):
            case "item":
                yield value.get("s", MESSAGES), [value["n"], value["n"]], []
            case "list":
                yield value.get("s", MESSAGES), value["r"], value.get("c", [])
            case _:
                for inner in value.values():
                    yield from named_in(inner)


def _in_space(named: dict[str, Any], space: str) -> dict[str, Any]:
    return named if space == MESSAGES else named | {"s": space}
