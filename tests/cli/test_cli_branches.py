"""Branches on the command line: another answer, other words, the way back, and what is refused."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import pytest
from screen import CTRL_C, CTRL_D, ENTER, Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program

TREE = """\
  ├─ 1  user  [1 of 2] Plan three days
  │  2  assistant  You said: Plan three days
  │  3  user  And the budget?
  │  ├─ 4  assistant  [1 of 2] You said: And the budget?
  │  └─ 5  assistant  [2 of 2] You said: And the budget?
* └─ 6  user  [2 of 2] Plan two days
*    7  assistant  You said: Plan two days
"""


@pytest.fixture
def branched(program: Program) -> str:
    """Give the handle of a conversation with a second answer and a second first question."""
    assert program("chat", "Plan three days").code == 0
    assert program("chat", "-c", "And the budget?").code == 0
    assert program("regenerate", "@").text.startswith("You said: And the budget?\n")
    ended = program("edit", "@", "1", "Plan two days")
    assert (ended.code, ended.text) == (0, "You said: Plan two days\n")
    return ended.handle


def test_tree_draws_every_branch_and_where_the_conversation_stands(
    program: Program, branched: str
) -> None:
    """One line a message: its number, role, place among its siblings and first words."""
    drawn = program("tree", branched)
    assert drawn.text == f"{branched}  Plan three days\n{TREE}"
    document = program("tree", "@", "--json").json
    assert [one["number"] for one in document["messages"]] == [1, 2, 3, 4, 5, 6, 7]
    assert document["messages"][4]["position"] == [2, 2]
    assert document["head_id"] == document["messages"][-1]["id"]


def test_tree_fits_a_narrow_terminal(program: Program, branched: str) -> None:
    """Words are cut, numbers and lines are not; control characters stay characters."""
    del branched
    program("chat", "-c", "a \x1b[31mred and very long question that does not fit the terminal")
    program.extra["COLUMNS"] = "40"
    with Screen(program, "tree", "@") as screen:
        assert screen.end() == 0
    lines = screen.text.splitlines()
    assert max(len(line) for line in lines) == 40
    assert lines[-2].startswith("*    8  user  a \\x1b[31mred")
    assert "\\x1b[31mred" in program("tree", "@").text


def test_switch_leads_show_and_chat_to_the_other_branch(program: Program, branched: str) -> None:
    """It says where the conversation stands now; exactly means that very message."""
    switched = program("switch", branched, "2")
    assert switched.code == 0
    assert 'stands at message 5: assistant, "You said: And the budget?' in switched.err
    with Screen(program, "show", "@") as screen:
        screen.expect("echo, echo, 4 of 7 messages")
        screen.expect(f"there are other branches: convostore tree {branched}")
    texts = [one["text"] for one in program("show", "@", "--json").json["messages"]]
    assert texts[0] == "Plan three days"
    assert len(texts) == 4
    assert program("switch", branched, "2", "--exactly").code == 0
    assert len(program("show", "@", "--json").json["messages"]) == 2
    assert "(3 messages were sent.)" in program("chat", "-c", "go on").text


def test_messages_are_named_by_their_ids_too(program: Program, branched: str) -> None:
    """As `tree --json` gives them, in whatever case."""
    third = program("tree", "@", "--json").json["messages"][2]["id"]
    assert program("switch", branched, third.upper()).code == 0
    assert len(program("show", "@", "--json").json["messages"]) == 4


def test_fork_prints_the_handle_of_a_conversation_of_its_own(
    program: Program, branched: str
) -> None:
    """It begins with copies; the original stays as it is."""
    forked = program("fork", branched, "2", "--title", "Plan B")
    handle = forked.text.strip()
    assert re.fullmatch(r"[0-9a-z]{8}", handle)
    assert handle != branched
    assert f"--resume {handle}" in forked.err
    document = program("show", handle, "--json").json
    assert document["title"] == "Plan B"
    assert [one["text"] for one in document["messages"]] == [
        "Plan three days",
        "You said: Plan three days\n",
    ]
    assert len(program("tree", branched, "--json").json["messages"]) == 7


def test_delete_branch_asks_first_and_removes_for_good(program: Program, branched: str) -> None:
    """Without a terminal it wants --yes; on one, a question whose answer may be no."""
    refused = program("delete-branch", branched, "3")
    assert refused.code == 2
    assert 'would remove message 3 ("And the budget?") and 2 below it' in refused.err
    assert "--yes" in refused.err
    with Screen(program, "delete-branch", branched, "3") as screen:
        screen.expect("for good? [y/N]")
        screen.type("n" + ENTER)
        assert screen.end() == 2
    assert len(program("tree", branched, "--json").json["messages"]) == 7
    with Screen(program, "delete-branch", branched, "3") as screen:
        screen.expect("for good? [y/N]")
        screen.type("y" + ENTER)
        assert screen.end() == 0
    assert "3 messages gone for good" in screen.text
    assert len(program("tree", branched, "--json").json["messages"]) == 4
    assert program("delete-branch", "-y", branched, "2").code == 0
    assert program("show", branched).code == 0


def test_edit_opens_the_editor_with_the_question(
    program: Program, branched: str, tmp_path: Path
) -> None:
    """What is saved is asked; what was not changed is not."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/budget/weather/" "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    program.extra |= {"EDITOR": str(editor), "VISUAL": ""}
    with Screen(program, "edit", branched, "3") as screen:
        assert screen.end() == 0
    assert "You said: And the weather?" in screen.text
    editor.write_text("#!/bin/sh\ntrue\n")
    with Screen(program, "edit", branched, "3") as screen:
        assert screen.end() == 2
    assert "was not changed" in screen.text


def test_person_is_asked_for_the_message_below_the_tree(program: Program, branched: str) -> None:
    """Left out on a terminal: the conversation is picked, the tree drawn, the number asked for."""
    with Screen(program, "switch") as screen:
        screen.expect("Enter takes it")
        screen.type(branched[:5] + ENTER)
        screen.expect("[2 of 2]")
        screen.expect("switch which message, by its number: ")
        screen.type("4" + ENTER)
        assert screen.end() == 0
    assert "stands at message" in screen.text
    with Screen(program, "forget", branched) as screen:
        screen.expect("forget which message, by its number: ")
        screen.type(CTRL_C)
        assert screen.end() == 130


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("tree", 2, "tree needs a conversation"),
        ("tree nothing", 3, "there is no conversation nothing"),
        ("regenerate", 2, "regenerate needs a conversation"),
        ("regenerate @ 99", 3, "no message 99"),
        ("edit @", 2, "edit needs a message"),
        ("edit @ 2 words", 3, "its role is assistant"),
        ("edit @ 1", 2, 'convostore edit @ 1 "Hello"'),
        ("switch @", 2, "switch needs a message"),
        ("switch @ 0", 3, "no message 0"),
        ("switch @ 99999999999999999999", 3, "no message 99999999999999999999"),
        ("switch @ -- -1", 3, "no message -1"),
        ("fork @ x", 3, "no message x"),
        ("fork @ --title ''", 2, "--title is empty"),
        ("delete-branch @ 99 -y", 3, "no message 99"),
        ("delete-branch @", 2, "delete-branch needs a message"),
        ("forget @ 99", 3, "no message 99"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(
    program: Program, branched: str, line: str, code: int, words: str
) -> None:
    """What is wrong and what to type next, with the code of the table; nothing is changed."""
    del branched
    before = program("tree", "@", "--json").text
    ended = program(*(word.strip("'") for word in line.split()))
    assert ended.code == code
    assert words in ended.err
    assert len(ended.err.splitlines()) <= 3
    assert program("tree", "@", "--json").text == before


def test_a_branch_made_beside_others_names_the_switch_to_it(program: Program) -> None:
    """Whoever chats while somebody else goes on with the conversation is told the way back."""
    assert program("chat", "first").code == 0
    with Screen(program, "chat", "-c") as screen:
        screen.expect("Ctrl-D leaves")
        assert program("chat", "-c", "meanwhile").code == 0
        screen.type("beside" + ENTER)
        screen.expect("You said: beside")
        screen.expect("convostore switch")
        screen.expect(">")
        screen.type(CTRL_D)
        assert screen.end() == 0
    number = re.search(r"switch \w+ (\d+)", screen.text)
    assert number is not None
    assert program("switch", "@", number[1]).code == 0
    texts = [one["text"] for one in program("show", "@", "--json").json["messages"]]
    assert texts == ["first", "You said: first\n", "beside", texts[-1]]
