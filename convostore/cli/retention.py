"""The command that applies a rule on how long conversations are kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convostore.cli import many
from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.cli.purge import copies_option, finish
from convostore.cli.terminal import counted, say
from convostore.errors import ConversationBusyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.retention import Retention, RetentionReport
    from convostore.store import Store


@click.command(
    short_help="Apply a rule on how long conversations are kept.",
    epilog=examples(
        "convostore retention --delete-after 90d --dry-run",
        "convostore retention --delete-after 90d --purge-after 30d --yes",
        "convostore retention --delete-after 7d --tag draft --keep-tag work",
    ),
)
@click.option("--delete-after", metavar="SPAN", help="Without activity for so long: to the bin.")
@click.option("--purge-after", metavar="SPAN", help="So long in the bin: gone for good.")
@click.option("--tag", "tags", metavar="NAME", multiple=True, help="Only those with this tag.")
@click.option("--keep-tag", "keep", metavar="NAME", multiple=True, help="Never those with it.")
@click.option("--pinned", is_flag=True, help="Pinned ones, too; else they are never touched.")
@click.option("--not-archived", is_flag=True, help="Leave archived ones as they are.")
@click.option("--dry-run", is_flag=True, help="Show which, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@copies_option
@store_options
@pass_invocation
def retention(
    invocation: Invocation,
    /,
    *,
    delete_after: str | None,
    purge_after: str | None,
    tags: tuple[str, ...],
    keep: tuple[str, ...],
    pinned: bool,
    not_archived: bool,
    dry_run: bool,
    yes: bool,
    copies: bool,
) -> None:
    """Apply a rule on how long conversations are kept, after a question with its numbers.

    A SPAN is 12h, 30d, 2w, 6m or 1y. What goes to the bin now stays there for its time. What has
    expired goes as well. For a timer: with --yes.
    """
    from convostore.retention import Retention

    if delete_after is None and purge_after is None:
        raise UsageError(
            "retention needs a span: --delete-after, --purge-after, or both",
            hint="convostore retention --delete-after 90d --dry-run",
        )
    rule = Retention(
        delete_after_s=_seconds(delete_after, "--delete-after"),
        purge_after_s=_seconds(purge_after, "--purge-after"),
        tags=tags,
        keep_tags=keep,
        pinned=pinned,
        archived=not not_archived,
    )
    run(_retain(invocation, rule, dry_run=dry_run, yes=yes, copies=copies), patient=True)


def _seconds(text: str | None, name: str) -> float | None:
    from convostore.query import span_ms

    if text is None:
        return None
    span = span_ms(text)
    if span is None:
        raise UsageError(f"{name} {text} is no span", hint="for example: 12h, 30d, 2w, 6m, 1y")
    return span / 1000


async def _retain(
    invocation: Invocation, rule: Retention, *, dry_run: bool, yes: bool, copies: bool
) -> None:
    async with invocation.open() as store:
        meant = await store.retain(rule, dry_run=True)
        if dry_run:
            await _show(store, meant.to_bin, "to the bin", deleted=False)
            await _show(store, meant.to_purge, "gone for good, from the bin", deleted=True)
            say(f"{_what(meant, 'would')}; nothing was changed")
            return
        if (meant.to_bin or meant.to_purge) and not yes:
            many.ask(_what(meant, "will"))
        report = await store.retain(rule, agreed=meant, scrub=False)
        say(_told(report))
        if report.purged.changed or report.expired.changed:
            await finish(invocation, store, copies=copies)
        if busy := report.purged.busy + report.expired.busy:
            raise ConversationBusyError(
                f"{counted(busy, 'conversation')} stayed: a reply is still being written",
                hint="wait until it has ended, or stop it; then try again",
            )


async def _show(store: Store, ids: Sequence[str], what: str, *, deleted: bool) -> None:
    """List conversations, after a line that says what would become of them."""
    if ids:
        say(f"{what}:")
        await many.show(store, ids, deleted=deleted)
        sys.stdout.flush()


def _what(meant: RetentionReport, verb: str) -> str:
    """Return what is to happen, with the numbers: of what *will*, or *would*."""
    moved = f"{counted(len(meant.to_bin), 'conversation')} {verb} be moved to the bin"
    return f"{moved}; {len(meant.to_purge)} {verb} be gone for good"


def _told(report: RetentionReport) -> str:
    expired = report.expired.changed
    by_itself = f"; {expired} had expired, and went for good" if expired else ""
    moved = f"{counted(report.binned, 'conversation')} moved to the bin"
    return f"{moved}; {report.purged.changed} gone for good{by_itself}"
