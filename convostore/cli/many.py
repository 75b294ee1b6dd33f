"""Changing how conversations are listed: those that are named, or all that fit, after a question."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from convostore.cli import picker
from convostore.cli.asking import confirmed
from convostore.cli.completion import conversations
from convostore.cli.filtering import filter_options
from convostore.cli.invocation import run
from convostore.cli.terminal import counted, is_terminal, say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from convostore.arranging import FilterWords
    from convostore.cli.invocation import Invocation
    from convostore.lists import UpdateReport
    from convostore.store import Store

    Work: TypeAlias = Callable[[Store, Sequence[str]], Awaitable[UpdateReport]]


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


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give *command* the conversations: named, or by a filter; it gets them as a `Which`."""

    @wraps(command)
    def chosen(
        *args: Any,
        refs: tuple[str, ...],
        words: FilterWords,
        yes: bool,
        dry_run: bool,
        **kwargs: Any,
    ) -> Any:
        return command(*args, wish=Which(refs, words, yes=yes, dry_run=dry_run), **kwargs)

    asking = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    trying = click.option("--dry-run", is_flag=True, help="Show which, and change nothing.")
    named = click.argument("refs", nargs=-1, metavar="[REF]...", shell_complete=conversations)
    return named(filter_options(asking(trying(chosen))))


def check(
    verb: str,
    wish: Which,
    invocation: Invocation,
    *,
    deleted: bool = False,
    archived: bool = False,
) -> None:
    """Refuse what names no conversations, or names them twice; on a terminal one may be picked.

    Args:
        verb: what is typed.
        wish: what was typed after it; gets what is picked.
        invocation: from which store.
        deleted: those of the bin are meant.
        archived: those of the archive are.

    Raises:
        UsageError: none is named, or they are named twice.
        EndedError: the person left without picking one.
        StoreError: the store cannot be opened or read.
    """
    if wish.refs and wish.words:
        raise UsageError(
            f"{verb} takes conversations or a filter, not both", hint="leave one of them out"
        )
    if not wish.refs and not wish.words and picker.can_pick():
        picked = run(picker.pick(invocation, deleted=deleted, archived=archived))
        wish.refs = () if picked is None else (picked,)
    if not wish.refs and not wish.words:
        first, shown = ("what went there last", "list --bin") if deleted else ("the newest", "list")
        shown = "list --archived" if archived else shown
        raise UsageError(
            f"{verb} needs conversations: handles, ids, keys, @ for {first}, or a filter",
            hint=f"convostore {verb} --help has the filters; convostore {shown} shows conversations",
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
    await work_on(
        invocation, what, wish, lambda store, ids: store.update_all(ids, **changes), deleted=False
    )


async def work_on(
    invocation: Invocation, what: str, wish: Which, work: Work, *, deleted: bool
) -> list[str]:
    """Do *work* on the named conversations, or, after a question, on all that fit.

    Args:
        invocation: which store.
        what: what happens to them, as in "archived".
        wish: which ones.
        work: does it, to their ids.
        deleted: they are in the bin.

    Returns:
        The ids of those it was done to.

    Raises:
        UsageError: many would be changed, and nobody can be asked.
        StoreError: as `change`.
    """
    async with invocation.open() as store:
        ids = await chosen(store, wish, deleted=deleted)
        number = counted(len(ids), "conversation")
        if wish.dry_run:
            await show(store, ids, deleted=deleted)
            say(f"{number} would be {what}; nothing was changed")
            return []
        if wish.words and ids and not wish.yes:
            ask(f"{number} will be {what}")
        say(_told(await work(store, ids), what))
        return ids


def _told(report: UpdateReport, what: str) -> str:
    """Return what is said of a change that was made."""
    there = report.found - report.gone
    already = there - report.changed
    so = f" ({already} {'was' if already == 1 else 'were'} so before)" if already else ""
    gone = f"; {report.gone} deleted meanwhile" if report.gone else ""
    return f"{counted(there, 'conversation')} {what}{so}{gone}"


async def chosen(store: Store, wish: Which, *, deleted: bool) -> list[str]:
    """Return the ids that are meant; a name that fits nothing is told before anything changes.

    Raises:
        StoreError: a name fits nothing, or the store cannot be read.
    """
    if wish.words:
        wish.words["deleted"] = deleted
        return list(await store.matching(**wish.words))
    find = store.find_deleted if deleted else store.find
    return list(dict.fromkeys([(await find(ref)).id for ref in wish.refs]))


async def show(store: Store, ids: Sequence[str], *, deleted: bool) -> None:
    """List conversations, as `list` does."""
    from convostore.cli import page

    found = [record async for record in store.records(ids, deleted=deleted)]
    if found:
        page.print_list(found, as_json=False)


def ask(what: str, hint: str = "add --yes, or --dry-run to see which they are") -> None:
    """Ask whether many are to be changed; *hint* says what to type where nobody can be asked.

    Raises:
        UsageError: there is nobody to ask, or the answer is no.
    """
    if not is_terminal(sys.stdin):
        raise UsageError(
            f"{what}, and nobody is there to be asked",
            hint=hint,
        )
    if not confirmed(f"{what}. Go on?"):
        raise UsageError("nothing was changed")
