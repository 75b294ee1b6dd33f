"""How a running answer is shown: as text for people, or as JSON lines for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from convostore.cli import shapes
from convostore.cli.page import mark_of
from convostore.cli.terminal import (
    PieceEscaper,
    counted,
    has_colour,
    is_terminal,
    one_line,
    say,
    write_stderr,
)
from convostore.events import ReasoningDelta, TextDelta, ToolCallDelta, ToolResultDelta

if TYPE_CHECKING:
    from convostore.cli.output import Output
    from convostore.errors import ConvostoreError
    from convostore.events import Delta
    from convostore.records import Message

_DIM, _PLAIN = "\x1b[2m", "\x1b[22m"
_TOOL_ARGS_SHOWN = 200  # characters; `show --json` and `export` have them all


class View(Protocol):
    """What an answer is shown to, in this order: deltas, close, then `finished` or `failed`."""

    async def delta(self, delta: Delta) -> None:
        """Show one more piece, at once."""
        ...

    async def close(self) -> None:
        """Show what was held back, and end the line."""
        ...

    async def finished(self, handle: str | None, reply: Message) -> None:
        """Show how an answer ended; without a handle it is not kept."""
        ...

    async def failed(self, error: ConvostoreError) -> None:
        """Show why there is no whole answer."""
        ...


class TextView:
    """The answer on stdout, as it comes; everything else on stderr, and only what a person needs."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._escaper = PieceEscaper() if is_terminal(sys.stdout) else None
        self._thinking = False
        self._call: ToolCallDelta | None = None

    async def delta(self, delta: Delta) -> None:
        """Show one more piece, at once.

        Raises:
            OSError: stdout takes no more.
        """
        match delta:
            case ReasoningDelta():
                self._think(delta.reasoning)
            case TextDelta():
                await self._speak(delta.text)
            case ToolCallDelta():
                self._gather(delta)
            case ToolResultDelta():
                self._aside(
                    f"[{delta.name or 'tool'} answered, {counted(len(delta.content), 'character')}]"
                )

    async def close(self) -> None:
        """Show what was held back, and end the line.

        Raises:
            OSError: stdout takes no more.
        """
        self._end_asides()
        if self._escaper is not None:
            await self._output.write(self._escaper.close())
        await self._output.end_line()

    async def finished(self, handle: str | None, reply: Message) -> None:
        """Say on stderr when the answer is not whole."""
        if reply.status == "stopped":
            kept = "" if handle is None else "; the answer so far is kept"
            say(f"convostore: stopped{kept if reply.text else '; before the answer began'}")
        elif mark := mark_of(reply):
            how = "" if mark == "empty" else "; allow more with: -o max_tokens=N"
            say(f"convostore: the answer is {mark}{how}")

    async def failed(self, error: ConvostoreError) -> None:
        """Say on stderr what went wrong and what to do next."""
        from convostore.cli.exits import report

        report(error)

    async def _speak(self, text: str) -> None:
        self._end_asides()
        await self._output.write(self._escaper.feed(text) if self._escaper else text)

    def _think(self, text: str) -> None:
        if not is_terminal(sys.stderr):
            return
        self._end_call()
        if not self._thinking:
            self._thinking = True
            self._break_line()
            write_stderr(_DIM if has_colour(sys.stderr) else "")
        write_stderr(PieceEscaper().feed(text.replace("\r", "")))

    def _gather(self, piece: ToolCallDelta) -> None:
        call = self._call
        if call is not None and call.id == piece.id:
            name, args = call.name or piece.name, call.args + piece.args
            self._call = ToolCallDelta(id=piece.id, name=name, args=args)
            return
        self._end_asides()
        self._call = piece

    def _aside(self, line: str) -> None:
        self._end_asides()
        self._break_line()
        say(line)

    def _end_asides(self) -> None:
        if self._thinking:
            self._thinking = False
            write_stderr((_PLAIN if has_colour(sys.stderr) else "") + "\n\n")
        self._end_call()

    def _end_call(self) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        args = one_line(call.args)
        cut = args if len(args) <= _TOOL_ARGS_SHOWN else args[:_TOOL_ARGS_SHOWN] + "..."
        self._break_line()
        say(f"[{call.name or 'tool'} {cut}]")

    def _break_line(self) -> None:
        """Keep a line on stderr from landing in the middle of the answer's line."""
        if self._output.line_open and is_terminal(sys.stdout):
            write_stderr("\n")
            self._output.line_open = False


def _content(delta: TextDelta | ReasoningDelta) -> str:
    return delta.text if isinstance(delta, TextDelta) else delta.reasoning


class JsonView:
    """One JSON object a line on stdout: the deltas, then one `finished` or one `error`."""

    def __init__(self, output: Output) -> None:
        self._output = output

    async def delta(self, delta: Delta) -> None:
        """Show one more piece, at once.

        Raises:
            OSError: stdout takes no more.
        """
        import msgspec

        if isinstance(delta, TextDelta | ReasoningDelta) and not _content(delta):
            return  # the far side's sign of life
        await self._output.write(shapes.to_line(msgspec.to_builtins(delta)))

    async def close(self) -> None:
        """Do nothing: every line is ended already."""

    async def finished(self, handle: str | None, reply: Message) -> None:
        """Show how an answer ended.

        Raises:
            OSError: stdout takes no more.
        """
        line = {"type": "finished", "handle": handle, "reply": shapes.message(reply)}
        await self._output.write(shapes.to_line(line))

    async def failed(self, error: ConvostoreError) -> None:
        """Show why there is no whole answer.

        Raises:
            OSError: stdout takes no more.
        """
        await self._output.write(shapes.to_line(shapes.error(error)))
