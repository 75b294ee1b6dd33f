"""The pages of the documentation are true: their programs run, their commands exist."""

from __future__ import annotations

import re
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convostore.cli.program import program as commands
from tests.docs.running import run_program
from tests.providers.completions import END, chunk, served, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines import Where

PAGES = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES}
PROGRAMS = [
    pytest.param(text, id=f"{name}-{number}")
    for name, page in TEXTS.items()
    for number, text in enumerate(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
]
LINES = [
    pytest.param(line, id=line)
    for page in TEXTS.values()
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("convostore ")
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_of_the_pages_run(
    program: str,
    path: Where,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each runs as it stands, in a new folder and on a server, says something and keeps it."""
    with far_side(program, monkeypatch):
        run_program(program, path, tmp_path, monkeypatch, capsys)


@contextmanager
def far_side(program: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a program that asks a server of chat completions one that calls a tool, then answers."""
    if "OpenAIProvider" not in program:
        yield
        return
    function = {"name": "weather", "arguments": '{"place": "Kyoto"}'}
    with served() as server:
        monkeypatch.setenv("CONVOSTORE_OPENAI_URL", server.url)
        server.answer(chunk({"tool_calls": [{"id": "c1", "function": function}]}, "tool_calls"))
        server.answer(*text("No."), END)
        yield
        assert server.sent["messages"][-1]["content"] == "Kyoto: dry, 21 degrees"


@pytest.mark.parametrize("line", LINES)
def test_commands_of_the_pages_exist(line: str) -> None:
    """Each line for the shell is one that the program takes: command, options, arguments."""
    words = shlex.split(line, comments=True)[1:]
    with commands.make_context("convostore", list(words)) as outer:
        name, command, rest = commands.resolve_command(outer, outer._protected_args + outer.args)
        while command is not None and hasattr(command, "resolve_command"):
            with command.make_context(name, rest, parent=outer) as inner:
                name, command, rest = command.resolve_command(
                    inner, inner._protected_args + inner.args
                )
        assert command is not None
        command.make_context(name, rest, parent=outer, resilient_parsing=False)
