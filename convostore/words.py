"""The words of a text: what the search index keeps of it, and what a query asks it for.

The same for both engines, and made here alone: compatibility forms are one (NFKC), so are capital
and small letters, accents are taken off, and the Russian yo is its ye. English and Russian words are
kept by their stem; the word as it stands is kept beside it where the two differ. Scripts without
spaces are kept as pairs of neighbouring characters. What a capital letter parts (`someFunction`),
or the `v` of a version, is kept in parts and as a whole.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import islice, pairwise
from threading import Lock
from zlib import crc32

from snowballstemmer.english_stemmer import EnglishStemmer  # type: ignore[import-untyped]  # no hints
from snowballstemmer.russian_stemmer import RussianStemmer  # type: ignore[import-untyped]  # no hints

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Iterator

FORM = 2  # of the words; whoever changes what comes out of here counts it up
MOST_CHARACTERS = 1_000_000  # of a text that are looked at; what follows is not found
LONGEST_WORD = 64  # characters; of what is longer (keys, base64), the beginning is kept

# Han, kana, Hangul, Thai, Lao, Burmese, Khmer: words do not stand apart.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1050-\u109d\u1100-\u11ff\u1780-\u17d3"
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u309f\u30a1-\u30fa\u30fc-\u318e"
    "\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff"
    "\uff66-\uff9f\uffa0-\uffdc\U00020000-\U0003fffd"
)
# What `\w` does not know as a part of a word: vowel signs, accents of their own, joiners.
_MARKS = (
    "\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0900-\u0963\u0966-\u0dff"
    "\u0f18\u0f19\u0f35\u0f37\u0f39\u0f71-\u0f84\u0f86-\u0fbc\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u200c\u200d\u2060\ufe20-\ufe2f"
)
# Of these, the ones that tell nothing to somebody who searches.
_SILENT = re.compile(
    "[\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u2060\ufe20-\ufe2f]"
)
_LETTER = f"[^\\W_{_UNSPACED}]"
_CHUNK = re.compile(
    f"[a-zA-Z0-9а-яА-ЯёЁ]+(?!{_LETTER}|[{_MARKS}])|"  # most of all words, and found in a third of the time
    f"[{_UNSPACED}]+|{_LETTER}+(?:[{_MARKS}]+{_LETTER}*)*"
)
_RUN = re.compile(f"[{_UNSPACED}]")
_LOW, _HIGH = "a-z0-9\u00df-\u00f6\u00f8-\u00ffа-яё", "A-Z\u00c0-\u00d6\u00d8-\u00deА-ЯЁ"
_HUMP = re.compile(
    f"(?<=[{_LOW}])(?=[{_HIGH}])|(?<=[{_HIGH}])(?=[{_HIGH}][a-zа-яё])|(?<=^[vV])(?=[0-9])"
)
# In a text of ASCII runs are what stands between all else: to cut there takes a fifth of the time.
_PLAIN_CHUNK = re.compile("[0-9A-Za-z]+")  # what _CHUNK is in ASCII
_BLANKS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_PART = re.compile(f"[{_UNSPACED}{_MARKS}]|{_LETTER}")
# The voiced sound marks of kana, apart: to NFKC each is a blank and the mark; here it is the mark.
_VOICED, _HALF_VOICED = ("\u309b", "\u3099"), ("\u309c", "\u309a")
_NO_ACCENT = {"ё": "е", "ø": "o", "đ": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe"}


class _Folding(dict[int, "str | None"]):
    """From a character to what it is searched by; learns as it goes."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        folded: str | None = _NO_ACCENT.get(character)
        if folded is None and not _SILENT.match(character):
            base = unicodedata.normalize("NFD", character)[0]
            has_accent = base != character and unicodedata.name(base, "").startswith(
                ("LATIN", "GREEK")
            )
            folded = base if has_accent else character
        self[code] = folded
        return folded


class _Apart(dict[str, bool]):
    """From a character to whether it is no part of any word; learns as it goes."""

    def __missing__(self, character: str) -> bool:
        apart = self[character] = not _PART.match(character)
        return apart


class _Kept(dict[str, tuple[str, str]]):
    """From a run of letters to its stems and to its other forms, each a line.

    It learns as it goes, and knows a language's usual words: some 10 MB. Long runs come only once.
    """

    def __missing__(self, run: str) -> tuple[str, str]:
        parts = _split(run)
        forms = {form for *_, others in parts for form in others}
        found = "\n".join(root for _, _, root, _ in parts), "\n".join(forms)
        if len(run) <= LONGEST_WORD:
            with _learning:
                if len(self) >= _MOST_KEPT:
                    for old in list(islice(self, _MOST_KEPT // 2)):
                        del self[old]
                self[run] = found
        return found


_MOST_KEPT = 32_768
_learning = Lock()
_kept = _Kept()
_apart = _Apart()
_folding = _Folding()
_stemming = Lock()  # a stemmer works on itself, and the writer's thread stems too
_english, _russian = EnglishStemmer(), RussianStemmer()


def plain(text: str) -> str:
    """Return *text* in small letters, without accents, in the one form of each character."""
    if text.isascii():
        return text.lower()
    text = text.replace(*_VOICED).replace(*_HALF_VOICED)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).translate(_folding)


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Return the stem of a word that is `plain`: itself, where it is not English or Russian."""
    if len(word) > LONGEST_WORD:
        return word[:LONGEST_WORD]
    if not word.isalpha():
        return word
    if word.isascii():
        stemmer = _english
    elif "а" <= word[0] <= "я":
        stemmer = _russian
    else:
        return word
    with _stemming:
        return str(stemmer.stemWord(word))


class Piece:
    """A piece of a text that a query can ask for.

    Attributes:
        start: its first character, in the text.
        end: the one after its last.
        stem: what stands for it in the order of the text.
        forms: what else it is found by: the word as it stands, the whole that it is a part of.
    """

    __slots__ = ("end", "forms", "start", "stem")

    def __init__(self, start: int, end: int, stem: str, forms: tuple[str, ...]) -> None:
        self.start, self.end, self.stem, self.forms = start, end, stem, forms


def plain_runs(text: str, start: int) -> Iterator[re.Match[str]]:
    """Find each run of letters in an ASCII text, from *start* on."""
    return _PLAIN_CHUNK.finditer(text, start, MOST_CHARACTERS)


def pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of *text*, in order; of a very long text, those of its beginning."""
    for found in _CHUNK.finditer(text, 0, MOST_CHARACTERS):
        at = found.start()
        for start, end, root, forms in _of(found[0]):
            yield Piece(at + start, at + end, root, forms)


def kept(text: str) -> tuple[list[str], list[str]]:
    """Return what the index keeps of *text*: the stems in order, and the other forms, sorted."""
    found = list(map(_kept.__getitem__, _all_runs(text)))
    roots, others = zip(*found, strict=True) if found else ((), ())
    stems, forms = "\n".join(filter(None, roots)), "\n".join(filter(None, set(others)))
    return stems.split("\n") if stems else [], sorted(set(forms.split("\n"))) if forms else []


def one_word(text: str) -> str | None:
    """Return *text*, `plain`, where it is one word that capital letters part; else None."""
    if not _CHUNK.fullmatch(text) or _RUN.match(text) or not _HUMP.search(text):
        return None
    return _whole(text)[:LONGEST_WORD]


def is_one_character(piece: Piece) -> bool:
    """Tell whether *piece* is a lone character of a script without spaces."""
    return len(piece.stem) == 1 and _RUN.match(piece.stem) is not None


def version() -> str:
    """Return the version of the words: an index is of use only to those who make the same."""
    tried = "running easily generational university разговорами базы данных съёмки"
    return f"{FORM}-{crc32(' '.join(map(stem, tried.split())).encode()):08x}"


def _of(chunk: str) -> tuple[tuple[int, int, str, tuple[str, ...]], ...]:
    return _split(chunk) if len(chunk) > LONGEST_WORD else _known(chunk)


def _all_runs(text: str) -> list[str]:
    """Return what `_CHUNK` finds in *text*."""
    if not text.isascii():
        beyond = (one for run in _BEYOND_ASCII.finditer(text) for one in set(run[0]))
        if not all(map(_apart.__getitem__, beyond)):
            return _CHUNK.findall(text, 0, MOST_CHARACTERS)
        text = text.encode("ascii", "replace").decode()  # dashes, quotation marks, emoji
    return text[:MOST_CHARACTERS].translate(_BLANKS).split()


def _split(chunk: str) -> tuple[tuple[int, int, str, tuple[str, ...]], ...]:
    """Return start, end, stem and other forms of each piece of a run of letters."""
    if _RUN.match(chunk):
        return _pairs(chunk)
    humps = [0, *(hump.start() for hump in _HUMP.finditer(chunk)), len(chunk)]
    whole = _whole(chunk) if len(humps) > 2 else ""  # noqa: PLR2004 - more than its beginning and end
    found = []
    for start, end in pairwise(humps):
        # A character may stand for several words, as a fraction does.
        for word in _CHUNK.findall(plain(chunk[start:end])):
            root = stem(word)
            forms = {word[:LONGEST_WORD]}
            if whole:
                forms |= {whole[:LONGEST_WORD], stem(whole)}
            found.append((start, end, root, tuple(sorted(forms - {root}))))
    return tuple(found)


def _whole(chunk: str) -> str:
    """Return a run of letters that capital letters part as one word."""
    return "".join(_CHUNK.findall(plain(chunk)))


def _pairs(run: str) -> tuple[tuple[int, int, str, tuple[str, ...]], ...]:
    """Return each pair of neighbours; the last character alone is the last pair's other form."""
    text = plain(run)
    one_to_one = len(text) == len(run)  # else nobody knows which character is which
    found = []
    last = max(1, len(text) - 1)
    for at in range(last if text else 0):
        start, end = (at, min(at + 2, len(run))) if one_to_one else (0, len(run))
        alone = (text[-1],) if at == last - 1 and len(text) > 1 else ()
        found.append((start, end, text[at : at + 2], alone))
    return tuple(found)


_known = lru_cache(maxsize=4096)(_split)  # for excerpts and queries: a few messages
