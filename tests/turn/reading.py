"""Look into a store from outside, as another process would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.engines import change, rows

if TYPE_CHECKING:
    from tests.engines import Where

__all__ = ["change", "journaled", "replies", "rows"]


def journaled(path: Where) -> str:
    """Return the text that the journal holds, in order."""
    return "".join(text for (text,) in rows(path, "SELECT text FROM journal ORDER BY seq"))


def replies(path: Where) -> list[tuple[str, str]]:
    """Return (status, text) of all assistant messages, in order of storing."""
    return rows(path, "SELECT status, text FROM message WHERE role = 'assistant' ORDER BY seq")
