"""Names of owners and of files that cannot be: one line, a hint, and the code of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.program import Program, Run

pytestmark = pytest.mark.only("sqlite", reason="what is typed is refused before a store is opened")


def is_one_line(run: Run) -> bool:
    """Tell whether an error was told in one line and a hint, and nothing else."""
    error, hint = run.err.splitlines()
    return error.startswith("convostore: ") and hint.startswith("hint: ") and not run.out


@pytest.mark.parametrize("name", ["a\nb", "x" * 300, "a\x1b[2J"])
@pytest.mark.parametrize("way", ["typed", "variable", "file"])
def test_nobody_is_called_so(program: Program, name: str, way: str) -> None:
    """The quick way does not look for such an owner, whoever names it."""
    program("chat", "Hi")
    words = ["list"]
    if way == "typed":
        words = ["--owner", name, "list"]
    elif way == "variable":
        program.extra["CONVOSTORE_OWNER"] = name
    else:
        folder = program.home / "config" / "convostore"
        folder.mkdir(parents=True)
        escaped = "".join(f"\\u{ord(one):04x}" for one in name)
        (folder / "config.toml").write_text(f'owner = "{escaped}"\n')
    run = program(*words)
    assert run.code == 1
    assert "the owner's name" in run.err
    assert is_one_line(run)


@pytest.mark.parametrize(
    "place", [":memory:", "~nobody-of-that-name/a.db", "x" * 300, "/dev/null/chats.db"]
)
@pytest.mark.parametrize("words", [["list"], ["show", "@"], ["chat", "-p", "echo", "Hi"]])
def test_no_store_is_called_so(program: Program, place: str, words: list[str]) -> None:
    """Whatever is wanted of it."""
    run = program("--db", place, *words)
    assert run.code == 5
    assert is_one_line(run)


def test_the_store_is_no_place_for_an_export(program: Program) -> None:
    """It says so, and the store is what it was."""
    program("chat", "Hi")
    place = program("path").text.strip()
    run = program("export", "--all", "-o", place)
    assert (run.code, "the store itself" in run.err) == (1, True)
    assert program("show", "@", "--json").json["messages"][0]["text"] == "Hi"
