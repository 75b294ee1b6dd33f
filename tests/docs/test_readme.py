"""The README is true: its programs run, its links lead somewhere, its settings exist."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import convostore.providers
from convostore import plainconfig
from convostore.providers.playground import Playground
from convostore.testing import PlaygroundServer
from tests.docs.running import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(params=["stream", None])
def far_side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the Playground's stand-in in a process of its own and point the provider at it.

    In the older dialect, and as the README says how to start it.
    """
    dialect = [] if request.param is None else ["--dialect", request.param]
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "convostore.testing.playground",
            "--port",
            "0",
            *dialect,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server, server.stdout as stdout:
        url = stdout.readline().strip()
        monkeypatch.setattr(convostore.providers, "Playground", partial(Playground, url))
        yield
        server.terminate()


@pytest.mark.usefixtures("far_side")
@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_readme_programs_run(
    program: str,
    path: Where,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each program of the README runs as it stands, in a new folder, and says something.

    It does the same with the URL of a server in the place of its file.
    """
    run_program(program, path, tmp_path, monkeypatch, capsys)


def test_readme_has_programs() -> None:
    """The README shows the library and a bot, so that the test above tests something."""
    assert len(PROGRAMS) == 2
    assert PlaygroundServer.__name__ in README


def test_readme_links_lead_to_files() -> None:
    """Every relative link of the README names a file or folder of this project."""
    links = re.findall(r"\]\(((?!https?:)[^)#]+)(?:#[^)]*)?\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_each_promise_names_tests_that_exist() -> None:
    """Each row of the promises ends in the names of tests that stand in the linked file."""
    rows = re.findall(r"^\| .* \| (\[.*\)) \|$", README, re.MULTILINE)
    proofs = [
        proof for row in rows for proof in re.findall(r"\[(\w+)\]\((tests/[\w/]+\.py)\)", row)
    ]
    assert len(proofs) >= 8
    missing = [
        f"{file}::{name}"
        for name, file in proofs
        if f"def {name}(" not in (ROOT / file).read_text("utf-8")
    ]
    assert missing == []


def test_readme_names_the_settings_that_exist() -> None:
    """The settings of the README are those of the program, no more and no fewer."""
    table = README[README.index("| setting |") :]
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", table)) >= set(plainconfig.KEYS)
    named = {
        name.removeprefix("CONVOSTORE_").lower() for name in re.findall(r"CONVOSTORE_\w+", table)
    }
    assert named <= set(plainconfig.KEYS)
