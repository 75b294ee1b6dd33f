"""A provider that answers with what it was sent: the same every time, and offline."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import TYPE_CHECKING

from convostore import clock
from convostore.events import Finished, TextDelta
from convostore.providers.options import Option, check_options
from convostore.providers.provider import ModelInfo

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.events import Event
    from convostore.parts import AttachmentPart
    from convostore.providers.provider import ChatRequest
    from convostore.records import RemoteThread

NAME = "echo"
_OPTIONS = {
    "delay_ms": Option(0, 60_000, whole=True),
    "repeat": Option(1, 1_000_000, whole=True),
}


class Echo:
    """Say what was said, word by word: for trying things out, and for tests.

    The answer is `You said: ` and the last message; a line for each attachment of it follows, with
    its name, type and size as read, and where more than one message was sent, one with their number. It counts no tokens and keeps no remote thread.

    Options (`settings`): `delay_ms` waits that long before each piece; `repeat` says the whole
    answer that many times over, so an answer can be made as long and as slow as a trial needs.
    """

    name = NAME

    def check(self, request: ChatRequest) -> None:
        """Refuse options that it does not have, and values that they cannot take.

        Raises:
            ProviderError: with a hint; permanent.
        """
        check_options(NAME, request.settings, _OPTIONS)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Yield the answer word by word.

        Raises:
            ProviderError: as `check`.
        """
        self.check(request)
        delay_s = request.settings.get("delay_ms", 0) / 1000
        answer = _answer(request, [await _seen(request, one) for one in _attached(request)])
        for _ in range(request.settings.get("repeat", 1)):
            for piece in _pieces(answer):
                await clock.sleep(delay_s)
                yield TextDelta(piece)
        yield Finished(model=NAME, finish_reason="stop")

    async def check_attachments(self, request: ChatRequest) -> None:
        """Take them all, whatever they are."""

    async def recover(
        self,
        remote: RemoteThread,  # noqa: ARG002 - as the protocol says
        anonymous_user_id: str,  # noqa: ARG002 - as the protocol says
    ) -> Finished | None:
        """Return None: there is no far side that could have kept anything."""
        return None

    async def models(self) -> list[ModelInfo]:
        """List the one model."""
        return [ModelInfo(id=NAME, name="Echo", description="answers with what it was sent")]

    async def aclose(self) -> None:
        """Do nothing: it holds nothing."""


def _attached(request: ChatRequest) -> tuple[AttachmentPart, ...]:
    return request.messages[-1].attachments


async def _seen(request: ChatRequest, part: AttachmentPart) -> str:
    """Read an attachment to its end, and say what it was."""
    size = 0
    async with aclosing(request.content(part)) as pieces:
        async for piece in pieces:
            size += len(piece)
    return f"\n(Attached: {part.name or part.sha256[:12]}, {part.media_type}, {size:,} bytes.)"


def _answer(request: ChatRequest, seen: list[str]) -> str:
    count = len(request.messages)
    more = f"\n({count} messages were sent.)\n" if count > 1 else "\n"
    return f"You said: {request.messages[-1].text}{''.join(seen)}{more}"


def _pieces(text: str) -> list[str]:
    """Return *text* as words, each with the white space after it; nothing is lost."""
    return re.findall(r"\s*\S+\s*|\s+", text)
