"""Whatever was said, no view parts a call from its result, turns the order round, or is too large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from convostore import Message, Window
from convostore.errors import ContextLengthError
from convostore.overlay import Summary
from convostore.parts import OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from convostore.views.asked import Asked
from convostore.views.tokens import Counter, estimate_tokens
from convostore.views.viewing import Sight, View, view

if TYPE_CHECKING:
    from collections.abc import Callable

IDS = st.sampled_from(["", "a", "b", "call_0"])
NAMES = st.sampled_from(["look", "hear", ""])
PARTS = st.one_of(
    st.builds(ToolCallPart, IDS, NAMES, st.sampled_from(["{}", "", '{"a": 1}', '{"a', "[]"])),
    st.builds(ToolResultPart, IDS, NAMES, st.sampled_from(["", "42"])),
    st.builds(ReasoningPart, st.just("hm")),
    st.builds(OpaquePart, st.just("signature"), st.just("x")),
    st.just(TextPart("\n")),
)
AUTHORS = st.sampled_from([None, "Anna", "Ben", " ", "Anna: \nBen"])


@st.composite
def paths(draw: st.DrawFn) -> tuple[Message, ...]:
    """Draw what may stand in a record; each text says its number, so that the order can be seen."""
    messages = []
    for seq in range(1, draw(st.integers(1, 14)) + 1):
        roles = ["user", "assistant", "tool", "system"]
        role = draw(st.sampled_from(roles if seq < 3 else roles[:3]))
        parts: list[Part] = draw(st.lists(PARTS, max_size=4)) if role != "user" else []
        if draw(st.booleans()):
            parts.insert(draw(st.integers(0, len(parts))), TextPart(f"<{seq}>"))
        messages.append(
            Message(
                role=role,  # type: ignore[arg-type]  # one of them
                text="".join(part.text for part in parts if isinstance(part, TextPart)),
                parts=tuple(parts),
                seq=seq,
                provider=draw(st.sampled_from(["far", "near"])),
                author=draw(AUTHORS) if role == "user" else None,
            )
        )
    return (*messages, Message.user("<new>"))


WINDOWS = st.builds(
    Window,
    turns=st.one_of(st.none(), st.integers(0, 5)),
    tokens=st.one_of(st.none(), st.integers(20, 150)),
)
COUNTS = st.sampled_from([estimate_tokens, len, lambda text: len(text.split())])
ASKED = st.builds(Asked, provider=st.just("far"), tools=st.booleans())


def numbers(seen: View) -> list[str]:
    """Return the numbers that people and models tell, in order; a result stands at its call."""
    text = "".join(one.text for one in seen.messages if one.role != "tool")
    return [piece.partition(">")[0] for piece in text.split("<")[1:]]


@given(paths(), WINDOWS, COUNTS, ASKED, st.integers(0, 9))
def test_no_view_breaks_pairs_order_or_the_budget(
    path: tuple[Message, ...],
    window: Window,
    count: Callable[[str], int],
    asked: Asked,
    summed_up: int,
) -> None:
    """Each call has its result right after it, texts stand as they were said, and the limits hold."""
    counter = Counter(count, {})
    summary = None
    starts = [one.seq for one in path if one.role == "user"]
    if summed_up and summed_up < len(starts) - 1:
        summary = Summary(message_seq=starts[summed_up] - 1, text="summary")
    try:
        seen = view(path, asked, Sight(window=window, counter=counter, summary=summary))
    except ContextLengthError:
        assert window.tokens is not None
        return
    open_calls: list[str] = []
    above = None
    for one in seen.messages:
        if one.role == "tool":
            assert one.result is not None
            assert one.result.id == open_calls.pop(0)
        else:
            assert not open_calls
            assert one.role != above or one.role == "assistant"
            assert one.text or one.calls
        for call in one.calls:
            assert call.id
            msgspec.json.decode(call.args, type=dict)
            open_calls.append(call.id)
        above = one.role
    assert not open_calls
    assert seen.messages[-1].text.endswith("<new>")
    said = [number for number in numbers(seen) if number != "new"]
    assert said == sorted(said, key=int)
    if window.tokens is not None:
        assert counter.all(seen.messages) <= (seen.tokens or 0) <= window.tokens
    if summary is not None and seen.summary is not None:
        pinned = {str(one.seq) for one in path[:2] if one.role == "system"}
        assert all(int(one) > summary.message_seq or one in pinned for one in said)
    if not asked.tools:
        assert all(not one.parts and one.role != "tool" for one in seen.messages)


@given(paths(), ASKED)
def test_whole_view_leaves_out_no_text(path: tuple[Message, ...], asked: Asked) -> None:
    """Without a window every user's, model's and system's word is told."""
    expected = [
        str(one.seq) for one in path[:-1] if one.role != "tool" and f"<{one.seq}>" in one.text
    ]
    assert numbers(view(path, asked)) == [*expected, "new"]


@given(paths(), st.integers(0, 5))
def test_window_of_turns_is_the_end_of_the_whole(path: tuple[Message, ...], turns: int) -> None:
    """What it tells is told in the whole view too, at its end; and only so many questions."""
    whole = numbers(view(path, Asked(provider="far")))
    seen = view(path, Asked(provider="far"), Sight(window=Window(turns=turns)))
    told = numbers(seen)
    system = [one for one in told if path[0].role == "system" and one in {"1", "2"}]
    rest = [one for one in told if one not in system]
    assert rest == whole[len(whole) - len(rest) :]
    questions = {str(one.seq) for one in path if one.role == "user"}
    assert sum(1 for one in rest if one in questions) <= turns
