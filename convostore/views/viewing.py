"""The view: what one model call is sent, and how that differs from the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convostore.providers.provider import ChatMessage
from convostore.views.asked import Asked
from convostore.views.telling import Teller, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.records import Message


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The messages for one model call, and how they differ from the record.

    Attributes:
        messages: oldest first; see `ChatMessage`.
        question: the last message as it is told, without those that were joined to it.
        left_out: messages of which nothing is told: they have neither text nor attachments, or
            are of a tool, and the provider takes no tools.
        joined: messages that were joined to the one before, for having the same role.
        calls_mended: tool calls that are not told as they were made: they got a result, having
            none, an id or readable arguments, or are left out, having broken off.
        results_left_out: tools' results that no call is there for.
        foreign_left_out: reasoning and opaque parts that another provider or model made.
    """

    messages: tuple[ChatMessage, ...]
    question: str = ""
    left_out: int = 0
    joined: int = 0
    calls_mended: int = 0
    results_left_out: int = 0
    foreign_left_out: int = 0


_ANYBODY = Asked()


def view(path: Sequence[Message], asked: Asked = _ANYBODY) -> View:
    """Choose and mend the messages of *path*: chat templates want text and alternating roles.

    Replies without text and attachments are left out; neighbours of one role are joined by a blank line.

    Args:
        path: the messages, oldest first.
        asked: who is asked, and what they take.
    """
    teller = Teller(asked, (one.author for one in path if one.role == "user"))
    told = [teller.turn(turn) for turn in reversed(turns(path))]
    messages, count = joined(one for turn in reversed(told) for one in turn)
    return View(
        messages=tuple(messages),
        question=told[0][-1].text if told and told[0] else "",
        left_out=teller.left_out,
        joined=count,
        calls_mended=teller.calls_mended,
        results_left_out=teller.results_left_out,
        foreign_left_out=teller.foreign,
    )


def turns(path: Iterable[Message]) -> list[list[Message]]:
    """Return *path* in turns: each begins with a user's message, the first perhaps without one."""
    found: list[list[Message]] = []
    for one in path:
        if one.role == "user" or not found:
            found.append([])
        found[-1].append(one)
    return found
