"""The import command: what other programs have exported, into the store."""

from __future__ import annotations

import sys
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

import click

from convostore.cli.invocation import (
    Invocation,
    examples,
    pass_invocation,
    place,
    run,
    store_options,
)
from convostore.cli.terminal import counted, is_terminal, one_line, say
from convostore.errors import FormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from convostore import Import, ImportReport, ImportResult, Store

_MOST_REFUSALS = 20  # lines of refused records; --json has them all
_MOST_NOTES = 10  # kinds of remarks that are told; --json has them all


class Wish:
    """What was typed: where from, and how."""

    def __init__(self, source: str, *, as_json: bool, how: dict[str, Any]) -> None:
        self.source, self.as_json, self.how = source, as_json, how


@click.command(
    "import",
    short_help="Take in what other programs have exported.",
    epilog=examples(
        "convostore import conversations.json",
        "convostore import export.zip --tag chatgpt",
        "convostore import export.zip --dry-run    only tell what would become of it",
    ),
)
@click.argument("source", metavar="FILE|DIR|ZIP|-", callback=place)
@click.option(
    "--format",
    "format_name",
    metavar="NAME",
    help="How to read it; by default its structure tells.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would become of it; write nothing.")
@click.option("--tag", "tags", multiple=True, metavar="NAME", help="A tag for all of it.")
@click.option("--restore", is_flag=True, help="Bring back what was deleted, too.")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Read more before it is refused, or less: record_bytes=256MiB, line_bytes, entries ...",
)
@click.option("--json", "as_json", is_flag=True, help="A JSON line for each record, and a report.")
@store_options
@pass_invocation
def import_(
    invocation: Invocation,
    source: str,
    *,
    format_name: str | None,
    dry_run: bool,
    tags: tuple[str, ...],
    restore: bool,
    limits: tuple[str, ...],
    as_json: bool,
) -> None:
    """Take in every conversation that another program exported.

    The same file twice changes nothing, and a newer one adds what is new. What you deleted stays
    deleted. A record that cannot be taken is named, hides no other, and makes the exit code 1;
    stopped on the way, say it again.
    """
    if source == "-" and is_terminal(sys.stdin):
        raise UsageError(
            "import - reads standard input, and that is your keyboard",
            hint="name a file, or send one: convostore import - < FILE",
        )
    from convostore.cli.limits import limits_from

    how = {
        "format": format_name,
        "dry_run": dry_run,
        "tags": tags,
        "restore": restore,
        "limits": limits_from(limits),
    }
    work = _import(invocation, Wish(source, as_json=as_json, how=how))
    from convostore.cli.signals import stoppable

    run(stoppable(work, at_once="what is stored stays"))


async def _import(invocation: Invocation, wish: Wish) -> None:
    source = sys.stdin.buffer if wish.source == "-" else wish.source
    with _store(invocation, dry_run=wish.how["dry_run"]) as store:
        work = store.import_(source, **wish.how)  # opens the store once there is something for it
        notes: dict[str, int] = {}
        done = False
        try:
            await _follow(work, notes, as_json=wish.as_json)
            done = True
        finally:
            await _tell(work.report, notes, as_json=wish.as_json, done=done)
            if done and not work.report.dry_run:
                await _index(store, work.report.messages + work.report.added)
            await store.aclose()
    if refused := work.report.refused:
        named = "each is" if refused <= _MOST_REFUSALS else f"the first {_MOST_REFUSALS} are"
        raise FormatError(
            f"{counted(refused, 'record')} refused; the rest is taken",
            format=wish.how["format"] or "import",
            record=None,
            reason="refused records",
            hint=f"{named} named above, with the place in the file",
        )


async def _index(store: Store, expected: int) -> None:
    """Let it be found by search; whoever has no time for it leaves it to later searches."""
    from convostore.cli.meter import Meter

    done = 0
    try:
        with Meter("indexed for search:", alone=True, lines=True) as meter:
            async for indexed in store.index():
                done += indexed
                meter.show_part(done, max(done, expected), "text")
    except BaseException:
        say("all of it is stored; what search does not find yet, later searches and writes index")
        raise


@contextmanager
def _store(invocation: Invocation, *, dry_run: bool) -> Iterator[Store]:
    """Give the store; to try an import there need be none yet."""
    from pathlib import Path

    from convostore.opener import where_is

    where = where_is(invocation.url)
    if not dry_run or not isinstance(where, Path) or where.exists():
        yield invocation.open(create=not dry_run, migrate=not dry_run)
        return
    from tempfile import TemporaryDirectory

    from convostore.store import open as open_store

    with TemporaryDirectory() as folder:
        yield open_store(Path(folder) / "chats.db")


async def _follow(work: Import, notes: dict[str, int], *, as_json: bool) -> None:
    from convostore.cli.progress import showing

    with showing(work) as show:
        async with aclosing(work):
            async for result in work:
                if result.outcome == "refused" and work.report.refused <= _MOST_REFUSALS:
                    show.line(f"refused: {result.where}: {result.reason}")
                for remark in result.remarks:
                    kind = remark.rpartition(": ")[0] or remark
                    notes[kind] = notes.get(kind, 0) + 1
                if as_json:
                    await _print("result", result)
                show.on()


async def _print(kind: str, value: ImportResult | ImportReport, **more: bool) -> None:
    import msgspec

    from convostore.cli import shapes
    from convostore.cli.output import Output

    await Output().write(shapes.to_line({"type": kind, **more, **msgspec.to_builtins(value)}))


def _tell_what_stands_out(report: ImportReport, notes: dict[str, int]) -> None:
    if report.refused > _MOST_REFUSALS:
        say(f"refused: and {report.refused - _MOST_REFUSALS:,} more: --json has them all")
    kinds = sorted(notes.items(), key=lambda one: -one[1])
    for kind, number in kinds[:_MOST_NOTES]:
        say(f"note: {one_line(kind)} ({counted(number, 'conversation')})")
    if len(kinds) > _MOST_NOTES:
        say(f"note: and {len(kinds) - _MOST_NOTES} more kinds: --json has them all")


async def _tell(report: ImportReport, notes: dict[str, int], *, as_json: bool, done: bool) -> None:
    """Say what it came to."""
    if as_json:
        await _print("report", report, complete=done)
    if not done and not report.records:
        return  # the error says it all
    _tell_what_stands_out(report, notes)
    would = "would be " if report.dry_run else ""
    parts = [f"{report.added:,} {would}added", f"{report.updated:,} {would}updated"]
    parts += [f"{report.unchanged:,} unchanged"]
    if report.deleted:
        parts.append(f"{report.deleted:,} left deleted (--restore brings them back)")
    if report.refused:
        parts.append(f"{report.refused:,} refused")
    if report.opaque:
        parts.append(f"{report.opaque:,} no conversations")
    new = f"{counted(report.messages, 'message')} {would}added"
    say(f"{counted(report.records, 'record')}: {', '.join(parts)}; {new}")
    if report.dry_run:
        say("nothing was changed")
    elif not done:
        say("so much is done; say it again for the rest")
