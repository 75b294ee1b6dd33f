"""What holds for all tests."""

from __future__ import annotations

import asyncio
import faulthandler
import itertools
import platform
import sqlite3
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key  # stderr, while it is captured
from hypothesis import HealthCheck, settings

import convostore
from convostore.storage import indexing
from convostore.storage.statements import Hot
from tests.engines import ENGINES
from tests.owner_rule import unowned
from tests.postgres_server import PostgresServer, any_server, own_server

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Dialect

    from tests.engines import Where
    from tests.postgres_server import OwnServer


TEARDOWN_LIMIT_S = 240.0

# How long an example takes says something of the machine's other work, not of the program.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_report_header() -> str:
    """Say on what the tests ran, as much depends on it."""
    return (
        f"SQLite {sqlite3.sqlite_version}, SQLAlchemy {version('sqlalchemy')}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that asks for a place of a store on both engines, or on what its mark names."""
    if "engine" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only")
        metafunc.parametrize("engine", only.args if only else ENGINES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Limit what comes after a test: a failure ends every timer of pytest and its plugins."""
    faulthandler.dump_traceback_later(
        TEARDOWN_LIMIT_S, exit=True, file=item.config.stash[fault_handler_stderr_fd_key]
    )
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session", autouse=True)
def owner_in_every_query() -> Iterator[None]:
    """Refuse every statement that does not name its owner, on both engines, whoever runs it."""
    compiled = Hot.on

    def on(hot: Hot, dialect: Dialect) -> Any:
        if dialect.paramstyle not in hot._compiled:
            missing = unowned(hot._statement)
            assert not missing, f"{hot._statement} does not name the owner of: {missing}"
        return compiled(hot, dialect)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hot, "on", on)
        yield


@pytest.fixture
def index_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no writer put anything into the search index by itself, between what a test does."""
    monkeypatch.setattr(indexing, "IDLE_S", 3600)
    monkeypatch.setattr(indexing, "EVERY_S", 3600)
    monkeypatch.setattr(indexing, "MOST_AT_THE_END", 0)


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


@pytest.fixture(scope="session")
def template(postgres: PostgresServer) -> Iterator[str]:
    """Give the name of a database that is an empty store: copying it is quicker than making one."""

    async def make(url: str) -> None:
        async with convostore.open(url):
            pass

    name = postgres.make()
    asyncio.run(make(postgres.of(name)))
    yield name
    postgres.drop(name)


@pytest.fixture
def places(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Where]]:
    """Give new places for stores: files that are not there yet, or databases with an empty store."""
    numbers, made = itertools.count(), list[str]()

    def place() -> Where:
        number = next(numbers)
        if engine == "sqlite":
            return tmp_path / (f"chats-{number}.db" if number else "chats.db")
        made.append(server().make(request.getfixturevalue("template")))
        url = server().of(made[-1])
        return url.replace("postgresql", "postgresql+psycopg", 1) if engine == "psycopg" else url

    def server() -> PostgresServer:
        found: PostgresServer = request.getfixturevalue("postgres")
        return found

    yield place
    for name in made:
        server().drop(name)


@pytest.fixture
def path(places: Callable[[], Where]) -> Where:
    """Name a place for a store."""
    return places()


@pytest.fixture
def new_path(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Where]:
    """Name a place where there is nothing: no file, or a database without a table."""
    if engine == "sqlite":
        yield tmp_path / "new.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.make()
    yield server.of(name)
    server.drop(name)
