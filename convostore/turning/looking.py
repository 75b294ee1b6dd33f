"""Looking back from a question: what was said before it, as far as its window wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore.records import Message
from convostore.storage import outlines, reads
from convostore.storage.summaries import summaries
from convostore.turning.place import Past

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.overlay import Summary
    from convostore.storage.outlines import Outline
    from convostore.turning.place import Place
    from convostore.views.window import Window

SHORT: Final = 128  # messages: so many are read at once, whatever is wanted of them
_ALLOWED: Final = 3  # as a provider may have counted a reply as so many times fewer tokens
_PIECE: Final = 64  # messages that are read at first, and then twice as many, until it is enough


async def past_of(place: Place, window: Window, seq: int | None) -> Past:
    """Read what was said up to the message *seq*, or of a long path only what is wanted.

    Raises:
        MessageNotFoundError: *seq* itself is not there.
        StoreError: the store cannot be read.
    """
    at, told = (place.database, place.owner_id, place.record.id), place.told
    compacted = place.compacted and window.summaries
    if seq is None or seq <= SHORT or (window.is_whole and not compacted):
        return await past_with(place, window, await reads.path(*at, seq))
    outline = await outlines.outline(*at, seq)
    if outline is None:
        return await past_with(place, window, await reads.path(*at, seq))
    counted = await outlines.counted(*at) if window.counts else {}
    summary = _newest(await summaries(*at), set(outline.seqs)) if compacted else None
    first = outline.system if summary is None else outline.after(summary.message_seq)
    last_turn = outline.turn_start(len(outline.seqs) - 1)  # read in any case
    start = min(last_turn, max(first, _start(outline, window)))
    low, newest = len(outline.seqs), tuple[Message, ...]()
    while low > start and not (low < len(outline.seqs) and _is_enough(place, window, newest)):
        wanted = start if window.tokens is None else low - max(_PIECE, len(newest))
        above = max(start, outline.turn_start(max(start, wanted)))
        newest = (*await outlines.stretch(*at, outline.seqs[above:low]), *newest)
        low = above
    return Past(
        path=(*await outlines.stretch(*at, outline.seqs[: min(low, outline.system)]), *newest),
        skipped_turns=max(0, outline.turns_between(first, low)),
        summary=summary,
        counted=counted,
        has_erased=outline.has_erased,
        window=window if low > outline.system else None,
        told=told,
    )


async def past_with(place: Place, window: Window, path: Sequence[Message]) -> Past:
    """Return a whole path, with what else a window wants to know of it.

    Raises:
        StoreError: the store cannot be read.
    """
    at, told = (place.database, place.owner_id, place.record.id), place.told
    compacted = bool(path) and place.compacted and window.summaries
    return Past(
        path=tuple(path),
        summary=_newest(await summaries(*at), {one.seq for one in path}) if compacted else None,
        counted=await outlines.counted(*at) if path and window.counts else {},
        has_erased=any(one.status == "erased" for one in path),
        window=window if place.compacted or window.counts else None,
        told=told,
    )


def _newest(made: Sequence[Summary], path: set[int]) -> Summary | None:
    """Return the summary of most of a path: those that end elsewhere are of other branches."""
    return next((one for one in reversed(made) if one.message_seq in path), None)


def _start(outline: Outline, window: Window) -> int:
    """Return where in a path the newest turns begin that a window may want.

    One more than it says: the last one may be what is asked.
    """
    if window.turns is None or len(outline.starts) <= window.turns + 1:
        return outline.system
    return outline.starts[-window.turns - 1]


def _is_enough(place: Place, window: Window, newest: Sequence[Message]) -> bool:
    """Tell whether nothing above the messages that were read fits the window."""
    if window.tokens is None:
        return False
    count, tokens = place.opened.count_tokens, 0
    for one in newest:
        tokens += count(one.text)
    return tokens > window.tokens * _ALLOWED
