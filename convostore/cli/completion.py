"""What the shell offers where a conversation is to be named, and the scripts that let it ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from convostore.cli import quick
from convostore.cli.invocation import Invocation, examples, run
from convostore.cli.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from convostore.cli.page import Record
    from convostore.records import ConversationRecord

OFFERED = 200  # conversations that are looked through: older ones are found by how they begin
_PATIENCE_S = 3.0  # with a store on a server: mostly it takes a second to ask one
_SHELVES = {"restore": "bin", "purge": "bin", "unarchive": "archive"}  # what a command is about
VARIABLE = "_CONVOSTORE_COMPLETE"

# As click's own, but with the titles beside the handles; none where what is shown is put in.
# Source: bash, "Shell Variables", COMP_TYPE: 37 is menu completion, 42 inserts all.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response type value
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete $1)
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain)
            if ((COMP_TYPE == 37 || COMP_TYPE == 42)); then value=${value%%%%  (*}; fi
            COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
}
%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}
%(complete_func)s_setup;
"""

# Before click's own script: a zsh whose owner has never set it up has no compdef.
# Source: zsh, "Use of compinit": -i leaves out what others may write, and does not ask.
_ZSH = """\
#compdef %(prog_name)s

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
"""

# As click's own, but in the order in which they are offered, and with titles that have a comma.
_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
COMP_CWORD=(commandline -t) %(prog_name)s)
    for completion in $response
        set -l metadata (string split --max 1 "," -- $completion)
        switch $metadata[1]
            case dir
                __fish_complete_directories $metadata[2]
            case file
                __fish_complete_path $metadata[2]
            case plain
                printf "%%s\\n" $metadata[2]
        end
    end
end
complete --no-files --keep-order --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


def conversations(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click hands it to every completer
    incomplete: str,
) -> list[CompletionItem]:
    """Offer the handles that begin as typed, the newest activity first, with their titles.

    Of the bin or the archive, where the command brings back from there. A store on a server is
    asked for a moment at most: the shell waits for the answer.
    """
    from click.shell_completion import CompletionItem

    from convostore.handles import fold_handle

    invocation = ctx.ensure_object(Invocation)
    shelf = _SHELVES.get(ctx.command.name or "", "list")
    typed = fold_handle(incomplete)
    found: Sequence[Record] | None = quick.offered(
        invocation.db, invocation.owner, shelf, typed, OFFERED
    )
    if found is None:
        found = _asked_for(invocation, shelf, typed)
    return [
        CompletionItem(record.handle, help=one_line(record.title or ""), titled=True)
        for record in found
    ]


def _asked_for(invocation: Invocation, shelf: str, typed: str) -> Sequence[ConversationRecord]:
    """Return what the full way finds; nothing where it takes long, or the store cannot be read."""
    from convostore.errors import ConvostoreError

    try:
        return run(_read(invocation, shelf, typed))
    except (ConvostoreError, TimeoutError):
        return ()


async def _read(invocation: Invocation, shelf: str, typed: str) -> list[ConversationRecord]:
    import asyncio
    from contextlib import suppress

    from convostore.errors import ConflictError, NotFoundError
    from convostore.records import Filter

    which = Filter(archived=shelf == "archive", deleted=shelf == "bin")
    async with asyncio.timeout(_PATIENCE_S), invocation.open(migrate=False) as store:
        page = await store.list(limit=OFFERED, filter=which)
        found = [one for one in page.items if one.handle.startswith(typed)]
        if typed and not found and shelf == "list":  # an older one, or one in the archive
            with suppress(NotFoundError, ConflictError):
                found = [await store.find(typed)]
        return found


def register() -> None:
    """Let bash see titles, too, fish all of them in order, and any zsh: click's own scripts do not."""
    from click.shell_completion import (
        BashComplete,
        FishComplete,
        ZshComplete,
        add_completion_class,
    )

    class TitledBash(BashComplete):
        source_template = _BASH

        def complete(self) -> str:
            offered = self.get_completions(*self.get_completion_args())
            alone = len(offered) == 1  # is put in as it stands
            return "\n".join(
                f"{item.type},{item.value}"
                + (f"  ({item.help})" if item.titled and item.help and not alone else "")
                for item in offered
            )

    class OrderedFish(FishComplete):
        source_template = _FISH

    class AnyZsh(ZshComplete):
        source_template = _ZSH + ZshComplete.source_template

    add_completion_class(TitledBash)
    add_completion_class(AnyZsh)
    add_completion_class(OrderedFish)


@click.command(
    short_help="Print the script that lets your shell complete.",
    epilog=examples(
        'eval "$(convostore completion bash)"      in ~/.bashrc; so zsh',
        "convostore completion fish | source       in ~/.config/fish/config.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets your shell complete commands, options and conversations.

    Conversations are offered by their handles, with their titles, the newest activity first.
    """
    from click.shell_completion import get_completion_class

    register()
    found = get_completion_class(shell)
    if found is not None:
        program = ctx.find_root()
        maker = found(program.command, {}, program.info_name or "convostore", VARIABLE)
        click.echo(maker.source(), nl=False)
