"""Whether an answer is whole is said: cut, empty, replaced at the end, or too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostore.cli import exits, farside
from convostore.cli.farside import FarSide as Chosen
from convostore.cli.program import program as commands
from convostore.events import Finished
from convostore.testing import ScriptedProvider, Silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.farside import FarSide
    from tests.cli.program import Program
    from tests.engines import Where

    Said = tuple[int, str, list[str]]


@pytest.fixture
def scripted(
    path: Where, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run the program in this process, asking a provider that plays what the test wrote."""

    def run(*steps: object, words: tuple[str, ...] = ("chat", "Hi")) -> Said:
        provider = ScriptedProvider()
        if steps:
            provider.script(*steps)  # type: ignore[arg-type] # handed on as they came
        monkeypatch.setattr("sys.stdin", None)
        monkeypatch.setattr(farside, "choose", lambda *_: Chosen("scripted", None, provider))
        monkeypatch.setenv("CONVOSTORE_DB", str(path))
        try:
            commands.main(list(words), prog_name="convostore", standalone_mode=False)
            code = 0
        except exits.EndedError as ended:
            code = ended.code
        out, err = capfd.readouterr()
        return code, out, err.splitlines()

    return run


def test_an_answer_cut_by_its_limit_is_marked(scripted: Callable[..., Said]) -> None:
    """One line after the answer, and in `show`, with and without `-r`; it is no failure."""
    code, out, said = scripted("Once upon a", Finished(finish_reason="length"))
    assert (code, out) == (0, "Once upon a\n")
    assert said[0] == (
        "convostore: the answer is cut off: it reached the length limit; "
        "allow more with: -o max_tokens=N"
    )
    assert scripted(words=("show", "@"))[1].endswith(
        "Once upon a\n[cut off: it reached the length limit]\n"
    )
    _, out, said = scripted(words=("show", "@", "-r"))
    assert out == "Once upon a\n"
    assert "length limit" in said[0]


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_said_to_be_empty(scripted: Callable[..., Said], text: str) -> None:
    """Nothing on stdout is explained on stderr, and in `show`."""
    code, out, said = scripted(text, Finished(finish_reason="stop"))
    assert (code, out.strip()) == (0, "")
    assert said[0] == "convostore: the answer is empty"
    assert scripted(words=("show", "@"))[1].endswith("\n[empty]\n")


def test_a_whole_answer_is_not_remarked_upon(scripted: Callable[..., Said]) -> None:
    """Where all is well, stderr has the handle alone, and the page no mark."""
    _, _, said = scripted("All", Finished(finish_reason="stop", text="All"))
    assert len(said) == 1
    assert "[" not in scripted(words=("show", "@"))[1]


def test_a_final_text_other_than_the_one_shown_is_said(scripted: Callable[..., Said]) -> None:
    """What is kept is the provider's last word; the line names the command that shows it."""
    _, out, said = scripted("One", Finished(text="One and two"))
    assert out == "One\n"
    command = said[0].partition("kept whole: ")[2].split()
    assert command[:2] == ["convostore", "show"]
    assert scripted(words=tuple(command[1:]))[1] == "One and two\n"


@pytest.mark.parametrize("steps", [(Silence(),), ("Half", Silence())])
def test_a_hint_after_a_limit_is_true_whatever_arrived(
    program: Program, far: FarSide, steps: tuple[str | Silence, ...]
) -> None:
    """With and without text it says what is kept and what can be done."""
    program.extra["CONVOSTORE_IDLE_TIMEOUT_S"] = "1"
    far.server.script(*steps)
    run = program("chat", "Hi")
    hint = next(line for line in run.err.splitlines() if line.startswith("hint: "))
    assert "CONVOSTORE_IDLE_TIMEOUT_S" in hint
    assert run.code == 6


@pytest.mark.parametrize(("sent", "told"), [("12", "in 12 s"), ("1.5", "later"), ("", "later")])
def test_how_long_to_wait_is_said(program: Program, far: FarSide, sent: str, told: str) -> None:
    """Where the far side says when to come back, so does the hint."""
    far.server.respond(429, "", headers={"Retry-After": sent}, times=None)
    run = program("chat", "Hi")
    assert f"try again {told}, or" in run.err
    assert run.code == 6
