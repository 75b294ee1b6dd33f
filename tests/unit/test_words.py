"""The words of a text: the same for what is kept and for what is asked."""

from __future__ import annotations

import sys
import threading
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostore import words
from convostore.words import plain_runs


def stems(text: str) -> list[str]:
    """Return what the index keeps of a text, in order."""
    return words.kept(text)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The databases, running!", ["the", "databas", "run"]),
        ("разговорами базы", ["разговор", "баз"]),
        ("съёмка СЪЕМКА", ["съемк", "съемк"]),
        ("йод и иод", ["йод", "и", "иод"]),
        ("café CAFE\u0301 naïve Ærø", ["cafe", "cafe", "naiv", "aero"]),
        ("смо\u0301трим", ["смотр"]),
        ("Straße ΆΛΦΑ", ["strass", "αλφα"]),
        ("数据库", ["数据", "据库"]),
        ("検索エンジン", ["検索", "索エ", "エン", "ンジ", "ジン"]),
        ("검색을 했다", ["검색", "색을", "했다"]),
        ("学", ["学"]),
        ("ｶﾞｽ Ｆｕｌｌ ﬁne", ["ガス", "full", "fine"]),
        ("か゛くは゜ 漢゛", ["がく", "くぱ", "漢\u3099"]),
        ("file数据", ["file", "数据"]),
        (
            "snake_case someFunction HTTPServer",
            ["snake", "case", "some", "function", "http", "server"],
        ),
        ("/usr/lib/file.py v3.12.1", ["usr", "lib", "file", "py", "v", "3", "12", "1"]),
        ("don't", ["don", "t"]),
        ("हिन्दी", ["हिन्दी"]),
        ("שָׁלוֹם", ["שלום"]),
        ("soft\u00adhyphen ½", ["softhyphen", "1", "2"]),
        ("!? … -- \u200b", []),
        ("", []),
    ],
)
def test_text_is_kept_as_its_words(text: str, expected: list[str]) -> None:
    """Languages, forms of characters and identifiers come to the same words, in order."""
    assert stems(text) == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("databases", "databases"),
        ("разговорами", "разговорами"),
        ("someFunction", "somefunction"),
        ("HTTPServer", "httpserver"),
        ("数据库", "库"),
    ],
)
def test_word_is_kept_as_it_stands_where_its_stem_differs(text: str, form: str) -> None:
    """Beginnings of words, whole identifiers and last characters have something to be found by."""
    assert form in words.kept(text)[1]


def test_other_forms_are_kept_once_and_in_one_order() -> None:
    """What is taken out later is made again: it has to come out the same."""
    assert words.kept("Databases, databases, RUNNING") == words.kept(
        "Databases, databases, RUNNING"
    )
    assert words.kept("databases running databases")[1] == ["databases", "running"]


def test_long_word_is_kept_by_its_beginning() -> None:
    """A key or a picture in base64 is one short word, and a long run of characters is not cut."""
    assert stems("x" * 100_000) == ["x" * words.LONGEST_WORD]
    assert len(stems("数" * 200)) == 199


def test_only_the_beginning_of_a_very_long_text_is_kept() -> None:
    """A million characters are looked at; so the writer is never held up for long."""
    assert len(stems("a " * words.MOST_CHARACTERS)) == words.MOST_CHARACTERS // 2


@given(st.text(max_size=200))
def test_pieces_are_what_is_kept(text: str) -> None:
    """Excerpts and the index see the same words, in places that are in the text, in order."""
    found = list(words.pieces(text))
    assert [piece.stem for piece in found] == stems(text)
    assert sorted({form for piece in found for form in piece.forms}) == words.kept(text)[1]
    starts = [piece.start for piece in found]
    assert starts == sorted(starts)
    assert all(0 <= piece.start < piece.end <= len(text) for piece in found)


@given(st.text("aB9_ .—“\u00a0🙂é½学\u0301\u00ad\u200dжЙ\x1c", max_size=40))
def test_pieces_are_what_is_kept_however_a_text_is_cut(text: str) -> None:
    """ASCII with dashes and emoji is cut in a way of its own, and comes to the same words."""
    assert [piece.stem for piece in words.pieces(text)] == stems(text)


def test_words_that_are_known_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The older half makes room, and comes to the same words when it is met again."""
    monkeypatch.setattr(words, "_MOST_KEPT", 8)
    words._kept.clear()
    many = [f"walking{n} runs" for n in range(30)]
    first = [words.kept(text) for text in many]
    assert len(words._kept) <= 8
    assert [words.kept(text) for text in many] == first


SIGNS = frozenset(" \t\n\r\"'\\*()|&!<>:{}^+-=~\x00")


@given(st.text(max_size=200))
def test_words_need_no_quoting(text: str) -> None:
    """No word holds a space, a quote or a sign that a database could take for its own."""
    for kept in words.kept(text):
        for word in kept:
            assert word
            assert not set(word) & SIGNS


@pytest.mark.parametrize("text", ["{}", "か{}き", "aB{}cD", "{}x"])
def test_no_character_becomes_a_blank_or_a_sign_within_a_word(text: str) -> None:
    """Whatever NFKC makes of a character (a blank and a mark, brackets), no word has it."""
    odd = [
        one
        for one in map(chr, range(sys.maxunicode + 1))
        if SIGNS.intersection(unicodedata.normalize("NFKC", one)) - {one}
    ]
    assert {"\u309b", "\u309c", "\u037a", "\u2474"} <= set(odd)
    for one in odd:
        stems_, forms = words.kept(text.format(one))
        assert not SIGNS.intersection("".join((*stems_, *forms))), one
        asked = words.one_word(text.format(one))
        assert asked is None or asked in {*stems_, *forms}, one


@given(st.text(max_size=60))
def test_capital_letters_make_no_difference(text: str) -> None:
    """A text in capitals has the words that it has in small letters, but for its humps."""
    low = text.lower()
    if low.upper().lower() == low:
        assert stems(low) == stems(low.casefold())


def test_threads_stem_at_the_same_time() -> None:
    """A stemmer works on itself; two threads at once get what one gets."""
    many = [f"relational{n}ly conditioning{chr(97 + n % 26)}s" for n in range(300)]
    alone = [words.kept(text) for text in many]
    words.stem.cache_clear()
    words._kept.clear()
    found: list[list[tuple[list[str], list[str]]]] = []

    def work() -> None:
        found.append([words.kept(text) for text in many])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 4


def test_version_of_the_words_is_pinned() -> None:
    """Whoever changes the words changes their version: `FORM`, or the stemmer did."""
    assert words.version() == "2-46c23bd5"


@given(st.text(st.characters(max_codepoint=127)))
def test_runs_of_plain_letters_are_those_of_any_text(text: str) -> None:
    """In ASCII the short way finds what the long one does."""
    assert [run[0] for run in plain_runs(text, 0)] == words._CHUNK.findall(text)
