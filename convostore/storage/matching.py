"""A query in the words of each engine, and places in its index. Pure; standard library only.

What was typed never gets here: only words made by `words.py`, which hold letters and digits.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    from convostore.query import Query, Term

    Place: TypeAlias = tuple[Any, ...]

FURTHEST = 2**63 - 1
THOUGHT = "~"  # before a word of the model's reasoning, on a server
OWNED = "="  # before an owner's id, there
APART = "·"  # stands in no word: what is on either side of it is no phrase


class OnFile:
    """SQLite's full-text table; a place is the number of a row."""

    newest = (FURTHEST,)

    @staticmethod
    def values(
        query: Query, owner_id: str, *, reasoning: bool, alone: bool = False
    ) -> dict[str, str]:
        """Return the expressions for MATCH: the owner's rows that fit, and what ranks them.

        The owner's word is in every row of an owner who is *alone*, and would have to be looked up
        beside each of a rare word's.
        """
        columns = "{text reasoning}" if reasoning else "text"
        parts = [f"{columns} : ({_on_file(term)})" for term in query.terms]
        wanted = " AND ".join(parts)
        fitting = " AND ".join(parts if alone and parts else (f'owner : "{owner_id}"', *parts))
        if not query.without:
            return {"match": fitting, "wanted": wanted}
        unwanted = " OR ".join(_on_file(term) for term in query.without)
        return {"match": f"({fitting}) NOT {columns} : ({unwanted})", "wanted": wanted}

    @staticmethod
    def is_sure(term: Term) -> bool:  # noqa: ARG004 - the other engine's
        """Tell whether the index knows of a row that fits that it has the term."""
        return True

    @staticmethod
    def top(place: Place) -> dict[str, Any]:
        """Return the values that name the place at which a window begins."""
        return {"top": place[0]}

    @staticmethod
    def at(places: Sequence[Place]) -> list[Any]:
        """Return *places* as the statement for details wants them."""
        return [place[0] for place in places]


class OnServer:
    """PostgreSQL's text vectors; a place is a time, a conversation and a message's number."""

    newest = (FURTHEST, "", 0)

    @staticmethod
    def values(
        query: Query,
        owner_id: str,
        *,
        reasoning: bool,
        alone: bool = False,  # noqa: ARG004 - the other engine's: this one looks both up at once
    ) -> dict[str, str]:
        """Return the texts of two tsqueries: the owner's rows that fit, and what ranks them."""
        wanted = [f"({_on_server(term, reasoning=reasoning)})" for term in query.terms]
        unwanted = [
            f"!({_on_server(term, reasoning=reasoning)})"
            for term in query.without
            if OnServer.is_sure(term)
        ]
        parts = [f"'{OWNED}{owner_id}'", *wanted, *unwanted]
        return {"match": " & ".join(parts), "wanted": " & ".join(wanted)}

    @staticmethod
    def is_sure(term: Term) -> bool:
        """Tell whether the index knows of a row that fits that it has the term.

        A beginning that a word without a place has as well, such as another form of the same word,
        is to a server nowhere in a row of words. So it is asked for anywhere.
        """
        return term.beginning is None or len(term.stems) == 1

    @staticmethod
    def top(place: Place) -> dict[str, Any]:
        """Return the values that name the place at which a window begins."""
        return dict(zip(("top_ms", "top_id", "top_seq"), place, strict=True))

    @staticmethod
    def at(places: Sequence[Place]) -> list[Any]:
        """Return *places* as the statement for details wants them."""
        return [list(place[1:]) for place in places]


def _on_file(term: Term) -> str:
    ways = [_row(term.stems)]
    if term.beginning is not None:
        begun = _row((*term.stems[:-1], term.beginning)) + " *"
        ways = [begun] if len(term.stems) == 1 else [begun, *ways]
    if term.whole is not None:
        ways.append(f'"{term.whole}"' + (" *" if term.beginning is not None else ""))
    return " OR ".join(ways)


def _row(words: Sequence[str]) -> str:
    return '"' + " ".join(words) + '"'


def _on_server(term: Term, *, reasoning: bool) -> str:
    ways: list[str] = []
    for mark in ("", THOUGHT) if reasoning else ("",):
        in_a_row = [f"'{mark}{word}'" for word in term.stems]
        if term.beginning is not None:
            begun = f"'{mark}{term.beginning}':*"
            before = " <-> ".join(in_a_row[:-1])
            ways.append(f"({before}) & {begun}" if before else begun)
        if term.beginning is None or len(in_a_row) > 1:
            ways.append(" <-> ".join(in_a_row))
        if term.whole is not None:
            ways.append(f"'{mark}{term.whole}'" + (":*" if term.beginning is not None else ""))
    return " | ".join(f"({way})" for way in ways)
