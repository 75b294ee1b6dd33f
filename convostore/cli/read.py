"""The reading commands: list, show, path."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli.completion import conversations
from convostore.cli.filtering import filter_options
from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.quick import DEFAULT_COUNT
from convostore.cli.terminal import is_terminal, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from convostore.arranging import FilterWords
    from convostore.cli.page import Message, Record
    from convostore.records import ConversationRecord

    Shown: TypeAlias = tuple[Record, Sequence[Message], str | None]

MOST_AT_ONCE = 200  # conversations in one page of `Store.list`


@click.command(
    "list",
    short_help="List conversations, the newest activity first.",
    epilog=examples(
        "convostore list -n 50",
        "convostore list --tag travel --since 30d",
        "convostore list --archived --title kyoto",
        "convostore list --bin",
    ),
)
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
@click.option("--bin", "deleted", is_flag=True, help="The bin, what went there last first.")
@filter_options
@store_options
@pass_invocation
def list_command(
    invocation: Invocation, count: int, as_json: bool, deleted: bool, words: FilterWords
) -> None:
    """List conversations, the pinned ones first, then the newest activity; no archived ones.

    With filters those alone of which all holds that is typed. WHEN is a date (2026-11-25, 2026-11,
    with T18:30 a time), today, yesterday, or so long ago: 12h, 7d, 2w, 3m, 1y.

    When the output is no terminal: one a line, with tabs between handle, title, model, number of
    messages and time of the newest activity.
    """
    from convostore.cli import page, quick

    found: Sequence[Record] | None = None
    if deleted:
        words["deleted"] = True
    if not words:
        found = quick.newest(invocation.db, invocation.owner, count + 1)
    if found is None:
        found = run(_newest(invocation, count + 1, words))
    if found or as_json or not is_terminal(sys.stdout):
        page.print_list(found, as_json=as_json, count=count)
    elif words:
        say("the bin is empty" if set(words) == {"deleted"} else "no conversation fits")
    else:
        say(f"nothing here yet; begin with: {invocation.command('chat')}")


async def _newest(
    invocation: Invocation, count: int, words: FilterWords
) -> list[ConversationRecord]:
    records: list[ConversationRecord] = []
    cursor: str | None = None
    async with invocation.open() as store:
        while len(records) < count:
            limit = min(count - len(records), MOST_AT_ONCE)
            found = await store.list(limit=limit, cursor=cursor, **words)
            records += found.items
            cursor = found.next_cursor
            if cursor is None:
                break
    return records


@click.command(
    short_help="Show a conversation, from its beginning.",
    epilog=examples("convostore show @", "convostore show 7k3m -r"),
)
@click.argument("ref", metavar="REF", required=False, shell_complete=conversations)
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
    before. A key that is just @ and a number is reached by its handle, which list shows. Control
    characters are shown by their number; --json gives the text exactly.
    """
    from convostore.cli import page, quick
    from convostore.errors import UsageError

    wanted = needed_ref(ref, "show", picking=invocation)
    if reply_only and (as_json or secrets):
        raise UsageError("-r goes with neither --json nor --secrets", hint="choose one of them")
    shown: Shown | None = quick.path(invocation.db, invocation.owner, wanted)
    if shown is None:
        shown = run(_read(invocation, wanted))
    page.print_shown(
        *shown,
        as_json=as_json,
        secrets=secrets,
        reply_only=reply_only,
        command=invocation.command,
    )


async def _read(invocation: Invocation, ref: str) -> Shown:
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
