"""Completion in the shells themselves: commands, and conversations with their titles."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convostore.cli import completion
from tests.cli.filling import fill
from tests.cli.program import LIMIT_S, Program
from tests.cli.screen import Screen

if TYPE_CHECKING:
    from typing import Any

ONCE = pytest.mark.only("sqlite", reason="the shell's part of it is the same on both")
needs = {
    name: pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed here")
    for name in ("bash", "zsh", "fish")
}
SHELLS = [pytest.param(name, marks=mark) for name, mark in needs.items()]


@dataclass
class Shell(Program):
    """A shell with the program on its path."""

    shell: tuple[str, ...] = ()

    @property
    def argv(self) -> list[str]:
        """What starts the shell."""
        return list(self.shell)

    @property
    def environment(self) -> dict[str, str]:
        """The program's, with the program first on the path."""
        path = f"{Path(sys.executable).parent}:{super().environment['PATH']}"
        return super().environment | {"PATH": path, "PS1": "ready> "}


def in_shell(program: Program, *shell: str) -> Shell:
    """Return a shell in the program's home."""
    return Shell(program.home, program.extra, shell)


def ask_bash(program: Program, words: str, kind: int) -> list[str]:
    """Return what bash is offered for *words*, the last of which is being typed."""
    script = (
        'eval "$(convostore completion bash)"; '
        f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE={kind}; "
        "_convostore_completion convostore; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    shell = in_shell(program, "bash", "--norc", "-c", script)
    ended: subprocess.CompletedProcess[Any] = subprocess.run(
        shell.argv,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    return [line for line in ended.stdout.decode().splitlines() if line]


@needs["bash"]
def test_bash_offers_handles_with_titles_and_puts_in_handles_alone(program: Program) -> None:
    """Titles are shown beside several, and no title can run or match anything."""
    old, star, new = fill(program, "old, older", "* $(touch x) `y` (z)", "new")
    assert ask_bash(program, 'convostore show ""', 9) == [
        f"{new}  (new)",
        f"{star}  (* $(touch x) `y` (z))",
        f"{old}  (old, older)",
    ]
    assert ask_bash(program, 'convostore export ""', 37) == [new, star, old]
    assert ask_bash(program, f"convostore show {old[:7].upper()}", 9) == [old]
    assert ask_bash(program, "convostore completion z", 9) == ["zsh"]
    assert ask_bash(program, "convostore stat", 9) == ["stats"]
    assert not (program.home / "x").exists()


@needs["bash"]
def test_each_command_is_offered_what_it_is_about(program: Program) -> None:
    """Of the bin what can be brought back from there or purged, of the archive what can be taken back."""
    listed, archived, gone, last = fill(program, "listed", "archived", "gone", "gone last")
    assert program("archive", archived).code == 0
    for handle in (gone, last):
        assert program("delete", handle).code == 0
    binned = [f"{last}  (gone last)", f"{gone}  (gone)"]
    assert ask_bash(program, 'convostore restore ""', 9) == binned
    assert ask_bash(program, 'convostore purge --yes ""', 9) == binned
    assert ask_bash(program, f"convostore restore {gone[:7]}", 9) == [gone]
    assert ask_bash(program, 'convostore unarchive ""', 9) == [archived]
    assert ask_bash(program, 'convostore delete ""', 9) == [listed]
    assert ask_bash(program, f"convostore restore {listed[:7]}", 9) == []


@needs["bash"]
def test_beginning_of_any_handle_is_completed(program: Program) -> None:
    """Also where there are many newer ones, and of one in the archive."""
    old, archived, *_ = fill(program, *(f"number {number}" for number in range(203)))
    assert program("archive", archived).code == 0
    for handle in (old, archived):
        assert ask_bash(program, f"convostore show {handle[:7]}", 9) == [handle]


@needs["bash"]
@pytest.mark.only("postgres", reason="a file answers at once")
def test_server_that_does_not_answer_is_not_waited_for(program: Program) -> None:
    """Nothing is offered, and nothing is said: not where it is away, and not where it is silent."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        program.extra["CONVOSTORE_DB"] = f"postgresql://nobody@127.0.0.1:{port}/none"
        began = time.monotonic()
        assert ask_bash(program, 'convostore show ""', 9) == []
        assert time.monotonic() - began < 2 * completion._PATIENCE_S + 2
    program.extra["CONVOSTORE_DB"] = "postgresql://nobody@/none?host=/nowhere"
    assert ask_bash(program, 'convostore show ""', 9) == []


@ONCE
@needs["bash"]
def test_tab_in_a_real_bash_completes_the_line(program: Program) -> None:
    """Pressed in a terminal: the command, then the one conversation there is."""
    (handle,) = fill(program, "Kyoto")
    with Screen(in_shell(program, "bash", "--norc", "-i")) as screen:
        screen.expect("ready> ")
        screen.type('eval "$(convostore completion bash)"; echo $((40 + 2))\r')
        screen.expect("42")
        screen.type("convostore sho\t")
        screen.expect("convostore show ")
        screen.type("\t")
        screen.expect(handle)
        screen.type("\r")
        screen.expect("about Kyoto")
        screen.type("exit\r")
        assert screen.end() == 0


@ONCE
@needs["zsh"]
def test_tab_in_a_real_zsh_completes_the_line(program: Program) -> None:
    """Pressed in a terminal: the command; of two conversations their titles; then the one meant.

    Its owner has set nothing up.
    """
    kyoto, nara = fill(program, "Kyoto", "Nara: (deer) $(touch x)")
    with Screen(in_shell(program, "zsh", "-f", "-i")) as screen:
        screen.expect("ready> ")
        screen.type('eval "$(convostore completion zsh)"; echo $((40 + 2))\r')
        screen.expect("42")
        screen.type("convostore sho\t\t")
        screen.expect("Nara: (deer) $(touch x)")
        screen.expect("Kyoto")
        screen.type(f"{kyoto[:7]}\t\r")
        screen.expect("about Kyoto")
        screen.type(f"exit $(test -e x || convostore show {nara[:7].upper()} -r | wc -l)\r")
        assert screen.end() == 1


@ONCE
@needs["fish"]
def test_real_fish_is_offered_commands_options_and_conversations(program: Program) -> None:
    """By its own engine: what the Tab key would show, a description after each."""
    old, new, last = fill(program, "Kyoto", "Nara: (deer), $(touch x)", "Osaka")

    def offered(line: str) -> list[str]:
        script = f"convostore completion fish | source; complete -C {line!r}"
        shell = in_shell(program, "fish", "--no-config", "-c", script)
        ended = subprocess.run(
            shell.argv, env=shell.environment, capture_output=True, timeout=LIMIT_S, check=True
        )
        assert ended.stderr == b""
        return ended.stdout.decode().splitlines()

    assert offered("convostore show ") == [
        f"{last}\tOsaka",
        f"{new}\tNara: (deer), $(touch x)",
        f"{old}\tKyoto",
    ]
    assert offered(f"convostore tree {old[:7]}") == [f"{old}\tKyoto"]
    assert "--tag\tIt has this tag; may be repeated." in offered("convostore list --t")
    assert [line.partition("\t")[0] for line in offered("convostore stat")] == ["stats"]
    assert not (program.home / "x").exists()


@ONCE
@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_one_that_the_shell_takes(program: Program, shell: str) -> None:
    """It is read without a word of complaint."""
    script = program("completion", shell)
    assert (script.code, script.err) == (0, "")
    given = program.home / "script"
    given.write_bytes(script.out)
    ended = subprocess.run([shell, "-n", given], capture_output=True, timeout=LIMIT_S, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


@ONCE
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_calls_the_program_by_its_variable(program: Program, shell: str) -> None:
    """Whatever shells are here: the script asks the program in the way that it answers."""
    text = program("completion", shell).text
    assert f"_CONVOSTORE_COMPLETE={shell}_complete" in text
    assert program("completion", "tcsh").code == 2
