"""The commands about branches: tree, regenerate, edit, switch, fork, delete-branch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from convostore.cli.answering import answer, answer_options, wish_of
from convostore.cli.asking import asked, confirmed
from convostore.cli.completion import conversations
from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    run,
    store_options,
)
from convostore.cli.purge import copies_option, finish
from convostore.cli.terminal import counted, is_terminal, one_line, say
from convostore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convostore.conversation import Conversation
    from convostore.records import ConversationRecord, Message
    from convostore.tree import Tree

_ref = click.argument("ref", metavar="REF", required=False, shell_complete=conversations)


@click.command("tree", epilog=examples("convostore tree @", "convostore tree 7k3m --json"))
@_ref
@click.option("--json", "as_json", is_flag=True, help="A JSON document for programs.")
@store_options
@pass_invocation
def tree_command(invocation: Invocation, ref: str | None, as_json: bool) -> None:
    """Draw all messages of a conversation, with every branch.

    Where it stands is marked by *. The numbers are what regenerate, edit, switch, fork and
    delete-branch take. "2 of 3" is the second of three siblings.
    """
    from convostore.cli import drawn_tree, shapes

    record, tree = run(_tree(invocation, needed_ref(ref, "tree", picking=invocation)))
    if as_json:
        sys.stdout.write(shapes.to_text(drawn_tree.document(record, tree)))
    else:
        drawn_tree.print_tree(record, tree)


async def _tree(invocation: Invocation, ref: str) -> tuple[ConversationRecord, Tree]:
    async with invocation.open() as store:
        conversation = await store.resume(ref)
        return conversation.record, await conversation.tree()


@click.command(
    epilog=examples("convostore regenerate @", "convostore regenerate 7k3m 4 -o temperature=1")
)
@_ref
@click.argument("message", required=False)
@answer_options
@store_options
@pass_invocation
def regenerate(
    invocation: Invocation, /, ref: str | None, message: str | None, as_json: bool, **who: Any
) -> None:
    """Ask for another answer; the first one stays, as a sibling.

    MESSAGE is the number or id of the question, or of one of its answers; without it, the
    question asked last is answered again.
    """
    wish = wish_of(needed_ref(ref, "regenerate", picking=invocation), **who)
    at = None if message is None else _named(message)
    answer(invocation, wish, lambda talk: talk.regenerate(at), as_json=as_json)


@click.command(
    short_help="Ask a question in other words; the first one stays.",
    epilog=examples(
        'convostore edit @ 3 "Plan two days in Kyoto"',
        "convostore edit @ 3                         opens $EDITOR with the question",
    ),
)
@_ref
@click.argument("message", required=False)
@click.argument("text", required=False)
@answer_options
@store_options
@pass_invocation
def edit(
    invocation: Invocation,
    /,
    ref: str | None,
    message: str | None,
    text: str | None,
    as_json: bool,
    **who: Any,
) -> None:
    """Ask a question in other words; the first one stays, with all that followed it.

    MESSAGE is the number or id of the question. TEXT may also be piped in; without it, on a
    terminal, $EDITOR opens with the question.
    """
    from convostore.cli import typed

    named, at = needed_message(invocation, ref, message, "edit")
    wish = wish_of(named, **who)
    words = typed.text_to_send(text, f"convostore edit {wish.ref} {at}")
    if words is None:
        words = _edited(run(_text_of(invocation, wish.ref or "", at)))
    answer(invocation, wish, lambda talk: talk.edit(at, words), as_json=as_json)


def _edited(text: str) -> str:
    """Let a person change *text* in an editor, and return it.

    Raises:
        UsageError: there is no editor, or nothing was changed.
    """
    try:
        edited = click.edit(text)
    except click.ClickException as error:
        raise UsageError(
            f"the editor failed: {error.format_message()}", hint="set EDITOR, or type the text"
        ) from error
    if edited is None or not edited.strip() or edited.rstrip("\n") == text:
        raise UsageError("the question was not changed; nothing was asked")
    return edited.rstrip("\n")


async def _text_of(invocation: Invocation, ref: str, at: str | int) -> str:
    from convostore.errors import MessageNotFoundError

    async with invocation.open() as store:
        conversation = await store.resume(ref)
        for one in await conversation.messages():
            if at in {one.seq, one.id} and one.role == "user":
                return one.text
    raise MessageNotFoundError(
        f"{conversation.handle} has no question {at}",
        hint=f"{invocation.command('tree', conversation.handle)} shows them",
    )


@click.command(
    short_help="Choose the branch that show and chat go on with.",
    epilog=examples("convostore switch @ 4", "convostore switch 7k3m 2 --exactly"),
)
@_ref
@click.argument("message", required=False)
@click.option("--exactly", is_flag=True, help="Stand at this very message, not at its newest end.")
@store_options
@pass_invocation
def switch(invocation: Invocation, ref: str | None, message: str | None, exactly: bool) -> None:
    """Make the branch of a message the active one: show and chat go on with it.

    MESSAGE is the number or id of any message of that branch.
    """
    named, at = needed_message(invocation, ref, message, "switch")

    async def go(conversation: Conversation) -> None:
        head = await conversation.switch(at, exactly=exactly)
        _say_where(invocation, conversation.record, head)

    run(_with(invocation, named, go))


@click.command(
    short_help="Make a new conversation from the beginning of one.",
    epilog=examples("convostore fork @", 'convostore fork 7k3m 4 --title "Plan B"'),
)
@_ref
@click.argument("message", required=False)
@click.option("--title", metavar="TEXT", help="Of the new conversation; without it, the same.")
@store_options
@pass_invocation
def fork(invocation: Invocation, ref: str | None, message: str | None, title: str | None) -> None:
    """Make a new conversation with copies of the messages up to MESSAGE, or all to the head.

    Prints its handle.
    """
    if title is not None and not title.strip():
        raise UsageError("--title is empty", hint="leave it out, or say something")
    at = None if message is None else _named(message)

    async def go(conversation: Conversation) -> None:
        made = await conversation.fork(at, title=title)
        click.echo(made.handle)
        say(f"go on with: {invocation.command('chat', '--resume', made.handle)}")

    run(_with(invocation, needed_ref(ref, "fork", picking=invocation), go))


@click.command(
    "delete-branch",
    short_help="Remove a message and what follows it, for good.",
    epilog=examples("convostore delete-branch @ 4"),
)
@_ref
@click.argument("message", required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@copies_option
@store_options
@pass_invocation
def delete_branch(
    invocation: Invocation, ref: str | None, message: str | None, yes: bool, copies: bool
) -> None:
    """Remove a message and all that follows it, for good, after a question.

    There is no way back. MESSAGE is the number or id of the uppermost message to go.
    """
    named, at = needed_message(invocation, ref, message, "delete-branch")
    run(_delete_branch(invocation, named, at, (yes, copies)), patient=True)


async def _delete_branch(
    invocation: Invocation, ref: str, at: str | int, typed: tuple[bool, bool]
) -> None:
    yes, copies = typed
    async with invocation.open() as store:
        conversation = await store.resume(ref)
        tree = await conversation.tree()
        top = next((one for one in tree.messages if at in {one.seq, one.id}), None)
        if top is not None and not yes:
            _confirm(tree, top)
        gone = await conversation.delete_branch(at, scrub=False)
        say(f"{counted(gone, 'message')} gone for good")
        history = await conversation.history(1)
        if history:
            _say_where(invocation, conversation.record, history[-1])
        await finish(invocation, store, copies=copies)


def _confirm(tree: Tree, top: Message) -> None:
    """Ask whether a branch is to go.

    Raises:
        UsageError: there is nobody to ask, or the answer is no.
    """
    what = f'message {top.seq} ("{first_line(top)}")'
    if below := tree.below(top):
        what += f" and {below} below it"
    if not is_terminal(sys.stdin):
        raise UsageError(f"this would remove {what} for good", hint="add --yes to do it")
    if not confirmed(f"Remove {what} for good?"):
        raise UsageError("nothing was removed")


def _say_where(invocation: Invocation, record: ConversationRecord, head: Message) -> None:
    say(f'{record.handle} stands at message {head.seq}: {head.role}, "{first_line(head)}"')
    say(f"go on with: {invocation.command('chat', '--resume', record.handle)}")


def first_line(message: Message) -> str:
    """Return the beginning of what a message says, fit for one line."""
    words = " ".join(message.text.split())
    return one_line(words if len(words) <= 50 else f"{words[:49]}…")  # noqa: PLR2004 - fits a line


def _named(word: str) -> str | int:
    """Return a message's number, or its id, as typed."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else word.lower()  # noqa: PLR2004 - more digits are no number of a message


def needed_message(
    invocation: Invocation, ref: str | None, word: str | None, command: str
) -> tuple[str, str | int]:
    """Return the conversation and the message in it, by number or id; a person is asked for them.

    Raises:
        UsageError: one was left out, and nobody can be asked.
        EndedError: the person left.
        StoreError: the store cannot be opened or read.
    """
    if word:
        return needed_ref(ref, command), _named(word)
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise UsageError(
            f"{command} needs a message: its number or id",
            hint="convostore tree REF shows the numbers",
        )
    from convostore.cli import drawn_tree

    record, tree = run(_tree(invocation, needed_ref(ref, command, picking=invocation)))
    drawn_tree.print_tree(record, tree)
    sys.stdout.flush()
    return record.handle, _named(asked(f"{command} which message, by its number"))


async def _with(
    invocation: Invocation, ref: str, go: Callable[[Conversation], Awaitable[None]]
) -> None:
    async with invocation.open() as store:
        await go(await store.resume(ref))
