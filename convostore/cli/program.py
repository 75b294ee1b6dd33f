"""The commands of the program `convostore`, each loaded when it is needed."""

from __future__ import annotations

from importlib import import_module

import click

from convostore import __version__
from convostore.cli.invocation import examples, store_options

_HOME = {
    "chat": ("convostore.cli.chat", "chat"),
    "db": ("convostore.cli.db", "db"),
    "delete-branch": ("convostore.cli.branches", "delete_branch"),
    "edit": ("convostore.cli.branches", "edit"),
    "export": ("convostore.cli.export", "export"),
    "fork": ("convostore.cli.branches", "fork"),
    "list": ("convostore.cli.read", "list_command"),
    "models": ("convostore.cli.models", "models"),
    "path": ("convostore.cli.read", "path"),
    "regenerate": ("convostore.cli.branches", "regenerate"),
    "show": ("convostore.cli.read", "show"),
    "switch": ("convostore.cli.branches", "switch"),
    "tree": ("convostore.cli.branches", "tree_command"),
}
EXAMPLES = examples(
    'convostore chat "Plan three days in Kyoto"   ask; the answer is kept while it streams',
    'convostore chat -c "And the budget?"         go on, today or next year',
    "convostore list                              what is kept",
    "convostore show @                            read the newest",
)


class _Commands(click.Group):
    """The commands, without loading those that were not typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name them all."""
        return list(_HOME)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Load one."""
        if cmd_name not in _HOME:
            return None
        module, name = _HOME[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


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
    4 conflict, 5 store, 6 provider, 130 Ctrl-C. Shell completion:
    eval "$(_CONVOSTORE_COMPLETE=bash_source convostore)".
    """
