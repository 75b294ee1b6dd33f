"""What was typed to search for, understood: words, "phrases", beginnings*, -not, and filters.

Nothing that can be typed is wrong. What looks like a filter and is none (`after:lunch`) is taken
as words, and a remark says so.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from convostore.words import is_one_character, one_word, pieces, plain

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "title"  # the role of what is found in a title
ROLES = ("system", "user", "assistant", "tool", TITLE)
MOST_CHARACTERS = 10_000  # of a query; nobody types more
MOST_TERMS = 64

_QUOTES = str.maketrans(dict.fromkeys("“”„«»", '"'))
_WORD = re.compile(
    r'(?P<without>-?)(?P<field>(?:role|model|tag|in|before|after):)?(?:"(?P<phrase>[^"]*)"?|(?P<word>\S+))'
    r"(?P<star>\*?)",
    re.IGNORECASE,
)
_AGO = re.compile(r"(\d{1,6})([hdwmy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "m": 24 * 30, "y": 24 * 365}
_DATE = re.compile(r"\d{4}(-\d\d){0,2}(T.+)?")


class Term:
    """Something to be found: a word, or several in a row.

    Attributes:
        stems: what is asked for, in order.
        beginning: of the last one, only how it begins; None is the whole word.
        whole: the word as one, where capital letters part it (`someFunction`); else None.
    """

    __slots__ = ("beginning", "stems", "whole")

    def __init__(self, stems: tuple[str, ...], beginning: str | None, whole: str | None) -> None:
        self.stems, self.beginning, self.whole = stems, beginning, whole


class Query:
    """A query as it was understood; each filter narrows, and none of them is the default.

    Attributes:
        terms: all of them have to be found.
        without: none of them may be found.
        roles: one of them, of ROLES.
        tags: all of them, of the conversation.
        no_tags: none of them.
        model: a part of its name, in small letters.
        within: what names the one conversation.
        after_ms: not before this time.
        before_ms: before this time.
        remarks: what was not taken as it may have been meant, a line each.
        is_empty: there is nothing to look for.
    """

    def __init__(self) -> None:
        self.terms: list[Term] = []
        self.without: list[Term] = []
        self.roles: tuple[str, ...] = ROLES
        self.tags: list[str] = []
        self.no_tags: list[str] = []
        self.model: str | None = None
        self.within: str | None = None
        self.after_ms: int | None = None
        self.before_ms: int | None = None
        self.remarks: list[str] = []
        self._roles: set[str] = set()
        self._no_roles: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was asked for."""
        return not (self.terms or self.without or self.has_filters)

    @property
    def has_filters(self) -> bool:
        """Tell whether anything but words narrows the query."""
        marks = (self.model, self.within, self.after_ms, self.before_ms)
        return (
            self.roles != ROLES
            or bool(self.tags or self.no_tags)
            or any(mark is not None for mark in marks)
        )

    def add(self, field: str, value: str, *, without: bool, now_ms: int) -> bool:
        """Take a filter; tell whether it is one."""
        if not _is_storable(value):
            return False
        match field:
            case "role" if value.lower() in ROLES:
                (self._no_roles if without else self._roles).add(value.lower())
                wanted = self._roles or set(ROLES)
                self.roles = tuple(role for role in ROLES if role in wanted - self._no_roles)
                return True
            case "tag" if value:
                tags = self.no_tags if without else self.tags
                tags.append(unicodedata.normalize("NFC", " ".join(value.split())).lower())
                return True
            case "model" | "in" if value and not without:
                name = "model" if field == "model" else "within"
                if getattr(self, name) is not None:
                    self.remarks.append(f"of several {field}: the last one counts")
                setattr(self, name, value.lower() if field == "model" else value)
                return True
            case "before" | "after" if not without and (at_ms := moment(value, now_ms)) is not None:
                self._narrow(field, at_ms)
                return True
        return False

    def _narrow(self, field: str, at_ms: int) -> None:
        if field == "before":
            self.before_ms = at_ms if self.before_ms is None else min(at_ms, self.before_ms)
        else:
            self.after_ms = at_ms if self.after_ms is None else max(at_ms, self.after_ms)


def parse(typed: str, now_ms: int) -> Query:
    """Understand what was typed; whatever it is, this raises nothing.

    Args:
        typed: as it is.
        now_ms: from when `7d` and `today` are counted.
    """
    query = Query()
    if len(typed) > MOST_CHARACTERS:
        typed = typed[:MOST_CHARACTERS]
        query.remarks.append(f"only the first {MOST_CHARACTERS:,} characters were looked at")
    for without, field, text, begins in _typed(typed):
        if field and query.add(field, text, without=without, now_ms=now_ms):
            continue
        if field:
            query.remarks.append(f"{field}:{text} is no filter, and was taken as words")
        term = _term(f"{field} {text}" if field else text, begins=begins)
        if term is None:
            continue
        if len(query.terms) + len(query.without) == MOST_TERMS:
            query.remarks.append(f"only the first {MOST_TERMS} words were looked for")
            break
        (query.without if without else query.terms).append(term)
    if query.is_empty and typed.strip():
        query.remarks.append("there is no word in it to look for")
    return query


def moment(text: str, now_ms: int) -> int | None:
    """Return the time that *text* names, in milliseconds UTC; None when it names none.

    A date without a zone is the machine's own: `2026`, `2026-11`, `2026-11-25`,
    `2026-11-25T18:30`, `today`, `yesterday`; so long ago: `12h`, `7d`, `2w`, `3m` (of 30 days), `1y`.
    """
    text = text.strip().upper()
    try:
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone()
        if ago := _AGO.fullmatch(text.lower()):
            at = now - timedelta(hours=int(ago[1]) * _HOURS[ago[2]])
        elif text in {"TODAY", "YESTERDAY"}:
            day = now.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
            at = (day - timedelta(days=text == "YESTERDAY")).astimezone()
        elif _DATE.fullmatch(text):
            date, clock, time = text.partition("T")
            at = datetime.fromisoformat((date + "-01-01")[:10] + clock + time)
            at = at if at.tzinfo else at.astimezone()
        else:
            return None
        return int(at.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None


def span_ms(text: str) -> int | None:
    """Return how long *text* says, in milliseconds: `12h`, `7d`, `2w`, `3m`, `1y`; None is no span."""
    found = _AGO.fullmatch(text.strip().lower())
    return None if found is None else int(found[1]) * _HOURS[found[2]] * 3_600_000


def moment_ahead(text: str, now_ms: int) -> int | None:
    """Return the time that *text* names as one to come: `30d` is in 30 days, a date is as ever."""
    at_ms = moment(text, now_ms)
    if at_ms is not None and _AGO.fullmatch(text.strip().lower()):
        return 2 * now_ms - at_ms
    return at_ms


def _is_storable(text: str) -> bool:
    """Tell whether *text* can be in a store at all: NUL and half characters cannot."""
    return "\x00" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _typed(typed: str) -> Iterator[tuple[bool, str, str, bool]]:
    """Yield what stands apart: whether it is excluded, its field, its text, whether it begins."""
    for found in _WORD.finditer(typed.translate(_QUOTES)):
        text = found["phrase"] if found["phrase"] is not None else found["word"]
        begins = bool(found["star"]) or (found["phrase"] is None and text.endswith("*"))
        yield bool(found["without"]), (found["field"] or "").rstrip(":").lower(), text, begins


def _term(text: str, *, begins: bool) -> Term | None:
    found = list(pieces(text))
    if not found:
        return None
    last = found[-1]
    beginning = None
    if begins or is_one_character(last):
        beginning = plain(text[last.start : last.end])
    return Term(tuple(piece.stem for piece in found), beginning, one_word(text.strip("*")))
