"""Earlier turns as text: how a new remote thread is told what was said before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.providers.provider import ChatMessage

CONTEXT_CHARS = 24_000  # of the transcript, unless told otherwise
LEAD = (
    "The earlier turns of this conversation follow as JSON lines, oldest first; "
    "the new message stands after the empty line."
)


class FirstContent(msgspec.Struct, frozen=True):
    """The first content of a new remote thread.

    Attributes:
        text: what is sent.
        rehydrated: True when there were earlier turns.
        dropped_turns: how many of the oldest did not fit.
    """

    text: str
    rehydrated: bool = False
    dropped_turns: int = 0


def first_content(
    messages: Sequence[ChatMessage], *, context_chars: int, limit_bytes: int
) -> FirstContent:
    """Render a whole view as one text: the system text, the transcript, the new text.

    JSON keeps each earlier message on a line of its own, so no text can forge a role.

    Args:
        messages: the view; the last one is the new text.
        context_chars: the most characters of the transcript.
        limit_bytes: the most bytes of the whole; the system text and the new text alone must fit.
    """
    *earlier, new = messages
    head = ""
    if earlier and earlier[0].role == "system":
        head = f"{earlier.pop(0).text}\n"
    if not earlier:
        return FirstContent(head + new.text)
    turns = [_rendered(turn) for turn in _turns(earlier)]
    frame = f"{head}{LEAD}\n\n{new.text}"
    kept = _newest(turns, chars=context_chars, bytes_left=limit_bytes - len(frame.encode()))
    dropped = len(turns) - len(kept)
    if not kept:
        return FirstContent(head + new.text, rehydrated=True, dropped_turns=dropped)
    return FirstContent(
        f"{head}{LEAD}\n{''.join(kept)}\n{new.text}", rehydrated=True, dropped_turns=dropped
    )


def _turns(messages: Iterable[ChatMessage]) -> list[list[ChatMessage]]:
    """Group messages so that each group begins with a user's message, if it has one."""
    turns: list[list[ChatMessage]] = []
    for message in messages:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def _rendered(turn: Iterable[ChatMessage]) -> str:
    return "".join(f"{msgspec.json.encode(_told(one)).decode()}\n" for one in turn)


def _told(message: ChatMessage) -> dict[str, str | list[str]]:
    told: dict[str, str | list[str]] = {"role": message.role, "content": message.text}
    if message.attachments:  # their names alone: files go with a new message only
        told["attachments"] = [part.name or part.sha256[:12] for part in message.attachments]
    return told


def _newest(turns: Sequence[str], *, chars: int, bytes_left: int) -> list[str]:
    """Return the newest turns that fit both limits, in order; none before one that does not."""
    kept: list[str] = []
    for turn in reversed(turns):
        chars -= len(turn)
        bytes_left -= len(turn.encode())
        if chars < 0 or bytes_left < 0:
            break
        kept.append(turn)
    kept.reverse()
    return kept
