"""The commands that put conversations in order: title, pins, the archive, tags, folders, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convostore.cli import many
from convostore.cli.completion import conversations
from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.terminal import one_line, say
from convostore.cli.typed import Wish
from convostore.errors import UsageError

if TYPE_CHECKING:
    from convostore.titling import Titled

_VERBS = {
    "pin": ("List conversations before the others.", "pinned", {"pin": True}),
    "unpin": ("List conversations by their activity alone.", "unpinned", {"pin": False}),
    "archive": ("Take conversations out of the list.", "archived", {"archive": True}),
    "unarchive": ("Take conversations back into the list.", "taken back", {"archive": False}),
}


def _plain_verb(name: str) -> click.Command:
    """Make a command that takes nothing but conversations."""
    summary, what, changes = _VERBS[name]

    @click.command(
        name,
        help=f"{summary}\n\nNamed ones at once; all that fit a filter after a question, with their number.",
        epilog=examples(f"convostore {name} @ 7k3m", f"convostore {name} --tag old --until 90d"),
    )
    @many.options
    @store_options
    @pass_invocation
    def verb(invocation: Invocation, wish: many.Which) -> None:
        if name == "unarchive" and wish.words:
            wish.words.setdefault("archived", True)
        many.check(name, wish, invocation, archived=name == "unarchive")
        run(many.change(invocation, what, wish, **changes))

    return verb


pin = _plain_verb("pin")
unpin = _plain_verb("unpin")
archive = _plain_verb("archive")
unarchive = _plain_verb("unarchive")


@click.command(
    epilog=examples("convostore tag travel @ 7k3m", "convostore tag bot --key telegram: --yes")
)
@click.argument("name")
@many.options
@store_options
@pass_invocation
def tag(invocation: Invocation, name: str, wish: many.Which) -> None:
    """Add the tag NAME to conversations.

    Tags are kept in small letters. Named conversations at once; all that fit a filter after a
    question, with their number.
    """
    many.check("tag", wish, invocation)
    run(many.change(invocation, f"tagged {_kept(name)}", wish, tag=name))


@click.command(epilog=examples("convostore untag travel @", "convostore untag old --tag old"))
@click.argument("name")
@many.options
@store_options
@pass_invocation
def untag(invocation: Invocation, name: str, wish: many.Which) -> None:
    """Take the tag NAME from conversations.

    Named conversations at once; all that fit a filter after a question, with their number.
    """
    many.check("untag", wish, invocation)
    run(many.change(invocation, f"freed of the tag {_kept(name)}", wish, untag=name))


def _kept(name: str) -> str:
    """Return a tag as it is kept, and so found."""
    from convostore.text import gate_tag

    return one_line(gate_tag(name))


@click.command(
    short_help="Put conversations into a folder, or out of one.",
    epilog=examples(
        "convostore move @ 7k3m --to work",
        "convostore move --title kyoto --to travel",
        "convostore move @ --out",
    ),
)
@many.options
@click.option("--to", "to", metavar="FOLDER", help="Which folder; it needs not be made.")
@click.option("--out", is_flag=True, help="Out of any folder.")
@store_options
@pass_invocation
def move(invocation: Invocation, wish: many.Which, to: str | None, out: bool) -> None:
    """Put conversations into a folder, or out of the one they are in.

    A conversation is in one folder or in none, and a folder is there while something is in it.
    Named conversations at once; all that fit a filter after a question, with their number.
    """
    many.check("move", wish, invocation)
    if out is (to is not None) or (to is not None and not to.strip()):
        raise UsageError(
            "move needs to know where to: --to FOLDER, or --out",
            hint="convostore move @ --to work",
        )
    what = "moved out of any folder" if to is None else f"moved to {one_line(to)}"
    run(many.change(invocation, what, wish, folder=to or ""))


@click.command(
    epilog=examples(
        'convostore title @ "Three days in Kyoto"',
        "convostore title @ --generate",
    )
)
@click.argument("ref", required=False, shell_complete=conversations)
@click.argument("text", required=False)
@click.option("--generate", is_flag=True, help="Ask the conversation's provider for one.")
@click.option("-p", "provider", metavar="PROVIDER", help="Ask this one instead.")
@click.option("-m", "model", metavar="MODEL", help="Ask this model.")
@store_options
@pass_invocation
def title(
    invocation: Invocation,
    *,
    ref: str | None,
    text: str | None,
    generate: bool,
    provider: str | None,
    model: str | None,
) -> None:
    """Show the title of a conversation, or give it another one.

    A title that you gave is yours: no generated one takes its place. What is asked for a title is
    no part of the conversation.
    """
    wanted = needed_ref(ref, "title", picking=invocation)
    if generate and text is not None:
        raise UsageError("--generate makes the title that TEXT gives", hint="leave one of them out")
    if not generate and (provider or model):
        raise UsageError("-p and -m are for --generate", hint="add --generate, or leave them out")
    if generate:
        made = run(_generate(invocation, Wish(ref=wanted, provider=provider, model=model)))
        click.echo(one_line(made.title or ""))
        if made.error is not None:
            raise made.error
        if made.source != "generated":
            say("convostore: somebody chose this title, or there is no question yet; it stays")
        return
    click.echo(one_line(run(_title(invocation, wanted, text)) or ""))


async def _generate(invocation: Invocation, wish: Wish) -> Titled:
    from convostore.cli import farside
    from convostore.turning.afterwards import close_provider

    async with invocation.open() as store:
        conversation = await store.resume(wish.ref or "")
        far = farside.choose(invocation.config, wish, conversation.record)
        try:
            return await conversation.generate_title(provider=far.provider, model=far.model)
        finally:
            await close_provider(far.provider)


async def _title(invocation: Invocation, ref: str, text: str | None) -> str | None:
    async with invocation.open() as store:
        if text is None:
            return (await store.find(ref)).title
        conversation = await store.resume(ref)
        return (await conversation.rename(text)).title


@click.command(
    short_help="Show or change what programs keep with a conversation.",
    epilog=examples(
        "convostore metadata @",
        "convostore metadata @ ticket=42 done=true 'people=[\"Ann\"]'",
        "convostore metadata @ ticket=null",
    ),
)
@click.argument("ref", metavar="REF", required=False, shell_complete=conversations)
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...")
@store_options
@pass_invocation
def metadata(invocation: Invocation, ref: str | None, pairs: tuple[str, ...]) -> None:
    """Show what programs keep with a conversation, or change it, as JSON.

    A value is JSON, else text; null takes the name out.
    """
    from convostore.cli import shapes, typed

    wanted = needed_ref(ref, "metadata", picking=invocation)
    changes = typed.values(pairs)
    kept = run(_metadata(invocation, wanted, changes))
    click.echo(shapes.to_text(kept), nl=False)


async def _metadata(invocation: Invocation, ref: str, changes: dict[str, Any]) -> dict[str, Any]:
    async with invocation.open() as store:
        if not changes:
            return (await store.find(ref)).metadata
        conversation = await store.resume(ref)
        return (await conversation.set_metadata(changes, merge=True)).metadata
