"""What all commands that ask a model share: their options, and how an answer is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from convostore.cli.exits import EndedError, exit_code
from convostore.cli.invocation import filled, run
from convostore.errors import ConvostoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convostore.cli.invocation import Invocation
    from convostore.cli.talk import Talk
    from convostore.cli.typed import Wish

CommandT = TypeVar("CommandT", bound="Callable[..., Any]")

_OPTIONS = (
    click.option(
        "-p",
        "provider",
        metavar="PROVIDER",
        callback=filled,
        help="playground, openai, local, echo; or installed.",
    ),
    click.option(
        "-m",
        "model",
        metavar="MODEL",
        callback=filled,
        help="Which model answers: convostore models.",
    ),
    click.option(
        "-o",
        "options",
        metavar="NAME=VALUE",
        multiple=True,
        help="An option for the provider, such as temperature=0.2; may be repeated.",
    ),
    click.option("--proxy", metavar="URL", callback=filled, help="Go through this HTTP proxy."),
    click.option("--json", "as_json", is_flag=True, help="JSON lines: pieces, then how it ended."),
)


def answer_options(command: CommandT) -> CommandT:
    """Give *command* the options that say who answers, and how it is shown."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wish_of(
    ref: str | None,
    *,
    provider: str | None,
    model: str | None,
    options: tuple[str, ...],
    proxy: str | None,
    system: str | None = None,
    files: tuple[str, ...] = (),
    expires_at_ms: int | None = None,
    ephemeral: bool = False,
) -> Wish:
    """Return what was typed, checked.

    Raises:
        UsageError: an option is not name=value.
    """
    from convostore.cli import typed

    settings = typed.settings(options)
    dialect = settings.pop("dialect", None)
    return typed.Wish(
        ref=ref,
        provider=provider,
        model=model,
        system=system,
        settings=settings,
        dialect=None if dialect is None else str(dialect),
        proxy=proxy,
        files=files,
        expires_at_ms=expires_at_ms,
        ephemeral=ephemeral,
    )


def answer(
    invocation: Invocation,
    wish: Wish,
    ask: Callable[[Talk], Awaitable[int]],
    *,
    as_json: bool,
) -> None:
    """Let a model be asked, show what it answers, and say at the end how to go on.

    Raises:
        EndedError: with the exit code, where it is not 0; everything was said.
    """
    code = run(_answer(invocation, wish, ask, as_json=as_json))
    if code:
        raise EndedError(code)


async def _answer(
    invocation: Invocation, wish: Wish, ask: Callable[[Talk], Awaitable[int]], *, as_json: bool
) -> int:
    from convostore.cli.output import Output
    from convostore.cli.talk import opened
    from convostore.cli.view import JsonView, TextView

    view = JsonView(Output()) if as_json else TextView(Output())
    try:
        async with opened(invocation, wish, view) as talk:
            try:
                return await ask(talk)
            finally:
                talk.say_how_to_go_on()
    except ConvostoreError as error:
        invocation.fit(error)
        await view.failed(error)
        return exit_code(error)
