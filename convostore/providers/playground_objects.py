"""What the Playground's server says, as typed objects: stream lines, messages, error bodies.

Only the fields that are read are named; msgspec skips the others, whatever they hold.
Messages come in snake_case and nested (dialect `stream`), or in camelCase and flat (dialect
`threads`); one class reads both.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import field

if TYPE_CHECKING:
    from collections.abc import Iterable

Dialect: TypeAlias = Literal["threads", "stream"]

LINE_TYPES = frozenset({"start", "end", "modelResponse", "thinking", "toolCall", "error"})


class RemoteToolCall(msgspec.Struct, frozen=True):
    """A tool call that a message carries."""

    id: str = field(name="toolCallId", default="")
    name: str = field(name="toolName", default="")


class RemoteMessage(msgspec.Struct, frozen=True):
    """A message as the server keeps it.

    Attributes:
        children: messages in dialect `stream`, their ids in dialect `threads`.
    """

    id: str
    role: str
    content: str | None = ""
    final: bool = False
    parent: str | None = None
    root: str | None = None
    thinking: str | None = None
    children: list[RemoteMessage | str] | None = None
    tool_calls: list[RemoteToolCall] | None = field(name="toolCalls", default=None)
    _model: str | None = field(name="model_id", default=None)
    _model_camel: str | None = field(name="modelId", default=None)
    _finish_reason: str | None = field(name="finish_reason", default=None)
    _finish_reason_camel: str | None = field(name="finishReason", default=None)
    _expiration: str | None = field(name="expiration_time", default=None)
    _expiration_camel: str | None = field(name="expirationTime", default=None)

    def __repr__(self) -> str:
        """Show neither id nor text: both are secrets of the conversation."""
        return f"<RemoteMessage of {self.role}, final {self.final}>"

    @property
    def text(self) -> str:
        """The content; empty where the server says null."""
        return self.content or ""

    @property
    def model(self) -> str | None:
        """The model that answered, or was asked."""
        return self._model or self._model_camel

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, where the server says so."""
        return self._finish_reason or self._finish_reason_camel

    @property
    def expires_at_ms(self) -> int | None:
        """When the server forgets this message; None is never or unreadable."""
        stamp = self._expiration or self._expiration_camel
        if not stamp:
            return None
        try:
            moment = dt.datetime.fromisoformat(stamp)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        return int(moment.timestamp() * 1000)

    def flat(self) -> list[RemoteMessage]:
        """Return this message and all nested below it, parents before children."""
        found: list[RemoteMessage] = []
        open_ends = [self]
        while open_ends:
            message = open_ends.pop()
            found.append(message)
            open_ends += [c for c in reversed(message.children or ()) if not isinstance(c, str)]
        return found


class RemoteMessages(msgspec.Struct, frozen=True):
    """A flat list of messages, in order (dialect `threads`)."""

    messages: list[RemoteMessage]


class Line(msgspec.Struct, frozen=True):
    """A line of the stream that is no message: a chunk, an error, a mark.

    Attributes:
        message: the id of the message it belongs to; a start or end mark names the root.
    """

    type: str | None = None
    message: str | None = None
    content: str | None = None
    id: str | None = None
    role: str | None = None
    error: str | None = None
    reason: str | None = None
    error_code: str | None = field(name="errorCode", default=None)
    error_description: str | None = field(name="errorDescription", default=None)
    tool_call_id: str | None = field(name="toolCallId", default=None)
    tool_name: str | None = field(name="toolName", default=None)
    args: Any = None


class ErrorField(msgspec.Struct, frozen=True):
    """One field that the server refused."""

    loc: list[str | int | None] | None = None
    msg: str | None = None


class ErrorDetail(msgspec.Struct, frozen=True):
    """What the server says of an error; what it echoes of the request is not read."""

    message: str | None = None
    validation_errors: list[ErrorField] | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an answer that is not 200."""

    error: ErrorDetail


StreamObject: TypeAlias = Line | RemoteMessage | RemoteMessages

IGNORED = Line(type="ignored")
_line = msgspec.json.Decoder(Line)
_message = msgspec.json.Decoder(RemoteMessage)
_messages = msgspec.json.Decoder(RemoteMessages)


def parse_line(line: bytes) -> StreamObject:
    """Decode one line of a stream; kinds of later versions become `IGNORED`.

    Raises:
        msgspec.DecodeError: not JSON, or not an object of this protocol.
    """
    try:
        found = _line.decode(line)
    except msgspec.ValidationError:
        if _is_unknown_kind(msgspec.json.decode(line)):
            return IGNORED
        raise
    if found.type is None:
        if found.id is not None:
            return (_messages if found.role is None else _message).decode(line)
    elif found.type not in LINE_TYPES:
        return IGNORED
    return found


def parse_thread(body: bytes, dialect: Dialect) -> list[RemoteMessage]:
    """Decode the answer to a read of a message and everything below it.

    Raises:
        msgspec.DecodeError: not JSON, or not an object of this protocol.
    """
    if dialect == "threads":
        return _messages.decode(body).messages
    return _message.decode(body).flat()


def reply_chain(messages: Iterable[RemoteMessage], user_id: str) -> list[RemoteMessage]:
    """Return what follows a user message up to the next one: assistants and tool results."""
    below: dict[str | None, RemoteMessage] = {
        message.parent: message for message in messages if message.role != "user"
    }
    chain: list[RemoteMessage] = []
    next_one = below.pop(user_id, None)
    while next_one is not None:
        chain.append(next_one)
        next_one = below.pop(next_one.id, None)
    return chain


def _is_unknown_kind(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    kind = value.get("type")
    return isinstance(kind, str) and kind not in LINE_TYPES
