"""The reading commands: list, show, path."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.terminal import is_terminal, say

if TYPE_CHECKING:
    from convostore.records import ConversationRecord, Message

DEFAULT_COUNT = 20  # conversations that `list` shows; a screenful
MOST_AT_ONCE = 200  # conversations in one page of `Store.list`


@click.command("list", epilog=examples("convostore list -n 50"))
@click.option(
    "-n",
    "count",
    metavar="N",
    type=click.IntRange(min=1),
    default=DEFAULT_COUNT,
    show_default=True,
    help="At most this many.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
@pass_invocation
def list_command(invocation: Invocation, count: int, as_json: bool) -> None:
    """List conversations, the newest activity first.

    When the output is no terminal: one a line, with tabs between handle, title, model, number of
    messages and time of the newest activity.
    """
    from convostore.cli import page, shapes

    records = run(_newest(invocation, count))
    if as_json:
        sys.stdout.write(shapes.to_text([shapes.conversation(record) for record in records]))
    elif not is_terminal(sys.stdout):
        sys.stdout.writelines(f"{page.tab_line(record)}\n" for record in records)
    elif records:
        page.print_table(records)
    else:
        say(f"nothing here yet; begin with: {invocation.command('chat')}")


async def _newest(invocation: Invocation, count: int) -> list[ConversationRecord]:
    records: list[ConversationRecord] = []
    cursor: str | None = None
    async with invocation.open() as store:
        while len(records) < count:
            found = await store.list(limit=min(count - len(records), MOST_AT_ONCE), cursor=cursor)
            records += found.items
            cursor = found.next_cursor
            if cursor is None:
                break
    return records


@click.command(epilog=examples("convostore show @", "convostore show 7k3m -r"))
@click.argument("ref", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, the text exactly as is.")
@click.option("--secrets", is_flag=True, help="Add the anonymous user id and the remote id.")
@click.option("-r", "reply_only", is_flag=True, help="The last answer's text alone.")
@store_options
@pass_invocation
def show(
    invocation: Invocation, ref: str | None, as_json: bool, secrets: bool, reply_only: bool
) -> None:
    """Show a conversation, from its first message to where it stands.

    REF is a handle or the beginning of one, an id, a key, or @ for the newest, @2 for the one
    before. Control characters are shown by their number; --json gives the text exactly.
    """
    from convostore.cli import page, shapes
    from convostore.errors import MessageNotFoundError, UsageError

    wanted = needed_ref(ref, "show")
    if reply_only and (as_json or secrets):
        raise UsageError("-r goes with neither --json nor --secrets", hint="choose one of them")
    record, path, parent_id = run(_read(invocation, wanted))
    hidden = {"anonymous_user_id": record.anonymous_user_id, "parent_id": parent_id}
    if as_json:
        sys.stdout.write(
            shapes.to_text(shapes.document(record, path) | (hidden if secrets else {}))
        )
        return
    if not reply_only:
        page.print_conversation(record, path, hidden if secrets else {})
        return
    answers = [each for each in path if each.role == "assistant" and each.text]
    if not answers:
        raise MessageNotFoundError(
            f"{record.handle} has no answer yet",
            hint=f"convostore show {record.handle} shows what it has",
        )
    page.print_text(answers[-1])


async def _read(
    invocation: Invocation, ref: str
) -> tuple[ConversationRecord, tuple[Message, ...], str | None]:
    async with invocation.open() as store:
        conversation = await store.resume(ref)
        path = await conversation.history()
        return conversation.record, path, conversation.parent_id


@click.command(epilog=examples('ls -l "$(convostore path)"'))
@store_options
@pass_invocation
def path(invocation: Invocation) -> None:
    """Print where the store is."""
    click.echo(invocation.location)
