"""What a reader makes of a record, or why it makes nothing of it: one bad record hides no other."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, TypeVar

import msgspec

from convostore.errors import FormatError
from convostore.formats.found import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convostore.formats.foreign import ForeignConversation

T = TypeVar("T")


def conversation_of(
    where: str,
    format: str,
    read: Callable[[T], ForeignConversation],
    value: T,
    remarks: Iterable[str] = (),
) -> ForeignConversation | Refused:
    """Return what *read* makes of *value*, with *remarks* on it; or a refusal with the reason."""
    try:
        one = read(value)
    except FormatError as error:
        reason = error.reason
    except RecursionError:
        reason = "it is nested too deeply to be kept"
    except sqlite3.Error as error:
        reason = f"its rows cannot be read: {_line(error)}"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one must not hide the others
        reason = f"it cannot be read: {type(error).__name__}: {_line(error)}"
    else:
        more = tuple(remarks)
        return msgspec.structs.replace(one, remarks=one.remarks + more) if more else one
    return Refused(where=where, reason=reason, format=format)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
