"""The view: what one model call is sent, and how that differs from the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from convostore.errors import ContextLengthError
from convostore.overlay import Summary
from convostore.providers.provider import ChatMessage
from convostore.views.asked import Asked
from convostore.views.telling import Teller, joined
from convostore.views.tokens import Counter
from convostore.views.window import WHOLE, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.records import Message

LEAD: Final = "(A summary of what was said before in this conversation:)\n"


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The messages for one model call, and how they differ from the record.

    Attributes:
        messages: oldest first; see `ChatMessage`.
        question: the last message as it is told, never a model's own, without those that were joined to it.
        tokens: how many it has, about; None where nobody wanted to know.
        dropped_turns: turns that the window leaves out, the oldest ones.
        summary: what is told in place of the messages up to its `message_seq`; else None.
        left_out: messages of which nothing is told: they have neither text nor attachments, or
            are of a tool, and the provider takes no tools.
        joined: messages that were joined to the one before, for having the same role.
        calls_mended: tool calls that are not told as they were made: they got a result, having
            none, an id or readable arguments, or are left out, having broken off.
        results_left_out: tools' results that no call is there for.
        foreign_left_out: reasoning and opaque parts that another provider or model made.
        goes_on: the far side keeps this conversation itself and is sent the question alone: what
            it knows is what it keeps, whatever *messages* has; it gets those only if it forgot.
    """

    messages: tuple[ChatMessage, ...]
    question: str = ""
    tokens: int | None = None
    dropped_turns: int = 0
    summary: Summary | None = None
    left_out: int = 0
    joined: int = 0
    calls_mended: int = 0
    results_left_out: int = 0
    foreign_left_out: int = 0
    goes_on: bool = False

    def __repr__(self) -> str:
        """Show the size and the report, and no text."""
        return f"<View of {len(self.messages)} messages: {'; '.join(self.remarks) or 'all'}>"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was left out or mended, for people, a line each."""
        told = []
        if self.summary is not None:
            told.append(f"a summary stands for the messages up to {self.summary.message_seq}")
        for count, what in (
            (self.dropped_turns, "turns left out, the oldest ones"),
            (self.left_out, "messages without text left out"),
            (self.joined, "messages joined to the one before"),
            (self.calls_mended, "tool calls mended"),
            (self.results_left_out, "tools' results left out: nobody called"),
            (self.foreign_left_out, "parts of another model left out"),
        ):
            if count:
                told.append(f"{count} {what}")
        if self.goes_on:
            told.append("the far side goes on from what it keeps itself")
        return tuple(told)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the past besides the messages, and how much of it is wanted.

    Attributes:
        counter: counts tokens; needed where the window has a limit of them.
        beside_tokens: what goes along with the messages: descriptions of tools.
        summary: stands for the messages up to its own, which is one of those given.
        skipped_turns: turns that were not even read, for they are outside of the window.
    """

    window: Window = WHOLE
    counter: Counter | None = None
    beside_tokens: int = 0
    summary: Summary | None = None
    skipped_turns: int = 0


_ANYBODY: Final = Asked()
ALL: Final = Sight()


def view(path: Sequence[Message], asked: Asked = _ANYBODY, sight: Sight = ALL) -> View:
    """Choose and mend the messages of *path*: chat templates want text and alternating roles.

    Replies without text and attachments are left out; neighbours of one role are joined by a blank
    line. The last turn is what is asked now: it is always told whole, and so is the system text.

    Args:
        path: the messages, oldest first.
        asked: who is asked, and what they take.
        sight: how much of it is wanted.

    Raises:
        ContextLengthError: system text and last turn alone are larger than the window.
    """
    teller = Teller(asked, (one.author for one in path if one.role == "user"))
    pinned = leading_system(path)
    *earlier, last = turns(path[pinned:]) or [[]]
    room = _Room(sight)
    kept = [teller.last_turn(last, earlier)]  # the newest first
    fixed = [teller.turn(path[:pinned])]
    if not room.takes([*fixed[0], *kept[0]]):
        raise _too_long(asked, room)
    summary = sight.summary
    if summary is not None:
        earlier = [turn for turn in earlier if turn[-1].seq > summary.message_seq]
        fixed.append([_told(summary)])
        if not room.takes(fixed[1]):
            summary, _ = None, fixed.pop()
    for turn in reversed(_newest(earlier, sight.window.turns)):
        said = teller.turn(turn)
        if not room.takes(said):
            break
        kept.append(said)
    messages, count = joined(one for said in (*fixed, *reversed(kept)) for one in said)
    return View(
        messages=tuple(messages),
        question=next((one.text for one in reversed(kept[0]) if one.role != "assistant"), ""),
        tokens=None if sight.counter is None else room.tokens,
        dropped_turns=len(earlier) + 1 - len(kept) + sight.skipped_turns,
        summary=summary,
        left_out=teller.left_out,
        joined=count,
        calls_mended=teller.calls_mended,
        results_left_out=teller.results_left_out,
        foreign_left_out=teller.foreign,
    )


class Weighed(NamedTuple):
    """How many tokens are told of each turn.

    Attributes:
        turns: those that no summary stands for, oldest first.
        sizes: their tokens.
        fixed: the tokens of what is told in any case: system text and summary.
    """

    turns: list[list[Message]]
    sizes: list[int]
    fixed: int


def weighed(
    path: Sequence[Message], asked: Asked, counter: Counter, summary: Summary | None = None
) -> Weighed:
    """Return how large each turn of *path* is in a view that tells all of them.

    Args:
        path: the messages, oldest first.
        asked: who is asked, and what they take.
        counter: counts tokens.
        summary: stands for the messages up to its own.
    """
    count = counter.all
    teller = Teller(asked, (one.author for one in path if one.role == "user"))
    pinned = leading_system(path)
    since = 0 if summary is None else summary.message_seq
    later = [turn for turn in turns(path[pinned:]) if turn[-1].seq > since]
    sizes = [count(teller.turn(turn)) for turn in reversed(later)]
    fixed = count(teller.turn(path[:pinned]))
    if summary is not None:
        fixed += count([_told(summary)])
    return Weighed(later, sizes[::-1], fixed)


class _Room:
    """The tokens that a view may have, and those that are taken.

    Attributes:
        tokens: those that are taken; what was refused last is in `refused`.
    """

    def __init__(self, sight: Sight) -> None:
        self._counter, self.limit = sight.counter, sight.window.tokens
        self.tokens, self.refused = sight.beside_tokens, 0

    def takes(self, told: list[ChatMessage]) -> bool:
        """Take messages in, all of them or none; tell whether there was room."""
        if self._counter is None:
            return True
        tokens = self._counter.all(told)
        if self.limit is not None and self.tokens + tokens > self.limit:
            self.refused = tokens
            return False
        self.tokens += tokens
        return True


def _told(summary: Summary) -> ChatMessage:
    return ChatMessage("user", LEAD + summary.text)


def turns(path: Iterable[Message]) -> list[list[Message]]:
    """Return *path* in turns: each begins with a user's message, the first perhaps without one."""
    found: list[list[Message]] = []
    for one in path:
        if one.role == "user" or not found:
            found.append([])
        found[-1].append(one)
    return found


def leading_system(path: Sequence[Message]) -> int:
    """Return how many system messages *path* begins with."""
    return next((at for at, one in enumerate(path) if one.role != "system"), len(path))


def _newest(earlier: list[list[Message]], most: int | None) -> list[list[Message]]:
    return earlier if most is None else earlier[max(0, len(earlier) - most) :]


def _too_long(asked: Asked, room: _Room) -> ContextLengthError:
    return ContextLengthError(
        f"the question and the system text have about {room.tokens + room.refused:,} tokens, "
        f"and the window {room.limit:,}",
        provider=asked.provider,
        hint="ask something shorter, or with a larger Window(tokens=...)",
    )
