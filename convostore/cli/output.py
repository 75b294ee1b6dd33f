"""Standard output for a running answer: at once, and without ever blocking the event loop.

A pager that is not read, or a terminal stopped with Ctrl-S, would block a plain `print` for as
long as it lasts; the journal would then fall behind what was already shown, and Ctrl-C would do
nothing.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys

# As much as a pipe that reports itself writable takes without blocking.
# Source: POSIX.1-2017, "write": requests of PIPE_BUF bytes or less; pipe(7).
_PIECE_BYTES = select.PIPE_BUF


class Output:
    """Write text to a file descriptor in pieces, each when there is room for it.

    Attributes:
        line_open: True when the last character written was not a line end.
    """

    def __init__(self, fd: int = 1, encoding: str | None = None) -> None:
        self._fd = fd
        self._encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
        self.line_open = False

    async def write(self, text: str) -> None:
        """Write all of *text*.

        Raises:
            BrokenPipeError: the reader went away; a terminal that hung up counts as one.
            OSError: any other failure, such as a full disk behind a redirection.
        """
        if not text:
            return
        data = memoryview(text.encode(self._encoding, "backslashreplace"))
        while data:
            await self._room()
            try:
                data = data[os.write(self._fd, data[:_PIECE_BYTES]) :]
            except BlockingIOError:
                # Somebody made the descriptor non-blocking and took the room: wait again.
                await asyncio.sleep(0.01)
        self.line_open = not text.endswith("\n")

    async def end_line(self) -> None:
        """Write a line end, unless the last character was one.

        Raises:
            OSError: as with `write`.
        """
        if self.line_open:
            await self.write("\n")

    async def _room(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if poll.poll(0):
            return
        loop = asyncio.get_running_loop()
        writable: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self._fd, _settle, writable)
        try:
            await writable
        finally:
            loop.remove_writer(self._fd)


def _settle(writable: asyncio.Future[None]) -> None:
    if not writable.done():
        writable.set_result(None)
