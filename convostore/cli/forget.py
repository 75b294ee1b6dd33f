"""The command that empties one message for good."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli.asking import confirmed
from convostore.cli.branches import first_line, needed_message
from convostore.cli.completion import conversations
from convostore.cli.invocation import (
    Invocation,
    examples,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.purge import copies_option, finish
from convostore.cli.terminal import is_terminal, say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from convostore.records import Message


@click.command(
    short_help="Empty one message for good.",
    epilog=examples("convostore forget @ 4", "convostore forget 7k3m 4 --yes"),
)
@click.argument("ref", metavar="REF", required=False, shell_complete=conversations)
@click.argument("message", required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@copies_option
@store_options
@pass_invocation
def forget(
    invocation: Invocation, ref: str | None, message: str | None, yes: bool, copies: bool
) -> None:
    """Empty one message for good, after a question; what follows it stays.

    Text, attachments and search terms go, and no model is told it again. MESSAGE is its number or
    id. There is no way back. Copies in forks, and a title that somebody chose, stay.
    """
    named, at = needed_message(invocation, ref, message, "forget")
    run(_forget(invocation, named, at, (yes, copies)), patient=True)


async def _forget(
    invocation: Invocation, ref: str, at: str | int, typed: tuple[bool, bool]
) -> None:
    yes, copies = typed
    async with invocation.open() as store:
        conversation = await store.resume(ref)
        found = [one for one in await conversation.messages() if at in {one.seq, one.id}]
        if found and not yes:
            _confirm(found[0])
        done = await conversation.forget(at, scrub=False, wait_s=0)
        say("the message is empty now" if done else "the message was empty already")
        if conversation.record.title_source == "generated":
            say(f"its title may tell of it: {invocation.command('title', ref, 'NEW')}")
        await finish(invocation, store, copies=copies)


def _confirm(message: Message) -> None:
    """Ask whether a message is to go.

    Raises:
        UsageError: there is nobody to ask, or the answer is no.
    """
    what = f'message {message.seq} ("{first_line(message)}")'
    if not is_terminal(sys.stdin):
        raise UsageError(f"this would empty {what} for good", hint="add --yes to do it")
    if not confirmed(f"Empty {what} for good?"):
        raise UsageError("nothing was changed")
