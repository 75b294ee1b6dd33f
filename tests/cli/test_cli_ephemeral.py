from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from screen import (  # type: ignore[import-not-found] # pytest puts this folder on the path
    CTRL_C,
    CTRL_D,
    ENTER,
    Screen,
)

from convostore.testing import Silence
from tests.engines import rows

if TYPE_CHECKING:
    from tests.cli.farside import FarSide
    from tests.cli.program import Program
    from tests.engines import Where

WORD = "xylophone"
NOTHING = "nothing of this conversation was kept"


@pytest.fixture(autouse=True)
def temporary_files(program: Program) -> None:
    """Let temporary files of the program be made where the tests look."""
    folder = program.home / "tmp"
    folder.mkdir()
    program.extra |= {"TMPDIR": str(folder), "SQLITE_TMPDIR": str(folder)}


def _is_nowhere(program: Program, path: Where, pid: int | None = None) -> bool:
    """Tell whether no file of the program has the word, and nothing is in its store."""
    files = [one for one in program.home.rglob("*") if one.is_file()]
    if pid is not None:
        opened = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
        files += [Path(one) for one in opened if one.startswith(str(program.home))]
        assert not any("(deleted)" in one for one in opened)
    if not isinstance(path, Path):
        assert rows(path, "SELECT id FROM conversation") == []
    return not any(WORD.encode() in one.read_bytes() for one in files)


def _say(screen: Screen, text: str, shown: str) -> None:
    """Type *text* at the prompt, once it is there, and wait for what comes of it."""
    screen.expect(">")
    screen.type(text + ENTER)
    screen.expect(shown)


def test_one_question_is_answered_and_kept_nowhere(program: Program, path: Where) -> None:
    """The answer is on stdout, the last line says that nothing was kept, and no file is made."""
    ran = program("chat", "--ephemeral", f"about {WORD}")
    assert (ran.code, ran.text) == (0, f"You said: about {WORD}\n")
    assert ran.err == NOTHING + "\n"
    assert _is_nowhere(program, path)
    assert [one for one in program.home.rglob("*") if one.is_file()] == []


def test_attached_file_and_piped_text_are_kept_nowhere(program: Program, path: Where) -> None:
    """What goes along with a question is in memory alone, too."""
    file = program.home.parent / "cat.png"
    file.write_bytes(b"\x89PNG\r\n" + WORD.encode())
    ran = program("chat", "--ephemeral", "--attach", str(file), stdin=f"about {WORD}".encode())
    assert (ran.code, ran.err) == (0, NOTHING + "\n")
    assert "(Attached: cat.png, image/png, 15 bytes.)" in ran.text
    assert _is_nowhere(program, path)


def test_json_has_no_handle(program: Program) -> None:
    """A program that reads along sees that there is nothing to go on with."""
    ran = program("chat", "--ephemeral", "--json", "Hi")
    assert ran.lines[-1]["type"] == "finished"
    assert ran.lines[-1]["handle"] is None
    assert ran.lines[-1]["reply"]["text"] == "You said: Hi\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("-c", "Hi"), "leave out --ephemeral, or leave out -c and --resume"),
        (("--resume", "7k3m", "Hi"), "leave out --ephemeral, or leave out -c and --resume"),
        (("--expires", "3d", "Hi"), "leave one out; what is kept with /keep:"),
    ],
)
@pytest.mark.only("sqlite", reason="nothing is opened")
def test_contradictions_are_refused(program: Program, words: tuple[str, ...], hint: str) -> None:
    """What goes on, or expires, is kept: the program says which option to leave out."""
    ran = program("chat", "--ephemeral", *words)
    assert ran.code == 2
    assert f"hint: {hint}" in ran.err


def test_evening_at_the_prompt_leaves_nothing(program: Program, path: Where) -> None:
    """While it goes on, and after Ctrl-D, no file has a word of it."""
    with Screen(program, "chat", "--ephemeral") as screen:
        screen.expect("nothing is kept, unless you type /keep")
        for number in range(2):
            _say(screen, f"{WORD} {number}", f"You said: {WORD} {number}")
        assert _is_nowhere(program, path, screen.process.pid)
        screen.expect(">")
        screen.type(CTRL_D)
        screen.expect(NOTHING)
        assert screen.end() == 0
    assert _is_nowhere(program, path)


def test_slash_keep_keeps_all_of_it(program: Program) -> None:
    """What was said before is in the store with what is said afterwards, and is found."""
    with Screen(program, "chat", "--ephemeral") as screen:
        screen.expect("Ctrl-D leaves")
        _say(screen, "/keep", "there is nothing to keep yet")
        _say(screen, f"{WORD}", f"You said: {WORD}")
        _say(screen, "/keep", "kept, as ")
        _say(screen, "and more", "You said: and more")
        _say(screen, "/keep", "it is kept already")
        screen.expect(">")
        screen.type(CTRL_D)
        screen.expect("go on with: convostore chat --resume")
        assert screen.end() == 0
        assert NOTHING not in screen.text
    said = [one["text"] for one in program("show", "@", "--json").json["messages"]]
    assert said == [
        WORD,
        f"You said: {WORD}\n",
        "and more",
        "You said: and more\n(3 messages were sent.)\n",
    ]
    assert WORD in program("search", WORD).text
    assert program("db", "check", "--deep").code == 0


def test_slash_keep_is_a_question_elsewhere(program: Program) -> None:
    """In a conversation that is kept anyway the words mean nothing."""
    with Screen(program, "chat") as screen:
        screen.expect("Ctrl-D leaves")
        _say(screen, "/keep", "You said: /keep")
        screen.expect(">")
        screen.type(CTRL_D)
        assert screen.end() == 0


@pytest.mark.only("sqlite", reason="a folder that may not be written")
def test_store_that_cannot_be_made_loses_nothing(program: Program) -> None:
    """The person is told why it is not kept, and goes on talking."""
    blocked = program.home / "file"
    blocked.write_text("no folder")
    program.extra["CONVOSTORE_DB"] = str(blocked / "chats.db")
    with Screen(program, "chat", "--ephemeral") as screen:
        screen.expect("Ctrl-D leaves")
        _say(screen, f"{WORD}", f"You said: {WORD}")
        _say(screen, "/keep", "hint: ")
        _say(screen, "still here", "You said: still here")
        screen.expect(">")
        screen.type(CTRL_D)
        screen.expect(NOTHING)
        assert screen.end() == 0


def test_ctrl_c_stops_the_answer_and_keeps_nothing(
    program: Program, far: FarSide, path: Where
) -> None:
    """At the prompt the first stops the answer, the next leaves; neither says that anything is kept."""
    far.server.script(f"half a {WORD}", Silence())
    with Screen(program, "chat", "--ephemeral") as screen:
        screen.expect("Ctrl-D leaves")
        _say(screen, "Hi", f"half a {WORD}")
        screen.type(CTRL_C)
        screen.expect("convostore: stopped")
        screen.expect(">")
        assert _is_nowhere(program, path, screen.process.pid)
        screen.type(CTRL_C)
        screen.expect(NOTHING)
        assert screen.end() == 130
        assert "is kept" not in screen.text.replace("nothing is kept, unless", "")
    assert _is_nowhere(program, path)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_program_leaves_nothing(
    program: Program, far: FarSide, path: Where, signum: signal.Signals
) -> None:
    """In the middle of an answer, by whatever signal: no file has a word of it."""
    far.server.script(f"half a {WORD}", Silence())
    running = program.start("chat", "--ephemeral", f"about {WORD}")
    assert running.stdout is not None
    assert running.stdout.read(len(f"half a {WORD}")) == f"half a {WORD}".encode()
    assert _is_nowhere(program, path, running.pid)
    running.send_signal(signum)
    _, err = running.communicate(timeout=20)
    if signum != signal.SIGKILL:
        assert running.returncode == 128 + signum
        assert err.decode().splitlines() == ["convostore: stopped", NOTHING]
    assert _is_nowhere(program, path)
    if not isinstance(path, Path):
        assert program("list", "--json").json == []
