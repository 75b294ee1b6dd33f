"""What opening does with each kind of database, and what the one history makes of an empty one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import schemas  # type: ignore[import-not-found] # pytest puts this folder on the path
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import convostore
from convostore.errors import (
    SchemaOutdatedError,
    SchemaTooNewError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreOpenError,
)
from convostore.providers.echo import Echo
from convostore.storage import migrate, postgres_schema
from convostore.storage.address import Server, address_of
from convostore.storage.search_tables import on_postgresql
from convostore.storage.tables import REVISION, VERSION_TABLE, metadata
from tests.engines import change, dsn, rows
from tests.postgres_server import LOCKED_PASSWORD, LOCKED_ROLE, OwnServer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.engines import Where
    from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.only("postgres", reason="it is about databases of a server")
ROOT = Path(__file__).parents[2]
NEXT = schemas.NEXT.replace('recreate="always"', 'recreate="auto"')  # only SQLite needs a new table


def server_of(url: Where) -> Server:
    """Return the address that a URL names."""
    found = address_of(url)
    assert isinstance(found, Server)
    return found


async def opened(url: Where, **options: Any) -> None:
    """Open a store and close it."""
    async with convostore.open(url, **options):
        pass


def revision(url: Where) -> list[tuple[Any, ...]]:
    """Return what the version table holds."""
    return rows(url, f"SELECT version_num FROM {VERSION_TABLE}")


def tables(url: Where) -> set[str]:
    """Return the names of all tables."""
    return {
        name
        for (name,) in rows(
            url,
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND"
            " relnamespace = 'public'::regnamespace",
        )
    }


@pytest.mark.asyncio
async def test_empty_database_becomes_a_store_of_the_declared_schema(new_path: Where) -> None:
    """The migrations make on PostgreSQL exactly the tables, columns and indexes of the code."""
    await opened(new_path)
    assert revision(new_path) == [(REVISION,)]
    found: list[Any] = []
    declared = [metadata, on_postgresql]

    def compare(connection: Connection, _: Server) -> None:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        found.extend(
            compare_metadata(MigrationContext.configure(connection, opts=options), declared)  # type: ignore[arg-type] # several are fine: its own docstring says so
        )

    await asyncio.to_thread(postgres_schema.run_in_transaction, server_of(new_path), compare, 5.0)
    assert found == []
    conditional = rows(new_path, "SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '% WHERE %'")
    assert len(conditional) == 15


def test_every_text_is_compared_byte_by_byte(path: Where) -> None:
    """Ranges, orders and cursors of texts are those of SQLite, whatever the database's language."""
    found = rows(
        path,
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text'",
    )
    assert {collation for _, _, collation in found} == {"C"}
    assert len(found) >= 50


@pytest.mark.asyncio
async def test_database_without_chats_is_no_store_to_read(new_path: Where) -> None:
    """Who only reads is told that there is nothing, and nothing is made."""
    with pytest.raises(StoreOpenError, match="no chats in it yet") as caught:
        await opened(new_path, create=False)
    assert "convostore chat" in caught.value.hint
    assert tables(new_path) == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("create", [True, False])
async def test_database_of_another_program_is_left_alone(new_path: Where, create: bool) -> None:
    """Tables without a revision of ours are somebody else's; an extension's do not count."""
    change(new_path, "CREATE TABLE notes (text TEXT)")
    with pytest.raises(StoreOpenError, match="another program"):
        await opened(new_path, create=create, migrate=True)
    assert tables(new_path) == {"notes"}


@pytest.mark.asyncio
async def test_store_of_a_newer_program_is_refused(path: Where) -> None:
    """A revision that this program does not know is from a newer one."""
    change(path, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for allowed in (True, False):
        with pytest.raises(SchemaTooNewError, match="9999") as caught:
            await opened(path, migrate=allowed)
        assert "in the folder of its source, pip install ." in caught.value.hint
    assert revision(path) == [("9999",)]


@pytest.mark.asyncio
async def test_store_that_lost_its_revision_is_called_damaged(path: Where) -> None:
    """An empty version table is no new store."""
    change(path, f"DELETE FROM {VERSION_TABLE}")
    with pytest.raises(StoreCorruptError, match="revision"):
        await opened(path, migrate=True)


@pytest.mark.asyncio
async def test_older_store_is_upgraded_when_that_is_allowed(
    path: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without leave it says the command; with it the rows are as they were, in the new schema."""
    await schemas.fill(path)
    before = rows(path, "SELECT id, text, content_hash FROM message ORDER BY id")
    scripts = schemas.write_scripts(tmp_path / "later", NEXT)
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)
    monkeypatch.setattr(migrate, "REVISION", schemas.LATER)
    monkeypatch.setattr(postgres_schema, "REVISION", schemas.LATER)
    with pytest.raises(SchemaOutdatedError) as caught:
        await opened(path)
    assert "convostore db upgrade" in caught.value.hint
    with ThreadPoolExecutor(2) as pool:  # two at once: both succeed, the second finds it done
        list(pool.map(lambda _: asyncio.run(opened(path, migrate=True)), range(2)))
    assert revision(path) == [(schemas.LATER,)]
    assert rows(path, "SELECT id, text, content_hash FROM message ORDER BY id") == before
    assert rows(path, "SELECT value FROM store_meta WHERE name = 'moods'") == [("two",)]


@pytest.mark.asyncio
async def test_upgrade_that_fails_is_undone(
    path: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All revisions are one transaction: what one of them did is gone when the next one fails."""
    scripts = schemas.write_scripts(tmp_path / "later", NEXT + '    op.execute("SELECT 1/0")\n')
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)
    monkeypatch.setattr(migrate, "REVISION", schemas.LATER)
    monkeypatch.setattr(postgres_schema, "REVISION", schemas.LATER)
    before = tables(path)
    with pytest.raises(StoreError):
        await opened(path, migrate=True)
    assert (revision(path), tables(path)) == ([(REVISION,)], before)
    assert rows(path, "SELECT name FROM store_meta") == []


@pytest.mark.asyncio
async def test_new_store_waits_for_another_that_makes_it_and_gives_up(new_path: Where) -> None:
    """A process that is stopped while it makes the store does not hang the others."""
    with psycopg.connect(dsn(str(new_path))) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [postgres_schema._LOCK_KEY])
        with pytest.raises(StoreBusyError):
            await opened(new_path, busy_timeout_s=0.3)
    assert tables(new_path) == set()
    await opened(new_path)


@pytest.mark.asyncio
@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    "rest",
    [
        "://eva:s3cret@127.0.0.1:1/chats",
        "://eva:s3/c@ret@127.0.0.1:1/chats",
        "://eva:s3cret@127.0.0.1:1/chats?sslmode=disable&password=s3cret",
        "://eva:s3cret@no.such.host.invalid/chats",
        "://eva:s3cret@127.0.0.1:port/chats",
    ],
)
async def test_server_that_cannot_be_reached_is_one_error_without_the_password(
    driver: str, rest: str
) -> None:
    """Refused, unknown, misspelt: which store is said, and never the password."""
    store = convostore.open(driver + rest, busy_timeout_s=2)
    with pytest.raises(StoreOpenError) as caught:
        await store
    for told in (str(caught.value), caught.value.hint, repr(caught.value), store.location):
        assert "s3" not in told
        assert "ret@" not in told
    assert "eva" in store.location
    assert "s3" not in repr(store._opener.where)
    await store.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
async def test_no_such_database_and_a_wrong_password_are_said(
    fragile_postgres: OwnServer, driver: str
) -> None:
    """A database that is not there, a role that may not: one error, no password in it."""
    url = fragile_postgres.of("nowhere").replace("postgresql", driver, 1)
    with pytest.raises(StoreOpenError, match="nowhere"):
        await opened(url)
    name = fragile_postgres.make()
    wrong = fragile_postgres.of(name, role=f"{LOCKED_ROLE}:wr0ng").replace("postgresql", driver, 1)
    with pytest.raises(StoreOpenError, match="password") as caught:
        await opened(wrong)
    assert "wr0ng" not in str(caught.value) + caught.value.hint
    right = f"{LOCKED_ROLE}:{LOCKED_PASSWORD.replace('@', '%40')}"
    url = fragile_postgres.of(name, role=right).replace("postgresql", driver, 1)
    with pytest.raises(StoreOpenError, match="permission"):
        await opened(url)  # it may connect, but not make tables
    fragile_postgres.drop(name)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("driver", "error"),  # of a connection that fails, psycopg does not say the SQLSTATE
    [("postgresql", StoreBusyError), ("postgresql+psycopg", StoreOpenError)],
)
async def test_server_that_takes_no_more_connections_says_so(
    fragile_postgres: OwnServer, driver: str, error: type[StoreError]
) -> None:
    """Who comes when every connection is taken is told that, and may try again."""
    name = fragile_postgres.make()
    right = f"{LOCKED_ROLE}:{LOCKED_PASSWORD.replace('@', '%40')}"
    url = fragile_postgres.of(name, role=right).replace("postgresql", driver, 1)
    with fragile_postgres.admin() as admin:
        admin.execute(f"ALTER DATABASE {name} OWNER TO {LOCKED_ROLE}")
        admin.execute(f"ALTER ROLE {LOCKED_ROLE} CONNECTION LIMIT 0")
        try:
            with pytest.raises(error, match="too many connections"):
                await opened(url)
        finally:
            admin.execute(f"ALTER ROLE {LOCKED_ROLE} CONNECTION LIMIT -1")
    await opened(url)
    assert revision(fragile_postgres.of(name)) == [(REVISION,)]
    fragile_postgres.drop(name)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("driver", "primary"),
    [("postgresql", "primary"), ("postgresql+psycopg", "read-write")],
)
async def test_of_several_hosts_the_one_that_may_be_written_to_is_used(
    fragile_postgres: OwnServer, driver: str, primary: str
) -> None:
    """A URL that names a dead host first, as after a failover, opens the store at the other one."""
    name = fragile_postgres.make()
    before, _, query = fragile_postgres.of(name).partition("?")
    hosts = query.replace("host=", "host=/nowhere,")
    url = f"{before}?{hosts}&target_session_attrs={primary}".replace("postgresql", driver, 1)
    async with convostore.open(url, provider=Echo()) as store:
        await (await store.create(title="kept")).send("Hello")
        assert [one.title for one in (await store.list()).items] == ["kept"]
    fragile_postgres.drop(name)


@pytest.mark.parametrize(
    ("driver", "typed"),
    [
        ("asyncpg", "in the folder of convostore's source: pip install '.[postgres]'"),
        ("psycopg", "pip install 'psycopg[binary]'"),
    ],
)
def test_missing_driver_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, driver: str, typed: str
) -> None:
    """Without the driver one line says which, and how to get it."""
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(StoreOpenError, match=driver) as caught:
        asyncio.run(opened(f"postgresql+{driver}://host/chats"))
    assert caught.value.hint == typed


def convostore_program(url: Where, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a database."""
    return subprocess.run(
        [sys.executable, "-m", "convostore", *words],
        env={"PATH": os.environ["PATH"], "CONVOSTORE_DB": str(url), "CONVOSTORE_PROVIDER": "echo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_care_of_a_store_on_a_server(path: Where, tmp_path: Path) -> None:
    """Upgrade and check work; backup and restore name PostgreSQL's own tools, with code 5."""
    done = convostore_program(path, "db", "upgrade")
    assert (done.returncode, done.stdout) == (0, f"the store is at revision {REVISION}\n")
    assert convostore_program(path, "chat", "Hi").returncode == 0
    done = convostore_program(path, "db", "check", "--deep")
    assert (done.returncode, done.stdout) == (0, "no problems in 1 conversation\n")
    for words, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
        file = tmp_path / "backup"
        done = convostore_program(path, "db", words, str(file))
        assert done.returncode == 5
        assert tool in done.stderr
        assert len(done.stderr.splitlines()) == 2
        assert not file.exists()


def test_the_command_line_never_prints_a_password() -> None:
    """Not where the store is, and not in an error."""
    url = "postgresql://eva:s3cret@127.0.0.1:1/chats?sslmode=disable"
    done = convostore_program(url, "path")
    assert done.stdout == "postgresql://eva@127.0.0.1:1/chats\n"
    done = convostore_program(url, "list")
    assert done.returncode == 5
    assert "s3cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.asyncio
async def test_what_pg_dump_writes_is_a_whole_backup(
    path: Where, postgres: PostgresServer, tmp_path: Path
) -> None:
    """A dump that is restored into another database is the same store, and is gone on with."""
    if not isinstance(postgres, OwnServer):
        pytest.skip("the programs that fit a named server are not known")
    await schemas.fill(path)
    name, dump = postgres.make(), tmp_path / "dump"
    copy = postgres.of(name)
    programs = postgres.programs
    subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, dsn(str(path))], check=True)
    subprocess.run([programs / "pg_restore", "-d", dsn(copy), dump], check=True)
    async with convostore.open(copy, provider=Echo()) as store:
        assert (await store.check(deep=True)).problems == ()
        assert len((await store.list()).items) == 3
        await (await store.resume("@")).send("And then?")
    postgres.drop(name)


def test_developers_alembic_takes_a_url(new_path: Where) -> None:
    """`alembic -x db=URL upgrade head` makes the same store, for whoever writes the next revision."""
    subprocess.run(
        [sys.executable, "-m", "alembic", "-x", f"db={new_path}", "upgrade", "head"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    assert revision(new_path) == [(REVISION,)]
