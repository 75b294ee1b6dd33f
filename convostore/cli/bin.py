"""The commands that take conversations away and bring them back: delete, restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from convostore.cli import many
from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.cli.terminal import say

if TYPE_CHECKING:
    from convostore.cli.many import Which

_BY_NAME = "Named ones at once; all that fit a filter after a question, with their number."


@click.command(
    help=f"""Move conversations to the bin.

    They are out of lists, search and reach until they are brought back. {_BY_NAME}
    """,
    epilog=examples("convostore delete @ 7k3m", "convostore delete --tag old --until 90d"),
)
@many.options
@store_options
@pass_invocation
def delete(invocation: Invocation, wish: Which) -> None:
    """Move conversations to the bin."""
    many.check("delete", wish, invocation)
    work = many.work_on(
        invocation,
        "moved to the bin",
        wish,
        lambda store, ids: store.delete(ids),
        deleted=False,
    )
    if run(work):
        say(f"bring the last one back: {invocation.command('restore', '@')}")


@click.command(
    help=f"""Bring conversations back from the bin.

    REF is a handle, id or key, or @ for what went there last. One whose key was given away
    meanwhile comes back without it. {_BY_NAME}
    """,
    epilog=examples(
        "convostore restore @", "convostore restore --title kyoto", "convostore list --bin"
    ),
)
@many.options
@store_options
@pass_invocation
def restore(invocation: Invocation, wish: Which) -> None:
    """Bring conversations back from the bin."""
    many.check("restore", wish, invocation, deleted=True)
    run(
        many.work_on(
            invocation,
            "brought back",
            wish,
            lambda store, ids: store.undelete(ids),
            deleted=True,
        )
    )
