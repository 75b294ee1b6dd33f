"""Retention from the command line: the trial, the question, the numbers; and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.filling import fill, titles
from tests.cli.screen import Screen
from tests.engines import change

if TYPE_CHECKING:
    from tests.cli.program import Program


def age(program: Program, title: str) -> None:
    """Let a conversation be of 1970, in the list and in the bin."""
    change(program.store, "UPDATE conversation SET updated_at_ms = 1 WHERE title = ?", title)
    change(
        program.store,
        "UPDATE conversation SET deleted_at_ms = 1 WHERE title = ? AND deleted_at_ms IS NOT NULL",
        title,
    )


def test_rule_is_tried_agreed_to_and_applied(program: Program) -> None:
    """A trial shows which; without --yes and a terminal nothing is done; with it the numbers are told."""
    fill(program, "old", "kept", "pinned", "new", "binned")
    assert program("tag", "work", "bot:kept").code == 0
    assert program("pin", "bot:pinned").code == 0
    assert program("delete", "bot:binned").code == 0
    for title in ("old", "kept", "pinned", "binned"):
        age(program, title)
    rule = ("retention", "--delete-after", "90d", "--purge-after", "30d", "--keep-tag", "work")
    tried = program(*rule, "--dry-run")
    assert titles(tried) == ["old", "binned"]
    would = "1 conversation would be moved to the bin; 1 would be gone for good"
    assert tried.err.splitlines() == [
        "to the bin:",
        "gone for good, from the bin:",
        f"{would}; nothing was changed",
    ]
    with Screen(program, *rule, "--dry-run") as screen:
        for line in ("to the bin:\n", "  old  ", "gone for good, from the bin:\n", "  binned  "):
            screen.expect(line)
    asked = program(*rule)
    assert asked.code == 2
    assert asked.err.startswith(
        "convostore: 1 conversation will be moved to the bin; 1 will be gone for good, and nobody"
    )
    run = program(*rule, "--yes")
    assert run.code == 0
    assert run.err.splitlines()[0] == "1 conversation moved to the bin; 1 gone for good"
    assert titles(program("list")) == ["pinned", "new", "kept"]
    assert titles(program("list", "--bin")) == ["old"]
    again = program(*rule)
    assert (again.code, again.err) == (0, "0 conversations moved to the bin; 0 gone for good\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "retention needs a span"),
        (["--delete-after", "soon"], "--delete-after soon is no span"),
        (["--purge-after", "2026-01-01"], "--purge-after 2026-01-01 is no span"),
    ],
)
def test_rule_that_says_no_span_is_refused(program: Program, words: list[str], said: str) -> None:
    """In one line, with what to type; nothing changes."""
    fill(program, "one")
    run = program("retention", *words, "--yes")
    assert run.code == 2
    first, second = run.err.splitlines()
    assert said in first
    assert second.startswith("hint: ")
    assert titles(program("list")) == ["one"]
