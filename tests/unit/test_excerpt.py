"""Excerpts: cut from the text as it was written, marked where it says what was asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostore.excerpt import CUT, WIDTH, excerpt
from convostore.query import parse


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
