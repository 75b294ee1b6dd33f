from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from convostore.cli.output import Output
from convostore.cli.view import TextView
from convostore.events import TextDelta, ToolCallDelta, ToolResultDelta
from convostore.testing import Cut, Pause, Think

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.farside import FarSide
    from tests.cli.program import Program


def _stored(program: Program) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = program("show", "@", "--json").json["messages"]
    return messages


def test_the_answer_is_on_stdout_and_the_handle_last_on_stderr(
    program: Program, far: FarSide
) -> None:
    """Stdout has the answer alone, with a line end; stderr ends with how to go on."""
    far.server.answer("Hel", "lo", " there")
    run = program("chat", "Hi")
    assert (run.code, run.text) == (0, "Hello there\n")
    assert run.err == f"{run.handle}  go on with: convostore chat --resume {run.handle}\n"
    assert [each["text"] for each in _stored(program)] == ["Hi", "Hello there"]


def test_a_second_process_goes_on_with_the_conversation(program: Program, far: FarSide) -> None:
    """Resuming by handle or by -c sends the new text into the same remote thread."""
    first = program("chat", "My name is Ada")
    by_handle = program("chat", "--resume", first.handle, "And again")
    newest = program("chat", "-c", "Who am I?")
    assert first.handle == by_handle.handle == newest.handle
    assert "My name is Ada" in newest.text
    roles = [role for role, _ in far.server.prompts[-1] if role != "system"]
    assert roles == ["user", "assistant"] * 2 + ["user"]
    assert len(program("list").text.splitlines()) == 1


def test_the_printed_command_continues_in_the_same_store(program: Program, tmp_path: Path) -> None:
    """What was typed to choose store and owner is part of the command that is printed."""
    db = str(tmp_path / "my chats.db")
    run = program("chat", "--db", db, "--owner", "ada", "Hi", "-p", "echo")
    command = run.err.rstrip("\n").partition("go on with: ")[2]
    words = shlex.split(command)
    assert words == ["convostore", "--db", db, "--owner", "ada", "chat", "--resume", run.handle]
    assert program(*words[1:], "again").code == 0


def test_text_is_taken_from_stdin(program: Program, far: FarSide) -> None:
    """Piped text is the question; after a typed one it follows a blank line."""
    program("chat", stdin="from a pipe: é京\n".encode())
    program("chat", "Summarise:", stdin=b"line 1\nline 2\n")
    sent = [prompt[-1][1] for prompt in far.server.prompts]
    assert sent == ["from a pipe: é京", "Summarise:\n\nline 1\nline 2"]


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (["chat"], b"", 2, "no text to send"),
        (["chat", ""], None, 2, "no text to send"),
        (["chat", "  \n"], b" ", 2, "no text to send"),
        (["chat"], b"\xff\xfe", 1, "byte 1 is 0xff"),
        (["chat"], b"a\0b", 1, "NUL"),
        (["chat", "-p", "nobody", "Hi"], None, 2, "nobody"),
        (["chat", "-o", "temperature", "Hi"], None, 2, "name=value"),
        (["chat", "-o", "dialect=welsh", "Hi"], None, 2, "welsh"),
        (["chat", "-o", "temperature=hot", "Hi"], None, 2, "temperature"),
        (["chat", "-o", "warmth=1", "Hi"], None, 2, "warmth"),
        (["chat", "--proxy", "nowhere", "Hi"], None, 2, "proxy"),
        (["chat", "--proxy", "http://h:99999", "Hi"], None, 2, "proxy"),
        (["chat", "-p", "", "Hi"], None, 2, "-p is empty"),
        (["chat", "-m", " ", "Hi"], None, 2, "-m is empty"),
        (["chat", "--proxy", "", "Hi"], None, 2, "--proxy is empty"),
        (["chat", "--owner", "", "Hi"], None, 2, "--owner is empty"),
        (["models", "-p", ""], None, 2, "-p is empty"),
        (["export", "@", "-o", ""], None, 2, "-o is empty"),
        (["db", "backup", ""], None, 2, "FILE is empty"),
        (["db", "restore", ""], None, 2, "FILE is empty"),
        (["chat", "-c", "--resume", "x", "Hi"], None, 2, "--resume"),
        (["chat", "--resume", "", "Hi"], None, 2, "--resume"),
        (["chat", "--resume"], None, 2, "--resume"),
        (["show", " "], None, 2, "needs a conversation"),
        (["chat", "-c", "--system", "Be brief", "Hi"], None, 2, "--system"),
        (["chat", "--system", "", "Hi"], None, 2, "--system"),
        (["chat", "--db", "", "Hi"], None, 2, "--db"),
        (["chat", "--nonsense", "Hi"], None, 2, "--nonsense"),
        (["chat", "two", "words"], None, 2, "words"),
        (["nonsense"], None, 2, "nonsense"),
    ],
)
def test_wrong_use_is_one_line_and_stores_nothing(
    program: Program,
    far: FarSide,
    *,
    words: list[str],
    stdin: bytes | None,
    code: int,
    said: str,
) -> None:
    """A mistake is said in one line with what to do next, and leaves no conversation behind."""
    run = program(*words, stdin=stdin)
    assert (run.code, run.out) == (code, b"")
    lines = run.err.splitlines()
    assert lines[0].startswith("convostore: ")
    assert said in lines[0]
    assert lines[1].startswith("hint: ")
    assert len(lines) == 2
    assert program("list").out == b""
    assert not far.server.prompts


def test_json_lines_are_the_pieces_then_the_end(program: Program, far: FarSide) -> None:
    """`--json` prints each piece with its position, then one `finished` with the stored reply.

    A piece without text, with which many an answer begins, is no line.
    """
    far.server.script(Think("hm"), "Hel", "lo\x1b")
    run = program("chat", "--json", "Hi")
    *pieces, end = run.lines
    assert [(each["type"], each["text"]) for each in pieces] == [
        ("reasoning", "hm"),
        ("text", "Hel"),
        ("text", "lo\x1b"),
    ]
    assert pieces[-1]["seq"] == len("hmHello\x1b")
    assert list(end) == ["type", "handle", "reply"]
    assert (end["type"], end["handle"]) == ("finished", run.handle)
    assert end["reply"] == program("show", "@", "--json").json["messages"][-1]
    assert b"\x1b" not in run.out


def test_json_ends_with_an_error_when_the_provider_fails(program: Program, far: FarSide) -> None:
    """`--json` ends with one `error` line instead; the exit code is the same as without it."""
    far.server.script("Hel", Pause(0.2), Cut())
    run = program("chat", "--json", "Hi")
    assert run.code == 6
    assert list(run.lines[-1]) == ["type", "code", "message", "hint"]
    assert run.lines[-1]["type"] == "error"
    assert run.lines[-1]["code"] == _stored(program)[-1]["error"]["code"]


def test_a_failed_answer_keeps_what_came_and_says_how_to_go_on(
    program: Program, far: FarSide
) -> None:
    """When a stream breaks, its text stays on stdout and in the store; the handle is still last."""
    far.server.script("Half an ans", Pause(0.2), Cut())
    run = program("chat", "Hi")
    assert (run.code, run.text) == (6, "Half an ans\n")
    assert run.err.splitlines()[0].startswith("convostore: ")
    assert run.err.splitlines()[-1].startswith(run.handle)
    reply = _stored(program)[-1]
    assert (reply["status"], reply["text"]) == ("failed", "Half an ans")
    assert "[failed: " in program("show", "@").text


def test_an_unreachable_playground_names_the_local_model(program: Program) -> None:
    """When nothing answers, the error says so within seconds and offers `-p local`."""
    program.extra |= {
        "CONVOSTORE_PROVIDER": "playground",
        "CONVOSTORE_PLAYGROUND_URL": "http://127.0.0.1:9",
    }
    run = program("chat", "Hi")
    assert run.code == 6
    assert "-p local" in run.err
    assert _stored(program)[0]["text"] == "Hi"
    assert program("models").code == 6


def test_reasoning_stays_out_of_the_answer(program: Program, far: FarSide) -> None:
    """Without a terminal, what the model thought is neither on stdout nor on stderr."""
    far.server.script(Think("secret thought"), "Done")
    run = program("chat", "Hi")
    assert run.text == "Done\n"
    assert "secret thought" not in run.err


@pytest.mark.asyncio
async def test_a_tool_call_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """A tool call, in however many pieces it came, is one harmless line beside the answer."""
    reader, writer = os.pipe()
    view = TextView(Output(writer, "utf-8"))
    for delta in (
        TextDelta("Let me see. "),
        ToolCallDelta("1", "find", '{"q": '),
        ToolCallDelta("1", "", '"\x1b[2J"}'),
        ToolCallDelta("2", "find", "y" * 1000),
        ToolResultDelta("1", "find", "seven"),
        TextDelta("Done"),
    ):
        await view.delta(delta)
    await view.close()
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        assert stream.read() == "Let me see. Done\n"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == '[find {"q": "\\x1b[2J"}]'
    assert len(lines[1]) < 250
    assert lines[2:] == ["[find answered, 5 characters]"]


def test_a_new_system_text_goes_along(program: Program, far: FarSide) -> None:
    """`--system` is stored as the first message, and the model is told."""
    program("chat", "--system", "Be brief.", "Hi")
    assert far.server.prompts[0][-1][1].startswith("Be brief.")
    assert [each["role"] for each in _stored(program)] == ["system", "user", "assistant"]


def test_options_and_model_reach_the_provider_and_are_kept(program: Program, far: FarSide) -> None:
    """`-m` and `-o` go along with the first turn and, untyped, with the next one too."""
    model = program("models").text.splitlines()[1].split("\t")[0]
    program("chat", "-m", model, "-o", "temperature=0.25", "Hi")
    program("chat", "-c", "Again")
    posts = [request for request in far.server.requests if request.method == "POST"]
    assert [(post.fields["model"], post.fields["temperature"]) for post in posts] == [
        (model, "0.25"),
        (model, "0.25"),
    ]


def test_earlier_turns_going_along_as_text_are_said(program: Program, far: FarSide) -> None:
    """When the far side has forgotten the thread, one line on stderr says what was done."""
    program("chat", "My name is Ada")
    far.server.messages.clear()
    run = program("chat", "-c", "Who am I?")
    assert run.code == 0
    assert "My name is Ada" in far.server.prompts[-1][-1][1]
    assert sum("went along as text" in line for line in run.err.splitlines()) == 1


def test_models_are_one_a_line_with_the_default_marked(program: Program, far: FarSide) -> None:
    """Without a terminal `models` is tab-separated, and exactly one line is marked."""
    rows = [line.split("\t") for line in program("models").text.splitlines()]
    assert len(rows) > 1
    assert all(len(row) == 4 for row in rows)
    assert [row[0] for row in rows if row[2] == "default"] == [rows[0][0]]
    program.extra["CONVOSTORE_MODEL"] = rows[1][0]
    again = [line.split("\t") for line in program("models").text.splitlines()]
    assert [row[0] for row in again if row[2] == "default"] == [rows[1][0]]
