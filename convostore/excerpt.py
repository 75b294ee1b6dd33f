"""Excerpts: the place in a text where what was asked for stands, with marks, as it was written."""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache

from convostore.query import Term
from convostore.words import LONGEST_WORD, pieces, plain_runs

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from convostore.words import Piece

    Mark: TypeAlias = tuple[int, int]

WIDTH = 160  # characters; two lines of a terminal
CUT = "…"
_LEAD = WIDTH // 4  # of the text before the first mark
_TO_A_SPACE = 20  # characters; so far a cut moves so that no word is cut
_FAR = 20_000  # characters after the first mark in which a better place is looked for
_MOST_FOUND = 500
_MOST_RUNS = 8192  # of letters that are known again in a search for one word
_SPACE = re.compile(r"\s+")
_ODD_SPACE = re.compile(r"\s\s|[^\S ]")


def excerpt(text: str, terms: Sequence[Term]) -> tuple[str, tuple[Mark, ...], bool]:
    """Cut out of *text* the place that has most of *terms*.

    Returns:
        The excerpt, on one line; where its marks begin and end, in it; whether there is any.
    """
    found = _found(text, terms)
    start, end = _window(text, _best(found))
    marks = _joined([(max(at, start), min(to, end)) for at, to, _ in found if start <= at < end])
    shown: list[str] = [CUT] if start else []
    places: list[Mark] = []
    length = len(CUT) if start else 0
    at, is_odd = start, _ODD_SPACE.search(text, start, end)
    for mark_start, mark_end in [*marks, (end, end)]:
        for part, is_mark in ((text[at:mark_start], False), (text[mark_start:mark_end], True)):
            line = _SPACE.sub(" ", part) if is_odd else part
            if not length or (shown and shown[-1].endswith(" ")):
                line = line.lstrip(" ")
            if line:
                if is_mark:
                    places.append((length, length + len(line)))
                shown.append(line)
                length += len(line)
        at = mark_end
    line = "".join(shown).rstrip(" ")
    return line + (CUT if end < len(text) else ""), tuple(places), bool(found)


def _found(text: str, terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    """Return where terms stand in *text*: start, end, and which of them.

    It looks no further than the end of the first excerpt that would have them all: none is better.
    """
    if len(terms) == 1 and len(terms[0].stems) == 1 and text.isascii():
        start = _skipped(text, terms[0])
        return _scanned_for_one(text, start, terms[0]) or (
            _scanned_for_one(text, 0, terms[0]) if start else []
        )
    return _scanned(text, terms)


def _skipped(text: str, term: Term) -> int:
    """Return from where on a lone word is looked for: where a word begins as its stem does.

    Most words do; for one that does not the whole text is gone through. Only ASCII has small
    letters in the same places.
    """
    stem, small = term.stems[0], text.lower()
    at = small.find(stem)
    while at > 0 and small[at - 1].isalnum():
        at = small.find(stem, at + 1)
    return 0 if at < 0 else text.rfind(" ", 0, at) + 1


def _scanned_for_one(text: str, start: int, term: Term) -> list[tuple[int, int, int]]:
    """Do the same for a lone word in ASCII, as most searches are: its runs are known again."""
    places = _places_of(term.stems[0], term.beginning, term.whole)
    found: list[tuple[int, int, int]] = []
    stop = len(text)
    for run in plain_runs(text, start):
        at = run.start()
        if at > stop:
            break
        for begin, end in places[run[0]]:
            found.append((at + begin, at + end, 0))
            stop = min(stop, at + begin + WIDTH)
    return found


class _Places(dict[str, "tuple[tuple[int, int], ...]"]):
    """From a run of letters to where the word stands in it that is asked for; learns as it goes."""

    def __init__(self, term: Term) -> None:
        self._term = term

    def __missing__(self, run: str) -> tuple[tuple[int, int], ...]:
        places = tuple(
            (piece.start, piece.end)
            for piece in pieces(run)
            if _ends_here(self._term, deque((piece,)))
        )
        if len(run) <= LONGEST_WORD and len(self) < _MOST_RUNS:
            self[run] = places
        return places


@lru_cache(maxsize=8)
def _places_of(stem: str, beginning: str | None, whole: str | None) -> _Places:
    return _Places(Term((stem,), beginning, whole))


def _scanned(text: str, terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    longest = max((len(term.stems) for term in terms), default=0)
    if not longest:
        return []
    last: deque[Piece] = deque(maxlen=longest)
    found: list[tuple[int, int, int]] = []
    newest: dict[int, int] = {}  # of each term, where it began last
    stop = len(text)
    for piece in pieces(text):
        last.append(piece)
        for number, term in enumerate(terms):
            count = _ends_here(term, last)
            if count:
                newest[number] = last[-count].start
                found.append((newest[number], piece.end, number))
                begin = min(newest.values())
                if len(newest) == len(terms) and newest[number] <= begin + WIDTH - _LEAD:
                    stop = min(stop, begin + WIDTH)
        if piece.start > stop:
            break
        if found and (len(found) > _MOST_FOUND or piece.start > found[0][0] + _FAR):
            break
    return found


def _ends_here(term: Term, last: deque[Piece]) -> int:
    """Return how many of the *last* pieces are what *term* asks for; 0 when they are not."""
    piece, whole = last[-1], term.whole
    if whole is not None and any(
        form == whole or (term.beginning is not None and form.startswith(whole))
        for form in piece.forms
    ):
        return 1
    count = len(term.stems)
    if count > len(last):
        return 0
    before = len(last) - count
    if any(last[before + at].stem != term.stems[at] for at in range(count - 1)):
        return 0
    if piece.stem == term.stems[-1] or (count == 1 and term.stems[0] in piece.forms):
        return count
    beginning = term.beginning
    forms = piece.forms if count == 1 else ()  # in a row stand stems alone
    begins = beginning is not None and any(
        form.startswith(beginning) for form in (piece.stem, *forms)
    )
    return count if begins else 0


def _best(found: Sequence[tuple[int, int, int]]) -> tuple[int, int] | None:
    """Return the mark after which most different terms stand close together."""
    best, most = None, 0
    for at, (start, end, _) in enumerate(found):
        near = set()
        for other, _, number in found[at:]:
            if other > start + WIDTH - _LEAD:
                break
            near.add(number)
        if len(near) > most:
            best, most = (start, end), len(near)
    return best


def _window(text: str, mark: tuple[int, int] | None) -> tuple[int, int]:
    """Return where the excerpt begins and ends, if possible between words."""
    start = 0 if mark is None else max(0, mark[0] - _LEAD)
    end = min(len(text), start + WIDTH if mark is None else max(start + WIDTH, mark[1]))
    if start:
        space = _SPACE.search(text, start, min(start + _TO_A_SPACE, mark[0] if mark else end))
        start = space.end() if space else start
    if end < len(text):
        least = max(end - _TO_A_SPACE, mark[1] if mark else 0)
        spaces = list(_SPACE.finditer(text, least, end))
        end = spaces[-1].start() if spaces else end
    return start, end


def _joined(marks: Sequence[Mark]) -> list[Mark]:
    """Return *marks* in order, those that meet as one."""
    joined: list[Mark] = []
    for start, end in sorted(marks):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
