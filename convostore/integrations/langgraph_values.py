"""A graph's values as JSON, and back: messages and large parts as pieces, the rest in its place.

Plain JSON stands for itself. Anything else is an object that says its kind at `$`; a dictionary of
the application's that has such a key, or keys that are no text, is written as pairs, so that no
data can pass for a kind. A class is made again only if it is in the tables here or the application
has named it; else its fields are given back as a dictionary.
"""

from __future__ import annotations

import logging
import math
import re
from base64 import b64encode
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from langchain_core import messages as lc
from langchain_core.documents import Document
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from convostore.errors import InvalidTextError, StoreCorruptError
from convostore.integrations.langgraph_kinds import MAKERS, fields_of, name_of, remade, written
from convostore.integrations.langgraph_messages import shown
from convostore.storage.checkpoint_items import (
    MESSAGES,
    RUNS,
    TAG,
    Piece,
    as_json,
    hash_of,
    pieces_in,
    space_of,
    unrolled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convostore.storage.checkpoint_reads import Contents

_LARGE: Final = 64  # characters of JSON; a smaller value costs less than naming it
_CLASSES: Final[dict[str, type[Any]]] = {
    "human": lc.HumanMessage,
    "ai": lc.AIMessage,
    "system": lc.SystemMessage,
    "tool": lc.ToolMessage,
    "function": lc.FunctionMessage,
    "chat": lc.ChatMessage,
    "remove": lc.RemoveMessage,
    "HumanMessageChunk": lc.HumanMessageChunk,
    "AIMessageChunk": lc.AIMessageChunk,
    "SystemMessageChunk": lc.SystemMessageChunk,
    "ToolMessageChunk": lc.ToolMessageChunk,
    "FunctionMessageChunk": lc.FunctionMessageChunk,
    "ChatMessageChunk": lc.ChatMessageChunk,
    "Document": Document,
}
_KINDS: Final = {of: kind for kind, of in _CLASSES.items()}
_GRAPHS: Final = frozenset({"Send", "Interrupt", "Command", "Overwrite", "TimeoutPolicy"})
_HOW: Final = frozenset({"enum", "named", "data", "model"})
_NONE: Final = object()
_UNREADABLE: Final = (
    *(TypeError, ValueError, LookupError, AttributeError, ImportError, ArithmeticError),
    re.error,
)
_log = logging.getLogger(__name__)


class Writer:
    """Writes the values of one channel.

    Attributes:
        space: where pieces of the channel are.
    """

    def __init__(self, channel: str) -> None:
        self.space = space_of(channel)
        self._looks = False  # at every text

    def value(self, value: Any) -> Any:
        """Return a channel's value as JSON with pieces in it.

        Raises:
            InvalidTextError: something in it is of a kind that cannot be stored.
        """
        return self._carefully(self._value, value)

    def whole(self, value: Any) -> Any:
        """Return a value as JSON without pieces.

        Raises:
            InvalidTextError: as `value`.
        """
        return self._carefully(self._whole, value)

    def _carefully(self, write: Callable[[Any], Any], value: Any) -> Any:
        try:
            try:
                return write(value)
            except UnicodeEncodeError:  # half a character: every text is looked at
                self._looks = True
                return write(value)
        except RecursionError as error:
            raise self._refused("is too deep, or holds itself") from error

    def _whole(self, value: Any) -> Any:
        tree = self._json(value, apart=False)
        as_json(tree)  # half a character is noticed here
        return tree

    def _value(self, value: Any) -> Any:
        if type(value) is list:
            return [self._part(one) for one in value]
        if type(value) is dict and self._is_plain(value):
            return {key: self._part(one) for key, one in value.items()}
        return self._part(value)

    def _part(self, value: Any) -> Any:
        tree = self._json(value, apart=True)
        if isinstance(tree, Piece) or any(pieces_in(tree)):
            return tree
        data = as_json(tree)
        return Piece(self.space, data, hash_of(data)) if len(data) > _LARGE else tree

    def _is_plain(self, value: dict[Any, Any]) -> bool:
        return (
            TAG not in value
            and all(type(key) is str for key in value)
            and not (self._looks and any(map(_is_half, value)))
        )

    def _json(self, value: Any, *, apart: bool) -> Any:
        """Return a value as JSON; with messages *apart*, as pieces."""
        of = type(value)
        if of is str:
            return _halved(value) if self._looks and _is_half(value) else value
        if value is None or of is bool or of is int or (of is float and math.isfinite(value)):
            return value
        if of is list:
            return [self._json(one, apart=apart) for one in value]
        if isinstance(value, lc.BaseMessage):
            return self._message(value, apart=apart)
        if of is dict and self._is_plain(value):
            return {key: self._json(one, apart=apart) for key, one in value.items()}
        return self._kind(value, apart=apart)

    def _message(self, message: Any, *, apart: bool) -> Any:
        kind, named = _kind_of(type(message))
        usual = _usual(message.__class__)
        said = {
            name: one
            for name, one in vars(message).items()
            if name == "content" or (name != "type" and one != usual.get(name, _NONE))
        }
        fields = {
            name: self._json(one, apart=False)
            for name, one in (said | (message.model_extra or {})).items()
        }
        tree = {TAG: kind, **({"class": named} if named else {}), "of": fields}
        if not apart:
            return tree
        id_ = fields.get("id")
        data = as_json(tree)
        if not isinstance(id_, str) or not id_ or kind == "remove":
            return Piece(self.space, data, hash_of(data))
        whose = kind.removesuffix("MessageChunk").lower()
        whose = str(fields.get("role")) if whose == "chat" else whose
        text = fields["content"] if isinstance(fields["content"], str) else None
        return Piece(MESSAGES, data, hash_of(data), partial(shown, fields, whose), id_, text)

    def _kind(self, value: Any, *, apart: bool) -> Any:
        if isinstance(value, _DeltaSnapshot):
            return {TAG: "snapshot", "of": self._inner(value.value, apart=apart)}
        if found := written(value):
            kind, made_of = found
            return {TAG: kind, "of": self._json(made_of, apart=apart)}
        if object_ := _sent(value) or fields_of(value):
            return self._object(type(value), *object_, apart=apart)
        return self._like(value, apart=apart)

    def _like(self, value: Any, *, apart: bool) -> Any:
        """Write what is a dictionary, a text, a number or a list, though of a class of its own."""
        if isinstance(value, dict):
            if self._is_plain(value):
                return {key: self._json(one, apart=apart) for key, one in value.items()}
            pairs = [[self._json(one, apart=apart) for one in pair] for pair in value.items()]
            return {TAG: "pairs", "of": pairs}
        plain: type[Any]
        for plain in (str, int, list):
            if isinstance(value, plain):
                return self._json(plain(value), apart=apart)
        if isinstance(value, BaseException):
            return repr(value)
        raise self._refused(f"holds a {name_of(type(value))}")

    def _inner(self, value: Any, *, apart: bool) -> Any:
        if apart and type(value) is list:
            return [self._part(one) for one in value]
        return self._json(value, apart=apart)

    def _object(self, of: type[Any], how: str, fields: dict[str, Any], *, apart: bool) -> Any:
        if of.__module__ == "langgraph.types" and of.__name__ in _GRAPHS:
            # A class among them says what an answer has to be; the graph knows that by itself.
            said = {name: one for name, one in fields.items() if not isinstance(one, type)}
            return {TAG: of.__name__, "of": self._json(said, apart=apart)}
        tree = self._json(fields, apart=apart)
        if of in _KINDS:
            return {TAG: _KINDS[of], "of": tree}
        return {TAG: how, "class": name_of(of), "of": tree}

    def _refused(self, why: str) -> InvalidTextError:
        return InvalidTextError(
            f"the channel {self.space[1:]!r} {why}: it cannot be stored",
            hint="keep plain values, dataclasses, pydantic models, enums or messages in the state",
        )


class Reader:
    """Makes values of what was stored.

    Args:
        types: the classes that the application has named, by their names.
        contents: the items that the values name. One that stands at several places is made once.
    """

    def __init__(self, types: Mapping[str, type[Any]], contents: Contents) -> None:
        self._types, self._contents = types, contents
        self._made: dict[tuple[str, int], Any] = {}

    def value(self, tree: Any) -> Any:
        """Return the value.

        Raises:
            StoreCorruptError: it is of a kind that is not known, or cannot be made.
        """
        if isinstance(tree, list):
            return [self.value(one) for one in tree]
        if not isinstance(tree, dict):
            return tree
        kind = tree.get(TAG)
        if kind is None:
            return {key: self.value(one) for key, one in tree.items()}
        if kind == "item":
            return self._item(tree.get("s", MESSAGES), tree["n"])
        if kind == "list":
            return self._list(tree)
        try:
            return self._kind(kind, tree)
        except _UNREADABLE as error:
            raise StoreCorruptError(
                f"a value of a checkpoint cannot be read: {kind}: {error}"
            ) from error

    def _item(self, space: str, number: int) -> Any:
        at = (space, number)
        if at not in self._made:
            data = self._contents[at]
            self._made[at] = self.value(msgspec.json.decode(data)) if data else None
        return self._made[at]

    def _list(self, tree: dict[str, Any]) -> list[Any]:
        space = tree.get("s", MESSAGES)
        found = [*unrolled(tree["r"])]
        for number in reversed([*unrolled(tree.get("c", []))]):
            found = [*unrolled(msgspec.json.decode(self._contents[RUNS, number])), *found]
        return [self._item(space, one) for one in found if self._contents[space, one]]

    def _kind(self, kind: str, tree: dict[str, Any]) -> Any:
        of = self.value(tree["of"])
        if kind in MAKERS:
            return MAKERS[kind](of)
        if kind in _CLASSES:
            made = self._types.get(tree.get("class", ""))
            return _message_of(_CLASSES[kind], of) if made is None else made.model_construct(**of)
        if kind in _GRAPHS:
            return _of_graph(kind, of)
        if kind in _HOW:
            return self._object(kind, str(tree["class"]), of)
        if kind == "snapshot":
            return _DeltaSnapshot(of)
        if kind != "pairs":
            raise ValueError("a newer version may know the kind")
        return dict(of)

    def _object(self, how: str, name: str, of: Any) -> Any:
        if (made := self._types.get(name)) is not None:
            return remade(made, how, of)
        _tell_unknown(name)
        return of["value"] if how == "enum" else of


def _is_half(text: Any) -> bool:
    """Tell whether a text holds half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _halved(text: str) -> dict[str, Any]:
    return {TAG: "halved", "of": b64encode(text.encode("utf-8", "surrogatepass")).decode()}


def _kind_of(of: type[Any]) -> tuple[str, str | None]:
    """Return the kind of a class of messages, and its name where it is the application's."""
    if of in _KINDS:
        return _KINDS[of], None
    return next((_KINDS[one] for one in of.__mro__ if one in _KINDS), "model"), name_of(of)


@cache
def _usual(of: Any) -> dict[str, Any]:
    """Return what the fields of a class of messages are, if nobody says anything else."""
    fields = of.model_fields.items()
    return {name: one.get_default(call_default_factory=True) for name, one in fields}


def _message_of(of: Any, fields: dict[str, Any]) -> Any:
    """Make a message as it was: not checked and mended anew, which takes five times as long."""
    usual = _usual(of)
    said = {
        name: fields[name] if name in fields else one.copy() if type(one) in {list, dict} else one
        for name, one in usual.items()
    }
    made = of.__new__(of)
    keep = object.__setattr__
    keep(made, "__dict__", said)
    keep(made, "__pydantic_fields_set__", fields.keys() & usual.keys())
    keep(made, "__pydantic_extra__", {name: fields[name] for name in fields.keys() - usual.keys()})
    keep(made, "__pydantic_private__", None)
    return made


def _sent(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the parts of a `Send`, which is no dataclass; None for any other value."""
    of = type(value)
    if (of.__module__, of.__name__) != ("langgraph.types", "Send"):
        return None
    timeout = getattr(value, "timeout", None)
    sent = {"node": value.node, "arg": value.arg}
    return "data", sent if timeout is None else sent | {"timeout": timeout}


def _of_graph(kind: str, of: dict[str, Any]) -> Any:
    from langgraph import types  # type: ignore[attr-defined] # of a package that need not be there

    known = {
        "Send": types.Send,
        "Interrupt": types.Interrupt,
        "Command": types.Command,
        "Overwrite": types.Overwrite,
        "TimeoutPolicy": types.TimeoutPolicy,
    }
    return known[kind](**of)


@cache
def _tell_unknown(name: str) -> None:
    """Say once that a class is not known; what it was made of is there, as plain values."""
    _log.warning(
        "%s is not made again: values of it are given back as plain ones. Name the class: "
        "ConvostoreSaver(..., types=[...])",
        name,
    )


def shown_in(tree: Any) -> tuple[Piece, ...] | None:
    """Return the messages of a channel's value as a conversation shows them; None if it has none."""
    if isinstance(tree, dict) and tree.get(TAG) == "snapshot":
        tree = tree["of"]
    return tuple(said_in(tree)) if isinstance(tree, list) else None


def said_in(tree: Any) -> list[Piece]:
    """Return the messages in a value that a conversation can show."""
    return [piece for piece in pieces_in(tree) if piece.show is not None]
