from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from program import SOON_S, within  # type: ignore[import-not-found] # pytest puts this folder on the path
from screen import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    ENTER,
    Screen,
)

from convostore.testing import Cut, Pause, Silence, Think
from tests.engines import held

if TYPE_CHECKING:
    from tests.cli.farside import FarSide
    from tests.cli.program import Program

LIMIT_S = 20.0


def _reply(program: Program) -> tuple[str, str]:
    last = program("show", "@", "--json").json["messages"][-1]
    return last["status"], last["text"]


def _started(program: Program, text: bytes, *words: str) -> subprocess.Popen[bytes]:
    """Start a chat, and wait until *text* has been shown."""
    running = program.start("chat", "Hi", *words)
    assert running.stdout is not None
    assert running.stdout.read(len(text)) == text
    return running


@pytest.mark.timed
@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_keeps_the_answer_so_far(
    program: Program, far: FarSide, signum: signal.Signals, code: int
) -> None:
    """Ctrl-C and its kin stop the answer, keep it as `stopped`, and say how to go on."""
    far.server.script("Half an ", "answer", Silence())
    running = _started(program, b"Half an answer")
    with within(SOON_S):
        running.send_signal(signum)
        out, err = running.communicate(timeout=LIMIT_S)
    assert (running.returncode, out) == (code, b"\n")
    lines = err.decode().splitlines()
    assert "stopped" in lines[0]
    assert "go on with: convostore chat --resume" in lines[-1]
    assert _reply(program) == ("stopped", "Half an answer")


@pytest.mark.timed
def test_a_stopped_chat_goes_on_at_once(program: Program, far: FarSide) -> None:
    """After Ctrl-C the next process asks the next question without waiting."""
    far.server.script("Half", Silence())
    running = _started(program, b"Half")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=LIMIT_S)
    with within(LIMIT_S / 4):
        assert program("chat", "-c", "Go on").code == 0


def test_ctrl_c_before_any_text_keeps_the_question(program: Program, far: FarSide) -> None:
    """Stopped while the model still thinks, the question is kept and the reply is empty."""
    far.server.script(Silence())
    with Screen(program, "chat", "Hi") as screen:
        while not far.server.requests or far.server.requests[-1].method != "POST":
            time.sleep(0.01)
        screen.type(CTRL_C)
        assert screen.end() == 130
        assert "stopped" in screen.text
    assert _reply(program) == ("stopped", "")


def test_json_ends_with_the_stopped_reply(program: Program, far: FarSide) -> None:
    """With `--json` a stopped answer is a `finished` line whose reply says `stopped`."""
    far.server.script("Half", Silence())
    running = program.start("chat", "Hi", "--json")
    assert running.stdout is not None
    while b"Half" not in running.stdout.readline():
        pass
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130
    assert b'"status":"stopped"' in out.splitlines()[-1]


@pytest.mark.timed
def test_a_second_ctrl_c_leaves_at_once_and_keeps_what_was_stored(
    program: Program, far: FarSide
) -> None:
    """While the last write cannot be done, a second Ctrl-C ends the program on the spot."""
    far.server.script("Half an answer", Pause(1.0), Silence())
    running = _started(program, b"Half an answer")
    assert running.stderr is not None
    where = program.store
    time.sleep(0.6)  # real time: the journal of another process is written every quarter second
    with held(where):
        running.send_signal(signal.SIGINT)
        time.sleep(0.3)  # real time: the other process is to take the first one first
        with within(SOON_S):
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 130
    assert err == b"\nconvostore: left at once; the answer so far is kept\n"
    assert _reply(program) == ("interrupted", "Half an answer")


def test_a_reader_that_leaves_ends_the_answer_quietly(program: Program, far: FarSide) -> None:
    """When the next program of a pipe has enough, the answer is stopped and kept; no complaint."""
    far.server.script("one\n", "two\n", Pause(0.5), "three\n", Pause(0.2), "four\n", Silence())
    running = _started(program, b"one\ntwo\n")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    assert running.wait(LIMIT_S) == 141
    err = running.stderr.read().decode()
    running.stderr.close()
    assert "go on with" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert "rror" not in err
    status, text = _reply(program)
    assert status == "stopped"
    assert text.startswith("one\ntwo\n")


def test_a_reader_that_leaves_a_list_is_no_trouble(program: Program) -> None:
    """`convostore list | head` ends without a word on stderr."""
    program("chat", "Hi", "-p", "echo")
    reader, writer = os.pipe()
    os.close(reader)
    running = program.start("list", stdout=writer)
    os.close(writer)
    _, err = running.communicate(timeout=LIMIT_S)
    assert (running.returncode, err) == (141, b"")


def test_a_full_disk_behind_stdout_is_said_and_the_answer_kept(
    program: Program, far: FarSide
) -> None:
    """When the file that stdout goes to takes no more, one line says so; the store has all."""
    far.server.answer("Hello")
    full = os.open("/dev/full", os.O_WRONLY)
    running = program.start("chat", "Hi", stdout=full)
    os.close(full)
    _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 1
    assert err.splitlines()[:2] == [
        b"convostore: standard output failed: No space left on device",
        b"hint: make room where it goes to, or send it elsewhere",
    ]
    assert _reply(program)[1] == "Hello"


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["show", "@"], ["export", "@"]])
def test_a_full_disk_behind_stdout_is_said_when_reading(program: Program, words: list[str]) -> None:
    """What is read cannot be written out: one line, what to do, and code 1."""
    program("chat", "Hi")
    full = os.open("/dev/full", os.O_WRONLY)
    running = program.start(*words, stdout=full)
    os.close(full)
    _, err = running.communicate(timeout=LIMIT_S)
    assert running.returncode == 1
    assert err.splitlines() == [
        b"convostore: standard output failed: No space left on device",
        b"hint: make room where it goes to, or send it elsewhere",
    ]


def test_closed_standard_streams_are_no_trouble(program: Program, far: FarSide) -> None:
    """With stdin, stdout and stderr closed by the caller the answer is still kept, and whole."""
    far.server.answer("Hello")
    words = " ".join([*program.argv, "chat", "Hi", "<&-", ">&-", "2>&-"])
    ended = subprocess.run(["sh", "-c", words], env=program.environment, check=False, timeout=60)
    assert ended.returncode in {0, 1}
    assert _reply(program) == ("completed", "Hello")


def test_interactive_chat_stops_an_answer_and_goes_on(program: Program, far: FarSide) -> None:
    """At the prompt: ask, Ctrl-C stops the answer and the prompt is back, Ctrl-D leaves."""
    far.server.answer("First answer.")
    far.server.script("Second ans", Silence())
    far.server.answer("Third answer.")
    with Screen(program, "chat") as screen:
        screen.expect(">")
        screen.type("one" + ENTER)
        screen.expect("First answer.")
        screen.expect(">")
        screen.type("two" + ENTER)
        screen.expect("Second ans")
        screen.type(CTRL_C)
        screen.expect("stopped")
        screen.expect(">")
        screen.type("three" + ENTER)
        screen.expect("Third answer.")
        screen.expect(">")
        screen.type(CTRL_D)
        assert screen.end() == 0
        last = screen.text.rstrip().splitlines()[-1]
    assert "go on with: convostore chat --resume" in last
    messages = program("show", "@", "--json").json["messages"]
    assert [each["text"] for each in messages] == [
        "one",
        "First answer.",
        "two",
        "Second ans",
        "three",
        "Third answer.",
    ]
    assert messages[3]["status"] == "stopped"


def test_interactive_chat_survives_errors(program: Program, far: FarSide) -> None:
    """A failed answer is one line, and the prompt is back."""
    far.server.script("Half", Cut())
    far.server.answer("Whole.")
    with Screen(program, "chat") as screen:
        screen.expect(">")
        screen.type("one" + ENTER)
        screen.expect("convostore: ")
        screen.expect(">")
        screen.type("two" + ENTER)
        screen.expect("Whole.")
        screen.expect(">")
        screen.type(CTRL_D)
        assert screen.end() == 0


def test_ctrl_c_at_the_empty_prompt_leaves(program: Program) -> None:
    """Ctrl-C clears what is typed; with nothing typed it leaves, and no conversation is made."""
    with Screen(program, "chat", "-p", "echo") as screen:
        screen.expect(">")
        screen.type("half a thought" + CTRL_C)
        screen.expect("half a thought")
        screen.expect(">")
        time.sleep(0.3)  # real time: the prompt in the other process takes the terminal again
        screen.type(CTRL_C)
        assert screen.end() == 130
    assert program("list").out == b""


def test_the_prompt_takes_many_lines_and_brings_earlier_ones_back(program: Program) -> None:
    """Alt-Enter starts a new line; Up brings back a question of the resumed conversation."""
    program("chat", "-p", "echo", "asked long ago")
    with Screen(program, "chat", "-c") as screen:
        screen.expect(">")
        screen.type("first" + ALT_ENTER + "second" + ENTER)
        screen.expect("second")
        screen.expect(">")
        time.sleep(0.3)  # real time: the prompt in the other process takes the terminal again
        screen.type("\x1b[A\x1b[A\x1b[A" + ENTER)
        screen.expect("asked long ago")
        time.sleep(0.3)  # real time: as above
        screen.type(CTRL_D)
        assert screen.end() == 0
    asked = [m["text"] for m in program("show", "@", "--json").json["messages"][::2]]
    assert asked == ["asked long ago", "first\nsecond", "asked long ago"]


def test_an_escape_sequence_in_what_is_typed_is_no_traceback(program: Program) -> None:
    """A colour in what is pasted is left out; it ends neither the chat nor the line."""
    with Screen(program, "chat") as screen:
        screen.expect(">")
        screen.type(f"\x1b[31mHello{ENTER}")
        screen.expect("You said: Hello")
        screen.expect(">")
        screen.type(CTRL_D)
        assert screen.end() == 0
    assert "Exception" not in screen.text
    assert "Traceback" not in screen.text


def test_a_dumb_terminal_gets_a_plain_prompt(program: Program) -> None:
    """With TERM=dumb nothing but plain lines is sent to the terminal."""
    program.extra["TERM"] = "dumb"
    with Screen(program, "chat", "-p", "echo") as screen:
        screen.expect("> ")
        screen.type("hello\n")
        screen.expect("hello")
        screen.expect("> ")
        screen.type(CTRL_D)
        assert screen.end() == 0
        assert b"\x1b" not in screen.seen


def test_an_answer_cannot_drive_the_terminal(program: Program, far: FarSide) -> None:
    """On a terminal, escape sequences in an answer or its reasoning are shown by number."""
    far.server.script(Think("\x1b[2J"), "a\x1b]0;owned\x07b")
    with Screen(program, "chat", "Hi") as screen:
        assert screen.end() == 0
        assert "a\\x1b]0;owned\\x07b" in screen.text
        assert b"\x1b[2J" not in screen.seen
        assert b"\x1b]" not in screen.seen


@pytest.mark.parametrize(("key", "code"), [(CTRL_D, 0), (CTRL_C, 130), ("half\x03", 130)])
def test_leaving_the_plain_prompt_names_the_command_that_goes_on(
    program: Program, key: str, code: int
) -> None:
    """Ctrl-D leaves and so does Ctrl-C, which nothing can tell from one that clears the line."""
    program.extra["TERM"] = "dumb"
    with Screen(program, "chat", "-p", "echo") as screen:
        screen.expect("> ")
        screen.type("hello\n")
        screen.expect("You said: hello")
        screen.expect("> ")
        screen.type(key)
        assert screen.end() == code
        last = screen.text.rstrip("\n").splitlines()
    assert "go on with: convostore chat --resume" in last[-1]
    assert last[-2].startswith(">")
    assert "Traceback" not in screen.text


def test_leaving_the_plain_prompt_before_a_question_leaves_nothing(program: Program) -> None:
    """No conversation, no handle, no error."""
    program.extra["TERM"] = "dumb"
    with Screen(program, "chat", "-p", "echo") as screen:
        screen.expect("> ")
        screen.type(CTRL_D)
        assert screen.end() == 0
    assert "go on with" not in screen.text
    assert program("list").out == b""
