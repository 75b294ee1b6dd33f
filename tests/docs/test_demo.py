"""The demonstrations whose pictures are in the docs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from convostore.providers.local_model import fetch_model

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURE = Path(__file__).parents[2] / "docs" / "history.svg"
LIVED_BY = (
    *("chat", "regenerate", "edit", "tree", "switch", "fork", "delete-branch", "completion"),
    *("title", "tag", "untag", "pin", "unpin", "move", "archive", "unarchive", "metadata", "list"),
    *("search", "db reindex", "stats", "attachment", "chat --ephemeral", "delete", "restore"),
    *("purge", "db scrub", "forget", "expire", "retention"),
    *("owner list", "owner export", "owner erase"),
)


def demonstrated(name: str, folder: Path) -> str:
    """Run a demonstration in *folder*, which gets its picture, and return what it printed."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), "--picture", str(folder / "picture.svg")],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (folder / "picture.svg").read_text().startswith("<svg")
    return done.stdout


@pytest.mark.timeout(300)
def test_demo_proves_that_the_second_request_carried_the_first_turn(tmp_path: Path) -> None:
    """Two processes chat with a real model on a new store, and the record shows what was sent."""
    fetch_model()
    assert "so it carried the first turn" in demonstrated("demo.py", tmp_path)
    assert (tmp_path / ".demo" / "chats.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.timeout(300)
def test_history_is_lived_in_by_the_commands_that_are_shown(tmp_path: Path) -> None:
    """Each command ends well, and every branch, filter and find shows what it is for."""
    shown = demonstrated("history.py", tmp_path)
    pictured = PICTURE.read_text("utf-8").replace("&#160;", " ")
    for command in LIVED_BY:
        first, *more = command.split()
        run = re.compile(rf"\$ convostore {first}\b[^\n<]*{''.join(more)}")
        assert run.search(shown), command
        assert run.search(pictured), f"{command} is not in docs/history.svg: make picture"
    for line in (
        "[2 of 2] Plan two days",
        "* Kyoto in autumn  #travel",
        "34 bytes in .demo/copy.txt",
        "nothing of this conversation was kept",
        "1 conversation brought back",
    ):
        assert line in shown
