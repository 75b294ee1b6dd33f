"""How a model is told what was said: a turn of the record as messages of a view."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from convostore.parts import AttachmentPart, TextPart
from convostore.providers.provider import ChatMessage
from convostore.views.calls import Exchange, Step, results_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convostore.parts import Part, ToolResultPart
    from convostore.records import Message
    from convostore.views.asked import Asked
    from convostore.views.calls import Call

_BETWEEN: Final = "\n\n"  # stands between two messages that are joined


class Teller:
    """Tells turns, the newest first, for a tool may have answered long after it was called.

    Attributes:
        left_out: messages of which nothing was told.
        foreign: parts that were left out, for another provider or model made them.
        calls_mended: tool calls that got a result or an id, or were left out, having none.
        results_left_out: results whose call is not there; sure once all turns were told.
    """

    def __init__(self, asked: Asked, authors: Iterable[str | None]) -> None:
        several = {_name(author) if author else "" for author in set(authors)}
        self._names = _Names(several) if len(several) > 1 else None
        self._asked = asked
        self._waiting: list[ToolResultPart] = []
        self._late: dict[int, list[ToolResultPart]] = {}  # told last, by their message's identity
        self._moved: set[tuple[int, int]] = set()  # their calls
        self.left_out = self.foreign = self.calls_mended = 0

    @property
    def results_left_out(self) -> int:
        """How many results have no call in the turns told so far."""
        return len(self._waiting)

    def turn(self, turn: Sequence[Message]) -> list[ChatMessage]:
        """Return what is told of *turn*, which is the one before those that were told already."""
        if self._asked.tools and any(_is_more(one) for one in turn):
            return self._with_tools(turn)
        told: list[ChatMessage] = []
        for one in turn:
            is_text = len(one.parts) <= 1 and one.text  # as nearly always
            files = () if is_text else self._attached(one)
            if one.role == "tool" or not (one.text or files):
                self.left_out += 1
            else:
                text = one.text if self._names is None else self._named(one)
                told.append(ChatMessage(one.role, text, files, one.author))
        return told

    def last_turn(
        self, turn: Sequence[Message], earlier: Sequence[Sequence[Message]]
    ) -> list[ChatMessage]:
        """Return what is told of the newest turn: what is stored last is what a model answers.

        Results that came after other words of the model would stand above those, at their calls;
        then the calls are told with them, at the end.
        """
        told = self.turn(turn)
        if not told or told[-1].role != "assistant" or turn[-1].role != "tool":
            return told
        at = len(turn)
        while at and turn[at - 1].role == "tool":
            at -= 1
        self._late = {id(one): results_of(one) for one in turn[at:]}
        late = [one for results in self._late.values() for one in results]
        calls: list[Call] = []
        waiting: list[ToolResultPart] = []
        for each in (turn, *reversed(earlier)):
            exchange = Exchange()
            self._taken_in(exchange, each)
            waiting = exchange.answered_later(waiting)
            calls = [*exchange.answered_by(late), *calls]
            if len(calls) == len(late):
                break
        self._moved = {call.at for call in calls}
        self._late = {
            whose: [one for one in results if all(one is not call.result for call in calls)]
            for whose, results in self._late.items()
        }
        self.left_out = self.foreign = self.calls_mended = 0
        self._waiting = []
        told = self.turn(turn) + Step(calls).told(attachments=False)
        self.calls_mended += len(calls)
        return told

    def _taken_in(self, exchange: Exchange, turn: Sequence[Message]) -> list[list[Step] | Message]:
        said: list[list[Step] | Message] = []
        for message in turn:
            if message.role == "assistant":
                said.append(exchange.said(message, own=self._asked.made(message)))
                continue
            late = self._late.get(id(message))
            exchange.answered(results_of(message) if late is None else late)
            if message.role != "tool":
                said.append(message)
        return said

    def _with_tools(self, turn: Sequence[Message]) -> list[ChatMessage]:
        exchange = Exchange(self._moved)
        said = self._taken_in(exchange, turn)
        self._waiting = exchange.answered_later(self._waiting)
        told: list[ChatMessage] = []
        for one in said:
            if isinstance(one, list):
                files = self._asked.attachments
                new = [each for step in one for each in step.told(attachments=files)]
            else:
                new = self._plain(one)
            told += new
            self.left_out += not new
        self.calls_mended += exchange.mended
        self.foreign += exchange.foreign
        return told

    def _plain(self, one: Message) -> list[ChatMessage]:
        files = self._attached(one)
        if not (one.text or files):
            return []
        return [ChatMessage(one.role, self._named(one), files, one.author)]

    def _named(self, one: Message) -> str:
        if self._names is None or one.role != "user" or not one.text:
            return one.text
        return self._names.said(one.author, one.text)

    def _attached(self, one: Message) -> tuple[AttachmentPart, ...]:
        if not self._asked.attachments:
            return ()
        return tuple(part for part in one.parts if isinstance(part, AttachmentPart))


class _Names:
    """Says who said what, in a room with several people."""

    def __init__(self, authors: Iterable[str]) -> None:
        names = "|".join(re.escape(_folded(name)) for name in sorted(filter(None, authors)))
        self._others = re.compile(rf"[\W_]*(?:{names})[\W_]*:")

    def said(self, author: str | None, text: str) -> str:
        """Return *text* with its author's name before it; no line of it can pass for another's."""
        if ":" in (text if text.isascii() else _folded(text)):
            text = "".join(map(self._set_in, text.splitlines(keepends=True)))
        name = _name(author or "")
        return f"{name}: {text}" if name else text

    def _set_in(self, line: str) -> str:
        return f"  {line}" if self._others.match(_folded(line)) else line


def joined(told: Iterable[ChatMessage]) -> tuple[list[ChatMessage], int]:
    """Join neighbours of one role by a blank line: chat templates want alternating roles.

    Returns:
        The messages, and how many were joined to the one before.
    """
    chosen: list[ChatMessage] = []
    count = 0
    for one in told:
        above = chosen[-1] if chosen else None
        if (
            above is None
            or above.role != one.role
            or one.role == "tool"
            or (above.parts and above.calls)
        ):
            chosen.append(one)
        else:
            chosen[-1] = _both(above, one)
            count += 1
    return chosen, count


def _both(one: ChatMessage, two: ChatMessage) -> ChatMessage:
    between = _BETWEEN if one.text and two.text else ""
    parts: tuple[Part, ...] = ()
    if one.parts or two.parts:
        blank: tuple[Part, ...] = (TextPart(between),) if between else ()
        parts = _parts(one) + blank + _parts(two)
    return ChatMessage(
        one.role,
        one.text + between + two.text,
        one.attachments + two.attachments,
        one.author if one.author == two.author else None,
        parts,
    )


def _parts(one: ChatMessage) -> tuple[Part, ...]:
    return one.parts or ((TextPart(one.text),) if one.text else ())


def _is_more(one: Message) -> bool:
    """Tell whether a message may be more than text and attachments."""
    return one.role == "tool" or any(not isinstance(part, TextPart) for part in one.parts)


def _name(author: str) -> str:
    """Return a name as it stands before what is said: one line, and nothing that ends it."""
    return " ".join("".join(" " if _ends(one) else one for one in author).split())


def _ends(character: str) -> bool:
    return ":" in unicodedata.normalize("NFKC", character)


def _folded(text: str) -> str:
    """Return how a text looks, about: without what cannot be seen, in small and plain letters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return text.casefold()
