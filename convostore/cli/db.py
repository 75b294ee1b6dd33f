"""Care of the store itself: upgrade, check, reindex, scrub, backup, restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from convostore.cli.invocation import (
    Invocation,
    examples,
    pass_invocation,
    place,
    run,
    store_options,
)
from convostore.cli.purge import copies_option, remove_copies
from convostore.cli.terminal import counted, one_line, say

if TYPE_CHECKING:
    from convostore.storage.soundness import CheckReport


@click.group()
@store_options
def db() -> None:
    """Upgrade, check, scrub, back up and restore the store."""


@db.command(epilog=examples("convostore db upgrade"))
@store_options
@pass_invocation
def upgrade(invocation: Invocation) -> None:
    """Bring the store to this program's schema; a backup is made first."""
    from convostore.store import upgrade as upgrade_store

    revision = run(upgrade_store(invocation.url), patient=True)
    click.echo(f"the store is at revision {revision}")


@db.command(epilog=examples("convostore db check --deep"))
@click.option("--deep", is_flag=True, help="Also recompute every message's hash; slow.")
@store_options
@pass_invocation
def check(invocation: Invocation, deep: bool) -> None:
    """Look for damage, and print each problem on a line.

    Ends with code 5 when there is one.
    """
    from convostore.errors import StoreCorruptError
    from convostore.storage.faults import DAMAGED_HINT

    found = run(_check(invocation, deep), patient=True)
    for problem in found.problems:
        click.echo(one_line(problem))
    for remark in found.remarks:
        say(f"note: {remark}")
    if found.problems:
        raise StoreCorruptError(
            f"{counted(len(found.problems), 'problem')} found",
            hint=DAMAGED_HINT
            if found.journal_mode
            else "restore the database from a dump: pg_restore",
        )
    click.echo(f"no problems in {counted(found.conversations, 'conversation')}")


async def _check(invocation: Invocation, deep: bool) -> CheckReport:
    async with invocation.open() as store:
        return await store.check(deep=deep)


@db.command(short_help="Make the search index again.", epilog=examples("convostore db reindex"))
@store_options
@pass_invocation
def reindex(invocation: Invocation) -> None:
    """Make the search index again, of all owners; others may go on writing.

    It is made of the messages, so nothing can be lost. Stopped on the way, it is gone on with by
    whoever searches or writes.
    """
    count = run(_reindex(invocation), patient=True)
    click.echo(f"{count} messages and titles are indexed")


async def _reindex(invocation: Invocation) -> int:
    async with invocation.open() as store:
        return await store.reindex()


@db.command(
    short_help="Get what was removed out of the store's files.",
    epilog=examples("convostore db scrub", "convostore db scrub --copies"),
)
@copies_option
@store_options
@pass_invocation
def scrub(invocation: Invocation, copies: bool) -> None:
    """Get what was removed for good out of the store's files, where that is still owed.

    The commands that remove do it themselves on a file, and leave it to this one where another
    program stood in the way, and on a server: there every table is written anew (VACUUM FULL), and
    nobody can use it meanwhile. The server's write-ahead log and archives are its operator's.
    """
    run(_scrub(invocation, copies), patient=True)


async def _scrub(invocation: Invocation, copies: bool) -> None:
    async with invocation.open() as store:
        report = await store.scrub()
        for remark in report.remarks:
            say(f"note: {remark}")
        say(
            "what was removed is out of the store's files" if report.was_owed else "nothing is owed"
        )
        await remove_copies(invocation, store, copies=copies)


@db.command(epilog=examples("convostore db backup chats-backup.db"))
@click.argument("file", type=click.Path(), callback=place)
@store_options
@pass_invocation
def backup(invocation: Invocation, file: str) -> None:
    """Write a copy of the whole store to FILE, also while it is in use."""
    run(_backup(invocation, file), patient=True)
    say(f"the backup is in {file}")


async def _backup(invocation: Invocation, file: str) -> None:
    async with invocation.open() as store:
        await store.backup(file)


@db.command(
    short_help="Put a backup in the store's place.",
    epilog=examples("convostore db restore chats-backup.db"),
)
@click.argument("file", type=click.Path(), callback=place)
@store_options
@pass_invocation
def restore(invocation: Invocation, file: str) -> None:
    """Put the backup FILE in the store's place; what was there is kept beside it."""
    from pathlib import Path

    from convostore.store import restore as restore_store

    report = run(restore_store(invocation.url, Path(file)), patient=True)
    say(f"the store is as in {file} again")
    if report.kept is not None:
        say(f"what was there is kept in {report.kept}")
    if report.needs_upgrade:
        say(f"its schema is older: go on with {invocation.command('db', 'upgrade')}")
