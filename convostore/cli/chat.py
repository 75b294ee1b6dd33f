"""The chat command: one question, or a whole evening of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from convostore.cli.completion import conversations
from convostore.cli.exits import INTERRUPTED, EndedError, SignalledError, exit_code
from convostore.cli.invocation import Invocation, examples, pass_invocation, run, store_options
from convostore.cli.terminal import say
from convostore.errors import ConvostoreError, UsageError

if TYPE_CHECKING:
    from convostore.cli.talk import Talk
    from convostore.cli.typed import Wish


@click.command(
    epilog=examples(
        'convostore chat "Plan three days in Kyoto"',
        'convostore chat -c "And the budget?"',
        'git diff | convostore chat "Write a commit message"',
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
@click.option("-p", "provider", metavar="PROVIDER", help="playground, local or echo.")
@click.option("-m", "model", metavar="MODEL", help="Which model answers: convostore models.")
@click.option("--system", metavar="TEXT", help="How a new conversation's model is to behave.")
@click.option(
    "-o",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option for the provider, such as temperature=0.2; may be repeated.",
)
@click.option("--proxy", metavar="URL", help="Go through this HTTP proxy.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines: pieces, then how it ended.")
@store_options
@pass_invocation
def chat(
    invocation: Invocation,
    *,
    text: str | None,
    newest: bool,
    ref: str | None,
    provider: str | None,
    model: str | None,
    system: str | None,
    options: tuple[str, ...],
    proxy: str | None,
    as_json: bool,
) -> None:
    """Ask, and keep the question and the answer.

    The answer is on stdout while it comes, everything else on stderr; last comes the handle, and
    how to go on. Text piped in is added after TEXT. On a terminal and without TEXT: a prompt.
    """
    from convostore.cli import typed

    _refuse_contradictions(newest=newest, ref=ref, system=system)
    settings = typed.settings(options)
    dialect = settings.pop("dialect", None)
    wish = typed.Wish(
        ref="@" if newest else ref,
        provider=provider,
        model=model,
        system=system,
        settings=settings,
        dialect=None if dialect is None else str(dialect),
        proxy=proxy,
    )
    message = typed.text_to_send(text)
    if message is None and as_json:
        raise UsageError("--json needs a text", hint='convostore chat --json "Hello"')
    code = run(_chat(invocation, wish, message, as_json=as_json))
    if code:
        raise EndedError(code)


def _refuse_contradictions(*, newest: bool, ref: str | None, system: str | None) -> None:
    if newest and ref is not None:
        raise UsageError("-c and --resume name two conversations", hint="leave one of them out")
    if ref is not None and not ref:
        raise UsageError("--resume needs a conversation", hint="convostore list shows them")
    if system is not None and (newest or ref is not None):
        raise UsageError(
            "--system is for a new conversation; this one has begun already",
            hint="leave out --system, or leave out -c and --resume",
        )
    if system is not None and not system.strip():
        raise UsageError("--system is empty", hint="leave it out, or say something")


async def _chat(invocation: Invocation, wish: Wish, text: str | None, *, as_json: bool) -> int:
    """Ask *text*, or whatever is typed when it is None; return the exit code."""
    from convostore.cli.output import Output
    from convostore.cli.talk import opened
    from convostore.cli.view import JsonView, TextView

    view = JsonView(Output()) if as_json else TextView(Output())
    try:
        async with opened(invocation, wish, view) as talk:
            try:
                return await (_converse(talk) if text is None else talk.ask(text))
            finally:
                if talk.conversation is not None:
                    handle = talk.conversation.handle
                    say(f"{handle}  go on with: {invocation.command('chat', '--resume', handle)}")
    except ConvostoreError as error:
        invocation.fit(error)
        await view.failed(error)
        return exit_code(error)


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
        code = await talk.ask(text)
        if code > INTERRUPTED:
            # Asked to end by another signal than Ctrl-C, or stdout is gone.
            return code
