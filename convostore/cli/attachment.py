"""The command that lists what is attached to a conversation, and gets it out."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from convostore.cli.completion import conversations
from convostore.cli.invocation import (
    Invocation,
    examples,
    needed_ref,
    pass_invocation,
    place,
    run,
    store_options,
)
from convostore.cli.terminal import counted, is_terminal, one_line, say
from convostore.errors import AttachmentNotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostore.parts import AttachmentPart
    from convostore.records import Message

    Found = list[tuple[Message, AttachmentPart]]

_LEAST_HEX = 4  # characters of a sha256 that name one


@click.command(
    short_help="List what is attached to a conversation, or get it out.",
    epilog=examples(
        "convostore attachment @                    what there is, with numbers",
        "convostore attachment @ 1 -o cat.png       the first one, into a file",
        "convostore attachment @ notes.txt          by its name, to stdout",
        "convostore attachment 7k3m 2 -o pictures/",
    ),
)
@click.argument("ref", metavar="REF", required=False, shell_complete=conversations)
@click.argument("which", metavar="[WHICH]", required=False)
@click.option(
    "-o",
    "to",
    metavar="FILE|DIR",
    type=click.Path(),
    callback=place,
    help="Where to; - or nothing is stdout.",
)
@click.option("--json", "as_json", is_flag=True, help="The list as one JSON document.")
@store_options
@pass_invocation
def attachment(
    invocation: Invocation, ref: str | None, which: str | None, to: str | None, as_json: bool
) -> None:
    """List what is attached to the messages of a conversation, or get one of it out.

    REF is a handle, id or key, or @ for the newest. WHICH is the number in the list, the name, or
    the beginning of the sha256. The messages are those that show shows.

    When the output is no terminal: one a line, with tabs between its number, the message's number,
    name, media type, size in bytes, and sha256.
    """
    wanted = needed_ref(ref, "attachment", picking=invocation)
    if which is None and to is not None:
        raise UsageError(
            "-o needs to know which", hint=f"list them: convostore attachment {wanted}"
        )
    if which is not None and as_json:
        raise UsageError("--json is for the list", hint="leave out one of them")
    if which is not None and to is None and is_terminal(sys.stdout):
        raise UsageError(
            "the bytes of an attachment do not belong on a terminal",
            hint=f"name a file: convostore attachment {wanted} {which} -o FILE",
        )
    run(_attachment(invocation, wanted, which, to, as_json=as_json))


async def _attachment(
    invocation: Invocation, ref: str, which: str | None, to: str | None, *, as_json: bool
) -> None:
    async with invocation.open() as store:
        chat = await store.resume(ref)
        found = _attached(await chat.history())
        if which is None:
            _print(found, as_json=as_json)
            return
        part = _chosen(found, which, chat.handle)
        if to not in {None, "-"}:
            path = await store.save_attachment(part, str(to))
            say(f"{counted(part.size, 'byte')} in {path}")
            return
        sys.stdout.flush()
        async with aclosing(store.attachment(part)) as pieces:
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _attached(path: Sequence[Message]) -> Found:
    from convostore.parts import AttachmentPart

    return [
        (message, part)
        for message in path
        for part in message.parts
        if isinstance(part, AttachmentPart)
    ]


def _chosen(found: Found, which: str, handle: str) -> AttachmentPart:
    if which.isascii() and which.isdecimal() and 0 < int(which) <= len(found):
        return found[int(which) - 1][1]
    named = {part for _, part in found if part.name == which}
    if not named and len(which) >= _LEAST_HEX:
        named = {part for _, part in found if part.sha256.startswith(which.lower())}
    if len({part.sha256 for part in named}) > 1:
        raise UsageError(
            f"several attachments of {handle} are called {which}",
            hint=f"take its number: convostore attachment {handle}",
        )
    if not named:
        raise AttachmentNotFoundError(
            f"{handle} has no attachment {which}",
            hint=f"list them: convostore attachment {handle}",
        )
    return named.pop()


def _print(found: Found, *, as_json: bool) -> None:
    if as_json:
        from convostore.cli import shapes

        rows = [_shape(number, *one) for number, one in enumerate(found, start=1)]
        sys.stdout.write(shapes.to_text(rows))
    elif not is_terminal(sys.stdout):
        sys.stdout.writelines(
            "\t".join(
                (
                    str(number),
                    str(message.seq),
                    one_line(part.name),
                    part.media_type,
                    str(part.size),
                    part.sha256,
                )
            )
            + "\n"
            for number, (message, part) in enumerate(found, start=1)
        )
    elif found:
        _print_table(found)
    else:
        say("nothing is attached")


def _print_table(found: Found) -> None:
    from convostore.cli.table import print_columns, width

    heads = ("number", "message", "name", "type", "bytes", "sha256")
    rows = [
        (
            str(number),
            str(message.seq),
            part.name,
            part.media_type,
            f"{part.size:,}",
            part.sha256[:12],
        )
        for number, (message, part) in enumerate(found, start=1)
    ]
    widths = [
        max(width(one_line(cell)) for cell in column) for column in zip(heads, *rows, strict=True)
    ]
    widths[1], widths[4] = -widths[1], -widths[4]
    print_columns(heads, rows, widths)


def _shape(number: int, message: Message, part: AttachmentPart) -> dict[str, Any]:
    return {
        "number": number,
        "message_id": message.id,
        "seq": message.seq,
        "name": part.name,
        "media_type": part.media_type,
        "size": part.size,
        "sha256": part.sha256,
    }
