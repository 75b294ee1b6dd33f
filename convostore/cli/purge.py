"""The command that removes conversations for good, and what every removal for good ends with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli import many
from convostore.cli.asking import confirmed
from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.cli.terminal import counted, is_terminal, one_line, say
from convostore.errors import ConversationBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from convostore.cli.many import Which
    from convostore.store import Store
    from convostore.upkeep import PurgeReport


def copies_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* `--copies`."""
    return click.option(
        "--copies",
        is_flag=True,
        help="Also remove the copies that an upgrade or a restore left beside the store.",
    )(command)


@click.command(
    short_help="Remove conversations in the bin for good.",
    epilog=examples(
        "convostore purge @                 what went to the bin last",
        "convostore purge --all             all that is in the bin",
        "convostore purge --until 90d -y    what nobody touched for 90 days",
    ),
)
@copies_option
@many.options
@store_options
@pass_invocation
def purge(invocation: Invocation, wish: Which, copies: bool) -> None:
    """Remove conversations that are in the bin for good, after a question.

    Texts, search terms and the traces in the store's file go; what the model calls cost stays
    counted. There is no way back. --all is the whole bin.
    """
    many.check("purge", wish, invocation, deleted=True)
    run(_purge(invocation, wish, copies), patient=True)


async def _purge(invocation: Invocation, wish: Which, copies: bool) -> None:
    async with invocation.open() as store:
        ids = await many.chosen(store, wish, deleted=True)
        number = counted(len(ids), "conversation")
        if wish.dry_run:
            await many.show(store, ids, deleted=True)
            list_copies(store)
            say(f"{number} would be gone for good; nothing was changed")
            return
        if ids and not wish.yes:
            list_copies(store)
            many.ask(f"{number} will be gone for good")
        report = await store.purge(ids, scrub=False)
        say(_told(report))
        await finish(invocation, store, copies=copies)
        if report.busy:
            raise ConversationBusyError(
                f"{counted(report.busy, 'conversation')} stayed: a reply is still being written",
                hint="wait until it has ended, or stop it; then purge again",
            )


def _told(report: PurgeReport) -> str:
    gone = counted(report.messages, "message")
    meanwhile = f"; {report.gone} were gone, or brought back, meanwhile" if report.gone else ""
    return f"{counted(report.changed, 'conversation')} with {gone} gone for good{meanwhile}"


def list_copies(store: Store) -> tuple[Path, ...]:
    """Say which copies of the store are beside it; return them."""
    found = store.copies()
    if found:
        say("copies of the store beside it, which may have the same:")
    for copy in found:
        say(f"  {one_line(str(copy))}")
    return found


async def finish(invocation: Invocation, store: Store, *, copies: bool) -> None:
    """Get what was removed out of the store's files, and remove its copies where that is wished.

    Raises:
        StoreBusyError: others stood in the way.
        StoreError: the store cannot be read or written.
    """
    if store.is_on_server:
        say(
            "its rows are gone; to get it out of the server's files too, while nobody can use"
            f" the store: {invocation.command('db', 'scrub')}"
        )
        return
    await store.scrub()
    await remove_copies(invocation, store, copies=copies)


async def remove_copies(invocation: Invocation, store: Store, *, copies: bool) -> None:
    """Remove the copies beside the store: as typed, or after a question; else say how.

    Raises:
        StoreError: one cannot be removed.
    """
    found: Sequence[Path] = list_copies(store)
    if not found:
        return
    if not copies and is_terminal(sys.stdin):
        copies = confirmed(f"Remove {counted(len(found), 'file')}?")
    if copies:
        await store.remove_copies(found)
        say(f"{counted(len(found), 'file')} removed")
    else:
        say(f"they stay; remove them with: {invocation.command('db', 'scrub', '--copies')}")
