"""Excerpts: cut from the text as it was written, marked where it says what was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostore import excerpt as module
from convostore.excerpt import CUT, WIDTH, excerpt
from convostore.query import parse
from convostore.words import pieces, plain_runs

if TYPE_CHECKING:
    from collections.abc import Iterator


def marked(text: str, typed: str) -> list[str]:
    """Return what an excerpt marks."""
    line, marks, _ = excerpt(text, parse(typed, 0).terms)
    return [line[start:end] for start, end in marks]


@pytest.mark.parametrize(
    ("typed", "text", "expected"),
    [
        ("database", "Two Databases.", ["Databases"]),
        ("разговор база", "в разговорах о базе", ["разговорах", "базе"]),
        ("съемка", "СЪЁМКА", ["СЪЁМКА"]),
        ("cafe", "un CAFE\u0301 noir", ["CAFE\u0301"]),
        ("数据", "大数据库", ["数据"]),
        ("数据库", "大数据库", ["数据库"]),
        ("검색", "검색을 했다", ["검색"]),
        ("somefunction", "call someFunction()", ["someFunction"]),
        ("snake_case", "a snake_case name", ["snake_case"]),
        ("case", "a snake_case name", ["case"]),
        ("file.py", "open file.py", ["file.py"]),
        ("data*", "databases and datum", ["databases"]),
        ('"rail pass"', "rail passes, a pass by rail", ["rail passes"]),
        ("kyoto -tea", "tea in Kyoto", ["Kyoto"]),
        ("absent", "nothing here", []),
        ("ガス", "ｶﾞｽ", ["ｶﾞｽ"]),
    ],
)
def test_marks_stand_where_the_words_are(typed: str, text: str, expected: list[str]) -> None:
    """In every language the mark covers the word as it was written."""
    assert marked(text, typed) == expected


def test_excerpt_is_cut_between_words_around_the_place() -> None:
    """A long text shows its place in one short line, with signs that it was cut."""
    text = "before " * 200 + "the rail\n\n\tpass\n" + "after " * 200
    line, marks, found = excerpt(text, parse('"rail pass"', 0).terms)
    assert found
    assert [line[start:end] for start, end in marks] == ["rail pass"]
    assert line.startswith(f"{CUT}before")
    assert line.endswith(f"after{CUT}")
    assert len(line) <= WIDTH + 2
    assert "\n" not in line


def test_excerpt_shows_the_place_with_most_of_the_words() -> None:
    """Where two words stand together is worth more than where one of them comes first."""
    text = "rail " + "x " * 300 + "the rail pass is here"
    assert marked(text, "rail pass") == ["rail", "pass"]


def test_no_more_is_read_once_all_words_stand_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text with a common word costs no more than its beginning; rarer ones are gone for."""
    read: list[object] = []

    def counting(text: str, *start: int) -> Iterator[object]:
        for piece in plain_runs(text, *start) if start else pieces(text):
            read.append(piece)
            yield piece

    monkeypatch.setattr(module, "plain_runs", counting)
    text = "the rail " + "x " * 200 + "pass the rail " + "and on " * 1000
    assert marked(text, "the") == ["the"]
    assert len(read) < 100
    read.clear()
    assert marked("on " * 1000 + "to Databases", "database") == ["Databases"]
    assert len(read) == 1
    assert marked("x " * 90 + "callSomeFunction", "function") == ["Function"]
    assert marked("x " * 90 + "\nskies", "sky") == ["skies"]
    monkeypatch.setattr(module, "pieces", counting)
    read.clear()
    assert marked(text, "the rail pass") == ["pass", "the", "rail"]
    assert 200 < len(read) < 300
    read.clear()
    assert marked(text, "the nothing")[0] == "the"
    assert len(read) > 1000


def test_text_without_a_match_shows_its_beginning() -> None:
    """What was found otherwise, by a filter, shows how it begins."""
    line, marks, found = excerpt("word " * 100, [])
    assert line.startswith("word word")
    assert (marks, found) == ((), False)


@given(st.text(max_size=600), st.text(max_size=30))
def test_marks_lie_in_the_excerpt(text: str, typed: str) -> None:
    """Marks are in order, apart from each other and inside; the line is short and one line."""
    line, marks, _ = excerpt(text, parse(typed, 0).terms)
    ends = [0, *(at for mark in marks for at in mark), len(line)]
    assert ends == sorted(ends)
    assert all(start < end for start, end in marks)
    assert "\n" not in line


@given(st.text(min_size=1, max_size=40))
def test_every_text_finds_itself(text: str) -> None:
    """Whoever asks for a text, quoted, finds it."""
    query = parse('"' + text.replace('"', " ") + '"', 0)
    if query.terms:
        assert excerpt(text.replace('"', " "), query.terms)[2]
