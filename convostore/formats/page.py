"""A self-contained page for people: the active path of a conversation, and a switch at each fork.

There is no script in it. What anybody wrote is escaped, but for the Markdown of answers, which is
rendered so that it can do nothing (`rendered`). The switch is a row of radio buttons; the style shows
what stands behind the chosen one, and hides the rest. Within what stands beside the active path, the
longest branch goes on, so that nothing nests deeper than the logarithm of the messages.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import msgspec

from convostore.formats.laid_out import laid_out
from convostore.formats.markdown import one_line, time_text
from convostore.formats.page_style import POLICY, STYLE
from convostore.formats.rendered import plain, rendered
from convostore.formats.writing import Losses, is_image
from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.writing import Outline, Piece
    from convostore.parts import Part
    from convostore.records import ConversationDossier, ConversationRecord, Message

_UNTITLED: Final = "Untitled"
_NAMES: Final = {"user": "You", "assistant": "Assistant", "system": "System", "tool": "Tool"}
_ENDINGS: Final = {
    "streaming": "still being written when this was exported",
    "stopped": "stopped",
    "interrupted": "interrupted: whoever wrote it down died",
    "erased": "forgotten on request",
}


class PageWriter:
    """Writes a page, with one conversation or several below each other.

    Args:
        program: who writes this.
    """

    origin: str | None = None

    def __init__(self, *, program: str) -> None:
        self.losses = Losses()
        self._program = program
        self._begun = False
        self._forks = 0

    def opening(self) -> str:
        """Return how the file begins; its head waits for the first title."""
        return ""

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield the head and the tree of a conversation."""
        del raw
        record = one.record
        title = one_line(record.title or "") or _UNTITLED
        if not self._begun:
            yield _head(title)
        self._begun = True
        yield f'<article class="chat">\n<header>\n<h1 class="title" dir="auto">{escape(title)}</h1>\n'
        yield f'{_facts(record, outline)}</header>\n<div class="line">\n'
        yield from self._line(_Tree(outline), None)
        yield "</div>\n</article>\n"

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield one message: who, when, its parts in order, and how it ended."""
        del raw
        name = _NAMES[value.role]
        said = [f"<b>{name}</b>"]
        said += [
            f"<bdi>{escape(one_line(one))}</bdi>" for one in (value.author, value.model) if one
        ]
        if value.created_at_ms:
            at = time_text(value.created_at_ms)
            said.append(f'<time datetime="{at}">{at[:10]} {at[11:16]}</time>')
        text = (
            f'<section class="m {value.role}">\n<div class="who">{" ".join(said)}</div>\n'
            '<div class="body" dir="auto">\n'
        )
        for part in value.parts or (TextPart(value.text),):
            if isinstance(part, AttachmentPart):
                yield text
                yield from self._attached(part)
                text = ""
            else:
                text += _part(part, value)
        yield f"{text}{_ending(value)}</div>\n</section>\n"

    def closing(self) -> str:
        """Return how the file ends."""
        head = "" if self._begun else _head("Nothing was exported")
        return (
            f"{head}</main>\n<footer>Times are UTC. Written by {escape(self._program)}.</footer>\n"
            "</body>\n</html>\n"
        )

    def _line(self, tree: _Tree, top: int | None) -> Iterator[str | int]:
        """Yield what stands below *top*, and on from there; None is the root of all."""
        options = tree.below.get(top, [])
        while options:
            main = tree.main(options)
            if len(options) > 1:
                yield from self._fork(tree, options, main)
            yield main
            options = tree.below.get(main, [])

    def _fork(self, tree: _Tree, options: list[int], main: int) -> Iterator[str | int]:
        self._forks += 1
        name, number = f"fork{self._forks}", len(options)
        yield f'<div class="fork" role="group" aria-label="{number} versions">\n'
        yield f'<span class="says">{number} versions</span>\n'
        for at, option in enumerate(options, 1):
            state = ' checked="checked"' if option == main else ""
            kind = "on" if option == main else "off"
            yield (
                f'<label class="{kind}"><input type="radio" name="{name}" autocomplete="off"{state}'
                f' aria-label="version {at} of {number}"><span>{at}</span></label>\n'
            )
            if option != main:
                yield '<div class="alt">\n'
                yield option
                yield from self._line(tree, option)
                yield "</div>\n"
        yield "</div>\n"

    def _attached(self, part: AttachmentPart) -> Iterator[Piece]:
        name = f"<bdi>{escape(one_line(part.name) or part.sha256[:12])}</bdi>"
        if is_image(part):
            yield f'<figure><img alt="" src="data:{part.media_type};base64,'
            yield part
            yield f'"><figcaption>{name}</figcaption></figure>\n'
            return
        self.losses.add("attachments that are no pictures (their names are told)")
        kind = escape(one_line(part.media_type))
        yield f'<p class="file">Attached: {name}, {kind}, {part.size:,} bytes</p>\n'


class _Tree:
    """Where the messages stand, and which way on is the main one."""

    def __init__(self, outline: Outline) -> None:
        self.below = outline.children()
        self._path = frozenset(outline.path)
        self._sizes = dict.fromkeys(outline.nodes, 1)
        for seq in sorted(outline.nodes, reverse=True):  # parents have the lower number
            above = outline.nodes[seq].parent_seq
            if above in self._sizes:
                self._sizes[above] += self._sizes[seq]

    def main(self, options: list[int]) -> int:
        """Return the one on the active path; else the one below which most is, or the newest."""
        for option in options:
            if option in self._path:
                return option
        return max(options, key=lambda seq: (self._sizes[seq], seq))


def _head(title: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )


def _facts(record: ConversationRecord, outline: Outline) -> str:
    count = len(outline.nodes)
    said = [f"<span>{time_text(record.created_at_ms)[:10]}</span>"]
    said += [f"<bdi>{escape(one_line(one))}</bdi>" for one in (record.model, record.folder) if one]
    said.append(f"<span>{count:,} message{'' if count == 1 else 's'}</span>")
    said += [f'<bdi class="tag">{escape(one_line(tag))}</bdi>' for tag in record.tags]
    return f'<p class="facts">{" ".join(said)}</p>\n'


def _part(part: Part, value: Message) -> str:
    """Return a part that is no attachment."""
    match part:
        case TextPart():
            return f'<div class="text" dir="auto">{_text(part.text, value)}</div>\n'
        case ReasoningPart():
            return _details("Reasoning", plain(part.text))
        case ToolCallPart():
            return _details(f"Tool call: {part.name}", _raw(part.args))
        case ToolResultPart():
            return _details(f"Tool result: {part.name}".rstrip(": "), _raw(part.content))
        case OpaquePart():
            shown = msgspec.json.format(msgspec.json.encode(part.data)).decode()
            return _details(part.kind, _raw(shown))
    return ""


def _text(text: str, value: Message) -> str:
    return rendered(text) if value.role == "assistant" else plain(text)


def _raw(text: str) -> str:
    return f'<pre class="raw">{escape(laid_out(text))}</pre>\n'


def _details(summary: str, shown: str) -> str:
    title = f"<bdi>{escape(one_line(summary))}</bdi>"
    return f"<details>\n<summary>{title}</summary>\n{shown}</details>\n"


def _ending(value: Message) -> str:
    if value.status == "completed":
        return ""
    said = _ENDINGS.get(value.status, value.status)
    if value.status == "failed" and value.error is not None:
        said = f"failed: {one_line(value.error.message)}"
    return f'<p class="ending">({escape(said)})</p>\n'
