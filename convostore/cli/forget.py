"""The command that empties one message for good, or all that one person said."""

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
    filled,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.many import ask
from convostore.cli.purge import copies_option, finish, list_copies
from convostore.cli.terminal import counted, is_terminal, say
from convostore.errors import ConversationBusyError, UsageError

if TYPE_CHECKING:
    from convostore.forgetting import ForgetReport
    from convostore.records import Message


@click.command(
    short_help="Empty a message, or all that a person said, for good.",
    epilog=examples(
        "convostore forget @ 4",
        "convostore forget 7k3m 4 --yes",
        "convostore forget --user telegram:42 --dry-run",
    ),
)
@click.argument("ref", metavar="REF", required=False, shell_complete=conversations)
@click.argument("message", required=False)
@click.option(
    "--user",
    metavar="USER",
    callback=filled,
    help="Instead: all that this person said, in every conversation.",
)
@click.option("--dry-run", is_flag=True, help="With --user: count, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@copies_option
@store_options
@pass_invocation
def forget(
    invocation: Invocation,
    /,
    *,
    ref: str | None,
    message: str | None,
    user: str | None,
    dry_run: bool,
    yes: bool,
    copies: bool,
) -> None:
    """Empty one message for good, after a question; what follows it stays.

    Text, attachments and search terms go, and no model is told it again. MESSAGE is its number or
    id. There is no way back. Copies in forks, and a title that somebody chose, stay.

    With --user, empty all that one person said, in every conversation, the bin included, and what
    they alone were answered; a conversation in which nobody else has asked anything goes as a
    whole. USER is the id by which a bot knows them (author_id), or else their name there.
    """
    if user is not None:
        if ref is not None:
            raise UsageError(
                "forget takes a message or --user, not both", hint="leave one of them out"
            )
        run(_forget_user(invocation, user, dry_run=dry_run, yes=yes, copies=copies), patient=True)
        return
    if dry_run:
        raise UsageError("--dry-run is for --user", hint="leave it out: forget asks first")
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


async def _forget_user(
    invocation: Invocation, user: str, *, dry_run: bool, yes: bool, copies: bool
) -> None:
    async with invocation.open() as store:
        meant = await store.forget(user=user, dry_run=True)
        if dry_run:
            list_copies(store)
            say(f"{_what(meant, 'would')}; nothing was changed")
            return
        if not meant.messages:
            say(f"nothing here was said by {user}")
            return
        if not yes:
            list_copies(store)
            ask(_what(meant, "will"), "add --yes to do it, or --dry-run to see how much it is")
        report = await store.forget(user=user, wait_s=0, scrub=False)
        rooms = counted(report.conversations, "conversation")
        say(f"{counted(report.messages, 'message')} gone for good; {rooms} as a whole")
        await finish(invocation, store, copies=copies)
        if report.busy:
            raise ConversationBusyError(
                f"in {counted(report.busy, 'conversation')} it stayed: a reply is being written",
                hint="wait until it has ended, or stop it; then forget again",
            )


def _what(meant: ForgetReport, verb: str) -> str:
    """Return what is to go, with the numbers: of what *will*, or *would*."""
    rooms = counted(meant.conversations, "conversation")
    gone = f"{counted(meant.messages, 'message')} {verb} be gone for good, answers to them included"
    return f"{gone}; {rooms} as a whole"


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
