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
from typing import TYPE_CHECKING, Final

import msgspec

from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

if TYPE_CHECKING:
    from convostore.parts import Part
    from convostore.records import ConversationRecord, Message

_UNTITLED: Final = "Untitled"
# Source: YAML 1.2.2, 5.1 "Character Set": what is not printable has to be escaped.
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_MARKUP: Final = re.compile(r"([\\`*_\[\]<>&#~|$])")
# Source: CommonMark 0.31.2, 4.5 "Fenced code blocks", 4.6 "HTML blocks", 4.3 "Setext headings".
_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_HTML_BLOCK: Final = re.compile(r"[\s>*+\-\d.)]*<(?!\w+:|\S+@)[A-Za-z/!?]")  # in lists, quotes too
_HTML_TAG: Final = re.compile(r"<(?!\w+:|[^\s<>]+@)[A-Za-z/!?][^<>]*>")
_CODE_SPAN: Final = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
_CODE_SPAN_LIMIT_CHARS: Final = 10_000  # looking for spans in a hostile line takes n * sqrt(n)
_OUR_HEADING: Final = re.compile(
    r" {0,3}#{1,2}[ \t][^\w\n]*(user|assistant|system|tool)\b", re.IGNORECASE
)
_UNDERLINED: Final = re.compile(
    r"^[^\w\n]*(user|assistant|system|tool)\b.*\n {0,3}[-=]+[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_LINE_END: Final = re.compile("\r\n|\n|\r")


def head(record: ConversationRecord, *, program: str, shown: int) -> str:
    """Write the front matter and the title.

    Args:
        record: the conversation.
        program: who writes this.
        shown: how many messages are on the path; the front matter tells how many are not.
    """
    facts: dict[str, str | int | None] = {
        "title": record.title,
        "id": record.id,
        "handle": record.handle,
        "provider": record.provider,
        "model": record.model,
        "created": _time(record.created_at_ms),
        "updated": _time(record.updated_at_ms),
        "messages": shown,
        "messages_on_other_branches": max(record.message_count - shown, 0),
        "exported_by": program,
    }
    matter = "".join(f"{name}: {_scalar(value)}\n" for name, value in facts.items())
    return f"---\n{matter}---\n\n# {_inline(record.title or '') or _UNTITLED}\n"


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
    title = html.escape(_one_line(summary))  # a line of HTML, where no backslash helps
    return f"<details>\n<summary>{title}</summary>\n\n{_fenced(text)}\n\n</details>"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _keeps_to_itself(text: str) -> bool:
    """Tell whether nothing of *text* can be taken for our structure, or swallow what follows."""
    if _UNDERLINED.search(_LINE_END.sub("\n", text)):
        return False
    fence, indent = "", 0
    for line in _LINE_END.split(text):
        mark = _FENCE.match(line)
        outdented = len(line) - len(line.lstrip(" ")) < indent
        if mark and not fence:
            fence, indent = mark[1], mark.start(1)
        elif mark and mark[1].startswith(fence) and not mark[2].strip() and not outdented:
            fence, indent = "", 0
        elif fence and not indent:
            continue
        elif _OUR_HEADING.match(line) or _holds_html(line) or (outdented and line.strip()):
            return False  # outdented: a list item may end here, and the fence with it
    return not fence


def _holds_html(line: str) -> bool:
    if "<" not in line:
        return False
    plain = len(line) <= _CODE_SPAN_LIMIT_CHARS and "\\`" not in line  # else no span for sure
    shown = _CODE_SPAN.sub("", line) if plain else line
    return bool(_HTML_BLOCK.match(line) or _HTML_TAG.search(shown))


def _time(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _scalar(value: str | int | None) -> str:
    """Return a YAML value; a text always in quotes, so that `yes` or `1: a` stays a text."""
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _inline(text: str) -> str:
    """Return *text* as one line in which no character is markup."""
    return _MARKUP.sub(r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()
