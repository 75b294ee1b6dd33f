"""Tool calls in the chunks of a chat completion, by all the manners in which servers cut them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convostore.events import ToolCallDelta
from convostore.ids import new_token

if TYPE_CHECKING:
    from collections.abc import Iterator


_MOST_LOOKS: Final = 16  # at the arguments of one call, whether they are whole


class _Call:
    """A call whose pieces still come.

    Attributes:
        id: by which its pieces are handed on.
        far_id: by which the server names it; empty as long as it has not.
        name: the tool's; empty as long as it has not come.
        args: what came of the arguments.
    """

    __slots__ = ("_looked", "args", "far_id", "id", "name")

    def __init__(self, id: str, far_id: str) -> None:
        self.id, self.far_id, self.name = id, far_id, ""
        self.args: list[str] = []
        self._looked = 0

    def is_whole(self) -> bool:
        """Tell whether its arguments are a whole JSON object."""
        if not self.args or not self.args[-1].rstrip().endswith("}"):
            return False
        if self._looked == _MOST_LOOKS:
            return False  # it repeats its name with every piece, and that costs ever more
        self._looked += 1
        try:
            return isinstance(msgspec.json.decode("".join(self.args)), dict)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return False


class CallReader:
    """Tells which piece belongs to which call.

    Pieces of a call have the same index, and the first one has its id and its name. A new id at
    an index begins a new call, as some servers give all of them the index 0. Where there is no
    index, the id decides, and without an id a name begins a call.
    """

    def __init__(self) -> None:
        self._at: dict[int, _Call] = {}
        self._named: dict[str, _Call] = {}
        self._taken: set[str] = set()
        self._last: _Call | None = None

    def read(self, said: dict[str, Any]) -> Iterator[ToolCallDelta]:
        """Yield the pieces of calls in a chunk's delta, or in a whole message."""
        calls = said.get("tool_calls")
        found = [one for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []
        if isinstance(alone := said.get("function_call"), dict):  # as it was before tools
            found.append({"index": 0, "function": alone})
        for one in found:
            function = one.get("function")
            function = function if isinstance(function, dict) else {}
            index = one.get("index")
            yield self._piece(
                index if isinstance(index, int) else None,
                _text(one.get("id")),
                _text(function.get("name")),
                _arguments(function.get("arguments")),
            )

    def _piece(self, index: int | None, far_id: str, name: str, args: str) -> ToolCallDelta:
        call = self._known(index, far_id)
        if call is None or _begins_another(call, index, far_id, name):
            call = self._begin(index, far_id)
        self._last = call
        if far_id and not call.far_id:
            call.far_id = far_id
            self._named.setdefault(far_id, call)
        shown, call.name = (name, name) if not call.name else ("", call.name)
        call.args.append(args)
        return ToolCallDelta(call.id, shown, args)

    def _known(self, index: int | None, far_id: str) -> _Call | None:
        if index is not None:
            return self._at.get(index)
        return self._named.get(far_id) if far_id else self._last

    def _begin(self, index: int | None, far_id: str) -> _Call:
        id_ = far_id if far_id and far_id not in self._taken else f"call_{new_token()}"
        call = _Call(id_, far_id)
        self._taken.add(id_)
        if index is not None:
            self._at[index] = call
        if far_id:
            self._named[far_id] = call
        return call


def _begins_another(call: _Call, index: int | None, far_id: str, name: str) -> bool:
    """Tell whether a piece in the place of *call* is the first of another call."""
    if far_id and call.far_id:
        return far_id != call.far_id
    if far_id or not name or not call.name:  # the id, or the name, may come late
        return bool(far_id and name and call.name)
    return index is None or call.is_whole()  # some repeat the name with every piece


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    """Return arguments as text; some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()
