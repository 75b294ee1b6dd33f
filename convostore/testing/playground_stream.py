"""Streams one reply in one dialect, and keeps it as that version of the server would."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convostore import clock
from convostore.testing import playground_wire as wire
from convostore.testing.playground_replies import (
    CallTool,
    Cut,
    ErrorObject,
    Raw,
    ReplyStep,
    Think,
    ToolAnswer,
)
from convostore.testing.steps import Gate, Pause, Silence, Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from convostore.testing.playground_models import Dialect
    from convostore.testing.playground_threads import KeptMessage, KeptThreads


class BodyCutError(Exception):
    """The connection ends here, without the body's end."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One turn on the server.

    Attributes:
        dialect: how it speaks.
        kept: where the messages are.
        new: the messages of this turn in order: the system message of a first turn, the
            user's, the reply; tool results and further replies follow.
        first_id: the first message of the chain that the model was sent.
        new_reply: makes the next reply below a message.
        new_tool_result: makes a tool's result below a message.
    """

    dialect: Dialect
    kept: KeptThreads
    new: list[KeptMessage]
    first_id: str
    new_reply: Callable[[KeptMessage], KeptMessage]
    new_tool_result: Callable[[KeptMessage, str], KeptMessage]
    said: str = ""
    thought: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    error: ErrorObject | None = None

    @property
    def reply(self) -> KeptMessage:
        """The reply that is being streamed."""
        return self.new[-1]

    def finish(self, finish_reason: str | None) -> None:
        """Keep the reply with all that was said, and everything before it as final."""
        reply = self.reply
        reply.content, reply.finish_reason = self.said, finish_reason
        reply.thinking = self.thought or None
        reply.tool_calls = self.calls
        if reply.expires_ms is None:  # the real server counts what signed-in users use
            reply.completion = reply.id.replace("msg_", "cpl_")
        self.finish_all()

    def finish_all(self) -> None:
        """Mark the turn's messages final."""
        for message in self.new:
            message.final = True

    def next_round(self) -> None:
        """Begin a further reply in the same turn."""
        self.new.append(self.new_reply(self.new[-1]))
        self.said, self.thought, self.calls = "", "", []


class Speaker(ABC):
    """Say the pieces of one reply over one connection; see the two dialects below."""

    def __init__(self, exchange: Exchange, write: Callable[[bytes], Awaitable[None]]) -> None:
        self.exchange = exchange
        self._write = write
        self._lost = False

    async def play(self, steps: Sequence[ReplyStep]) -> None:
        """Stream a whole reply.

        Raises:
            BodyCutError: the body has to break off here.
        """
        await self.begin()
        for step in steps:
            if not await self._take(step):
                break
        else:
            await self.end()
        if self._lost:
            raise BodyCutError

    async def send(self, value: dict[str, Any]) -> None:
        """Send one line, unless the connection is lost."""
        await self.send_raw(wire.line(value))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes, unless the connection is lost."""
        if not self._lost:
            await self._write(data)

    @abstractmethod
    async def begin(self) -> None:
        """Send what comes before the first piece."""

    @abstractmethod
    async def say(self, text: str) -> None:
        """Send a piece of the answer."""

    @abstractmethod
    async def think(self, text: str) -> None:
        """Send a piece of reasoning."""

    @abstractmethod
    async def call(self, step: CallTool) -> bool:
        """Send a tool call; return whether the reply goes on."""

    @abstractmethod
    async def answer_tool(self, content: str) -> bool:
        """Send a tool's answer and begin the next reply; return whether there is one."""

    @abstractmethod
    async def fail(self, step: ErrorObject) -> None:
        """Send an error object and end as the dialect does after one."""

    @abstractmethod
    async def end(self) -> None:
        """Send what comes after the last piece."""

    async def _take(self, step: ReplyStep) -> bool:
        match step:
            case str():
                self.exchange.said += step
                await self.say(step)
            case Think():
                self.exchange.thought += step.text
                await self.think(step.text)
            case CallTool():
                return await self.call(step)
            case ToolAnswer():
                return await self.answer_tool(step.content)
            case ErrorObject():
                await self.fail(step)
                return False
            case Cut():
                if not step.server_finishes:
                    raise BodyCutError
                self._lost = True
            case Raw():
                await self.send_raw(step.data)
            case Gate() | Wait() | Pause() | Silence():
                await _wait(step)
        return True


class NestedSpeaker(Speaker):
    """The dialects of 2025: message trees, and a final object that always comes."""

    async def begin(self) -> None:
        """Send the new messages, each inside the one before it."""
        await self.send(self._tree())

    async def say(self, text: str) -> None:
        """Send a piece of the answer."""
        message_id = self.exchange.reply.id
        await self.send({"message": message_id, "content": text, "logprobs": []})

    async def think(self, text: str) -> None:
        """Refuse: these dialects have no reasoning."""
        raise AssertionError(f"the {self.exchange.dialect} dialect cannot stream {text!r}")

    async def call(self, step: CallTool) -> bool:
        """Refuse: these dialects have no tools."""
        raise AssertionError(f"the {self.exchange.dialect} dialect cannot stream {step}")

    async def answer_tool(self, content: str) -> bool:
        """Refuse: these dialects have no tools."""
        raise AssertionError(f"the {self.exchange.dialect} dialect cannot stream {content!r}")

    async def fail(self, step: ErrorObject) -> None:
        """Send the error and the final object."""
        message_id = self.exchange.reply.id
        await self.send({"message": message_id, "error": step.error, "reason": step.reason})
        await self._send_final(step.finish_reason)

    async def end(self) -> None:
        """Send the empty piece that some hosts end with, and the final object."""
        speaks_finish_reasons = self.exchange.reply.model_host == "inferd"
        if speaks_finish_reasons:
            await self.say("")
        await self._send_final("stop" if speaks_finish_reasons else None)

    async def _send_final(self, finish_reason: str | None) -> None:
        self.exchange.finish(finish_reason)
        await self.send(self._tree())

    def _tree(self) -> dict[str, Any]:
        tree: list[dict[str, Any]] | None = None
        for message in reversed(self.exchange.new):
            tree = [wire.nested(message, tree)]
        assert tree is not None  # noqa: S101 - a turn has at least a user message and a reply
        return tree[0]


class TypedSpeaker(Speaker):
    """The dialect of 2026: flat lists of messages, chunks with a type, start and end marks."""

    _opened = False

    async def begin(self) -> None:
        """Send the start mark and the new messages."""
        await self.send({"message": self.exchange.first_id, "type": "start"})
        await self._send_thread()

    async def say(self, text: str) -> None:
        """Send a piece of the answer."""
        await self._open()
        await self._chunk("modelResponse", content=text)

    async def think(self, text: str) -> None:
        """Send a piece of reasoning."""
        await self._open()
        await self._chunk("thinking", content=text, id=None)

    async def call(self, step: CallTool) -> bool:
        """Send the call in pieces, or an error when no such tool is defined."""
        await self._open()
        defined = {tool["name"]: tool for tool in self.exchange.reply.tool_definitions}
        name = step.name or next(iter(defined), "")
        if name not in defined:
            await self._fail_tool(name)
            return False
        source = defined[name]["toolSource"]
        for at, piece in enumerate(("", *step.pieces)):
            await self._chunk(
                "toolCall",
                args=piece,
                toolCallId=step.id,
                toolName="" if at else name,
                toolSource=None if at else source,
            )
        self.exchange.calls.append(
            {
                "args": json.loads("".join(step.pieces)),
                "toolCallId": step.id,
                "toolName": name,
                "toolSource": source,
            }
        )
        return True

    async def answer_tool(self, content: str) -> bool:
        """Send the result and a new empty reply; a client's own tool ends the turn."""
        if any(call["toolSource"] == "user_defined" for call in self.exchange.calls):
            await self.end()
            return False
        self.exchange.finish(None)
        result = self.exchange.new_tool_result(self.exchange.reply, content)
        self.exchange.new.append(result)
        await self._send_thread()
        self.exchange.next_round()
        self._opened = False
        await self._send_thread()
        return True

    async def fail(self, step: ErrorObject) -> None:
        """Send the error and break off: nothing is kept of the reply."""
        message_id = self.exchange.reply.id
        await self.send({"error": step.error, "message": message_id, "reason": step.reason})
        raise BodyCutError

    async def end(self) -> None:
        """Send the messages as they are kept now, and the end mark."""
        await self._open()
        self.exchange.finish(None)
        await self._send_thread()
        await self._send_end()

    async def _fail_tool(self, name: str) -> None:
        reply = self.exchange.reply
        text = f"Could not find tool '{name}'. The model tried to call a tool that is not defined."
        reply.error_code, reply.error_severity = "toolCallError", "error"
        reply.error_description = text
        await self._chunk(
            "error", errorCode="toolCallError", errorDescription=text, errorSeverity="error"
        )
        self.exchange.finish_all()
        reply.final = False
        await self._send_thread()
        await self._send_end()

    async def _open(self) -> None:
        if not self._opened:
            self._opened = True
            await self._chunk("modelResponse", content="")

    async def _chunk(self, kind: str, **values: Any) -> None:
        message_id = self.exchange.reply.id
        await self.send(wire.json_sorted({"message": message_id, "type": kind, **values}))

    async def _send_thread(self) -> None:
        kept = self.exchange.kept
        messages = [
            wire.flat(m, [child.id for child in kept.children(m)]) for m in self.exchange.new
        ]
        await self.send({"id": self.exchange.new[0].id, "messages": messages})

    async def _send_end(self) -> None:
        await self.send({"message": self.exchange.first_id, "type": "end"})


async def _wait(step: Gate | Wait | Pause | Silence) -> None:
    match step:
        case Gate():
            step.reached.set()
            await step.released.wait()
        case Wait():
            await step.event.wait()
        case Pause():
            await clock.sleep(step.seconds)
        case Silence():
            await asyncio.Event().wait()
