"""What a conversation shows of a LangChain message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convostore.ids import new_id
from convostore.parts import OpaquePart, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import Usage
from convostore.storage.canonical import encode_parts
from convostore.storage.checkpoint_items import Shown, as_json
from convostore.storage.exchanges import NewMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.parts import Part

_ROLES: Final = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_THOUGHTS: Final = ("reasoning", "thinking", "text")  # where kinds of models put the words
_MOST_INT: Final = 2**63 - 1


def shown(message: dict[str, Any], kind: str) -> Shown:
    """Return what a conversation shows of a message.

    Args:
        message: its fields, as plain values.
        kind: human, ai, system, tool ... or the role that a message for any role names.
    """
    role = _ROLES.get(kind, "user")
    parts = tuple(_parts(message, role))
    text, shape = encode_parts(parts)
    about = message.get("response_metadata") or {}
    new = NewMessage(
        id=new_id(),
        role=role,
        text=text,
        shape=shape,
        author=_text(message.get("name")) if role == "user" else None,
        provider=_text(about.get("model_provider")),
        model=_text(about.get("model_name") or about.get("model")),
        finish_reason=_text(about.get("finish_reason") or about.get("stop_reason")),
        source_id=_text(message.get("id")),
    )
    return Shown(new, _used(message.get("usage_metadata")))


def _used(told: Any) -> Usage | None:
    """Return what LangChain tells of a call's tokens; what it does not tell is None."""
    if not isinstance(told, dict):
        return None
    into, out = (told.get(f"{way}_token_details") or {} for way in ("input", "output"))
    return Usage(
        input_tokens=_count(told.get("input_tokens")),
        output_tokens=_count(told.get("output_tokens")),
        cached_tokens=_count(into.get("cache_read")),
        reasoning_tokens=_count(out.get("reasoning")),
    )


def _count(told: Any) -> int | None:
    return told if isinstance(told, int) and 0 <= told <= _MOST_INT else None


def _parts(message: dict[str, Any], role: str) -> Iterator[Part]:
    content = message.get("content") or ""
    if role == "tool":
        said = content if isinstance(content, str) else _joined(content)
        call, name = message.get("tool_call_id"), message.get("name")
        yield ToolResultPart(_text(call) or "", _text(name) or "", _fit(said))
        return
    thought = (message.get("additional_kwargs") or {}).get("reasoning_content")
    if isinstance(thought, str) and thought:
        yield ReasoningPart(_fit(thought))
    for block in [content] if isinstance(content, str) else content:
        yield from _block(block)
    calls = [*(message.get("tool_calls") or ()), *(message.get("invalid_tool_calls") or ())]
    for at, call in enumerate(calls):
        args = call.get("args")
        yield ToolCallPart(
            _text(call.get("id")) or f"{message.get('id')}-{at}",
            _text(call.get("name")) or "",
            _fit(args if isinstance(args, str) else as_json(args)),
        )


def _block(block: Any) -> Iterator[Part]:
    if isinstance(block, str):
        if block:
            yield TextPart(_fit(block))
        return
    kind = str(block.get("type") or "block") if isinstance(block, dict) else "block"
    if kind in _TEXTS and isinstance(block.get("text"), str):
        if block["text"]:
            yield TextPart(_fit(block["text"]))
    elif kind in {"reasoning", "thinking"}:
        words = next((block[one] for one in _THOUGHTS if isinstance(block.get(one), str)), "")
        if words:
            yield ReasoningPart(_fit(words))
    elif kind not in {"tool_use", "tool_call", "function_call"}:  # they are among the calls
        yield OpaquePart(_fit(kind), _plain(block))


def _joined(content: Any) -> str:
    blocks = content if isinstance(content, list) else [content]
    texts = [one.get("text") if isinstance(one, dict) else one for one in blocks]
    said = [one for one in texts if isinstance(one, str)]
    return "".join(said) if len(said) == len(texts) else as_json(content)


def _plain(value: Any) -> Any:
    """Return a JSON value as every engine can store it."""
    if isinstance(value, str):
        return _fit(value)
    if isinstance(value, dict):
        return {_fit(str(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, int) and abs(value) > _MOST_INT:
        return str(value)
    return value


def _text(value: Any) -> str | None:
    return _fit(value) if isinstance(value, str) and value else None


def _fit(text: str) -> str:
    """Return *text* with U+FFFD for what no engine can store."""
    if "\x00" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return "".join(
        "\ufffd" if one == "\x00" or "\ud800" <= one <= "\udfff" else one for one in text
    )
