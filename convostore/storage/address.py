"""Where a store is: a file, or a database of a PostgreSQL server; and how that is shown.

Imports next to nothing, for every command has to say where its store is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from convostore.errors import StoreOpenError
from convostore.paths import OddPathError, path_of
from convostore.plainconfig import MEMORY, shown

if TYPE_CHECKING:
    from pathlib import Path

DriverName: TypeAlias = Literal["asyncpg", "psycopg"]
_DRIVERS: Final[dict[str, DriverName]] = {
    "postgresql": "asyncpg",
    "postgres": "asyncpg",
    "postgresql+asyncpg": "asyncpg",
    "postgresql+psycopg": "psycopg",
}
_HIDDEN: Final = "***"


class Server:
    """A database of a PostgreSQL server.

    Attributes:
        dsn: the URL as libpq knows it; it may hold a password, and is never shown.
        driver: what speaks to it.
    """

    __slots__ = ("driver", "dsn")

    def __init__(self, dsn: str, driver: DriverName) -> None:
        self.dsn = dsn
        self.driver = driver

    def __repr__(self) -> str:
        """Show where it is, without secrets."""
        return f"<Server {self}>"

    def __str__(self) -> str:
        """Return the URL without password and options."""
        return shown(self.dsn)

    def scrub(self, text: str) -> str:
        """Return a driver's message without what the URL hides."""
        userinfo = self.dsn.partition("://")[2].rpartition("@")[0]
        for secret in (self.dsn, userinfo.partition(":")[2]):
            text = text.replace(secret, _HIDDEN) if secret else text
        return text


def address_of(url: str | Path) -> Path | Server:
    """Return the file or the database that a store's URL names; a `~` is the home folder.

    Raises:
        StoreOpenError: it is a URL of another kind, or a name that no file can have.
    """
    if not isinstance(url, str):
        return _file(url)
    scheme, found, rest = url.partition("://")
    if not found:
        return _file(url)
    if scheme in _DRIVERS:
        return Server(f"postgresql://{rest}", _DRIVERS[scheme])
    if scheme.partition("+")[0] != "sqlite" or not rest.startswith("/"):
        raise StoreOpenError(
            f"{scheme}:// is no store that this version can open",
            hint="name a file, or postgresql://USER@HOST/DATABASE",
        )
    return _file(rest[1:])


def _file(name: object) -> Path:
    try:
        path = path_of(name)
    except OddPathError as odd:
        raise StoreOpenError(
            f"{odd.shown} cannot be a store: {odd.reason}", hint="name a file: --db FILE"
        ) from None
    if path.name == MEMORY:
        raise StoreOpenError(
            f"{MEMORY} is no store: nothing in it would be kept",
            hint="name a file; tests have convostore.testing.temporary_store()",
        )
    return path
