"""The Playground's paths in each dialect, and which dialect a server was found to speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convostore.providers.playground_objects import Dialect
    from convostore.records import RemoteThread

SEND_PATH: dict[Dialect, str] = {"threads": "/v4/threads/", "stream": "/v4/message/stream"}
READ_PATH: dict[Dialect, str] = {"threads": "/v4/threads/", "stream": "/v3/message/"}
MODEL_PATHS = ("/v4/models/", "/v3/models")
WRONG_PATH = frozenset({404, 405})
_OTHER: dict[Dialect, Dialect] = {"threads": "stream", "stream": "threads"}
_MOST_SERVERS = 64  # a program talks to one or two; tests to a new port each time
_spoken: dict[str, Dialect] = {}  # by server URL, the one learned last at the end


def dialect_of(remote: RemoteThread) -> Dialect | None:
    """Return the dialect of a remote thread, if it is one that is known here."""
    return next((known for known in SEND_PATH if remote.dialect == known), None)


def in_order(server_url: str, remote: RemoteThread | None) -> tuple[Dialect, Dialect]:
    """Return both dialects, first the one that the server most likely speaks.

    Args:
        server_url: the server.
        remote: a thread that may be one of this server's.
    """
    first = _spoken.get(server_url)
    if first is None and remote is not None and remote.server_url == server_url:
        first = dialect_of(remote)
    first = first or "threads"
    return (first, _OTHER[first])


def remember(server_url: str, dialect: Dialect) -> None:
    """Note that the server has the paths of *dialect*, for all turns of this process.

    It only says what is tried first: a server that was replaced is found out again.
    """
    _spoken.pop(server_url, None)
    _spoken[server_url] = dialect
    while len(_spoken) > _MOST_SERVERS:
        del _spoken[next(iter(_spoken))]


def forget_all() -> None:
    """Forget what every server speaks; for tests, which use ports again."""
    _spoken.clear()
