"""The export command: conversations as files for other programs and for reading."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from convostore.cli.completion import conversations
from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    place,
    run,
    store_options,
)
from convostore.cli.terminal import counted, say

if TYPE_CHECKING:
    from convostore.exchange.exporting import ExportReport


@click.command(
    epilog=examples(
        "convostore export @ --format markdown -o kyoto.md",
        "convostore export --all -o everything.jsonl",
    )
)
@click.argument("ref", required=False, shell_complete=conversations)
@click.option("--all", "everything", is_flag=True, help="All conversations of this owner.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["jsonl", "markdown"]),
    default="jsonl",
    show_default=True,
    help="jsonl loses nothing but secrets; markdown is for reading.",
)
@click.option(
    "-o",
    "to",
    metavar="FILE|DIR",
    type=click.Path(),
    callback=place,
    help="Where to; - or nothing is stdout.",
)
@store_options
@pass_invocation
def export(
    invocation: Invocation, ref: str | None, everything: bool, format_name: str, to: str | None
) -> None:
    """Write out one conversation, or all.

    REF is a handle or the beginning of one, an id, a key, or @ for the newest.
    """
    from convostore.errors import UsageError

    if everything and ref:
        raise UsageError(
            "export takes a conversation or --all, not both", hint="leave one of them out"
        )
    wanted = None if everything else needed_ref(ref, "export", picking=invocation)
    run(_export(invocation, wanted, format_name, None if is_stdout(to) else to))


def is_stdout(to: str | None) -> bool:
    """Tell whether *to* is stdout, which nothing is, too."""
    return to is None or to in {"-", "/dev/stdout", "/dev/fd/1"}


async def _export(
    invocation: Invocation, ref: str | None, format_name: str, to: str | None
) -> None:
    async with invocation.open() as store:
        await write_out(await store.export(ref, format=format_name, to=to))


async def write_out(exported: ExportReport | AsyncGenerator[str]) -> None:
    """Write an export to stdout as it comes; of one that went to a file, say what is in it."""
    from convostore.cli.output import Output

    if isinstance(exported, AsyncGenerator):
        output = Output()
        async with aclosing(exported) as pieces:
            async for piece in pieces:
                await output.write(piece)
    else:
        say(
            f"{counted(exported.conversations, 'conversation')} with "
            f"{counted(exported.messages, 'message')} in {exported.path}"
        )
