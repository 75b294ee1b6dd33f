"""The same test on each engine: where its store is, and a look into it from outside."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore import Store

Where: TypeAlias = Path | str  # a file, or the URL of a database
ENGINES = ("sqlite", "postgres")


def dsn(url: str) -> str:
    """Return a store's URL as libpq knows it."""
    return "postgresql://" + url.partition("://")[2]


def connect(where: Where) -> Any:
    """Connect as another program does, without transactions; the values of statements are `?`."""
    if isinstance(where, Path):
        return closing(sqlite3.connect(where, isolation_level=None))
    return psycopg.connect(dsn(where), autocommit=True)


def rows(where: Where, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Return what another program reads: committed rows only."""
    with connect(where) as connection:
        found: list[tuple[Any, ...]] = connection.execute(_for(where, sql), values).fetchall()
        return found


def change(where: Where, sql: str, *values: object) -> int:
    """Change a store by hand, as no program of ours would; return how many rows changed."""
    with connect(where) as connection:
        return int(connection.execute(_for(where, sql), values).rowcount)


@contextmanager
def held(where: Where) -> Iterator[None]:
    """Hold what every write has to have, as a program that is not ours; reading goes on."""
    with connect(where) as connection:
        connection.execute("BEGIN IMMEDIATE" if isinstance(where, Path) else "BEGIN")
        if not isinstance(where, Path):
            connection.execute("LOCK TABLE conversation IN EXCLUSIVE MODE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def place(store: Store) -> Where:
    """Return where an opened store is."""
    where = store._opener.where
    return where if isinstance(where, Path) else where.dsn


def _for(where: Where, sql: str) -> str:
    return sql if isinstance(where, Path) else sql.replace("%", "%%").replace("?", "%s")
