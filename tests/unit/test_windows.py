"""How much of a path is told: turns, tokens, what is always told, and what the report says."""

from __future__ import annotations

from typing import Any

import pytest

from convostore import Message, Window
from convostore.errors import ContextLengthError
from convostore.overlay import Summary
from convostore.parts import AttachmentPart, ToolCallPart, ToolResultPart
from convostore.views.asked import Asked
from convostore.views.tokens import ATTACHED_TOKENS, Counter, estimate_tokens
from convostore.views.viewing import Sight, View, view

TALK = (
    Message.system("Be brief."),
    *(
        one
        for number in range(1, 5)
        for one in (
            Message(role="user", text=f"question {number}", seq=number * 2),
            Message(role="assistant", text=f"answer {number}", seq=number * 2 + 1),
        )
    ),
    Message.user("new question"),
)
TOOLS = Asked(provider="far", tools=True)


def through(window: Window, path: tuple[Message, ...] = TALK, **more: object) -> View:
    """Look at a path through a window; a text has as many tokens as words."""
    counter = Counter(lambda text: len(text.split()), {})
    return view(path, TOOLS, Sight(window=window, counter=counter, **more))  # type: ignore[arg-type]  # of Sight


def texts(seen: View) -> list[str]:
    """Return what is told."""
    return [one.text for one in seen.messages]


@pytest.mark.parametrize(
    ("turns", "told"), [(0, []), (1, ["4"]), (2, ["3", "4"]), (99, list("1234"))]
)
def test_window_of_turns_tells_the_newest_ones(turns: int, told: list[str]) -> None:
    """The system text and the new question are told besides, and the rest is counted."""
    seen = through(Window(turns=turns))
    expected = [f"{what} {number}" for number in told for what in ("question", "answer")]
    assert texts(seen) == ["Be brief.", *expected, "new question"]
    assert seen.dropped_turns == 4 - len(told)


def test_window_of_tokens_tells_whole_turns_that_fit() -> None:
    """Each message has its words and four tokens more; a turn is told whole or not at all."""
    seen = through(Window(tokens=12 + 2 * 12 + 11))
    assert texts(seen) == [
        "Be brief.",
        *("question 3", "answer 3", "question 4", "answer 4"),
        "new question",
    ]
    assert (seen.tokens, seen.dropped_turns) == (12 + 2 * 12, 2)


def test_turn_that_does_not_fit_hides_those_before_it() -> None:
    """What is told is the end of the conversation, without a gap."""
    path = (
        Message.user("small"),
        Message.assistant("large " * 50),
        Message.user("small"),
        Message.user("new question"),
    )
    seen = through(Window(tokens=40), (Message.user("tiny"), *path))
    assert (texts(seen), seen.dropped_turns) == (["small\n\nnew question"], 2)


def test_both_limits_hold_at_once() -> None:
    """Whichever is reached first."""
    assert through(Window(turns=1, tokens=10_000)).dropped_turns == 3
    assert through(Window(turns=4, tokens=24)).dropped_turns == 3


def test_question_that_does_not_fit_alone_is_refused() -> None:
    """The error says what it takes, and what there is."""
    with pytest.raises(ContextLengthError, match="about 12 tokens, and the window 11") as caught:
        through(Window(tokens=11))
    assert "Window(tokens=...)" in caught.value.hint


def test_calls_go_with_their_results_or_not_at_all() -> None:
    """A result that came in a later turn is left out with the turn of its call."""
    path = (
        Message.user("look"),
        Message.assistant("", parts=(ToolCallPart("a", "look", "{}"),)),
        Message.user("and?"),
        Message(role="tool", text="", parts=(ToolResultPart("a", "look", "a cat"),)),
        Message.assistant("It is a cat."),
        Message.user("Thanks"),
    )
    seen = through(Window(turns=1), path)
    assert texts(seen) == ["and?", "It is a cat.", "Thanks"]
    assert (seen.dropped_turns, seen.results_left_out) == (1, 1)


def test_summary_stands_for_what_it_sums_up() -> None:
    """It is told before the turns that follow it; the system text stays where it is."""
    summary = Summary(message_seq=5, text="They talked.")
    seen = through(Window(), summary=summary)
    assert texts(seen)[1].endswith("They talked.\n\nquestion 3")
    assert texts(seen)[2:] == ["answer 3", "question 4", "answer 4", "new question"]
    assert (seen.summary, seen.dropped_turns) == (summary, 0)


def test_summary_that_does_not_fit_is_left_out_first() -> None:
    """What is asked is more than what was said."""
    summary = Summary(message_seq=5, text="They talked " * 50)
    seen = through(Window(tokens=12 + 12), summary=summary)
    assert texts(seen) == ["Be brief.", "question 4", "answer 4", "new question"]
    assert (seen.summary, seen.dropped_turns) == (None, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"turns": -1}, {"turns": True}, {"tokens": 0}, {"tokens": "8k"}, {"compact_above": 1.5}],
)
def test_window_that_cannot_be_is_refused_at_once(wrong: dict[str, Any]) -> None:
    """Where it is made, and not in some later turn."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*: take a whole number"):
        Window(**wrong)
    with pytest.raises(ValueError, match="left out before it is summed up"):
        Window(tokens=5, compact_above=6)


def test_report_is_told_in_lines_and_shows_no_text() -> None:
    """A person can read it in a log."""
    seen = through(Window(turns=1))
    assert seen.remarks == ("3 turns left out, the oldest ones",)
    assert repr(seen) == "<View of 4 messages: 3 turns left out, the oldest ones>"


@pytest.mark.parametrize(
    ("text", "real"),  # what o200k has
    [
        ("They walk slowly, so we would rather see two places a day than five. ", 15),
        ("Они ходят медленно, поэтому лучше посмотреть два места в день, чем пять. ", 17),
        ("我们想在秋天和父母一起去京都旅行,他们都已经七十多岁了,走路比较慢。", 21),
        ("def view(path: Sequence[Message], asked: Asked = ANY) -> View:\n", 16),
        ("2026-11-29 17:05:05.123 INFO 10293847 192.168.0.12:8080\n", 35),
    ],
)
def test_estimate_is_rather_too_high_than_too_low(text: str, real: int) -> None:
    """In each script, and for code and numbers; a quarter of the characters is far off for many."""
    assert 0.9 * real <= estimate_tokens(text) <= 2 * real + 2


def test_nothing_has_no_tokens_and_half_characters_have_some() -> None:
    """Whatever a text holds can be counted."""
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud800") == 1


def test_replies_count_as_their_provider_counted_them() -> None:
    """Unless that cannot be, as where the reasoning was counted in."""
    reply = view((Message.assistant("a b c d e f"),)).messages[0]

    def counted(tokens: int) -> int:
        return Counter(lambda text: len(text.split()), {"a b c d e f": tokens}).one(reply) - 4

    assert [counted(tokens) for tokens in (2, 9, 18, 1, 19)] == [2, 9, 18, 6, 6]


def test_everything_that_is_told_is_counted() -> None:
    """Calls, thoughts and attachments as well as text."""
    files = (AttachmentPart("0" * 64, 300, "text/plain"), AttachmentPart("1" * 64, 9, "image/png"))
    path = (
        Message.user("see", attachments=files),
        Message.assistant("", parts=(ToolCallPart("a", "look", '{"at": "it"}'),)),
    )
    seen = through(Window(), path)
    assert seen.tokens == (4 + 1 + 240 + ATTACHED_TOKENS) + (4 + 8 + 1 + 2) + (4 + 7)


@pytest.mark.parametrize("kind", ["text/csv", "application/json", "application/xml"])
def test_attached_text_is_counted_as_what_is_sent_of_it(kind: str) -> None:
    """Also where it is numbers and signs alone."""
    text = '{"id": 12345, "v": 3.14159},' * 1000
    said = Message.user("", attachments=(AttachmentPart("0" * 64, len(text), kind),))
    counted = Counter(estimate_tokens, {}).one(view((said,), Asked(attachments=True)).messages[0])
    assert counted >= estimate_tokens(text)
