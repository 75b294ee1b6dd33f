"""What list and show print: a table or tab-separated lines, and a conversation as a page."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from convostore import clock
from convostore.cli.terminal import many_lines, one_line, say, styled
from convostore.records import OpaquePart, ReasoningPart, ToolCallPart, ToolResultPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convostore.records import ConversationRecord, Message, Part

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_OLD_DAYS = 14  # after which a date says more than a number of days

_MODEL_WIDTH, _LEAST_TITLE_WIDTH = 24, 10  # in columns of the terminal
_OTHERS_WIDTH = 8 + _MODEL_WIDTH + 8 + 10 + 4 * 3  # handle, model, messages, age, and the gaps

_MARKS = {
    "stopped": "stopped: the answer was ended here",
    "failed": "failed",
    "interrupted": "interrupted: the program that wrote it died here",
    "streaming": "still being written",
    "erased": "erased on request",
}


def tab_line(record: ConversationRecord) -> str:
    """Return *record* as one line of text for other programs, with nothing cut."""
    updated = datetime.fromtimestamp(record.updated_at_ms // 1000, UTC)
    fields = (
        record.handle,
        record.title or "",
        record.model or "",
        str(record.message_count),
        updated.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return "\t".join(one_line(field) for field in fields)


def print_table(records: Iterable[ConversationRecord]) -> None:
    """Print *records* as a table that fits the terminal; only titles and models are cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("handle", style="bold", no_wrap=True)
    room = max(_LEAST_TITLE_WIDTH, console.width - _OTHERS_WIDTH)
    table.add_column("title", no_wrap=True, overflow="ellipsis", max_width=room)
    table.add_column("model", no_wrap=True, overflow="ellipsis", max_width=_MODEL_WIDTH)
    table.add_column("messages", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    for record in records:
        cells = (
            record.handle,
            record.title or "",
            record.model or "",
            str(record.message_count),
            age(clock.now_ms() - record.updated_at_ms, record.updated_at_ms),
        )
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    console.print(table)


def age(since_ms: int, at_ms: int) -> str:
    """Return how long ago something was, as people say it; its date when that was long ago."""
    seconds = max(since_ms, 0) // 1000
    if seconds < _MINUTE_S:
        return "now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S} min"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S} h"
    if seconds < _OLD_DAYS * _DAY_S:
        return f"{seconds // _DAY_S} d"
    return f"{_local(at_ms):%Y-%m-%d}"


def print_conversation(
    record: ConversationRecord, path: Sequence[Message], hidden: Mapping[str, str | None]
) -> None:
    """Print *record* and the messages of *path*, escaped; *hidden* only when it was asked for."""
    write = sys.stdout.write
    title = one_line(record.title or "(no title)")
    write(f"{styled(record.handle, sys.stdout, bold=True)}  {title}\n")
    facts = [record.provider, record.model, f"{record.message_count} messages", record.key]
    write(f"{one_line(', '.join(fact for fact in facts if fact))}\n")
    for name, value in hidden.items():
        write(f"{name}: {one_line(value or '-')}\n")
    for message in path:
        write("\n")
        _print_message(message)


def print_text(message: Message) -> None:
    """Print the text of *message* alone, escaped; on stderr, whether it is whole."""
    text = many_lines(message.text)
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    if message.status != "completed":
        sys.stdout.flush()
        say(f"convostore: this answer is not whole ({_mark(message)})")


def _print_message(message: Message) -> None:
    who = message.author or message.role
    facts = [message.model, f"{_local(message.created_at_ms):%Y-%m-%d %H:%M}"]
    head = one_line("  ".join(fact for fact in facts if fact))
    sys.stdout.write(f"{styled(one_line(who), sys.stdout, bold=True)}  {head}\n")
    for part in message.parts:
        line = _part_line(part)
        if line:
            sys.stdout.write(f"{styled(one_line(line), sys.stdout, dim=True)}\n")
    if message.text:
        text = many_lines(message.text)
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    if message.status != "completed":
        sys.stdout.write(f"{styled(f'[{one_line(_mark(message))}]', sys.stdout, bold=True)}\n")


def _part_line(part: Part) -> str:
    match part:
        case ReasoningPart():
            return f"[reasoning, {len(part.text)} characters]"
        case ToolCallPart():
            return f"[called {part.name or 'a tool'} {part.args}]"
        case ToolResultPart():
            return f"[{part.name or 'the tool'} answered, {len(part.content)} characters]"
        case OpaquePart():
            return f"[{part.kind}]"
    return ""


def _mark(message: Message) -> str:
    mark = _MARKS.get(message.status, message.status)
    return mark if message.error is None else f"{mark}: {message.error.message}"


def _local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
