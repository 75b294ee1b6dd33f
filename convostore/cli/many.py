"""Changing how conversations are listed: those that are named, or all that fit, after a question."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from convostore.cli.terminal import counted, is_terminal, say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.arranging import FilterWords
    from convostore.cli.invocation import Invocation
    from convostore.lists import UpdateReport
    from convostore.store import Store


class Which:
    """Which conversations are typed for a change.

    Attributes:
        refs: the conversations that are named.
        words: the filter instead.
        yes: nobody is to be asked.
        dry_run: what would be changed is shown, and nothing changed.
    """

    def __init__(
        self, refs: Sequence[str], words: FilterWords, *, yes: bool, dry_run: bool
    ) -> None:
        self.refs, self.words = refs, words
        self.yes, self.dry_run = yes, dry_run


def check(verb: str, wish: Which) -> None:
    """Refuse what names no conversations, or names them twice.

    Raises:
        UsageError: it does.
    """
    if wish.refs and wish.words:
        raise UsageError(
            f"{verb} takes conversations or a filter, not both", hint="leave one of them out"
        )
    if not wish.refs and not wish.words:
        raise UsageError(
            f"{verb} needs conversations: handles, ids, keys, @ for the newest, or a filter",
            hint=f"convostore {verb} --help has the filters; convostore list shows conversations",
        )
    if not all(wish.refs):
        raise UsageError("a conversation's name is empty", hint="convostore list shows them")


async def change(invocation: Invocation, what: str, wish: Which, **changes: Any) -> None:
    """Change the named conversations, or, after a question, all that fit.

    Args:
        invocation: which store.
        what: what happens to them, as in "archived".
        wish: which ones.
        changes: as in `Store.update_all`.

    Raises:
        UsageError: many would be changed, and nobody can be asked.
        StoreError: a name fits nothing, or the store cannot be written; nothing was changed by a
            name that fits nothing.
    """
    async with invocation.open() as store:
        ids = await _chosen(store, wish)
        number = counted(len(ids), "conversation")
        if wish.dry_run:
            await _show(store, ids)
            say(f"{number} would be {what}; nothing was changed")
            return
        if wish.words and ids and not wish.yes:
            _ask(f"{number} will be {what}")
        report = await store.update_all(ids, **changes)
        say(_told(report, what))


def _told(report: UpdateReport, what: str) -> str:
    """Return what is said of a change that was made."""
    there = report.found - report.gone
    already = there - report.changed
    so = f" ({already} were so)" if already else ""
    gone = f"; {report.gone} deleted meanwhile" if report.gone else ""
    return f"{counted(there, 'conversation')} {what}{so}{gone}"


async def _chosen(store: Store, wish: Which) -> list[str]:
    """Return the ids; a name that fits nothing is told before anything changes."""
    if wish.words:
        return list(await store.matching(**wish.words))
    return list(dict.fromkeys([(await store.find(ref)).id for ref in wish.refs]))


async def _show(store: Store, ids: Sequence[str]) -> None:
    from convostore.cli import page

    found = [record async for record in store.records(ids)]
    if found:
        page.print_list(found, as_json=False)


def _ask(what: str) -> None:
    """Ask whether many are to be changed.

    Raises:
        UsageError: there is nobody to ask, or the answer is no.
    """
    if not is_terminal(sys.stdin):
        raise UsageError(
            f"{what}, and nobody is there to be asked",
            hint="add --yes, or --dry-run to see which they are",
        )
    if not click.confirm(f"{what}. Go on?", err=True):
        raise UsageError("nothing was changed")
