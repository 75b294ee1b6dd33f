"""The command that lets conversations go by themselves, and the times it takes."""

from __future__ import annotations

import click

from convostore.cli import many
from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.errors import UsageError

_TIMES = "30d, 12h, 2w, 6m, 1y, or a date: 2027-01-31"


def time_ahead(text: str, name: str) -> int:
    """Return the time to come that was typed, in milliseconds UTC.

    Raises:
        UsageError: it is none, or is over.
    """
    from convostore import clock
    from convostore.query import moment_ahead
    from convostore.text import FAR_MS

    now_ms = clock.now_ms()
    at_ms = moment_ahead(text, now_ms)
    if at_ms is None or not now_ms < at_ms < FAR_MS:
        raise UsageError(f"{name} {text} is no time to come", hint=f"for example: {_TIMES}")
    return at_ms


@click.command(
    short_help="Let conversations go for good by themselves.",
    epilog=examples(
        "convostore expire 30d @ 7k3m",
        "convostore expire 2027-01-31 --tag draft",
        "convostore expire never @",
    ),
)
@click.argument("when", required=False)
@many.options
@store_options
@pass_invocation
def expire(invocation: Invocation, when: str | None, wish: many.Which) -> None:
    """Let conversations go for good by themselves at WHEN, or never.

    From then on they are in no list and no search, and no name finds them; their rows go when the
    store is next written to. WHEN is so far ahead (12h, 30d, 2w, 6m, 1y), or a date. Named
    conversations at once; all that fit a filter after a question, with their number.
    """
    if when is None:
        raise UsageError(
            "expire needs a time, and conversations", hint="convostore expire 30d @; or: never"
        )
    at_ms = None if when == "never" else time_ahead(when, "WHEN")
    many.check("expire", wish, invocation)
    what = "kept until deleted" if at_ms is None else f"set to go for good ({when})"
    run(many.change(invocation, what, wish, expires_at_ms=at_ms))
