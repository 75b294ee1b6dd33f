"""Follow a reply that somebody else is writing: poll its journal until it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convostore import clock
from convostore.errors import MessageNotFoundError
from convostore.events import Delta, ReasoningDelta, TextDelta, ToolCallDelta, ToolResultDelta
from convostore.parts import AttachmentPart, OpaquePart, Part, ReasoningPart, TextPart, ToolCallPart
from convostore.storage import reads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from convostore.records import Message
    from convostore.storage.database import Database

FIRST_PAUSE_S: Final = 0.02
LONGEST_PAUSE_S: Final = 0.2  # the journal itself moves every 200 ms


async def follow(
    database: Database, owner_id: str, conversation_id: str, seq: int
) -> AsyncGenerator[tuple[Message, tuple[Delta, ...]]]:
    """Yield the reply as it grows, each time with what is new; ends when the reply has ended.

    Where the end replaced the text (`Finished.text`), the last reply has the text that counts, and
    the deltas are what was new by position: they are not taken back.

    Raises:
        MessageNotFoundError: the reply was removed meanwhile.
        StoreError: the store cannot be read.
    """
    position, pause_s = 0, FIRST_PAUSE_S
    while True:
        found = await reads.messages_between(
            database, owner_id, conversation_id, after=seq - 1, last=seq, most=1
        )
        if not found:
            raise MessageNotFoundError("the reply was removed while it was being followed")
        deltas = tuple(deltas_after(found[0].parts, position))
        position = deltas[-1].seq if deltas else position
        yield found[0], deltas
        if found[0].status != "streaming":
            return
        pause_s = FIRST_PAUSE_S if deltas else min(pause_s * 2, LONGEST_PAUSE_S)
        await clock.sleep(pause_s)


def deltas_after(parts: tuple[Part, ...], position: int) -> Iterator[Delta]:
    """Yield what of *parts* lies after *position* (see `convostore.events`).

    A tool call that was still growing at *position* is not told again.
    """
    at = 0
    for part in parts:
        start = at
        at += len(part.text) if isinstance(part, TextPart | ReasoningPart) else 1
        if at <= position or isinstance(part, OpaquePart | AttachmentPart):
            continue
        if isinstance(part, TextPart | ReasoningPart):
            rest = part.text[max(0, position - start) :]
            yield TextDelta(rest, at) if isinstance(part, TextPart) else ReasoningDelta(rest, at)
        elif isinstance(part, ToolCallPart):
            yield ToolCallDelta(part.id, part.name, part.args, at)
        else:
            yield ToolResultDelta(part.id, part.name, part.content, at)
