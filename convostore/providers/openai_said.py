"""What a server says in an error, whatever form it gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from convostore.providers.keys import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convostore.providers.keys import Key

SHOWN_CHARS = 200  # of the server's own words, in a one-line message


class Said(NamedTuple):
    """What a server says in an error.

    Attributes:
        message: in its own words, unshortened; empty where it says nothing that can be read.
        words: its codes and kinds, as text: context_length_exceeded, invalid_request_error.
        status: the HTTP status that it names inside, if any.
        is_object: it came as JSON, as servers of this protocol send it.
        reasons: why its moderation refuses, if that is it.
    """

    message: str = ""
    words: tuple[str, ...] = ()
    status: int | None = None
    is_object: bool = False
    reasons: bool = False

    def shown(self, key: Key | None) -> str:
        """Return its words on one line, short enough, and without the key."""
        return redacted(self.message, key)[:SHOWN_CHARS] or "it gives no reason"


def said_in(body: bytes) -> Said:
    """Read the body of an error: JSON in any of its forms, text, or a page."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[: SHOWN_CHARS * 8].decode("utf-8", "replace").strip()
        return Said("" if text.startswith("<") else text)
    return said(value)


def said(value: Any) -> Said:
    """Read an error that is JSON.

    Source: the errors of OpenAI, llama.cpp, Ollama, vLLM, OpenRouter and FastAPI as their servers
    send them: an object in `error`, a text there, `detail`, or all of it at the top.
    """
    if isinstance(value, list) and value:  # a gateway wraps it once more
        value = value[0]
    if isinstance(value, str):
        return Said(value, is_object=True)
    if not isinstance(value, dict):
        return Said(is_object=True)
    inner = value.get("error")
    if isinstance(inner, dict):
        value = inner
    elif isinstance(inner, str) and inner:
        value = {**value, "message": inner}
    return _of_object(value)


def _of_object(value: dict[str, Any]) -> Said:
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    message = value.get("message") or _details(value.get("detail"))
    raw = metadata.get("raw")  # what the server behind a router said
    if isinstance(raw, str) and raw:
        message = f"{message}: {raw}" if message else raw
    code = value.get("code")
    words = [value.get(name) for name in ("code", "type")]
    return Said(
        message=message if isinstance(message, str) else "",
        words=tuple(word for word in words if isinstance(word, str)),
        status=_status(code) or _status(value.get("status")),
        is_object=True,
        reasons=bool(metadata.get("reasons")),
    )


def _details(detail: object) -> str:
    """Return the words of FastAPI's `detail`: a text, or what is wrong with which field."""
    if isinstance(detail, str):
        return detail
    found: Iterable[Any] = detail if isinstance(detail, list) else ()
    parts = []
    for one in found:
        if isinstance(one, dict) and isinstance(one.get("msg"), str):
            at = one.get("loc")
            where = ".".join(map(str, at)) if isinstance(at, list) else ""
            parts.append(f"{where}: {one['msg']}" if where else one["msg"])
    return "; ".join(parts)


def _status(code: object) -> int | None:
    """Return a code that is an HTTP status of an error, given as a number or as its digits."""
    if isinstance(code, str) and len(code) == 3 and code.isdecimal():  # noqa: PLR2004 - digits of a status
        code = int(code)
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:  # noqa: PLR2004 - statuses of errors
        return code
    return None
