"""Channels that are kept as what was written to them: what they come to at a checkpoint.

Such a channel has no value in most states. It is made anew of the newest value above, and of all
that was written beside the checkpoints since. Where those are removed, what they came to is kept
with the first that stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

COUNTERS = "counters_since_delta_snapshot"  # in metadata; the channels that have no value there


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint, as far as its channels' history goes.

    Attributes:
        values: its channels' values, as stored.
        history: as stored, or None.
        writes: what was written beside it, in order: task, channel, value as stored.
    """

    parent_id: str | None
    values: dict[str, Any]
    history: dict[str, Any] | None
    writes: tuple[tuple[str, str, Any], ...]


def history_of(
    first: Step, channels: Iterable[str], above: Callable[[str], Step | None]
) -> dict[str, dict[str, Any]]:
    """Return for each channel its writes, oldest first, and the value that they go on from.

    Args:
        first: the checkpoint at which it is asked; what was written beside it is not yet of it.
        channels: their names.
        above: finds a checkpoint by its id; None where it is gone.

    Returns:
        By channel, `writes` as pairs of task and value, and `seed` where there is one.
    """
    found: dict[str, dict[str, Any]] = {name: {"writes": []} for name in channels}
    open_ = set(found)
    step: Step | None = first
    while step is not None and open_:
        for name in open_ & (step.history or {}).keys():
            earlier = (step.history or {})[name]
            found[name] = earlier | {"writes": earlier["writes"] + found[name]["writes"]}
            open_.discard(name)
        step = above(step.parent_id) if step.parent_id is not None else None
        if step is None:
            break
        for name in sorted(open_):
            new = [[task, value] for task, channel, value in step.writes if channel == name]
            found[name]["writes"] = new + found[name]["writes"]
            if name in step.values:
                found[name]["seed"] = step.values[name]
                open_.discard(name)
    return found
