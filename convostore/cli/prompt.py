"""Where a person types: the interactive chat's prompt, on stderr, so stdout has answers alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from convostore.cli.exits import SignalledError
from convostore.cli.terminal import write_stderr

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "> "
_LINE_BYTES = 65536  # more than a terminal's line discipline hands over as one line


class Prompt(Protocol):
    """Reads what a person types."""

    keys: str

    async def read(self) -> str | None:
        """Return the next text; None when the person wants to leave (Ctrl-D).

        Raises:
            SignalledError: Ctrl-C with nothing typed.
        """
        ...


def make(earlier: Sequence[str]) -> Prompt:
    """Return the best prompt there is: with editing when prompt_toolkit is installed.

    Args:
        earlier: what the Up key brings back, oldest first. It comes from the conversation itself;
            no second copy of what was typed is kept anywhere.
    """
    if os.environ.get("TERM") != "dumb" and find_spec("prompt_toolkit") is not None:
        return EditingPrompt(earlier)
    return PlainPrompt()


class PlainPrompt:
    """The terminal's own line editing."""

    keys = "Enter sends, Ctrl-C stops an answer (at the prompt: leaves), Ctrl-D leaves"

    async def read(self) -> str | None:
        """Return the next line without its line end; None at the end of the input."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bytes] = loop.create_future()
        descriptor = sys.stdin.fileno()

        def on_line() -> None:
            if not ready.done():
                ready.set_result(_read(descriptor))

        write_stderr(MARK)
        loop.add_reader(descriptor, on_line)
        line = b""
        try:
            line = await ready
        finally:
            loop.remove_reader(descriptor)
            if not line:
                write_stderr("\n")
        return line.decode(sys.stdin.encoding, "replace").rstrip("\r\n") if line else None


def _read(descriptor: int) -> bytes:
    """Return the next line, which is there; nothing when the terminal is gone."""
    try:
        return os.read(descriptor, _LINE_BYTES)
    except OSError:
        return b""


class EditingPrompt:
    """Multi-line editing and a history in memory, by prompt_toolkit."""

    keys = "Enter sends, Alt-Enter starts a new line, Ctrl-C stops an answer, Ctrl-D leaves"

    def __init__(self, earlier: Sequence[str]) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.history import InMemoryHistory
        from prompt_toolkit.output import create_output

        self._asker: PromptSession[str] = PromptSession(
            multiline=True,
            history=InMemoryHistory(list(earlier)),
            key_bindings=_keys(),
            prompt_continuation="  ",
            output=create_output(stdout=sys.stderr),
        )

    async def read(self) -> str | None:
        """Return the next text; None on Ctrl-D.

        Raises:
            SignalledError: Ctrl-C with nothing typed; with something typed it is cleared.
        """
        while True:
            try:
                # Its own handler of exceptions would print a traceback over the chat.
                return await self._asker.prompt_async(
                    MARK, handle_sigint=False, set_exception_handler=False
                )
            except EOFError:
                return None
            except KeyboardInterrupt:
                if not self._asker.default_buffer.text:
                    raise SignalledError(signal.SIGINT) from None


def _keys() -> Any:
    """Make Enter send and Alt-Enter start a new line, in a prompt of many lines."""
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.keys import Keys

    keys = KeyBindings()

    @keys.add(Keys.Vt100MouseEvent)
    def _no_mouse(event: Any) -> None:
        """Do nothing: a colour's escape sequence in what is pasted is taken for a mouse too."""

    @keys.add("enter")
    def _send(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    return keys
