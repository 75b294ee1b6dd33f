"""llama.cpp's own server with a small model, in a process of its own; it leaves with its stdin."""

from __future__ import annotations

import os
import sys

import xllamacpp


def main() -> None:
    """Serve the model named by the first argument, with the key of the second."""
    out = os.dup(1)
    for taken in (1, 2):  # whatever native code prints goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), taken)
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = 512
    params.n_parallel = 1
    params.warmup = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # others have work too
    params.api_keys = [sys.argv[2]]
    server = xllamacpp.Server(params)
    os.write(out, f"{server.listening_address}\n".encode())
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
