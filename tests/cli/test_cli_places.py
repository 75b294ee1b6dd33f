"""Where things go and come from, however it is typed: files, the home folder, stdout, ids."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import Program


@pytest.mark.parametrize("to", ["-", "/dev/stdout", "/dev/fd/1"])
@pytest.mark.parametrize("words", [["@"], ["--all", "--format", "markdown"]])
def test_export_to_stdout_by_any_of_its_names(
    program: Program, tmp_path: Path, to: str, words: list[str]
) -> None:
    """The text is on stdout, also where that is a file; no file of that name appears."""
    program("chat", "Hi")
    plain = program("export", *words)
    named = program("export", *words, "-o", to)
    assert named.code == 0
    assert plain.text.splitlines()[1:] == named.text.splitlines()[1:]
    assert named.err == ""
    with (tmp_path / "out").open("wb") as out:
        ended = subprocess.run(
            [*program.argv, "export", *words, "-o", to],
            env=program.environment,
            cwd=tmp_path,
            stdout=out,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 0
    assert len((tmp_path / "out").read_text().splitlines()) == len(plain.text.splitlines())
    assert {one.name for one in tmp_path.iterdir()} <= {"out", "home"}


def test_export_into_a_folder_that_its_name_says(program: Program, tmp_path: Path) -> None:
    """A name that ends with a slash is a folder, made if it is not there."""
    handle = program("chat", "Hi").handle
    program("export", "@", "-o", f"{tmp_path}/new/")
    assert [one.name for one in (tmp_path / "new").iterdir()] == [f"hi-{handle}.jsonl"]


@pytest.mark.only("sqlite", reason="it is about names of files")
def test_a_tilde_is_home_wherever_a_file_is_named(program: Program) -> None:
    """In --db, in the environment, in the configuration file, with -o, for backup and restore."""
    handle = program("--db", "~/a.db", "chat", "Hi").handle
    assert (program.home / "a.db").is_file()
    assert program("--db=~/a.db", "path").text == f"{program.home}/a.db\n"
    program.extra["CONVOSTORE_DB"] = "~/a.db"
    for words in (["list"], ["list", "-n5"], ["path"], ["export", "@"]):
        run = program(*words)
        assert run.code == 0
        assert (f"{program.home}/a.db" if words == ["path"] else handle) in run.text
    assert program("export", "@", "-o", "~/a.jsonl").code == 0
    assert program("db", "backup", "~/b.db").code == 0
    assert program("--db", "~/c.db", "db", "restore", "~/b.db").code == 0
    assert {"a.jsonl", "b.db", "c.db"} <= {one.name for one in program.home.iterdir()}
    del program.extra["CONVOSTORE_DB"]
    folder = program.home / "config" / "convostore"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('db = "~/c.db"\n')
    for words in (["list"], ["list", "-n5"]):
        assert handle in program(*words).text


@pytest.mark.parametrize("db", [":memory:", "sqlite:///:memory:"])
@pytest.mark.parametrize("words", [["chat", "Hi"], ["list"], ["list", "-n5"], ["db", "check"]])
def test_a_store_in_memory_is_refused(
    program: Program, tmp_path: Path, db: str, words: list[str]
) -> None:
    """It would keep nothing: one line says so, and no file of that name appears."""
    ended = subprocess.run(
        [*program.argv, "--db", db, *words],
        env=program.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (ended.returncode, ended.stdout) == (5, "")
    error, hint = ended.stderr.splitlines()
    assert "nothing" in error
    assert "name a file" in hint
    assert {one.name for one in tmp_path.iterdir()} == {"home"}


@pytest.mark.only("sqlite", reason="it is about names of files")
def test_a_name_that_is_no_utf_8_is_a_name(program: Program, tmp_path: Path) -> None:
    """Whatever bytes name a store, a backup or an export, it is made, read and restored."""
    name = os.fsdecode(bytes(tmp_path) + b"/n\xffme.db")
    backup = os.fsdecode(bytes(tmp_path) + b"/b\xff.db")
    handle = program("--db", name, "chat", "Hi").handle
    for words in (
        ["db", "backup", backup],
        ["db", "restore", backup],
        ["db", "check", "--deep"],
        ["export", "@", "-o", os.fsdecode(bytes(tmp_path) + b"/e\xff.jsonl")],
        ["chat", "-c", "again"],
        ["list"],
    ):
        run = program("--db", name, *words)
        assert run.code == 0, run.err
    assert run.text.split()[0] == handle
    assert program("--db", backup, "list").text.split()[0] == handle
    assert (tmp_path / os.fsdecode(b"e\xff.jsonl")).is_file()


@pytest.mark.parametrize(
    "words", [["show"], ["export"], ["chat", "again", "-p", "echo", "--resume"]]
)
def test_an_id_in_capitals_is_the_same_id(program: Program, words: list[str]) -> None:
    """As with handles, it does not matter how the letters of an id are typed."""
    program("chat", "Hi")
    id_ = program("list", "--json").json[0]["id"]
    assert program(*words, id_.upper()).code == 0
    if words == ["show"]:
        assert program("show", "--json", id_.upper()).json["id"] == id_
        assert json.loads(program("show", "--json", "--", id_.upper()).out)["id"] == id_


COMMANDS = ["list", "list -n5", "list --json", "show @", "show -- @", "export @", "path"]
COMMANDS += ["export --all --format markdown", "models", "db check", "db upgrade", "--help"]
COMMANDS += ["--version", "chat --help", "db --help"]


def test_every_command_takes_a_reader_that_left_the_same_way(program: Program) -> None:
    """Code 141, and not a word about it."""
    program("chat", "Hi")
    for line in COMMANDS:
        reader, writer = os.pipe()
        os.close(reader)
        running = program.start(*line.split(), stdout=writer)
        os.close(writer)
        _, err = running.communicate(timeout=60)
        said = [one for one in err.decode().splitlines() if not one.startswith("note: ")]
        assert (line, running.returncode, said) == (line, 141, [])


def test_help_names_every_exit_code(program: Program) -> None:
    """The table of exit codes is in the help, whole."""
    text = " ".join(program("--help").text.split())
    for code in (0, 1, 2, 3, 4, 5, 6, 130, 141):
        assert f" {code} " in text
