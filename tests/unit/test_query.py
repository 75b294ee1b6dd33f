"""What was typed to search for: nothing is wrong, and what is meant is found."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from convostore.query import MOST_TERMS, ROLES, Query, moment, parse
from convostore.storage.matching import OnFile

NOW_MS = int(datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp() * 1000)
HOUR_MS = 3_600_000


def understood(typed: str) -> Query:
    """Parse at noon of a day in November."""
    return parse(typed, NOW_MS)


def stems(query: Query) -> list[tuple[str, ...]]:
    """Return what has to be found."""
    return [term.stems for term in query.terms]


def test_words_phrases_beginnings_and_exclusions_are_told_apart() -> None:
    """The four kinds of terms, as people write them."""
    query = understood('databases "rail passes" разг* -tea -"green tea"')
    assert stems(query) == [("databas",), ("rail", "pass"), ("разг",)]
    assert [term.beginning for term in query.terms] == [None, None, "разг"]
    assert [term.stems for term in query.without] == [("tea",), ("green", "tea")]
    assert query.remarks == []


def test_identifiers_are_their_parts_in_a_row_and_the_whole() -> None:
    """An identifier is found by its parts, and by the whole where capitals part it."""
    query = understood("someFunction snake_case src/file.py")
    assert stems(query) == [("some", "function"), ("snake", "case"), ("src", "file", "py")]
    assert [term.whole for term in query.terms] == ["somefunction", None, None]


def test_one_character_of_chinese_is_a_beginning() -> None:
    """A lone character finds the pairs that begin with it."""
    (term,) = understood("学").terms
    assert (term.stems, term.beginning) == (("学",), "学")


def test_filters_narrow() -> None:
    """Every filter, with the spellings that people use."""
    query = understood(
        'role:user Role:ASSISTANT tag:travel tag:"two words" -tag:work model:Tulu in:telegram:42 x'
    )
    assert query.roles == ("user", "assistant")
    assert (query.tags, query.no_tags) == (["travel", "two words"], ["work"])
    assert (query.model, query.within) == ("tulu", "telegram:42")
    assert stems(query) == [("x",)]
    assert understood("-role:user").roles == tuple(role for role in ROLES if role != "user")


def test_times_narrow_to_what_all_of_them_allow() -> None:
    """Of several times the narrowest counts."""
    query = understood("after:7d after:1d before:2027 before:2026-12")
    assert query.after_ms == NOW_MS - 24 * HOUR_MS
    assert query.before_ms == moment("2026-12", NOW_MS)


@pytest.mark.parametrize(
    ("text", "ago_h"),
    [("12h", 12), ("7d", 168), ("2w", 336), ("3m", 2160), ("1Y", 8760), ("0d", 0)],
)
def test_time_ago_is_counted_from_now(text: str, ago_h: int) -> None:
    """Hours, days, weeks, months of 30 days and years back from now."""
    assert moment(text, NOW_MS) == NOW_MS - ago_h * HOUR_MS


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026", "2026-01-01T00:00"),
        ("2026-11", "2026-11-01T00:00"),
        ("2026-11-25", "2026-11-25T00:00:00"),
        ("2026-11-25T14:00+02:00", "2026-11-25T12:00Z"),
    ],
)
def test_date_begins_where_it_says(text: str, same: str) -> None:
    """A year, a month and a day are their beginning, in the machine's own zone."""
    assert moment(text, NOW_MS) == int(datetime.fromisoformat(same).timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    ["lunch", "", "2026-13", "2026-02-30", "20261", "-1d", "99999999d", "999999y", "2026-11T"],
)
def test_what_is_no_time_is_none(text: str) -> None:
    """A time that does not exist, or is beyond the calendar, is none; nothing is guessed."""
    assert moment(text, NOW_MS) is None


@pytest.mark.parametrize("typed", ["after:lunch", "role:boss", "-in:abc", "-model:x", 'tag:""'])
def test_what_only_looks_like_a_filter_is_words_and_said(typed: str) -> None:
    """A filter that cannot be one is looked for as words, and a remark says so."""
    query = understood(typed)
    assert len(query.terms) + len(query.without) == 1
    assert len(query.remarks) == 1
    assert not query.has_filters


@pytest.mark.parametrize("typed", ["", "   ", "*", '"', '""', "- -- -*", "?!", '"…"'])
def test_query_without_a_word_is_empty(typed: str) -> None:
    """Signs alone ask for nothing, and whoever typed them is told why nothing is found."""
    query = understood(typed)
    assert query.is_empty
    assert query.remarks == ["there is no word in it to look for"] * bool(typed.strip())


@pytest.mark.parametrize(
    "typed", ["a AND b", "a OR b", "NOT a", "NEAR(a b)", "{text}: a", "^a", "a:b"]
)
def test_words_of_other_languages_of_queries_are_words(typed: str) -> None:
    """What other programs take for operators is looked for."""
    query = understood(typed)
    assert query.terms
    assert query.without == []


def test_quotes_of_other_languages_are_quotes() -> None:
    """A telephone writes quotes in its own way."""
    assert stems(understood("«рельсы поезда» “rail pass”")) == [
        ("рельс", "поезд"),
        ("rail", "pass"),
    ]


def test_too_many_words_are_said() -> None:
    """A page that is pasted into the search is cut, and a remark says so."""
    query = understood("word " * (MOST_TERMS + 1))
    assert len(query.terms) == MOST_TERMS
    assert len(query.remarks) == 1
    assert len(understood("x" * 20_000).remarks) == 1


@given(st.text(max_size=300))
@example("-" * 300)
@example('"' * 301)
@example("role:" * 60)
@example("after:" + "9" * 290)
@example("\ud800 \x00 in:\ud800")
def test_no_input_raises(typed: str) -> None:
    """Whatever is typed is a query."""
    query = understood(typed)
    assert all(term.stems for term in [*query.terms, *query.without])


@given(
    st.lists(st.sampled_from(['"', "-", "*", ":", " ", "role:", "after:", "7d", "a", "学", "Bc"]))
)
def test_no_mixture_of_signs_raises(parts: list[str]) -> None:
    """The signs that mean something, in every order."""
    understood("".join(parts))


def test_what_ranks_on_a_file_names_neither_the_owner_nor_what_is_unwanted() -> None:
    """Each word of it costs a look at all rows that have it; the owner's word is in every row."""
    for typed in ("rail -bus", "rail pass* role:user", "someFunction"):
        values = OnFile.values(parse(typed, 0), "me", reasoning=True)
        assert values["match"].lstrip("(").startswith('owner : "me" AND ')
        assert values["wanted"] in values["match"]
        assert not {"owner", '"me"', "NOT", "bus"} & set(values["wanted"].split())
