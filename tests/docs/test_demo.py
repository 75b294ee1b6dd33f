"""The demonstration that `make demo` runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convostore.providers.local_model import fetch_model

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


@pytest.mark.timeout(300)
def test_demo_proves_that_the_second_request_carried_the_first_turn(tmp_path: Path) -> None:
    """Two processes chat with a real model on a new store, and the record shows what was sent."""
    fetch_model()
    done = subprocess.run(
        [sys.executable, str(DEMO), "--picture", str(tmp_path / "demo.svg")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "so it carried the first turn" in done.stdout
    assert (tmp_path / ".demo" / "chats.db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "demo.svg").read_text().startswith("<svg")
