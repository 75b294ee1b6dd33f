"""The process that runs the model: one question at a time, JSON lines in and out.

It is a program of its own, because the native library takes over the signal handlers of the
process it is loaded into, writes to its stderr, and ends it when a model file is damaged. It
imports nothing of this package.

In, a line each: `{"ask": BODY}` with the body of a chat completion; `{"stop": true}`. Out:
`{"ready": true}` once the model is loaded, else `{"failed": REASON}`; then the answer's chunks
as the library makes them, and `{"end": true}`. It leaves when its stdin ends.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import sys
import threading
from typing import Any, BinaryIO


class Asker:
    """The other side's questions, read while an answer is being made."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.questions: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.stopped = threading.Event()

    def read(self) -> None:
        """Read until the other side is gone, then leave at once, whatever is going on."""
        for line in self._source:
            said = json.loads(line)
            if "ask" in said:
                self.stopped.clear()
                self.questions.put(json.dumps(said["ask"]).encode())
            else:
                self.stopped.set()
        os._exit(0)


def main() -> None:
    """Load the model named by the first argument, and answer until nobody asks."""
    out = _voice()
    asker = Asker(sys.stdin.buffer)
    threading.Thread(target=asker.read, daemon=True).start()

    def answer(chunk: bytes) -> bool:
        if not asker.stopped.is_set():
            _say(out, chunk)
        return asker.stopped.is_set()

    try:
        server = _load(sys.argv[1], int(sys.argv[2]))
    except (RuntimeError, ImportError) as error:
        _say(out, json.dumps({"failed": str(error)}).encode())
        os._exit(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # back from the library
        signal.signal(number, signal.SIG_DFL)
    _say(out, b'{"ready":true}')
    while True:
        server.handle_chat_completions(asker.questions.get(), answer)
        _say(out, b'{"end":true}')


def _voice() -> BinaryIO:
    """Return the way out; whatever native code prints goes nowhere."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return out


def _load(path: str, context_tokens: int) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.warmup = False
    # The library always listens on loopback; nobody is told this key, so nobody can ask there.
    params.api_keys = [secrets.token_urlsafe(32)]
    # Half of the cores: its threads wait spinning, and on a busy machine stand in each other's way.
    threads = max(1, (os.cpu_count() or 2) // 2)
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(params)


def _say(out: BinaryIO, line: bytes) -> None:
    try:
        out.write(line + b"\n")
        out.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
