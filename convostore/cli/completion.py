"""What the shell offers where a conversation is to be named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.cli import quick
from convostore.cli.invocation import Invocation
from convostore.cli.terminal import one_line

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

OFFERED = 200  # conversations that are looked through: what is older is not typed from memory


def conversations(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click hands it to every completer
    incomplete: str,
) -> list[CompletionItem]:
    """Offer the handles that begin as typed, the newest activity first, with their titles.

    A store that only the full way can read offers nothing: the shell waits for the answer.
    """
    from click.shell_completion import CompletionItem

    from convostore.handles import fold_handle

    invocation = ctx.ensure_object(Invocation)
    typed = fold_handle(incomplete)
    found = quick.newest(invocation.db, invocation.owner, OFFERED) or []
    return [
        CompletionItem(record.handle, help=one_line(record.title or ""))
        for record in found
        if record.handle.startswith(typed)
    ]
