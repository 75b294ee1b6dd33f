"""Looking back from a question: what was said before it, as far as its window wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore.records import Message
from convostore.storage import outlines, reads
from convostore.turning.place import Past

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    at = (place.database, place.owner_id, place.record.id)
    if seq is None or seq <= SHORT or (window.is_whole and not place.compacted):
        return await past_with(place, window, await reads.path(*at, seq))
    outline = await outlines.outline(*at, seq)
    if outline is None:
        return await past_with(place, window, await reads.path(*at, seq))
    counted = await outlines.counted(*at) if window.counts else {}
    start, low, newest = _start(outline, window), len(outline.seqs), tuple[Message, ...]()
    while low > start and not (low < len(outline.seqs) and _is_enough(place, window, newest)):
        wanted = start if window.tokens is None else low - max(_PIECE, len(newest))
        above = outline.turn_start(max(start, wanted))
        newest = (*await reads.stretch(*at, outline.seqs[above:low]), *newest)
        low = above
    return Past(
        path=(*await reads.stretch(*at, outline.seqs[: min(low, outline.system)]), *newest),
        skipped_turns=outline.turns_between(outline.system, low),
        counted=counted,
        has_erased=outline.has_erased,
        window=window if low > outline.system else None,
    )


async def past_with(place: Place, window: Window, path: Sequence[Message]) -> Past:
    """Return a whole path, with what else a window wants to know of it.

    Raises:
        StoreError: the store cannot be read.
    """
    at = (place.database, place.owner_id, place.record.id)
    return Past(
        path=tuple(path),
        counted=await outlines.counted(*at) if path and window.counts else {},
        has_erased=any(one.status == "erased" for one in path),
    )


def _start(outline: Outline, window: Window) -> int:
    """Return where in a path the newest turns begin that a window may want; one is always read."""
    if window.turns is None or len(outline.starts) <= window.turns:
        return outline.system
    return outline.starts[-max(1, window.turns)]


def _is_enough(place: Place, window: Window, newest: Sequence[Message]) -> bool:
    """Tell whether nothing above the messages that were read fits the window."""
    if window.tokens is None:
        return False
    count, tokens = place.opened.count_tokens, 0
    for one in newest:
        tokens += count(one.text)
    return tokens > window.tokens * _ALLOWED
