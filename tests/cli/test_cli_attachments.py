"""Attachments on the command line: sent along, named, listed, and got out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.screen import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program

PNG = b"\x89PNG\r\n\x00\xff"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Give two files."""
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "no tes.txt").write_text("hello")
    return str(tmp_path / "cat.png"), str(tmp_path / "no tes.txt")


def test_files_go_along_with_the_question_and_come_out_again(
    program: Program, files: tuple[str, str], tmp_path: Path
) -> None:
    """The answer knows them, show and the list name them, and the bytes are the same."""
    asked = program("chat", "--attach", files[0], "--attach", files[1], "Look")
    assert asked.code == 0, asked.err
    assert "(Attached: cat.png, image/png, 8 bytes.)" in asked.text
    shown = program("show", "@").text
    assert "[attached cat.png, image/png, 8 bytes]" in shown
    assert "[attached no tes.txt, text/plain, 5 bytes]" in shown
    lines = [line.split("\t") for line in program("attachment", "@").text.splitlines()]
    assert [line[:5] for line in lines] == [
        ["1", "1", "cat.png", "image/png", "8"],
        ["2", "1", "no tes.txt", "text/plain", "5"],
    ]
    (first, _) = program("attachment", "@", "--json").json
    assert (first["number"], first["seq"], first["size"]) == (1, 1, 8)
    for which in ("1", "cat.png", first["sha256"][:6].upper()):
        assert program("attachment", "@", which).out == PNG
    saved = program("attachment", "@", "2", "-o", f"{tmp_path}/out/")
    assert saved.code == 1  # there is no such folder
    saved = program("attachment", "@", "2", "-o", str(tmp_path / "out"))
    assert saved.err == f"5 bytes in {tmp_path / 'out'}\n"
    assert (tmp_path / "out").read_text() == "hello"
    exported = program("export", "@").text
    assert '"type":"attachment"' in exported


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["attachment"], 2, "attachment needs a conversation"),
        (["attachment", "@", "-o", "x"], 2, "-o needs to know which"),
        (["attachment", "@", "1", "--json"], 2, "--json is for the list"),
        (["attachment", "@", "3"], 3, "has no attachment 3"),
        (["attachment", "@", "dog.png"], 3, "has no attachment dog.png"),
        (["attachment", "nobody"], 3, "there is no conversation nobody"),
        (["chat", "--attach", "none.png", "q"], 1, "No such file"),
        (["chat", "--attach", "/dev/null", "q"], 1, "no plain file"),
        (["chat", "-p", "local", "--attach", "/etc/hostname", "q"], 6, "takes no attachments"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    program: Program, files: tuple[str, str], words: list[str], code: int, said: str
) -> None:
    """Nothing is stored, the line says what is wrong, and a hint says what to type."""
    assert program("chat", "--attach", files[0], "Look").code == 0
    run = program(*words)
    assert run.code == code, run.err
    first, second = run.err.splitlines()[:2]
    assert said in first
    assert second.startswith("hint: ")
    assert len(program("list").text.splitlines()) == 1


def test_too_large_is_refused_by_the_configured_limit(
    program: Program, files: tuple[str, str]
) -> None:
    """The variable is named in the hint, and nothing is kept."""
    program.extra["CONVOSTORE_MAX_ATTACHMENT_BYTES"] = "6"
    assert program("chat", "--attach", files[1], "Look").code == 0
    run = program("chat", "--attach", files[0], "Look")
    assert run.code == 1
    assert "cat.png is larger than 6 bytes" in run.err
    assert "CONVOSTORE_MAX_ATTACHMENT_BYTES" in run.err
    program.extra["CONVOSTORE_MAX_ATTACHMENT_BYTES"] = "many"
    assert "whole number of bytes" in program("list").err


def test_terminal_is_shown_a_table_and_no_bytes(program: Program, files: tuple[str, str]) -> None:
    """Bytes could do anything to a terminal: a file has to be named."""
    assert program("chat", "--attach", files[0], "Look").code == 0
    with Screen(program, "attachment", "@") as screen:
        assert screen.end() == 0
        assert screen.text.splitlines()[0].split() == [
            *("number", "message", "name", "type", "bytes", "sha256")
        ]
    with Screen(program, "attachment", "@", "1") as screen:
        assert screen.end() == 2
        assert "-o FILE" in screen.text
