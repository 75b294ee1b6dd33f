"""The quick way prints what the full way prints, byte for byte, and loads next to nothing."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from screen import Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import plainconfig
from convostore.cli import exits, quick, terminal
from convostore.cli.filtering import filter_options
from convostore.cli.invocation import Invocation
from convostore.cli.program import program as commands
from convostore.storage import fastread

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.program import Program

sys.path.insert(0, str(Path(__file__).parent.parent / "storage"))
varied_store: Any = importlib.import_module("varied_store")

FORBIDDEN = {"asyncio", "msgspec", "dataclasses", "platformdirs", "sqlalchemy", "aiosqlite"}
FORBIDDEN |= {"aiohttp", "alembic", "rich", "typing", "logging", "concurrent", "prompt_toolkit"}


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a store with one of everything."""
    path: Path = tmp_path_factory.mktemp("varied") / "chats.db"
    asyncio.run(varied_store.fill(path))
    return path


@pytest.fixture
def home(varied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let this process be a program in an empty home, with the varied store."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CONVOSTORE_OWNER", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CONVOSTORE_DB", str(varied))
    return tmp_path


def _clicked(words: list[str]) -> int:
    try:
        return commands.main(words, prog_name="convostore", standalone_mode=False) or 0
    except Exception as error:  # noqa: BLE001 - as at the program's own door
        exits.report(error)
        return exits.exit_code(error)


def _quick(words: list[str]) -> int:
    try:
        assert quick.run(words)
    except convostore.ConvostoreError as error:
        exits.report(error)
        return exits.exit_code(error)
    return 0


Outcome = tuple[int, str, str]


@pytest.fixture
def three_ways(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], tuple[Outcome, Outcome, Outcome]]:
    """Run words without click, with click over the quick reading, and the full way."""

    def run(words: list[str]) -> tuple[Outcome, Outcome, Outcome]:
        capsys.readouterr()
        first = (_quick(words), *capsys.readouterr())
        second = (_clicked(words), *capsys.readouterr())
        with monkeypatch.context() as patch:
            patch.setattr(plainconfig, "read", lambda _: None)
            third = (_clicked(words), *capsys.readouterr())
        return first, second, third

    return run


LISTS = ["list", "list --json", "list -n 1", "list -n 230 --json", "list -n 500"]
LISTS += ["--owner alice list", "list --owner=alice --json", "list --json --owner nobody"]


@pytest.mark.parametrize("line", LISTS[:-1])
def test_list_is_the_same_each_way(
    three_ways: Callable[[list[str]], tuple[Outcome, ...]], line: str
) -> None:
    """JSON and lines with tabs, of one page and of several, of this owner and of another."""
    first, second, third = three_ways(line.split())
    assert first == second == third
    assert first[0] == 0
    assert first[1]


@pytest.mark.parametrize("columns", [8, 15, 20, 30, 40, 47, 60, 80, 100, 200])
@pytest.mark.parametrize("colour", [True, False])
def test_table_is_the_same_each_way(
    three_ways: Callable[[list[str]], tuple[Outcome, ...]],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    colour: bool,
) -> None:
    """On a terminal of any width, with and without colour; no line is wider, no handle is cut."""
    from convostore.cli import page, read, table

    for module in (page, read, terminal):
        monkeypatch.setattr(module, "is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    first, second, third = three_ways(["list", "-n", "25"])
    assert first == second == third
    assert ("\x1b" in first[1]) is colour
    plain = first[1].replace(terminal.BOLD, "").replace("\x1b[0m", "")
    lines = plain.splitlines()
    assert len(lines) == 27
    assert max(map(table.width, lines)) <= max(columns, 8 + 3 + 1)
    assert all(len(line.split()[0]) == 8 for line in lines[2:])


TITLES = ["branches", "parts", "streaming", "interrupted", "failed", "bare error", "erased"]
TITLES += ["stopped", "archived", "pinned", "talk 0", "e\u0301" * 60, varied_store.NASTY]


def _ref(varied: Path, title: str) -> str:
    """Return a handle by its title; of what no list shows, the key."""
    found = fastread.newest(str(varied), None, 1000) or []
    return next((one.handle for one in found if one.title == title), "an old one")


@pytest.mark.parametrize("title", TITLES)
def test_show_is_the_same_each_way(
    three_ways: Callable[[list[str]], tuple[Outcome, ...]], varied: Path, title: str
) -> None:
    """The page, the JSON, the secrets, and the last answer or that there is none."""
    ref = _ref(varied, title)
    for options in ([], ["--json"], ["--secrets"], ["--json", "--secrets"], ["-r"]):
        first, second, third = three_ways(["show", ref, *options])
        assert first == second == third
        assert first[0] == (3 if options == ["-r"] and not first[1] else 0)
        assert first[1] or first[2]


def test_show_is_the_same_on_a_terminal(
    three_ways: Callable[[list[str]], tuple[Outcome, ...]],
    varied: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bold names and dim asides too."""
    monkeypatch.setattr(terminal, "is_terminal", lambda _: True)
    monkeypatch.setenv("TERM", "xterm")
    first, second, third = three_ways(["show", _ref(varied, "parts")])
    assert first == second == third
    assert terminal.DIM in first[1]


LEFT = ["show", "show @ -r --json", "show @ @", "show -- @", "list -n 0", "list -n x", "list -n"]
LEFT += ["list -n5", "list -n 5 -n 6", "list x", "list --help", "-h", "", "chat", "db check"]
LEFT += ["list --db", "list --db= ", "list --db --json", "list --owner ''", "--json list", "path x"]
LEFT += ["show @ --nope", "list --jso", "list --json=1", "show ''", "list -n=5", "list -n 1000000"]
LEFT += ["list --tag travel", "list --archived", "list --json --title=x", "list --all -n 5"]
LEFT += ["--version", "list -n ٣", "show @ -rr", "show -r@", "list -n +5", "list '-n 5'"]


@pytest.mark.parametrize("line", LEFT)
def test_unusual_forms_are_left_to_click(home: Path, line: str) -> None:
    """What is not one of the usual forms is not guessed at, and prints nothing."""
    assert quick.read(shlex.split(line)) is None
    assert quick.run(shlex.split(line)) is False


def test_words_that_are_no_text_are_left_to_click(home: Path) -> None:
    """Bytes that are no UTF-8, and control characters, are click's."""
    for word in ("a\udc80", "a\x1b", "a\n"):
        assert quick.read(["show", word]) is None
        assert quick.read(["list", "--owner", word]) is None


def test_options_are_those_of_click() -> None:
    """The table of options knows each option of the three commands, and no other."""
    ctx = click.Context(commands)
    for name, known in quick.OPTIONS.items():
        command = commands.get_command(ctx, name)
        assert command is not None
        told = {
            spelling: not option.is_flag
            for option in command.params
            if isinstance(option, click.Option)
            for spelling in option.opts
        }
        filters = _filter_options() | {"--bin": False} if name == "list" else {}
        assert told == known | quick.STORE_OPTIONS | filters
    own = {spelling for option in commands.params for spelling in option.opts}
    assert own - {"--version"} == set(quick.STORE_OPTIONS)


def _filter_options() -> dict[str, bool]:
    """Return the options of a filter, which are click's."""
    command = click.command()(filter_options(lambda words: words))
    return {
        spelling: not option.is_flag
        for option in command.params
        if isinstance(option, click.Option)
        for spelling in option.opts
    }


WORDS = ["list", "show", "path", "@", "-n", "5", "--json", "-r", "--db=x", "--db", "--owner", "-"]


def test_words_mean_what_they_mean_to_click() -> None:
    """Whatever words are taken without click, click reads the same from them."""
    taken = 0
    for count in range(1, 5):
        for words in itertools.product(WORDS, repeat=count):
            found = quick.read(words)
            if found is None:
                continue
            taken += 1
            name, arguments, options = found
            invocation, command, params = _parsed(list(words))
            assert command == name
            assert (invocation.db, invocation.owner) == (
                options.get("--db"),
                options.get("--owner"),
            )
            assert params.get("ref") == (arguments[0] if arguments else None)
            assert params.get("count", 20) == int(options.get("-n", "20"))
            assert params.get("as_json", False) is ("--json" in options)
            assert params.get("reply_only", False) is ("-r" in options)
    assert taken > 100


def _parsed(words: list[str]) -> tuple[Invocation, str, dict[str, Any]]:
    outer = commands.make_context("convostore", list(words))
    with outer:
        name, command, rest = commands.resolve_command(outer, outer._protected_args + outer.args)
        assert command is not None
        inner = command.make_context(name, rest, parent=outer)
        return inner.ensure_object(Invocation), command.name or "", inner.params


def _loaded(program: Program, *words: str) -> tuple[set[str], str]:
    program.extra["PYTHONPROFILEIMPORTTIME"] = "1"
    run = program(*words)
    assert run.code == 0
    names = {line.rpartition("|")[2].strip() for line in run.err.splitlines()}
    return {name.partition(".")[0] for name in names} | names, run.text


@pytest.mark.only("sqlite", reason="a store on a server is not read the quick way")
@pytest.mark.parametrize(
    ("line", "also"),
    [
        ("list", {"click", "json", "tomllib"}),
        ("list --json", {"click", "tomllib"}),
        ("show @", {"click", "json", "tomllib"}),
        ("show @ --secrets", {"click", "json", "tomllib"}),
        ("path", {"click", "json", "tomllib", "sqlite3"}),
    ],
)
def test_usual_forms_load_next_to_nothing(program: Program, line: str, also: set[str]) -> None:
    """The standard library's sqlite3 and our own few files; JSON only where it is printed."""
    assert program("chat", "hello").code == 0
    loaded, text = _loaded(program, *line.split())
    started = _started_with(program)
    assert text
    assert not (FORBIDDEN | also) & (loaded - started)
    assert "convostore.cli.quick" in loaded


def _started_with(program: Program) -> set[str]:
    """Return what Python itself, and how this package is installed, load before anything else."""
    import subprocess

    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"],
        capture_output=True,
        text=True,
        env=program.environment,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}


@pytest.mark.parametrize("line", ["list -n5", "list -n5 --json", "show -- @"])
def test_unusual_forms_load_click_and_no_more(program: Program, varied: Path, line: str) -> None:
    """Through click too, no event loop and no database layer is needed."""
    program.extra["CONVOSTORE_DB"] = str(varied)
    loaded, text = _loaded(program, *line.split())
    assert text
    assert "click" in loaded
    assert not (FORBIDDEN - {"typing"}) & loaded


@pytest.mark.only("sqlite", reason="a store on a server is not read the quick way")
def test_a_configuration_file_loads_the_toml_reader_alone(program: Program, varied: Path) -> None:
    """With a file, the store and the owner are those of the file, still the quick way."""
    folder = program.home / "config" / "convostore"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'db = "{varied}"\nowner = "alice"\n')
    loaded, text = _loaded(program, "list")
    assert "plan of alice" in text
    assert "tomllib" in loaded
    assert not (FORBIDDEN - {"typing"}) & loaded
    assert "click" not in loaded


def test_completion_offers_commands_and_handles_quickly(program: Program, varied: Path) -> None:
    """The shell is answered without the database layer; handles come with the titles."""
    program.extra |= {
        "CONVOSTORE_DB": str(varied),
        "_CONVOSTORE_COMPLETE": "zsh_complete",
        "COMP_WORDS": "convostore sh",
        "COMP_CWORD": "1",
    }
    loaded, text = _loaded(program)
    assert text.splitlines()[:2] == ["plain", "show"]
    assert not (FORBIDDEN - {"typing"}) & loaded
    for words, position in (("show ", 2), ("export ", 2), ("chat --resume ", 3)):
        program.extra |= {"COMP_WORDS": f"convostore {words}", "COMP_CWORD": str(position)}
        loaded, text = _loaded(program)
        assert "pinned" in text.splitlines()
        assert "plan of alice" not in text
        assert not (FORBIDDEN - {"typing"}) & loaded
    program.extra |= {"COMP_WORDS": "convostore --owner alice show ", "COMP_CWORD": "4"}
    assert "plan of alice" in _loaded(program)[1]
    handle = _ref(varied, "pinned")
    program.extra |= {"COMP_WORDS": f"convostore show {handle[:6].upper()}", "COMP_CWORD": "2"}
    assert handle in _loaded(program)[1].splitlines()


def test_titles_in_bash_load_no_more(program: Program, varied: Path) -> None:
    """Bash is answered as quickly, with the titles beside the handles."""
    program.extra |= {
        "CONVOSTORE_DB": str(varied),
        "_CONVOSTORE_COMPLETE": "bash_complete",
        "COMP_WORDS": "convostore attachment ",
        "COMP_CWORD": "2",
    }
    loaded, text = _loaded(program)
    assert f"plain,{_ref(varied, 'pinned')}  (pinned)" in text.splitlines()
    assert not (FORBIDDEN - {"typing"}) & loaded


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_of_a_store_that_is_not_there_is_silent(program: Program, shell: str) -> None:
    """Pressing Tab makes no store and prints no error."""
    program.extra |= {
        "_CONVOSTORE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "convostore show ",
        "COMP_CWORD": "" if shell == "fish" else "2",
    }
    run = program()
    assert (run.out.strip(), run.err) == (b"", "")
    assert not list(program.home.rglob("*.db"))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["list", "--db", "/nowhere/at/all.db"], 5),
        (["list", "--db", "postgresql://x/y"], 5),
        (["list", "--db", "/"], 5),
        (["show", "nobody"], 3),
        (["show", "@", "--owner", "nobody"], 3),
        (["show", "talk"], 3),
        (["show", "room:7", "-r"], 3),
        (["show"], 2),
        (["list", "-n", "0"], 2),
        (["nothing"], 2),
    ],
)
def test_errors_are_those_of_the_full_way(
    program: Program, varied: Path, words: list[str], code: int
) -> None:
    """What the quick way cannot answer ends with the full way's words and exit code."""
    program.extra["CONVOSTORE_DB"] = str(varied)
    run = program(*words)
    assert (run.code, run.out) == (code, b"")
    program.extra["CONVOSTORE_BUSY_TIMEOUT_S"] = "1e1"  # not plain, so all is done the full way
    full = program(*words)
    assert (full.code, full.out, full.err) == (run.code, run.out, run.err)


def test_a_wrong_configuration_is_refused_as_ever(program: Program, varied: Path) -> None:
    """A variable that `list` does not need is still checked."""
    program.extra |= {"CONVOSTORE_DB": str(varied), "CONVOSTORE_IDLE_TIMEOUT_S": "soon"}
    run = program("list")
    assert run.code == 2
    assert "CONVOSTORE_IDLE_TIMEOUT_S" in run.err


def test_a_reader_that_goes_away_is_no_traceback(program: Program, varied: Path) -> None:
    """`list | head -1` ends with 141 and in silence, without click as with it."""
    import os

    program.extra["CONVOSTORE_DB"] = str(varied)
    reader, writer = os.pipe()
    os.close(reader)
    process = program.start("list", "-n", "230", stdout=writer)
    os.close(writer)
    _, err = process.communicate()
    assert (process.returncode, err) == (141, b"")


def test_table_takes_the_width_of_its_terminal(program: Program, varied: Path) -> None:
    """Without COLUMNS the terminal itself says how wide it is."""
    from convostore.cli import table

    program.extra["CONVOSTORE_DB"] = str(varied)
    with Screen(program, "list", "-n", "30") as screen:
        assert screen.end() == 0
        *lines, more = screen.text.splitlines()
    assert (len(lines), more) == (32, "there is more: add -n 60")
    assert 90 < max(map(table.width, lines)) <= 100
