"""The commands of the program `convostore`, each loaded when it is needed."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from convostore import __version__
from convostore.cli.commands import HOMES
from convostore.cli.exits import EndedError, exit_code
from convostore.cli.invocation import examples, store_options

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = examples(
    'convostore chat "Three days in Kyoto"   ask; the answer is kept as it comes',
    'convostore chat -c "And the budget?"    go on, today or next year',
    "convostore list                         what is kept",
    "convostore show @                       read the newest",
    "convostore tag travel @                 find it with: list --tag travel",
    "convostore search 'rail pass'          find what was said",
)


class _Commands(click.Group):
    """The commands, without loading those that were not typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name them all."""
        return list(HOMES)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Load one."""
        if cmd_name not in HOMES:
            return None
        module, name = HOMES[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read what is typed; `--help` and `--version` print here."""
        with _readers():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run what is typed."""
        with _readers():
            return super().invoke(ctx)


@contextmanager
def _readers() -> Iterator[None]:
    """Let a reader that went away be what it is: click would end with code 1."""
    try:
        yield
    except BrokenPipeError as error:
        raise EndedError(exit_code(error)) from None


@click.group(
    cls=_Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="convostore", message="%(prog)s %(version)s")
@store_options
def program() -> None:
    """Keep every chat: the question before the model is asked, the answer while it comes.

    Exit codes: 0 done, 1 text or format refused, 2 usage or ambiguous name, 3 not found,
    4 conflict, 5 store, 6 provider, 130 Ctrl-C (128 + the number of any other signal),
    141 the reader of the output left.

    Shell completion: eval "$(convostore completion bash)", and so for zsh
    """
