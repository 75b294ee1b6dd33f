"""What the models behind a Playground server say: steps, and the scripts known by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from convostore.testing.steps import Gate, Pause, Silence, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.testing.playground_models import Dialect
    from convostore.testing.playground_threads import KeptMessage

_QUOTED_CHARACTERS = 40  # of each message that the recall model repeats
_PIECE_CHARACTERS = 12
_TOO_LARGE = (
    "the conversation is too large for the model to process, please shorten the conversation "
    "and try again"
)
_FIRST_TOKEN_S = 5.0  # Source: olmo-api of February 2025
_FIRST_TOKEN_MID_S = 15.0  # Source: olmo-api of May 2025


@dataclass(frozen=True, slots=True)
class Think:
    """Stream a piece of reasoning; only the newest dialect can."""

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call a tool; without a name the first one the request defined.

    Attributes:
        name: a name that nothing defines is answered with an error object.
        pieces: of the arguments' JSON, as they arrive.
        id: of the call.
    """

    name: str | None = None
    pieces: tuple[str, ...] = ('{"upper', '_bound": 10}')
    id: str = "call_1"


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """Let the server's tool answer, and go on in a new reply; ends here for a client's tool."""

    content: str


@dataclass(frozen=True, slots=True)
class ErrorObject:
    """Report an error inside the stream.

    The older dialects end with a final object as always; the newest one breaks the body.

    Attributes:
        reason: the word.
        error: the long text.
        finish_reason: what the final object says of it.
    """

    reason: str
    error: str = ""
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Break the body without its end.

    Attributes:
        server_finishes: True when only the connection broke: the server plays the rest of the
            script for itself and keeps the whole reply. False when the server lost the turn.
    """

    server_finishes: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Put these bytes into the body, whatever they are."""

    data: bytes


ReplyStep: TypeAlias = (
    str | Think | CallTool | ToolAnswer | ErrorObject | Cut | Raw | Gate | Wait | Pause | Silence
)


def default_reply(
    prompt: Sequence[KeptMessage], *, host: str, dialect: Dialect
) -> tuple[ReplyStep, ...]:
    """Return what the model says when the test wrote no script.

    `script=NAME` in the user's text chooses one of the known scripts. Otherwise the model says
    what it was sent, so that a test can prove which messages the server carried.
    """
    asked = prompt[-1]
    if asked.role == "tool_call_result":
        return ("The tool said something.",)
    if dialect == "threads" and host == "inferd":
        error = "Unknown Error Unsupported model host: inferd"
        return (ErrorObject("Unknown error", error),)
    if host == "test_backend":
        return ("success ", "(no ", "tool ", "calls)")
    named = re.search(r"script=(\w+)", asked.content)
    if named:
        return named_reply(named[1], asked.content, dialect=dialect)
    if dialect != "threads" and host != "inferd":
        return ("modal ", "answer ", f"to {len(prompt)} messages")
    return recall(prompt)


def recall(prompt: Sequence[KeptMessage]) -> tuple[str, ...]:
    """Say what was sent, 40 characters of each message, in pieces of 12."""
    said = "; ".join(f"{m.role}={m.content[:_QUOTED_CHARACTERS]!r}" for m in prompt)
    text = f"I was sent {len(prompt)} message(s): {said}"
    return tuple(text[at : at + _PIECE_CHARACTERS] for at in range(0, len(text), _PIECE_CHARACTERS))


def named_reply(name: str, content: str, *, dialect: Dialect) -> tuple[ReplyStep, ...]:
    """Return the script of that name, as the model of that dialect plays it."""
    if name == "echo":
        return (content,)
    scripts = _COMMON | (_NEWER if dialect == "threads" else _OLDER)
    if dialect == "mid":
        scripts |= _MID
    return scripts.get(name, (f"unknown script {name}",))


_OVERLOADED = ErrorObject("model overloaded", "model overloaded", "model overloaded")
_COMMON: dict[str, tuple[ReplyStep, ...]] = {
    "short": ("ok",),
    "empty": (),
    "long": ("y" * 50_000, "y" * 50_000),
    "chunkyfinish": ("one", " two", " three"),
    "whitespace": (
        *("def f(x):", "\n", "    ", "return", " ", "x"),
        *("\n\n", "print(f(1))", "\n"),
    ),
    "hang": (*(step for n in range(100) for step in (f"tick{n} ", Pause(0.3))), Silence()),
    "silence": (Silence(),),
}
_OLDER: dict[str, tuple[ReplyStep, ...]] = {
    "length": ("cut", " off", " he", "", ErrorObject("length", _TOO_LARGE, "length")),
    "aborted": (
        *("cut", " off", " he", ""),
        ErrorObject("aborted", "inference aborted for an unknown reason", "aborted"),
    ),
    "midbreak": (
        *("This starts", " well but"),
        ErrorObject("grpc inference failed", "inference failed: worker died"),
    ),
    "grpc_error_first": (ErrorObject("grpc inference failed", "inference failed: no workers"),),
    "slow": (Pause(_FIRST_TOKEN_S), _OVERLOADED),
    "boom": ("before the crash", Cut()),
}
_MID: dict[str, tuple[ReplyStep, ...]] = {
    "slow": (Pause(_FIRST_TOKEN_MID_S), _OVERLOADED),
    "boom": (
        "before the crash",
        ErrorObject("general exception", "'float' object is not iterable", "unknown"),
    ),
    "grpc_error_first": (
        ErrorObject("grpc inference failed", "inference failed: no workers", "bad connection"),
    ),
}
_NEWER: dict[str, tuple[ReplyStep, ...]] = {
    "length": ("cut", " off", " he"),
    "midbreak": ("This starts", " well but"),
    "slow": (Pause(8.0), "finally"),
    "boom": ("before the crash", ErrorObject("Unknown error", "Unknown Error boom")),
    "http_error": (
        ErrorObject(
            "Model http error",
            "http error: status_code: 500, model_name: llm, body: "
            "{'message': 'backend exploded', 'type': 'server_error'}",
        ),
    ),
    "ctx_error": (ErrorObject("length", _TOO_LARGE),),
    "thinking": (
        *(Think("Let me "), Think("think"), Think("\n"), Think("about it.")),
        *("The answer", " ", "is 42."),
    ),
    "toolcall": (
        "Let me call it.",
        CallTool(),
        ToolAnswer("create_random_number() got an unexpected keyword argument 'upper_bound'"),
        "The tool said something.",
    ),
    "badtool": ("Let me call it.", CallTool(name="no_such_tool")),
}
