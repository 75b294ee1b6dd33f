"""The program, loaded once: each of its runs is a fork of that, a process that still has all to do.

Loading it takes longer than most runs do. A run from here has its own process, words, environment,
folder, standard streams and exit code, as one that was started by its name; what a test says of the
loading itself it has to start by its name.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACKAGES: Final = ("convostore", "convostore.cli", "convostore.storage", "convostore.providers")
MODULES: Final = (
    *("aiohttp", "aiosqlite", "alembic.command", "asyncpg", "rich.console", "rich.markdown"),
    *("rich.table", "snowballstemmer", "sqlalchemy.dialects.postgresql.asyncpg"),
    *("sqlalchemy.dialects.sqlite.aiosqlite", "sqlalchemy.ext.asyncio"),
)
NOT_LOADED: Final = ("__main__", "generate_fastread")  # programs
_LENGTH: Final = struct.Struct("!Q")
_NUMBER: Final = struct.Struct("!i")  # the process id, and at the end the exit code
_PIECE: Final = 1 << 16


class Loaded:
    """The loaded program; it ends with whoever made it."""

    def __init__(self) -> None:
        """Begin to load it; the first run waits until that is done."""
        self._channel, theirs = socket.socketpair()
        self._turn = Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-X", "utf8", __file__, str(theirs.fileno())],
                cwd=Path(__file__).parents[2],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.PIPE,  # streams of pipes, as a run has them
                stdout=subprocess.PIPE,
            )

    def end(self) -> None:
        """End it; runs that go on are left alone."""
        self._channel.close()
        self._process.wait(60)

    def run(
        self, words: Sequence[str], *, env: Mapping[str, str], stdin: bytes | None, limit_s: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the program to its end; without *stdin* it is /dev/null.

        Raises:
            subprocess.TimeoutExpired: it did not end within *limit_s*, and was killed.
        """
        with ExitStack() as stack:
            given, giving = _ends(stack)
            out, output = _ends(stack)
            err, error = _ends(stack)
            told, telling = _ends(stack)
            if stdin is None:
                given = stack.enter_context(Path(os.devnull).open("rb"))
            request = json.dumps(
                {"words": words, "env": dict(env), "cwd": str(Path.cwd())}
            ).encode()
            passed = (given, output, error, telling)
            with self._turn:
                head = _LENGTH.pack(len(request))
                socket.send_fds(self._channel, [head], [one.fileno() for one in passed])
                self._channel.sendall(request)
            for one in passed:
                one.close()
            texts = _read(giving, stdin or b"", (told, out, err), time.monotonic() + limit_s)
        numbers = [code for (code,) in _NUMBER.iter_unpack(texts[0])]
        if len(numbers) < len(("process id", "exit code")):
            for pid in numbers:
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(words), limit_s, texts[1], texts[2])
        return subprocess.CompletedProcess(list(words), numbers[1], texts[1], texts[2])


def _ends(stack: ExitStack) -> tuple[Any, Any]:
    read, write = os.pipe()
    return (
        stack.enter_context(os.fdopen(read, "rb", buffering=0)),
        stack.enter_context(os.fdopen(write, "wb", buffering=0)),
    )


def _read(giving: Any, given: bytes, taken: Sequence[Any], until_s: float) -> list[bytes]:
    """Write all of *given*, read all that comes, until each end is closed or the time is over."""
    texts = {one: bytearray() for one in taken}
    os.set_blocking(giving.fileno(), False)
    with selectors.DefaultSelector() as ready:
        ready.register(giving, selectors.EVENT_WRITE)
        for one in taken:
            ready.register(one, selectors.EVENT_READ)
        while ready.get_map() and (left_s := until_s - time.monotonic()) > 0:
            for key, _ in ready.select(left_s):
                end: Any = key.fileobj
                if end is giving:
                    given = _give(giving, given)
                    if given:
                        continue
                elif piece := end.read(_PIECE):
                    texts[end] += piece
                    continue
                ready.unregister(end)
                end.close()
    return [bytes(text) for text in texts.values()]


def _give(giving: Any, given: bytes) -> bytes:
    """Write what the pipe takes now, and return the rest; none where nobody reads any more."""
    try:
        return given[giving.write(given[:_PIECE]) :] if given else b""
    except BrokenPipeError:
        return b""


def _load() -> None:
    for name in MODULES:
        importlib.import_module(name)
    for package in PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name not in NOT_LOADED:
                importlib.import_module(f"{package}.{module.name}")
    gc.collect()
    gc.freeze()


def _serve(channel: socket.socket) -> list[str] | None:
    """Fork for each request; return its words in the process that has to become the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that wait
    while True:
        head, fds, _, _ = socket.recv_fds(channel, _LENGTH.size, 4)
        if not head:
            return None
        request, telling = json.loads(_received(channel, *_LENGTH.unpack(head))), fds[3]
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel.close()
            pid = os.fork()
            if not pid:
                _become(request, fds)
                return [str(word) for word in request["words"]]
            for fd in fds[:3]:
                os.close(fd)
            os.write(telling, _NUMBER.pack(pid))
            _, status = os.waitpid(pid, 0)
            os.write(telling, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
            os._exit(0)
        for fd in fds:
            os.close(fd)


def _received(channel: socket.socket, length: int) -> bytes:
    text = b""
    while len(text) < length:
        text += channel.recv(length - len(text))
    return text


def _become(request: dict[str, Any], fds: Sequence[int]) -> None:
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    for fd in fds:
        os.close(fd)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()


if __name__ == "__main__":
    _load()
    words = _serve(socket.socket(fileno=int(sys.argv[1])))
    if words is not None:
        sys.argv[1:] = words
        runpy.run_module("convostore", run_name="__main__", alter_sys=True)
