"""A program of the documentation, run as it stands."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

from tests.engines import rows

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.engines import Where


def run_program(
    program: str,
    path: Where,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run *program* in *folder*; it has to say something and to keep a message.

    Where *path* is a server's URL, that is put in the place of the program's file.
    """
    monkeypatch.chdir(folder)
    if isinstance(path, str):
        program, files = re.subn(r'"\w+\.db"', repr(path), program)
        assert files == 1
    (folder / "program.py").write_text(program)
    runpy.run_path(str(folder / "program.py"), run_name="__main__")
    assert capsys.readouterr().out.strip()
    (kept,) = [path] if isinstance(path, str) else folder.glob("*.db")
    assert rows(kept, "SELECT id FROM message")
