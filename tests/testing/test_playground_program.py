"""`python -m convostore.testing.playground` serves until it is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request

import pytest


@pytest.mark.parametrize(
    ("dialect", "path"), [("threads", "/v4/models/"), ("stream", "/v3/models")]
)
def test_the_program_prints_its_address_and_serves(dialect: str, path: str) -> None:
    """The first line is the address; Ctrl-C ends it without a traceback."""
    command = [sys.executable, "-m", "convostore.testing.playground", "--dialect", dialect]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        try:
            url = program.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(url + path, timeout=10) as response:
                assert len(json.load(response)) > 1
        finally:
            program.send_signal(signal.SIGINT)
        assert program.wait(timeout=10) == 0
        assert program.stderr.read() == ""
