"""The near side of the model's process: started, asked, stopped, ended."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from convostore import clock
from convostore.errors import IncompleteReplyError, ProviderError
from convostore.providers.local_model import GET_ONE, NAME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_PROGRAM = Path(__file__).with_name("local_process.py")
_STOP_S = 2.0  # for the model to stop when told to; then its process is ended
_LINE_BYTES = 1 << 20  # far above any line of the other side; what is unread waits over there


class ModelProcess:
    """A process in which one model is loaded.

    It ends when its stdin does, so also when this process is killed.
    """

    def __init__(self, process: Process, path: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise TypeError("the process has no pipes")
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._path = path

    @classmethod
    async def start(cls, path: Path, context_tokens: int) -> ModelProcess:
        """Start a process and wait until the model at *path* is loaded.

        Raises:
            ProviderError: it cannot be loaded.
        """
        process = await asyncio.create_subprocess_exec(
            # -P: a file called json.py in the user's folder must not be imported.
            *(sys.executable, "-P", str(_PROGRAM), str(path), str(context_tokens)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=_LINE_BYTES,
            start_new_session=True,  # Ctrl-C at the terminal is for this process alone
        )
        started = cls(process, path)
        try:
            said = await started._hear()
        except IncompleteReplyError:
            said = {"failed": "it ended while loading"}
        except BaseException:
            await started.close()
            raise
        if "failed" in said:
            await started.close()
            raise ProviderError(
                f"the model {path} cannot be loaded: {said['failed']}",
                provider=NAME,
                hint=f"the file may be damaged, too new, or larger than memory; {GET_ONE}",
            )
        return started

    def runs(self, path: Path) -> bool:
        """Tell whether it is alive, with the model at *path*."""
        return self._process.returncode is None and self._path == path

    async def ask(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Ask, and yield the answer's chunks; left early, stop the model.

        Only one may be asked at a time.

        Raises:
            IncompleteReplyError: the process ended.
        """
        ended = False
        try:
            await self._tell({"ask": body})
            while not ended:
                said = await self._hear()
                if "end" in said:
                    ended = True
                else:
                    yield said
        finally:
            if not ended:
                await self._stop()

    async def close(self) -> None:
        """End the process at once; it holds nothing that could be lost."""
        if self._process.returncode is None:
            self._process.kill()
        self._stdin.close()
        with suppress(RuntimeError):  # a turn is reading, and will come to the end itself
            await self._stdout.read()  # the pipe counts as open until it is read to its end
        await self._process.wait()

    async def _stop(self) -> None:
        """Stop the answer that is running, or else the process."""
        try:
            async with clock.timeout(_STOP_S):
                await self._tell({"stop": True})
                while "end" not in await self._hear():
                    pass
        except (TimeoutError, IncompleteReplyError):
            await self.close()
        except BaseException:
            await self.close()
            raise

    async def _tell(self, words: dict[str, Any]) -> None:
        self._stdin.write(msgspec.json.encode(words) + b"\n")
        try:
            await self._stdin.drain()
        except OSError as error:
            raise self._gone() from error

    async def _hear(self) -> dict[str, Any]:
        line = await self._stdout.readline()
        if not line.endswith(b"\n"):
            raise self._gone()
        said: dict[str, Any] = msgspec.json.decode(line)
        return said

    def _gone(self) -> IncompleteReplyError:
        return IncompleteReplyError(
            "the local model's process ended",
            provider=NAME,
            hint="is there enough memory for this model? A smaller one may do: -m FILE.gguf",
        )
