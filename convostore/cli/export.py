"""The export command: conversations as files for other programs and for reading."""

from __future__ import annotations

import sys
from contextlib import aclosing
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from convostore.cli.completion import conversations
from convostore.cli.filtering import filter_options
from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    place,
    run,
    store_options,
)
from convostore.cli.meter import Meter
from convostore.cli.terminal import counted, is_terminal, say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.arranging import FilterWords
    from convostore.exchange.counted import ExportReport
    from convostore.exchange.exporting import TextExport
    from convostore.records import Filter

_FORMATS: Final = (  # as `exchange.layouts` has them, without loading it; a test compares
    *("jsonl", "markdown", "html", "text"),
    *("chatgpt", "claude", "openwebui", "openai", "sharegpt"),
)
_CURSOR: Final = "step1-"  # how a cursor begins, which no time does
_EVERYTHING: Final = {"archived": None}  # what --all alone says


def _with_cursor(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let `--since` take the cursor of an earlier export, too; *command* gets it as `cursor`."""

    @wraps(command)
    def told(*args: Any, **kwargs: Any) -> Any:
        since, cursor = kwargs.get("since"), None
        if isinstance(since, str) and since.startswith(_CURSOR):
            kwargs["since"], cursor = None, since
        return command(*args, cursor=cursor, **kwargs)

    return told


@click.command(
    epilog=examples(
        "convostore export @ --format markdown -o kyoto.md",
        "convostore export --tag travel --format html -o trips/",
        "convostore export --all -o everything.jsonl",
        "convostore export --all --since step1-... -o changes.jsonl",
    )
)
@click.argument("refs", nargs=-1, metavar="[REF]...", shell_complete=conversations)
@click.option("--search", metavar="QUERY", help="Those in which this is found; see search.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(_FORMATS),
    default="jsonl",
    show_default=True,
    help="jsonl loses nothing but secrets; markdown, html and text are for reading; the others are "
    "for other programs, and what they cannot hold is told.",
)
@click.option(
    "--attachments",
    type=click.Choice(["embedded", "beside", "reference"]),
    default="embedded",
    show_default=True,
    help="Of jsonl: in the file, in a folder beside it, or not at all.",
)
@click.option(
    "-o",
    "to",
    metavar="FILE|DIR",
    type=click.Path(),
    callback=place,
    help="Where to; - or nothing is stdout.",
)
@_with_cursor
@filter_options
@store_options
@pass_invocation
def export(
    invocation: Invocation,
    *,
    refs: tuple[str, ...],
    search: str | None,
    format_name: str,
    attachments: str,
    to: str | None,
    words: FilterWords,
    cursor: str | None = None,
) -> None:
    """Write conversations out: named, filtered, found, or all.

    REF is a handle or the beginning of one, an id, a key, or @ for the newest. --all is all, the
    archive too. --since takes a time, as a filter; or what an export of all told at its end: then
    only what has changed since.
    """
    which = _which(invocation, refs, words, search=search, cursor=cursor)
    how = {"search": search, "since": cursor, "format": format_name, "attachments": attachments}
    run(_export(invocation, which, how, None if is_stdout(to) else to))


def _which(
    invocation: Invocation,
    refs: tuple[str, ...],
    words: FilterWords,
    *,
    search: str | None,
    cursor: str | None,
) -> list[str] | Filter | None:
    """Return which conversations are meant; None is all.

    Raises:
        UsageError: none is named, or they are named in two ways.
    """
    if refs and words:
        raise UsageError(
            "export takes conversations or a filter such as --all, not both",
            hint="leave one of them out",
        )
    if search is not None and not search.strip():
        raise UsageError("--search is empty", hint="leave it out, or say what to look for")
    if words and words != _EVERYTHING:
        from convostore.arranging import meant

        return meant(None, words)
    if words or cursor is not None or (search is not None and not refs):
        return list(refs) or None
    return list(refs) if all(refs) and refs else [_one(refs, invocation)]


def _one(refs: tuple[str, ...], invocation: Invocation) -> str:
    """Return the one that a person picks; where a name is empty, or nobody can, say how to find one."""
    return needed_ref(refs[0] if refs else None, "export", picking=None if refs else invocation)


def is_stdout(to: str | None) -> bool:
    """Tell whether *to* is stdout, which nothing is, too."""
    return to is None or to in {"-", "/dev/stdout", "/dev/fd/1"}


async def _export(
    invocation: Invocation,
    which: list[str] | Filter | None,
    how: dict[str, Any],
    to: str | None,
) -> None:
    async with invocation.open() as store:
        alone = to is not None or not is_terminal(sys.stdout)
        with Meter("exported", alone=alone) as meter:
            exported = await store.export(which, to=to, watch=meter.watch, **how)
            report = await write_out(exported)
        tell(report)


async def write_out(exported: ExportReport | TextExport) -> ExportReport:
    """Write an export to stdout as it comes, and return what is in it; one to a file is written."""
    from convostore.cli.output import Output
    from convostore.exchange.exporting import TextExport

    if not isinstance(exported, TextExport):
        return exported
    output = Output()
    async with aclosing(exported) as pieces:
        async for piece in pieces:
            await output.write(piece)
        return pieces.report


def tell(report: ExportReport, *, goes_on: bool = True) -> None:
    """Say on stderr what was exported, what the format could not hold, and how to go on.

    Args:
        report: of the export.
        goes_on: the command takes `--since` with the cursor that it told.
    """
    if report.files:
        unchanged = f", and {report.unchanged} unchanged" if report.unchanged else ""
        say(
            f"{counted(report.conversations, 'conversation')} with "
            f"{counted(report.messages, 'message')}{unchanged} in {report.path}"
        )
    elif not (report.conversations or report.unchanged):
        say("no conversation fits: there is nothing to export")
    if report.losses:
        say("this format has no place for all of it; left out, or told in other words:")
        for what, number in report.losses.items():
            say(f"  {number:,} x {what}")
    if goes_on and report.next_cursor is not None and report.files:
        say(f"for what changes from now on: --since {report.next_cursor}")
