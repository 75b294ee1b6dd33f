"""The searching command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.cli.quick import DEFAULT_COUNT, MOST_HITS
from convostore.errors import UsageError

if TYPE_CHECKING:
    from convostore.cli.found import Page
    from convostore.records import SearchPage


class _Searching(click.Command):
    """Tells whoever begins a query with a -word how to."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what was typed apart, as click does.

        Raises:
            UsageError: it begins like an option, and is none.
        """
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name.startswith("--"):
                raise
            raise UsageError(
                f"there is no option {error.option_name}",
                hint="a query may begin with - after --: convostore search -- '-bus rail'",
            ) from error


@click.command(
    cls=_Searching,
    epilog=examples(
        "convostore search rail pass                 both words, the best first",
        "convostore search '\"rail pass\" -bus kyo*'   a phrase, not this, a beginning",
        "convostore search 'kyoto role:assistant after:7d'",
        "convostore search 'in:@ train'              in the newest conversation",
    ),
)
@click.argument("query", nargs=-1)
@click.option(
    "-n",
    "count",
    metavar="N",
    type=click.IntRange(min=1, max=MOST_HITS),
    default=DEFAULT_COUNT,
    show_default=True,
    help="At most this many.",
)
@click.option("--cursor", metavar="TEXT", help="Go on after the page whose next_cursor it is.")
@click.option("--newest", is_flag=True, help="The newest first, not the best.")
@click.option("--all-branches", is_flag=True, help="Also what was edited or regenerated away.")
@click.option("--reasoning", is_flag=True, help="Also what models thought.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
@pass_invocation
def search(  # click hands over its options by name
    invocation: Invocation,
    query: tuple[str, ...],
    count: int,
    cursor: str | None,
    newest: bool,
    all_branches: bool,
    reasoning: bool,
    as_json: bool,
) -> None:
    """Find messages and titles by what they say.

    QUERY is words, "phrases", beginnings*, and -words that may not be there; role: (user,
    assistant, system, tool, title), model:, tag:, in:REF, after: and before: (2026-11-25,
    2026-11, 7d, today) narrow it. Quote it for the shell. Nothing in it is an error.

    When the output is no terminal: one hit a line, with tabs between handle, number of the
    message, role, time, title and excerpt; the number 0 is the title itself.
    """
    from convostore.cli import found, quick

    typed = " ".join(query)
    if not typed.strip():
        raise UsageError(
            "search needs words to look for", hint="for example: convostore search 'rail pass'"
        )
    wish = {"newest_first": newest, "all_branches": all_branches, "reasoning": reasoning}
    page: Page | None = None
    if cursor is None:
        page = quick.search(invocation.db, invocation.owner, typed, count, wish)
    if page is None:
        page = run(_search(invocation, typed, count, cursor, wish))
    found.print_page(
        page,
        as_json=as_json,
        count=count,
        most=MOST_HITS,
        all_branches=all_branches,
        command=invocation.command,
    )


async def _search(
    invocation: Invocation, typed: str, count: int, cursor: str | None, wish: dict[str, bool]
) -> SearchPage:
    """Read as many as are wanted: a page may have less, where much of a branch is left out."""
    from msgspec.structs import replace

    async with invocation.open() as store:
        page = await store.search(typed, limit=count, cursor=cursor, **wish)
        while page.next_cursor is not None and (missing := count - len(page.items)) > 0:
            more = await store.search(typed, limit=missing, cursor=page.next_cursor, **wish)
            page = replace(more, items=page.items + more.items)
        return page
