"""How a search goes, whoever runs its statements: windows of matches, ranked, paged, cut out.

`search` is a generator: it yields what it wants to read, is sent the rows, and returns a page. So
the full way and the quick way do the same thing. Standard library only.

What fits is looked at in windows, from the newest: to rank everything that has a common word takes
a hundred times as long. Within a window the best come first, and the next window goes on behind it.
"""

from __future__ import annotations

from zlib import crc32

from convostore.excerpt import excerpt
from convostore.query import TITLE

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Container, Generator, Sequence
    from typing import Any, TypeAlias

    from convostore.query import Query, Term
    from convostore.storage.matching import OnFile, OnServer, Place

    Row: TypeAlias = tuple[Any, ...]
    Ask: TypeAlias = tuple[str, dict[str, Any]]
    Asking: TypeAlias = Generator[Ask, list[Row], "Found"]

RANKED_WINDOW = 2_000  # matches
NEWEST_WINDOW = 200  # but first as many as a page mostly takes
MOST_WINDOWS = 10  # in one page: then it is given as it is, and the next one goes on
_FIRST_LOOK = 16  # matches whose details are read at once; most pages need no more

WINDOW, DETAILS, BRANCHED, LINKS = "window", "details", "branched", "links"


class Hit:
    """What was found; attributes as in `records.SearchHit`."""

    __slots__ = (
        "conversation_id",
        "created_at_ms",
        "excerpt",
        "handle",
        "marks",
        "message_id",
        "role",
        "score",
        "seq",
        "status",
        "title",
    )

    conversation_id: str
    handle: str
    title: str | None
    message_id: str | None
    seq: int
    role: str
    status: str | None
    created_at_ms: int
    excerpt: str
    marks: tuple[tuple[int, int], ...]
    score: float | None


class Found:
    """A page of hits, and where the next one goes on: values for `Wish.at`; None at the end."""

    def __init__(self, hits: list[Hit], position: list[Any] | None) -> None:
        self.hits, self.position = hits, position


class Wish:
    """What a page is to be.

    Attributes:
        query: what is looked for.
        engine: in whose words.
        owner_id: whose.
        within: the id of the one conversation; empty is all.
        alone: there was no other owner in the store: an index need not be asked whose a row is.
        at: where the page before ended; None is the beginning.
    """

    def __init__(
        self,
        query: Query,
        engine: type[OnFile | OnServer],
        owner_id: str,
        *,
        limit: int,
        within: str = "",
        newest_first: bool = False,
        all_branches: bool = False,
        reasoning: bool = False,
        at: Sequence[Any] | None = None,
    ) -> None:
        self.query, self.engine, self.owner_id, self.within = query, engine, owner_id, within
        self.limit, self.all_branches, self.reasoning = limit, all_branches, reasoning
        self.ranked, self.alone = bool(query.terms) and not newest_first, False
        self.at = at

    @property
    def is_bare(self) -> bool:
        """Tell whether the words that rank a row are all that an index is asked for."""
        return self.alone and not (self.query.without or self.query.has_filters)

    def values(self) -> dict[str, Any]:
        """Return the values of the window's statement that do not change from page to page."""
        import json

        query, engine = self.query, self.engine
        model = (query.model or "").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return {
            "owner_id": self.owner_id,
            **engine.values(query, self.owner_id, reasoning=self.reasoning, alone=self.alone),
            "roles": json.dumps(query.roles),
            "tags": json.dumps(sorted(set(query.tags))),
            "tag_count": len(set(query.tags)),
            "no_tags": json.dumps(query.no_tags),
            "model": f"%{model}%",
            "within": self.within,
            "after_ms": 0 if query.after_ms is None else query.after_ms,
            "before_ms": 2**63 - 1 if query.before_ms is None else query.before_ms,
            "most": RANKED_WINDOW if self.ranked else min(NEWEST_WINDOW, 3 * (self.limit + 1)),
        }


def print_of(typed: str, *flags: object) -> int:
    """Return what tells one search from another: a page goes on only with its own."""
    return crc32(repr((typed, flags)).encode("utf-8", "surrogatepass"))


def cursor_of(mark: int, position: Sequence[Any] | None) -> str | None:
    """Return what names the place after a page: the search's `print_of`, and `Found.position`."""
    if position is None:
        return None
    import json
    from binascii import b2a_base64

    made = json.dumps([mark, *position], separators=(",", ":")).encode()
    text = b2a_base64(made, newline=False).decode()
    return text.replace("+", "-").replace("/", "_").rstrip("=")


def search(wish: Wish) -> Asking:
    """Find a page of what *wish* asks for.

    Yields:
        Which statement to run, and its values.
    """
    values = wish.values()
    size = len(wish.engine.newest)
    top, last = _start(wish.at, wish.engine.newest)
    hits: list[Hit] = []
    for _ in range(MOST_WINDOWS):
        rows = yield WINDOW, {**values, **wish.engine.top(top)}
        if not rows:
            return Found(hits, None)
        top = rows[0][:size]  # what is indexed from now on stays out of this search
        left = _after(_ordered(rows, wish), last, size)
        look = max(_FIRST_LOOK, wish.limit + 1)
        while left:
            part, left = left[:look], left[look:]
            shown = yield from _shown(wish, part, size)
            for row in part:
                hit = shown.get(row[:size])
                if hit is None:
                    continue
                if len(hits) == wish.limit:
                    return Found(hits, _end(wish, top, last))
                hit.score = row[size] if wish.ranked else None
                hits.append(hit)
                last = row
        if len(rows) < values["most"]:
            return Found(hits, None)
        if not wish.ranked:
            values["most"] = NEWEST_WINDOW
        top, last = _below(min(row[:size] for row in rows)), None
    return Found(hits, [*top])


def _end(wish: Wish, top: Place, last: Row | None) -> list[Any]:
    """Return where the next page goes on: in the same window, behind what was shown last.

    The newest come in the order of their places: there it is right below the last one's.
    """
    if last is None or wish.ranked:
        return [*top, *(last or ())]
    return [*_below(last[: len(top)])]


def _below(place: Place) -> Place:
    return (*place[:-1], place[-1] - 1)


def _start(at: Sequence[Any] | None, newest: Place) -> tuple[Place, Row | None]:
    if at is None:
        return newest, None
    size = len(newest)
    return tuple(at[:size]), tuple(at[size:]) or None


def _ordered(rows: list[Row], wish: Wish) -> list[Row]:
    """Return a window's rows, which come newest first, as they are shown."""
    return sorted(rows, key=lambda row: -row[-1]) if wish.ranked else rows


def _after(rows: list[Row], last: Row | None, size: int) -> list[Row]:
    """Return the rows that come after the one that was shown last."""
    if last is None:
        return rows
    for number, row in enumerate(rows, start=1):
        if row[:size] == last[:size]:
            return rows[number:]
    # It is gone: then those that would have come after it.
    return [row for row in rows if (row[-1], row[:size]) < (last[-1], last[:size])]


def _shown(wish: Wish, rows: Sequence[Row], size: int) -> Generator[Ask, list[Row], dict[Row, Hit]]:
    """Read what stands at places of the index, and leave out what may not be seen."""
    places = [row[:size] for row in rows]
    at = wish.engine.at(places)
    found = yield DETAILS, {"owner_id": wish.owner_id, "places": at}
    details = {row[:size]: row[size:] for row in found if row[size + 1] is not None}
    paths: dict[str, Container[int]] = {}
    if not wish.all_branches:
        paths = yield from _paths(wish.owner_id, list(details.values()))
    return {
        place: _hit(row, wish)
        for place, row in details.items()
        if (wish.all_branches or not row[0] or row[0] in paths.get(row[1], ())) and _fits(row, wish)
    }


def _fits(row: Row, wish: Wish) -> bool:
    """Tell whether a text has the terms of which its index is not sure, and none that it may not."""
    query, is_sure = wish.query, wish.engine.is_sure
    if all(is_sure(term) for term in (*query.terms, *query.without)):
        return True
    seq, _, _, title, *_, text, shape = row
    texts = [(text if seq else title) or ""]
    if wish.reasoning and shape:
        texts.append(_reasoning(shape))

    def has(term: Term) -> bool:
        return any(excerpt(one, (term,))[2] for one in texts)

    wanted = all(has(term) for term in query.terms if not is_sure(term))
    return wanted and not any(has(term) for term in query.without if not is_sure(term))


def _paths(
    owner_id: str, rows: Sequence[Row]
) -> Generator[Ask, list[Row], dict[str, Container[int]]]:
    """Return the numbers of the messages on each conversation's active branch, as far up as needed.

    Most conversations are one line, and then all numbers up to the head's are.
    """
    lowest: dict[str, int] = {}
    heads: dict[str, int | None] = {}
    for seq, id_, _, _, head_seq, *_ in rows:
        heads[id_] = head_seq
        if seq:
            lowest[id_] = min(seq, lowest.get(id_, seq))
    paths: dict[str, Container[int]] = {
        id_: range(low, (heads[id_] or 0) + 1) for id_, low in lowest.items()
    }
    places = list(lowest.items())
    branched = (yield BRANCHED, {"owner_id": owner_id, "places": places}) if places else []
    if branched:
        links: dict[str, dict[int, int | None]] = {id_: {} for (id_,) in branched}
        places = [(id_, lowest[id_]) for id_ in links]
        for id_, seq, parent_seq in (yield LINKS, {"owner_id": owner_id, "places": places}):
            if seq is not None:
                links[id_][seq] = parent_seq
        paths |= {id_: _way(parents, heads[id_]) for id_, parents in links.items()}
    return paths


def _way(parents: dict[int, int | None], head_seq: int | None) -> set[int]:
    """Return the numbers from *head_seq* up, as far as the parents are known."""
    path: set[int] = set()
    seq = head_seq
    while seq in parents and seq not in path:
        path.add(seq)
        seq = parents[seq]
    return path


def _hit(row: Row, wish: Wish) -> Hit:
    seq, id_, handle, title, _, message_id, role, status, at_ms, text, shape = row
    hit = Hit()
    hit.conversation_id, hit.handle, hit.title = id_, handle, title
    hit.message_id, hit.seq, hit.role, hit.status = message_id, seq, role or TITLE, status
    hit.created_at_ms = at_ms
    terms = wish.query.terms
    shown = (title if not seq else text) or ""
    hit.excerpt, hit.marks, is_there = excerpt(shown, terms)
    if not is_there and terms and wish.reasoning and shape:
        thought, marks, is_there = excerpt(_reasoning(shape), terms)
        if is_there:
            hit.excerpt, hit.marks = thought, marks
    return hit


def _reasoning(shape: str) -> str:
    import json

    return "\n".join(
        part["text"]
        for part in json.loads(shape)
        if isinstance(part, dict) and part.get("t") == "reasoning"
    )
