"""Questions on a terminal: what answers them, and that Ctrl-C ends each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from screen import CTRL_C, CTRL_D, ENTER, Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

if TYPE_CHECKING:
    from tests.cli.program import Program


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
@pytest.mark.parametrize(
    "words", [("forget", "@", "2"), ("delete-branch", "@", "2"), ("delete", "--all")]
)
def test_question_is_left_with_one_key_and_nothing_changes(
    program: Program, words: tuple[str, ...], key: str
) -> None:
    """The first Ctrl-C ends it, in the very moment in which the question is shown."""
    assert program("chat", "Hello").code == 0
    before = program("show", "@", "--json").out
    with Screen(program, *words) as screen:
        screen.expect("[y/N]: ")
        screen.type(key)
        assert screen.end() == 130
    assert "interrupted" in screen.text
    assert program("show", "@", "--json").out == before


def test_question_is_asked_again_until_it_is_answered(program: Program) -> None:
    """What is neither yes nor no is named; Enter alone is no."""
    assert program("chat", "Hello").code == 0
    with Screen(program, "delete", "--all") as screen:
        screen.expect("[y/N]: ")
        screen.type("maybe" + ENTER)
        screen.expect('"maybe" is neither y nor n')
        screen.expect("[y/N]: ")
        screen.type(ENTER)
        assert screen.end() == 2
    assert "nothing was changed" in screen.text
    with Screen(program, "delete", "--all") as screen:
        screen.expect("[y/N]: ")
        screen.type(" Yes" + ENTER)
        assert screen.end() == 0
    assert program("list").out == b""
