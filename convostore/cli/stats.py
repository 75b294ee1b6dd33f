"""The command that adds up what model calls came to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from convostore.cli.completion import conversations
from convostore.cli.filtering import typed_time, typed_words
from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.cli.quick import DEFAULT_COUNT
from convostore.cli.terminal import counted, is_terminal, one_line, say

if TYPE_CHECKING:
    from rich.bar import Bar
    from rich.console import Console

    from convostore.tally import By, Tally, UsageReport

_BY = ("day", "model", "provider", "conversation")
_NUMBERS = ("calls", "input", "output", "unknown")
_GAP = 3  # columns of the terminal between two columns of the table
_LEAST_BAR = 10  # columns of the terminal; a shorter bar says nothing
_LEAST_NAME = 12  # columns of a name: a day or a handle whole, and the longest heading


@click.command(
    short_help="Add up the tokens of model calls.",
    epilog=examples(
        "convostore stats --since 30d",
        "convostore stats --by model --provider playground",
        "convostore stats --by conversation -n 5",
        "convostore stats @                          of the newest conversation",
    ),
)
@click.argument("ref", metavar="[REF]", required=False, shell_complete=conversations)
@click.option("--by", type=click.Choice(_BY), default="day", show_default=True, help="A row each.")
@click.option("--provider", metavar="NAME", help="This provider was asked.")
@click.option("--model", metavar="NAME", help="This model answered.")
@click.option("--since", metavar="WHEN", help="The call ended then or later.")
@click.option("--until", metavar="WHEN", help="The call ended before then.")
@click.option(
    "-n",
    "count",
    metavar="N",
    type=click.IntRange(min=1),
    default=DEFAULT_COUNT,
    show_default=True,
    help="At most so many rows.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with all rows.")
@store_options
@pass_invocation
def stats(  # click hands over its options by name
    invocation: Invocation,
    *,
    ref: str | None,
    by: By,
    provider: str | None,
    model: str | None,
    since: str | None,
    until: str | None,
    count: int,
    as_json: bool,
) -> None:
    """Add up the tokens of model calls, as their providers reported them.

    Of all conversations, or of REF: a handle, id or key, or @ for the newest. Calls count whose
    messages are gone, too. What a provider did not report is unknown: it is in no sum, and `unknown`
    is the number of calls without one. WHEN is as in list.

    When the output is no terminal: a row a line, with tabs between name, calls, input, output,
    cached and reasoning tokens, cost, calls whose tokens are unknown, and title; what is unknown
    is empty.
    """
    names = {"provider": provider, "model": model}
    typed_words(names, tuple(names))
    times = {"since_ms": typed_time(since, "since"), "until_ms": typed_time(until, "until")}
    report = run(_read(invocation, by=by, conversation=ref, **names, **times))
    if as_json:
        from convostore.cli import shapes

        sys.stdout.write(shapes.to_text(_shape(report)))
    elif not report.total.calls:
        say("no model was asked, as far as this store knows")
    else:
        _print(report, count)


async def _read(invocation: Invocation, **wish: Any) -> UsageReport:
    async with invocation.open() as store:
        return await store.stats(**wish)


def _shape(report: UsageReport) -> dict[str, Any]:
    """Return a report as `stats --json` shows it."""
    import msgspec

    return {
        "by": report.by,
        "total": msgspec.to_builtins(report.total),
        "rows": [msgspec.to_builtins(row) for row in report.rows],
    }


def _print(report: UsageReport, count: int) -> None:
    rows = report.rows[:count]
    if not is_terminal(sys.stdout):
        sys.stdout.writelines(f"{_tab_line(row)}\n" for row in rows)
    else:
        _print_table(report, rows)
    if more := len(report.rows) - len(rows):
        say(f"{counted(more, 'more row')}: -n {len(report.rows)} shows all")


def _tab_line(row: Tally) -> str:
    used = row.usage
    numbers = (used.input_tokens, used.output_tokens, used.cached_tokens, used.reasoning_tokens)
    fields = (
        row.handle or row.name or "",
        str(row.calls),
        *("" if number is None else str(number) for number in numbers),
        "" if used.cost is None else f"{used.cost:.9f}".rstrip("0").rstrip("."),
        str(_unknown(row)),
        row.title or "",
    )
    return "\t".join(one_line(field) for field in fields)


def _unknown(row: Tally) -> int:
    """Return how many calls left out one of the two numbers of which the tokens are the sum."""
    return max(row.unknown.input_tokens, row.unknown.output_tokens)


def _print_table(report: UsageReport, rows: tuple[Tally, ...]) -> None:
    """Print a row a line with a bar of its tokens; names are cut, then bars left out, no number."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from convostore.cli.table import cut, terminal_width, width

    everything = (*rows, report.total)
    names = [*map(_name, rows), "together"]
    cells = [_cells(row) for row in everything]
    widths = [max(map(width, column)) for column in zip(_NUMBERS, *cells, strict=True)]
    numbers = sum(widths) + _GAP * len(widths)
    columns = max(terminal_width(), _LEAST_NAME + numbers)
    console = Console(file=sys.stdout, width=columns, highlight=False)
    chart = not console.options.ascii_only
    chart = chart and columns >= _LEAST_NAME + numbers + _GAP + _LEAST_BAR
    room = columns - numbers - (_GAP + _LEAST_BAR) * chart
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column(report.by, no_wrap=True, min_width=8)
    for head, least in zip(_NUMBERS, widths, strict=True):
        table.add_column(head, justify="right", no_wrap=True, min_width=least)
    if chart:
        table.add_column("tokens", ratio=1, min_width=_LEAST_BAR)
        table.expand = True
    most = max((row.tokens or 0 for row in rows), default=0)
    for row, name, numbered in zip(everything, names, cells, strict=True):
        is_total = row is report.total
        bar = [_bar(row, most) if not is_total else Text("")] * chart
        style = "bold" if is_total else None
        table.add_row(Text(cut(name, room)), *numbered, *bar, style=style)
    _show(console, table)


def _cells(row: Tally) -> tuple[str, ...]:
    unknown = _unknown(row)
    known = map(_number, (row.calls, row.usage.input_tokens, row.usage.output_tokens))
    return (*known, _number(unknown) if unknown else "")


def _show(console: Console, table: Any) -> None:
    with console.capture() as captured:
        console.print(table)
    # Without the blanks that rich fills a line with.
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _bar(row: Tally, most: int) -> Bar:
    from rich.bar import Bar

    return Bar(size=max(most, 1), begin=0, end=row.tokens or 0)


def _name(row: Tally) -> str:
    if row.handle is not None:
        return one_line(f"{row.handle}  {row.title or ''}".rstrip())
    return one_line(row.name) if row.name is not None else "(unknown)"


def _number(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"
