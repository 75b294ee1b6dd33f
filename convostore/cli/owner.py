"""Owners: who has something in the store, all of it in a file, and all of it gone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli import many
from convostore.cli.export import is_stdout, tell, write_out
from convostore.cli.invocation import (
    Invocation,
    examples,
    pass_invocation,
    place,
    run,
    store_options,
)
from convostore.cli.purge import copies_option, finish, list_copies
from convostore.cli.shapes import to_text
from convostore.cli.table import print_columns, width
from convostore.cli.terminal import counted, is_terminal, one_line, say
from convostore.errors import ConversationBusyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from convostore.storage.erasing import OwnerRecord
    from convostore.store import Store

PERSONAL = "(personal)"  # how the owner without a name is shown
HEADS = ("owner", "conversations", "messages")


@click.group()
@store_options
def owner() -> None:
    """List owners, export all that is kept of one, or erase it."""


def _whom(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* NAME and `--personal`."""
    command = click.option("--personal", is_flag=True, help="The store's owner without a name.")(
        command
    )
    return click.argument("name", required=False)(command)


@owner.command("list", short_help="List who has something in the store.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
@pass_invocation
def list_owners(invocation: Invocation, as_json: bool) -> None:
    """List who has something in the store, with how much.

    When the output is no terminal: one a line, with tabs between name, conversations and messages.
    """
    found = run(_owners(invocation))
    if as_json:
        click.echo(to_text([_shape(one) for one in found]), nl=False)
        return
    rows = [(one.name or PERSONAL, f"{one.conversations}", f"{one.messages}") for one in found]
    if is_terminal(sys.stdout):
        widths = [max(width(row[at]) for row in (HEADS, *rows)) for at in range(len(HEADS))]
        print_columns(HEADS, rows, [widths[0], *(-most for most in widths[1:])])
    else:
        for name, *numbers in rows:
            click.echo("\t".join((one_line(name), *numbers)))


def _shape(one: OwnerRecord) -> dict[str, Any]:
    return {
        "name": one.name,
        "conversations": one.conversations,
        "messages": one.messages,
        "created_at_ms": one.created_at_ms,
    }


async def _owners(invocation: Invocation) -> tuple[OwnerRecord, ...]:
    async with invocation.open() as store:
        return await store.owners()


@owner.command(
    "export",
    short_help="Write out everything that is kept of an owner.",
    epilog=examples("convostore owner export alice -o alice.jsonl"),
)
@_whom
@click.option(
    "-o",
    "to",
    metavar="FILE",
    type=click.Path(),
    callback=place,
    help="Where to; - or nothing is stdout.",
)
@store_options
@pass_invocation
def export_owner(invocation: Invocation, name: str | None, personal: bool, to: str | None) -> None:
    """Write out everything that is kept of an owner, as JSON lines.

    Archived conversations, the bin, attachments, and what was paid in conversations that are gone
    are all in it; secrets are not.
    """
    run(_export(invocation, _known(invocation, name, personal), to))


async def _export(invocation: Invocation, name: str | None, to: str | None) -> None:
    async with invocation.open(owner=name, personal=name is None) as store:
        await _found(invocation, store, name)
        exported = await store.export(to=None if is_stdout(to) else to, deleted=True)
        tell(await write_out(exported), goes_on=False)


@owner.command(
    "erase",
    short_help="Remove everything of an owner for good.",
    epilog=examples(
        "convostore owner export alice -o alice.jsonl   all of it, before",
        "convostore owner erase alice",
    ),
)
@_whom
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@copies_option
@store_options
@pass_invocation
def erase_owner(
    invocation: Invocation, name: str | None, personal: bool, yes: bool, copies: bool
) -> None:
    """Remove everything of an owner for good, after a question.

    Conversations, the bin, attachments, counted tokens and the name. There is no way back.
    """
    run(_erase(invocation, _known(invocation, name, personal), yes, copies), patient=True)


def _known(invocation: Invocation, name: str | None, personal: bool) -> str | None:
    """Return the name of whom is meant; None is the personal owner.

    Raises:
        UsageError: nobody is named, or two are.
    """
    if personal and name is not None:
        raise UsageError("name an owner or take --personal, not both", hint="leave one of them out")
    if not personal and name is None:
        raise UsageError(
            "name the owner, or --personal",
            hint=f"{invocation.command('owner', 'list')} shows who there is",
        )
    return name


async def _erase(invocation: Invocation, name: str | None, yes: bool, copies: bool) -> None:
    async with invocation.open(owner=name, personal=name is None) as store:
        meant = await _found(invocation, store, name)
        number = counted(meant.conversations, "conversation")
        what = f"{number} with {counted(meant.messages, 'message')} of {meant.name or PERSONAL}"
        if not yes:
            list_copies(store)
            many.ask(f"{what}, the bin and the name will be gone for good", "add --yes to do it")
        try:
            report = await store.erase_owner(scrub=False)
        except ConversationBusyError:  # the rest is gone
            await finish(invocation, store, copies=copies)
            raise
        gone = counted(report.conversations, "conversation")
        calls = counted(report.calls, "model call")
        say(f"{gone} with {counted(report.messages, 'message')} and {calls} gone for good")
        await finish(invocation, store, copies=copies)


async def _found(invocation: Invocation, store: Store, name: str | None) -> OwnerRecord:
    """Return the owner of that name.

    Raises:
        NotFoundError: there is none.
    """
    from convostore.errors import NotFoundError

    for one in await store.owners():
        if one.name == name:
            return one
    raise NotFoundError(
        f"there is no owner {name}" if name else "the personal owner has nothing here",
        hint=f"{invocation.command('owner', 'list')} shows who there is",
    )
