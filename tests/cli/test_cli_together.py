"""Several processes with one store: what each shows of the others."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from screen import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    CTRL_D,
    ENTER,
    Screen,
)

from convostore.testing import Silence

if TYPE_CHECKING:
    import subprocess

    from tests.cli.farside import FarSide
    from tests.cli.program import Program

JOURNAL_S = 0.6  # real time: another process writes its journal every quarter second


def _half_way(program: Program, far: FarSide) -> subprocess.Popen[bytes]:
    far.server.script("Half an answer", Silence())
    running = program.start("chat", "Hi")
    assert running.stdout is not None
    assert running.stdout.read(14) == b"Half an answer"
    time.sleep(JOURNAL_S)
    return running


def test_a_running_answer_is_shown_as_running(program: Program, far: FarSide) -> None:
    """Another process shows what is on disk of a running answer, and that it is not whole."""
    running = _half_way(program, far)
    text = program("show", "@").text
    answer = program("show", "@", "-r")
    running.terminate()
    running.communicate()
    assert "Half an answer\n[still being written]" in text
    assert answer.text == "Half an answer\n"
    assert "not whole" in answer.err


def test_a_question_into_a_running_answer_is_a_conflict(program: Program, far: FarSide) -> None:
    """While an answer runs elsewhere the conversation is busy: one line, code 4, nothing stored."""
    running = _half_way(program, far)
    run = program("chat", "-c", "And?")
    running.terminate()
    running.communicate()
    assert (run.code, run.out) == (4, b"")
    assert run.err.startswith("convostore: ")
    assert len(program("show", "@", "--json").json["messages"]) == 2


def test_a_killed_chat_is_marked_and_goes_on_at_once(program: Program, far: FarSide) -> None:
    """After kill -9 the answer so far is shown as interrupted, and the next question is answered."""
    running = _half_way(program, far)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert "Half an answer\n[interrupted" in program("show", "@").text
    run = program("chat", "-c", "Go on")
    assert run.code == 0
    statuses = [each["status"] for each in program("show", "@", "--json").json["messages"]]
    assert statuses == ["completed", "interrupted", "completed", "completed"]


def test_a_chat_that_was_overtaken_says_that_it_branched(program: Program) -> None:
    """When another process went on with the conversation, one line says where this one stands."""
    program("chat", "-p", "echo", "one")
    with Screen(program, "chat", "-c") as screen:
        screen.expect(">")
        assert program("chat", "-c", "overtaking").code == 0
        screen.type("overtaken" + ENTER)
        screen.expect("kept as a branch")
        screen.expect(">")
        time.sleep(0.3)  # real time: the prompt in the other process takes the terminal again
        screen.type(CTRL_D)
        assert screen.end() == 0
    assert program("list", "--json").json[0]["message_count"] == 6
