"""What PostgreSQL and its drivers raise, turned into errors of ours; and what may be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore.errors import (
    ConvostoreError,
    InvalidTextError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreOpenError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.storage.address import Server

# Source: PostgreSQL, Appendix A, "PostgreSQL Error Codes"; the first two characters are the class.
UNDEFINED_TABLE: Final = "42P01"
UNIQUE: Final = "23505"
READ_ONLY: Final = "25006"  # as on a primary that has become a standby
_TEXT: Final = frozenset({"22021", "22P05"})  # NUL, or what the database's encoding does not have
_AGAIN: Final = frozenset({"40001", "40P01"})  # serialization failure, deadlock
# Ended by an administrator or a crash, not yet there, or idle too long while we were stopped.
_GONE: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})
_WAITED: Final = frozenset({"55P03", "57014"})  # lock timeout, statement timeout
_CROWDED: Final = frozenset({"53300"})  # too many connections
_FULL: Final = frozenset({"53100", "53400"})
_CORRUPT: Final = frozenset({"XX001", "XX002"})
_REFUSED: Final = frozenset({"28", "3D", "3F", "42501", READ_ONLY})
_OF_ALL: Final = frozenset({"53", "54", "55", "57", "58", "XX", "25", "28"})
# Of a connection, without a SQLSTATE: psycopg's; asyncpg's, where it was ended between two messages.
_STATELESS: Final = frozenset({"OperationalError", "ConnectionTimeout", "InternalClientError"})
_DRIVERS: Final = ("asyncpg", "psycopg", "sqlalchemy")


class ConnectionLostError(Exception):
    """The connection is gone, and with it the answer.

    Attributes:
        committing: the commit was on its way: it may have been done; None where nothing was written.
    """

    def __init__(self, cause: BaseException, *, committing: bool | None) -> None:
        super().__init__(str(cause))
        self.committing = committing


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error; empty when it has none."""
    for one in _chain(error):
        if state := getattr(one, "sqlstate", None):
            return str(state)
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def is_lost(error: BaseException) -> bool:
    """Tell whether an error says that the connection is gone, or cannot be had just now."""
    state = state_of(error)
    if not state and type(error).__name__ in _STATELESS and is_drivers(error):
        return True
    lost = isinstance(error, OSError | ConnectionLostError)
    return lost or state[:2] == "08" or state in _GONE | _CROWDED


def is_again(error: BaseException) -> bool:
    """Tell whether the same transaction may succeed when it is simply run again."""
    return state_of(error) in _AGAIN


def is_of_all(error: BaseException) -> bool:
    """Tell whether an error is the server's own, so that running each job apart changes nothing."""
    return state_of(error)[:2] in _OF_ALL


def is_drivers(error: BaseException) -> bool:
    """Tell whether an error came from the driver or the network."""
    if isinstance(error, OSError | UnicodeEncodeError | ConnectionLostError):
        return True
    return type(error).__module__.partition(".")[0] in _DRIVERS


def translate(error: BaseException, server: Server) -> BaseException:
    """Return *error* as one of ours where it is the driver's; anything else as it is."""
    if isinstance(error, ConvostoreError) or not is_drivers(error):
        return error
    ours = _ours(error, server)
    ours.__cause__ = error
    return ours


_BUSY_HINT = "others hold it: try again in a moment"
_FULL_HINT = "free some space on the server; everything stored before is safe"
_OPEN_HINT = "check the URL, and that the server runs: psql URL"
_CORRUPT_HINT = "look into the server's log; restore the database with pg_restore"
_UNKNOWN_HINT = "repeat it with the same idempotency key or message ids: then it is stored once"
_OTHER_HINT = "see the server's log"
_NUL = "NUL (0x00)"  # psycopg refuses it before the server does
_TEXT_HINT = "decode the input as UTF-8 before it comes here, and remove NUL characters"


def _ours(error: BaseException, server: Server) -> StoreError:  # noqa: PLR0911 - one a kind
    state = state_of(error)
    said = server.scrub(str(error)).strip().partition("\n")[0] or type(error).__name__
    if state in _TEXT or _NUL in said or _half_a_character(error):
        return InvalidTextError("a text holds what the database cannot keep", hint=_TEXT_HINT)
    if isinstance(error, ConnectionLostError):
        return _lost(error, server, said)
    if state in _WAITED | _AGAIN | _CROWDED:
        return StoreBusyError(
            f"the store at {server} is busy ({said}); nothing was stored", hint=_BUSY_HINT
        )
    if state in _FULL:
        return StoreFullError(f"the disk that holds {server} is full ({said})", hint=_FULL_HINT)
    if state in _CORRUPT:
        return StoreCorruptError(f"{server} is damaged ({said})", hint=_CORRUPT_HINT)
    if is_lost(error) or state in _REFUSED or state[:2] in _REFUSED:
        return StoreOpenError(f"{server} cannot be opened: {said}", hint=_OPEN_HINT)
    return StoreError(f"the store at {server} failed: {said}", hint=_OTHER_HINT)


def _half_a_character(error: BaseException) -> bool:
    return any(isinstance(one, UnicodeEncodeError) for one in _chain(error))


def _lost(error: ConnectionLostError, server: Server, said: str) -> StoreError:
    if error.committing:
        return StoreError(
            f"the connection to {server} was lost ({said}); whether this is stored is not known",
            hint=_UNKNOWN_HINT,
        )
    so = "" if error.committing is None else "; nothing was stored"
    return StoreOpenError(f"the connection to {server} was lost ({said}){so}", hint=_OPEN_HINT)
