"""The chat command: one question, or a whole evening of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convostore.cli.answering import answer, answer_options, wish_of
from convostore.cli.completion import conversations
from convostore.cli.exits import INTERRUPTED, SignalledError, exit_code
from convostore.cli.expire import time_ahead
from convostore.cli.invocation import Invocation, examples, pass_invocation, store_options
from convostore.cli.terminal import say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from convostore.cli.talk import Talk


@click.command(
    epilog=examples(
        'convostore chat "Plan three days in Kyoto"',
        'convostore chat -c "And the budget?"',
        'git diff | convostore chat "Write a commit message"',
        'convostore chat --attach cat.png "What is this?"',
        "convostore chat --ephemeral",
    )
)
@click.argument("text", required=False)
@click.option("-c", "newest", is_flag=True, help="Go on with the newest conversation.")
@click.option(
    "--resume",
    "ref",
    metavar="REF",
    shell_complete=conversations,
    help="Go on with this one: handle, id or key.",
)
@click.option(
    "--attach",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(),
    help="Send this file along with the first question; may be repeated.",
)
@click.option(
    "--expires",
    metavar="WHEN",
    help="Let a new conversation go for good by itself: 30d, 12h, 2027-01-31.",
)
@click.option(
    "--ephemeral",
    is_flag=True,
    help="Keep nothing, in no file; at the prompt, /keep keeps it after all.",
)
@click.option("--system", metavar="TEXT", help="How a new conversation's model is to behave.")
@answer_options
@store_options
@pass_invocation
def chat(
    invocation: Invocation,
    /,
    *,
    text: str | None,
    newest: bool,
    ref: str | None,
    system: str | None,
    files: tuple[str, ...],
    expires: str | None,
    ephemeral: bool,
    as_json: bool,
    **who: Any,
) -> None:
    """Ask, and keep the question and the answer.

    The answer is on stdout while it comes, everything else on stderr; last comes the handle, and
    how to go on. Text piped in is added after TEXT. On a terminal and without TEXT: a prompt.
    """
    from convostore.cli import typed

    _refuse_contradictions(newest=newest, ref=ref, system=system)
    _refuse_for_old(goes_on=newest or ref is not None, expires=expires, ephemeral=ephemeral)
    wish = wish_of(
        "@" if newest else ref,
        system=system,
        files=files,
        ephemeral=ephemeral,
        expires_at_ms=None if expires is None else time_ahead(expires, "--expires"),
        **who,
    )
    message = typed.text_to_send(text)
    if message is None and as_json:
        raise UsageError("--json needs a text", hint='convostore chat --json "Hello"')
    answer(
        invocation,
        wish,
        lambda talk: _converse(talk) if message is None else talk.ask(message),
        as_json=as_json,
    )


def _refuse_contradictions(*, newest: bool, ref: str | None, system: str | None) -> None:
    if newest and ref is not None:
        raise UsageError("-c and --resume name two conversations", hint="leave one of them out")
    if ref is not None and not ref.strip():
        raise UsageError("--resume needs a conversation", hint="convostore list shows them")
    if system is not None and (newest or ref is not None):
        raise UsageError(
            "--system is for a new conversation; this one has begun already",
            hint="leave out --system, or leave out -c and --resume",
        )
    if system is not None and not system.strip():
        raise UsageError("--system is empty", hint="leave it out, or say something")


def _refuse_for_old(*, goes_on: bool, expires: str | None, ephemeral: bool) -> None:
    if ephemeral and goes_on:
        raise UsageError(
            "--ephemeral is for a new conversation; this one is kept already",
            hint="leave out --ephemeral, or leave out -c and --resume",
        )
    if ephemeral and expires is not None:
        raise UsageError(
            "--ephemeral keeps nothing that could expire",
            hint="leave one out; what is kept with /keep: convostore expire WHEN REF",
        )
    if expires is not None and goes_on:
        raise UsageError(
            "--expires is for a new conversation", hint="convostore expire WHEN REF sets it later"
        )


async def _converse(talk: Talk) -> int:
    """Ask whatever is typed, until the person leaves; return the exit code."""
    from convostore.cli import prompt
    from convostore.cli.signals import stoppable

    asker = prompt.make(await talk.questions())
    say(talk.greeting())
    say(asker.keys)
    while True:
        try:
            text = await stoppable(asker.read())
        except SignalledError as ended:
            return exit_code(ended)
        if text is None:
            return 0
        if not text.strip():
            continue
        code = await (talk.keep() if talk.is_to_keep(text) else talk.ask(text))
        if code > INTERRUPTED:
            # Asked to end by another signal than Ctrl-C, or stdout is gone.
            return code
