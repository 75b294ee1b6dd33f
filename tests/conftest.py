"""What holds for all tests."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from tests.postgres_server import PostgresServer, any_server, own_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres_server import OwnServer


def pytest_report_header() -> str:
    """Say on what the tests ran, as much depends on it."""
    return (
        f"SQLite {sqlite3.sqlite_version}, SQLAlchemy {version('sqlalchemy')}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server: the one that the environment names, or one of this process's own."""
    with any_server() as server:
        yield server


@pytest.fixture(scope="session")
def fragile_postgres() -> Iterator[OwnServer]:
    """Give a PostgreSQL server that a test may kill and start again."""
    with own_server() as server:
        yield server
