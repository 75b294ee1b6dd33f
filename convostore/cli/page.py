"""What list and show print: a table or tab-separated lines, and a conversation as a page."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from convostore.cli.terminal import (
    BOLD,
    DIM,
    counted,
    is_terminal,
    many_lines,
    one_line,
    say,
    styled,
)

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    from convostore import parts, records
    from convostore.storage import fastread

    Record: TypeAlias = records.ConversationRecord | fastread.Conversation
    Message: TypeAlias = records.Message | fastread.Message

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_OLD_DAYS = 14  # after which a date says more than a number of days

_MODEL_WIDTH, _LEAST_TITLE_WIDTH = 24, 10  # in columns of the terminal

_MARKS = {
    "stopped": "stopped: the answer was ended here",
    "failed": "failed",
    "interrupted": "interrupted: the program that wrote it died here",
    "streaming": "still being written",
    "erased": "erased on request",
}


_CUT = "cut off: it reached the length limit"
_CUT_REASONS = frozenset({"length", "max_tokens"})  # as the providers call it


def print_list(found: Sequence[Record], *, as_json: bool, count: int | None = None) -> None:
    """Print what `list` shows: a JSON document, a table for people, or a line each.

    Args:
        found: the conversations; one more than *count*, where there are more.
        as_json: as a JSON document.
        count: how many of them are shown; None is all.
    """
    more = 0 if count is None else len(found[count:])
    found = found[:count]
    if as_json:
        from convostore.cli import shapes

        sys.stdout.write(shapes.to_text([shapes.conversation(record) for record in found]))
    elif is_terminal(sys.stdout):
        print_table(found)
    else:
        sys.stdout.writelines(f"{tab_line(record)}\n" for record in found)
    if more and not as_json and is_terminal(sys.stdout):
        sys.stdout.flush()
        say(f"there is more: add -n {2 * len(found)}")


def print_shown(
    record: Record,
    path: Sequence[Message],
    parent_id: str | None,
    *,
    as_json: bool,
    secrets: bool,
    reply_only: bool,
    command: Callable[..., str],
) -> None:
    """Print what `show` shows: a JSON document, a page for people, or the last answer.

    Args:
        record: the conversation.
        path: its messages, from the root to the head.
        parent_id: its remote id.
        as_json: as a JSON document.
        secrets: with the anonymous user id and the remote id.
        reply_only: the last answer's text alone.
        command: makes the command line of a command's words, for a hint.

    Raises:
        MessageNotFoundError: there is no answer yet.
    """
    secret = {"anonymous_user_id": record.anonymous_user_id, "parent_id": parent_id}
    hidden = secret if secrets else {}
    if as_json:
        from convostore.cli import shapes

        sys.stdout.write(shapes.to_text(shapes.document(record, path) | hidden))
    elif reply_only:
        print_text(_last_answer(record, path, command))
    else:
        print_conversation(record, path, hidden)
        if len(path) < record.message_count and is_terminal(sys.stdout):
            sys.stdout.flush()
            say(f"there are other branches: {command('tree', record.handle)}")


def _last_answer(record: Record, path: Sequence[Message], command: Callable[..., str]) -> Message:
    for message in reversed(path):
        if message.role == "assistant" and message.text:
            return message
    from convostore.errors import MessageNotFoundError

    raise MessageNotFoundError(
        f"{record.handle} has no answer yet",
        hint=f"{command('show', record.handle)} shows what it has",
    )


def tab_line(record: Record) -> str:
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


def print_table(found: Sequence[Record]) -> None:
    """Print *found* as a table that fits the terminal; titles are cut, then models."""
    from convostore import clock
    from convostore.cli.table import print_columns, terminal_width, width

    now_ms = clock.now_ms()
    heads = ("handle", "title", "model", "messages", "age")
    rows = [
        (
            record.handle,
            _listed_title(record),
            record.model or "",
            str(record.message_count),
            age(now_ms - record.updated_at_ms, record.updated_at_ms),
        )
        for record in found
    ]
    needed = [
        max(width(one_line(cell)) for cell in column) for column in zip(heads, *rows, strict=True)
    ]
    print_columns(heads, rows, _fitting(needed, terminal_width()))


def _listed_title(record: Record) -> str:
    """Return what the table says of a title: a star for a pinned one; after it tags and folder."""
    star = "* " if record.pinned else ""
    folder = [f"in {record.folder}"] if record.folder else []
    return star + "  ".join([record.title or "", *(f"#{name}" for name in record.tags), *folder])


def _fitting(needed: Sequence[int], room: int) -> list[int]:
    """Return what each column of the table may take in *room* columns; 0 is left out.

    The handle is never cut, for it is what is typed next.
    """
    from convostore.cli.table import GAP

    handle, title, model, messages, age_ = needed
    model = min(model, _MODEL_WIDTH)
    least = min(title, _LEAST_TITLE_WIDTH)
    others = [model, messages, age_]
    while others and handle + least + sum(others) + GAP * (1 + len(others)) > room:
        others.pop(0)
    left = room - handle - sum(others) - GAP * (1 + len(others))
    model, messages, age_ = [0] * (3 - len(others)) + others
    return [handle, max(1, min(title, left)), model, -messages, -age_]


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
    record: Record, path: Sequence[Message], hidden: Mapping[str, str | None]
) -> None:
    """Print *record* and the messages of *path*, escaped; *hidden* only when it was asked for."""
    write = sys.stdout.write
    title = one_line(record.title or "(no title)")
    write(f"{styled(record.handle, sys.stdout, BOLD)}  {title}\n")
    messages = counted(record.message_count, "message")
    if len(path) < record.message_count:
        messages = f"{len(path)} of {messages}"
    facts = [record.provider, record.model, messages, record.key]
    facts += ["pinned"] * record.pinned + ["archived"] * (record.archived_at_ms is not None)
    if record.expires_at_ms is not None:
        facts.append(f"goes by itself {_local(record.expires_at_ms):%Y-%m-%d %H:%M}")
    facts += [f"in {record.folder}"] * bool(record.folder) + [f"#{name}" for name in record.tags]
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
    mark = mark_of(message)
    if mark:
        sys.stdout.flush()
        say(f"convostore: this answer is not whole ({mark})")


def _print_message(message: Message) -> None:
    who = message.author or message.role
    facts = [message.model, f"{_local(message.created_at_ms):%Y-%m-%d %H:%M}"]
    head = one_line("  ".join(fact for fact in facts if fact))
    sys.stdout.write(f"{styled(one_line(who), sys.stdout, BOLD)}  {head}\n")
    for part in message.parts:
        line = _part_line(*plain_part(part))
        if line:
            sys.stdout.write(f"{styled(one_line(line), sys.stdout, DIM)}\n")
    if message.text:
        text = many_lines(message.text)
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    mark = mark_of(message)
    if mark:
        sys.stdout.write(f"{styled(f'[{one_line(mark)}]', sys.stdout, BOLD)}\n")


def _part_line(tag: str, part: Mapping[str, Any]) -> str:
    match tag:
        case "reasoning":
            return f"[reasoning, {counted(len(part['text']), 'character')}]"
        case "tool_call":
            return f"[called {part['name'] or 'a tool'} {part['args']}]"
        case "tool_result":
            return f"[{part['name'] or 'the tool'} answered, {counted(len(part['content']), 'character')}]"
        case "attachment":
            name = part["name"] or f"{part['sha256'][:12]} without a name"
            return f"[attached {name}, {part['media_type']}, {counted(part['size'], 'byte')}]"
        case "opaque" if part["kind"] != "frame":  # that is for its own program
            return f"[{part['kind']}]"
    return ""


def plain_part(part: parts.Part | fastread.Part) -> tuple[str, Mapping[str, Any]]:
    """Return the tag of *part* and its values by name, whichever way it was read."""
    from convostore.storage.fastread import Part

    if isinstance(part, Part):
        return part.tag, part.values
    values = {name: getattr(part, name) for name in part.__struct_fields__}
    return str(part.__struct_config__.tag), values


def mark_of(message: Message) -> str:
    """Return what a message is marked with: why it is not whole, or that it is empty, or nothing."""
    if message.status == "completed":
        if message.finish_reason in _CUT_REASONS:
            return _CUT
        return "empty" if message.role == "assistant" and not message.text.strip() else ""
    mark = _MARKS.get(message.status, message.status)
    return mark if message.error is None else f"{mark}: {message.error.message}"


def _local(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
