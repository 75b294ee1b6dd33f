"""What a value is: which program's conversation, told by its structure alone, never by a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convostore.exchange.decoding import UndecodableError, decoded
from convostore.formats import (
    chat_logs,
    chatgpt,
    claude,
    g4f_chat,
    hf_chat_ui,
    librechat,
    llama_cpp,
    llm_json,
    openai_chat,
    openwebui,
    sharegpt,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.exchange.limits import Limits
    from convostore.formats.foreign import ForeignConversation


class Reader(NamedTuple):
    """How a conversation of one format is told and read."""

    name: str
    is_one: Callable[[object], bool]
    read: Callable[[dict[str, Any]], ForeignConversation]


# In this order: what is told first has the rarer words.
READERS: Final = tuple(
    Reader(module.SOURCE, module.is_one, module.read)
    for module in (
        chatgpt,
        claude,
        openwebui,
        librechat,
        hf_chat_ui,
        chat_logs,
        sharegpt,
        openai_chat,
        g4f_chat,
    )
)
_BY_NAME: Final = {reader.name: reader for reader in READERS}
_LISTS: Final = ("conversations", "items", "messages")  # one of them is all that a row has
_WRAPPED: Final = 4  # levels of lists and objects around one conversation


def reader_named(name: str) -> Reader | None:
    """Return the reader of a format of JSON; None where the name is of another kind."""
    return _BY_NAME.get(name)


def reader_of(value: object) -> Reader | None:
    """Return whose conversation a value is; None of nobody's that is known."""
    if not isinstance(value, dict) or is_empty(value):
        return None
    return next((reader for reader in READERS if reader.is_one(value)), None)


def is_empty(value: object) -> bool:
    """Tell whether a value is a wrapper of nothing, which has the form of a row without a turn."""
    return isinstance(value, dict) and any(value == {name: []} for name in _LISTS)


def are_one(raw: bytes, limits: Limits) -> bool:
    """Tell whether bytes are a conversation of any format, or begin one."""
    try:
        value, _ = decoded(raw, limits)
    except UndecodableError:
        return False
    return llama_cpp.is_first(value) or llm_json.is_row(value) or reader_of(value) is not None


def unwrapped(value: object) -> list[Any]:
    """Return the conversations in what stands where one should: itself, or those it is put around."""
    ahead, found = [(value, 0)], []
    while ahead:
        one, level = ahead.pop()
        inner: list[Any] = []
        if reader_of(one) is not None:
            found.append(one)
        elif isinstance(one, list) and level < _WRAPPED:
            inner = one
        elif isinstance(one, dict) and level < _WRAPPED:
            inner = [kept for kept in one.values() if isinstance(kept, dict)]
        ahead += [(below, level + 1) for below in reversed(inner)]
    return found
