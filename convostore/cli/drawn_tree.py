"""A conversation's tree as lines: flat where it runs on, indented where it parts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from convostore.cli import shapes
from convostore.cli.table import cut, terminal_width
from convostore.cli.terminal import BOLD, DIM, is_terminal, one_line, styled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.records import ConversationRecord, Message
    from convostore.tree import Tree

_LINES = {"tee": "├─ ", "corner": "└─ ", "pipe": "│  ", "blank": "   "}
_PLAIN_LINES = {"tee": "+- ", "corner": "`- ", "pipe": "|  ", "blank": "   "}
_ACTIVE = "*"
_DEEPEST = 12  # forks that are drawn as such: what is deeper would leave no room for words
_LEAST_TEXT = 12  # columns of the terminal for a message's words


def print_tree(record: ConversationRecord, tree: Tree) -> None:
    """Print every message on a line: `*` where the conversation stands, number, role, words."""
    title = one_line(record.title or "(no title)")
    sys.stdout.write(f"{styled(record.handle, sys.stdout, BOLD)}  {title}\n")
    room = terminal_width() if is_terminal(sys.stdout) else None
    on_path = {one.id for one in tree.path(tree.head)} if tree.head is not None else set()
    digits = len(str(record.last_seq))
    for message, before in _drawn(tree):
        active = message.id in on_path
        mark = _ACTIVE if active else " "
        lead = f"{mark} {before}{message.seq:<{digits}}  {one_line(message.author or message.role)}"
        line = f"{lead}  {_words(tree, message)}"
        if room is not None:
            line = cut(line, max(room, len(lead) + _LEAST_TEXT))
        sys.stdout.write(styled(line, sys.stdout, BOLD if active else DIM) + "\n")


def document(record: ConversationRecord, tree: Tree) -> dict[str, Any]:
    """Return the tree as `tree --json` shows it: the messages of `show --json`, all of them."""
    return shapes.document(record, ()) | {
        "head_id": tree.head.id if tree.head is not None else None,
        "messages": [
            {"number": one.seq, **shapes.message(one), "position": list(tree.position(one))}
            for one in tree.messages
        ],
    }


def _words(tree: Tree, message: Message) -> str:
    """Return a message's first line, with what is to be known of it in brackets before it."""
    which, siblings = tree.position(message)
    notes = [f"{which} of {siblings}"] if siblings > 1 else []
    if message.status != "completed":
        notes.append(message.status)
    words = next((line.strip() for line in message.text.splitlines() if line.strip()), "")
    return one_line(f"[{', '.join(notes)}] {words}".rstrip() if notes else words)


def _drawn(tree: Tree) -> Iterator[tuple[Message, str]]:
    """Yield the messages, each branch after its beginning, with the lines that stand before it."""
    lines = _drawable()
    ahead: list[tuple[Message, str, str]] = _fan(tree.roots, "", lines, 0)
    depth: dict[str, int] = {one.id: int(len(tree.roots) > 1) for one in tree.roots}
    while ahead:
        message, first, rest = ahead.pop()
        yield message, first
        children = tree.children(message)
        deeper = depth[message.id] + (len(children) > 1)
        depth |= {one.id: deeper for one in children}
        ahead += _fan(children, rest, lines, depth[message.id])


def _fan(
    children: tuple[Message, ...], before: str, lines: dict[str, str], depth: int
) -> list[tuple[Message, str, str]]:
    """Return siblings, last first: each with the lines before it and before what follows it."""
    if len(children) < 2 or depth >= _DEEPEST:  # noqa: PLR2004 - one goes on where its parent stood
        return [(one, before, before) for one in reversed(children)]
    *others, last = children
    drawn = [(last, before + lines["corner"], before + lines["blank"])]
    drawn += [(one, before + lines["tee"], before + lines["pipe"]) for one in reversed(others)]
    return drawn


def _drawable() -> dict[str, str]:
    try:
        "".join(_LINES.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return _PLAIN_LINES
    return _LINES
