"""Plain text: the path to the head, for a reader, a search, or a pipe; nothing of it is markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore.formats.markdown import one_line, time_text
from convostore.formats.writing import Losses
from convostore.parts import AttachmentPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.formats.writing import Outline, Piece
    from convostore.records import ConversationDossier, Message

_RULE: Final = "=" * 72


class TextWriter:
    """Writes conversations one after the other, a rule between them."""

    origin: str | None = None

    def __init__(self) -> None:
        self.losses = Losses()
        self._gap = ""

    def opening(self) -> str:
        """Return how the file begins: with nothing."""
        return ""

    def conversation(
        self, one: ConversationDossier, outline: Outline, raw: bytes
    ) -> Iterator[str | int]:
        """Yield the title, a line of facts, and the messages of the path."""
        del raw
        record = one.record
        self.losses.add("messages on other branches", outline.beside)
        facts = [record.handle, time_text(record.created_at_ms), record.model or ""]
        yield f"{self._gap}{one_line(record.title or '') or 'Untitled'}\n"
        yield f"{', '.join(one_line(fact) for fact in facts if fact)}\n{_RULE}\n"
        yield from outline.path
        self._gap = f"\n{_RULE}\n\n"

    def message(self, value: Message, raw: bytes) -> Iterator[Piece]:
        """Yield who said it, and what; each line of it is indented, so that nobody else's is like it."""
        del raw
        names = [one_line(name) for name in (value.author, value.model) if name]
        ending = "" if value.status == "completed" else f" [{value.status}]"
        who = value.role.capitalize() + (f" ({', '.join(names)})" if names else "")
        text = value.text.replace("\r\n", "\n").replace("\r", "\n")
        lines = (f"    {line}" if line else "" for line in text.split("\n"))
        yield f"\n{who}, {time_text(value.created_at_ms)}{ending}:\n"
        for part in value.parts:
            if isinstance(part, AttachmentPart):
                yield f"    [attached: {one_line(part.name or part.sha256[:12])}]\n"
                self.losses.add("attachments (their names are told)")
            elif not isinstance(part, TextPart):
                self.losses.add("reasoning, tool calls and other parts beside the text")
        if value.text:
            yield "\n".join(lines) + "\n"

    def closing(self) -> str:
        """Return how the file ends: with nothing."""
        return ""
