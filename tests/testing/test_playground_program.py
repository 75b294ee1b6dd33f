"""`python -m convostore.testing.playground` serves until it is interrupted."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

COMMAND = [sys.executable, "-m", "convostore.testing.playground"]


@pytest.mark.parametrize(
    ("dialect", "path", "end"),
    [("threads", "/v4/models/", signal.SIGINT), ("stream", "/v3/models", signal.SIGTERM)],
)
def test_the_program_prints_its_address_and_serves(
    dialect: str, path: str, end: signal.Signals
) -> None:
    """The first line is the address; Ctrl-C and SIGTERM end it without a traceback."""
    command = [*COMMAND, "--dialect", dialect]
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
            program.send_signal(end)
        assert program.wait(timeout=10) == 0
        assert program.stderr.read() == ""


def test_port_that_cannot_be_opened_is_one_line() -> None:
    """A port in use, and a number that is none, end with code 2 and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for number, why in ((port, "address already in use"), (99999, "port must be 0-65535")):
            done = subprocess.run(
                [*COMMAND, "--port", str(number)],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 2
            assert done.stdout == ""
            assert len(done.stderr.splitlines()) == 1
            assert f"port {number} cannot be opened" in done.stderr
            assert why in done.stderr
