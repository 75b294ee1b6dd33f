"""Markdown for people: the path to the head as one readable page.

Structure is made of the front matter, one `#` title and a `##` heading per message. A text stands
there unchanged. Where it would itself become structure (a heading like ours, a fence or an HTML
block left open) it stands, still unchanged, in a fence longer than any inside.
"""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from convostore.formats.writing import Losses
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

_Scalar: TypeAlias = str | int | None
_UNTITLED: Final = "Untitled"
# Source: YAML 1.2.2, 5.1 "Character Set": what is not printable has to be escaped.
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>&#~|$])")
# Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", 4.6 "HTML blocks", 4.3 "Setext headings".
_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_HTML_BEGUN: Final = re.compile(r"<(?![\w+.\-]+[:@])[A-Za-z/!?]")  # no address in `<>`: 6.5
_HTML_BLOCK: Final = re.compile(r"[\s>*+\-\d.)]*" + _HTML_BEGUN.pattern)  # in lists, quotes too
_CODE_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
_CODE_SPAN_LIMIT_CHARS: Final = 10_000  # looking for spans in a hostile line takes n * sqrt(n)
_OUR_HEADING: Final = re.compile(
    r" {0,3}#{1,2}[ \t][^\w\n]*(user|assistant|system|tool)\b", re.IGNORECASE
)
_ROLE: Final = re.compile(r"[^\w\n]*(user|assistant|system|tool)\b", re.IGNORECASE)
_UNDERLINE: Final = re.compile(r" {0,3}[-=]+[ \t]*")
_LINE_END: Final = re.compile("\r\n|\n|\r")


class MarkdownWriter:
    """Writes the path of each conversation: a page with front matter, or the chapters of a book.

    Args:
        program: who writes this.
        book: several conversations are to be one page: the front matter is that page's, and each
            conversation's own facts are a list below its title.
    """

    origin: str | None = None

    def __init__(self, *, program: str, book: bool = False) -> None:
        self.losses = Losses()
        self._program, self._book = program, book
        self._gap = ""

    def opening(self) -> str:
        """Return how the file begins: a book's front matter, or nothing."""
        return _matter({"exported_by": self._program}) if self._book else ""

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield the head of a conversation and the messages of its path."""
        del raw
        self.losses.add("messages on other branches", outline.beside)
        title = f"# {_inline(one.record.title or '') or _UNTITLED}\n"
        facts = _facts(one.record, outline)
        if self._book:
            listed = (f"- {name}: {_inline(_said(v))}\n" for name, v in facts.items() if v)
            yield f"\n{title}\n{''.join(listed)}"
        else:
            yield f"{self._gap}{_matter({**facts, 'exported_by': self._program})}\n{title}"
        self._gap = "\n"
        yield from outline.path

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield one message: heading, parts in order, and how it ended when it did not complete."""
        del raw
        names = sum(isinstance(part, AttachmentPart) for part in value.parts)
        self.losses.add("attachments (their names are told)", names)
        yield message(value)

    def closing(self) -> str:
        """Return how the file ends: with nothing."""
        return ""


def _facts(record: ConversationRecord, outline: Outline) -> dict[str, _Scalar | list[str]]:
    return {
        "title": record.title,
        "id": record.id,
        "handle": record.handle,
        "provider": record.provider,
        "model": record.model,
        "created": time_text(record.created_at_ms),
        "updated": time_text(record.updated_at_ms),
        "folder": record.folder,
        "tags": list(record.tags),
        "messages": len(outline.path),
        "messages_on_other_branches": outline.beside,
    }


def _matter(facts: dict[str, _Scalar | list[str]]) -> str:
    return f"---\n{''.join(f'{name}: {_yaml(value)}' for name, value in facts.items())}---\n"


def _yaml(value: _Scalar | list[str]) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_scalar(one) for one in value)}]\n"
    return f"{_scalar(value)}\n"


def _said(value: _Scalar | list[str]) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def message(value: Message) -> str:
    """Write one message: heading, parts in order, and how it ended when it did not complete."""
    parts = value.parts or (TextPart(value.text),)
    blocks = [_heading(value), *(_part(part) for part in parts), _ending(value)]
    return "".join(f"\n{block}\n" for block in blocks if block)


def _heading(value: Message) -> str:
    names = [name for name in (value.author, value.model) if name]
    who = f" ({_inline(', '.join(names))})" if names else ""
    return f"## {value.role.capitalize()}{who}"


def _part(part: Part) -> str:
    match part:
        case TextPart():
            return part.text if _keeps_to_itself(part.text) else _fenced(part.text)
        case ReasoningPart():
            return _details("Reasoning", part.text)
        case ToolCallPart():
            return _details(f"Tool call: {part.name}", part.args)
        case ToolResultPart():
            return _details(f"Tool result: {part.name}", part.content)
        case AttachmentPart():
            what = f"{part.name or part.sha256[:12]}, {part.media_type}, {part.size} bytes"
            return f"*(attached: {_inline(what)})*"
        case OpaquePart():
            data = msgspec.json.format(msgspec.json.encode(part.data)).decode()
            return _details(part.kind, data)


def _ending(value: Message) -> str:
    match value.status:
        case "completed":
            return ""
        case "streaming":
            return "*(still being written when this was exported)*"
        case "failed" if value.error is not None:
            return f"*(failed: {_inline(value.error.message)})*"
        case status:
            return f"*({status})*"


def _details(summary: str, text: str) -> str:
    title = html.escape(one_line(summary))  # a line of HTML, where no backslash helps
    return f"<details>\n<summary>{title}</summary>\n\n{_fenced(text)}\n\n</details>"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _keeps_to_itself(text: str) -> bool:
    """Tell whether nothing of *text* can be taken for our structure, or swallow what follows."""
    lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    if _underlines_role(lines):
        return False
    fence, indent, prose = "", 0, list[str]()
    for line in lines:
        mark = _FENCE.match(line)
        outdented = len(line) - len(line.lstrip(" ")) < indent
        if mark and not fence:
            fence, indent = mark[1], mark.start(1)
        elif mark and mark[1].startswith(fence) and not mark[2].strip() and not outdented:
            fence, indent = "", 0
        elif fence and not indent:
            continue
        elif _OUR_HEADING.match(line) or (outdented and line.strip()):
            return False  # outdented: a list item may end here, and the fence with it
        else:
            prose.append(line)
    return not fence and not _holds_html(prose)


def _underlines_role(lines: list[str]) -> bool:
    """Tell whether a paragraph that may begin with a role is underlined: that is a heading."""
    role = False
    for line in lines:
        if role and _UNDERLINE.fullmatch(line):
            return True
        role = bool(line.strip()) and (role or _ROLE.match(line) is not None)
    return False


def _holds_html(lines: list[str]) -> bool:
    """Tell whether a tag or a comment may begin and end in a paragraph; both may span lines."""
    if not any("<" in line for line in lines):
        return False
    shown = [_without_code(line) for line in lines]
    if any("`" in line for line in shown):  # which of them belong together only a parser knows
        shown = lines
    if any(map(_HTML_BLOCK.match, lines)):
        return True
    hidden, begin = "\n".join(shown), 0
    for paragraph in "\n".join(lines).split("\n\n"):
        end = begin + max(0, paragraph.rfind(">"))  # also in code: what began before it goes first
        if _HTML_BEGUN.search(hidden, begin, end):
            return True
        begin += len(paragraph) + 2
    return False


def _without_code(line: str) -> str:
    """Blot out what is code for sure; nothing moves."""
    if len(line) > _CODE_SPAN_LIMIT_CHARS or "\\`" in line:
        return line
    return _CODE_SPAN.sub(lambda span: "x" * len(span[0]), line)


def time_text(ms: int) -> str:
    """Return a time as ISO 8601 has it, in UTC."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _scalar(value: _Scalar) -> str:
    """Return a YAML value; a text always in quotes, so that `yes` or `1: a` stays a text."""
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _inline(text: str) -> str:
    """Return *text* as one line in which no character is markup."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def one_line(text: str) -> str:
    """Return *text* without line ends and control characters."""
    return _BLANKS.sub(" ", text).strip()
