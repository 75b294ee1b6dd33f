"""The command line with servers of chat completions, their keys, and providers of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from screen import ENTER, Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

from tests.canaries import holds
from tests.providers.completions import DONE, END, KEY, chunk, served, text
from tests.providers.plugged import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.program import Program
    from tests.providers.completions import ChatServer

SQLITE_ALONE = pytest.mark.only("sqlite", reason="no store is read or written")


@pytest.fixture
def server(program: Program) -> Iterator[ChatServer]:
    """Give a server that the program takes for the configured one."""
    with served() as server:
        program.extra |= {
            "CONVOSTORE_OPENAI_URL": f"{server.url}/v1",
            "CONVOSTORE_OPENAI_API_KEY": KEY,
        }
        yield server


def test_a_chat_is_held_and_gone_on_with(program: Program, server: ChatServer) -> None:
    """The options go to the server by its own names; the conversation knows whom to ask."""
    server.answer(chunk({"reasoning": "Hm."}), *text("Good ", "day"), END, DONE)
    run = program("chat", "-p", "openai", "-m", "big", "-o", "temperature=0.2", "-o", 'stop=["x"]', "Hi")  # fmt: skip
    assert (run.code, run.text) == (0, "Good day\n")
    assert (server.sent["model"], server.sent["temperature"], server.sent["stop"]) == ("big", 0.2, ["x"])  # fmt: skip
    again = program("chat", "-c", "And now?")
    assert again.code == 0
    assert [one["content"] for one in server.sent["messages"]] == ["Hi", "Good day", "And now?"]
    assert server.sent["model"] == "big"


@SQLITE_ALONE
def test_the_models_of_the_server_are_listed(program: Program, server: ChatServer) -> None:
    """The configured one is the default."""
    server.models = {"data": [{"id": "a"}, {"id": "b", "name": "B"}]}
    program.extra |= {"CONVOSTORE_PROVIDER": "openai", "CONVOSTORE_MODEL": "b"}
    assert program("models").text == "a\ta\t\t\nb\tB\tdefault\t\n"


def test_the_key_is_in_no_output_and_no_byte_of_the_store(
    program: Program, server: ChatServer
) -> None:
    """Whatever the server says of it, in words and as JSON."""
    server.refuse(401, {"error": {"message": f"bad {KEY}"}})
    server.refuse(400, f"bad {KEY}")
    server.answer(b"data: " + KEY.encode() + b"\n\n")
    shown = ""
    for words in (["chat"], ["chat", "--json"], ["chat"]):
        run = program(*words, "-p", "openai", "-m", "m", "Hi")
        assert run.code == 6
        shown += run.text + run.err
    for words in (["show", "@"], ["export", "--all"], ["list", "--json"], ["models", "-p", "openai"]):  # fmt: skip
        run = program(*words)
        assert run.code == 0
        shown += run.text + run.err
    assert server.received[0].headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in shown
    assert "Traceback" not in shown
    assert not holds(program.store, KEY)


@SQLITE_ALONE
def test_a_key_is_kept_used_listed_and_removed(program: Program, server: ChatServer) -> None:
    """It is read from standard input, and shown by nobody."""
    del program.extra["CONVOSTORE_OPENAI_API_KEY"]
    server.refuse(401, {"error": "no"})
    refused = program("chat", "-p", "openai", "-m", "m", "Hi")
    assert f"convostore keys set {server.url}" in refused.err
    runs = [program("keys", "set", stdin=f"{KEY}\n".encode())]
    file = program.home / "config/convostore/keys.json"
    assert KEY in file.read_text()
    program("models", "-p", "openai")
    assert server.received[-1].headers["Authorization"] == f"Bearer {KEY}"
    runs += [
        program("keys", "set", f"{server.url}/v1", stdin=KEY.encode()),
        program("keys", "list"),
    ]
    assert runs[-1].text == f"{server.url}\n"
    runs.append(program("keys", "remove"))
    assert [one.code for one in runs] == [0, 0, 0, 0]
    assert KEY not in "".join(one.text + one.err for one in runs) + file.read_text()
    assert program("keys", "remove").code == 2
    program("models", "-p", "openai")
    assert "Authorization" not in server.received[-1].headers


@SQLITE_ALONE
@pytest.mark.parametrize(
    ("words", "stdin", "code"),
    [
        (["keys", "set", KEY], KEY, 2),
        (["keys", "remove", KEY], "", 2),
        (["keys", "set"], "", 6),
        (["keys", "set"], f"{KEY}\n{KEY}", 6),
        (["chat", "-p", "openai", "-o", f"api_key={KEY}", "Hi"], "", 2),
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(
    program: Program, words: list[str], stdin: str, code: int
) -> None:
    """One line, and one on what to do instead."""
    run = program(*words, stdin=stdin.encode())
    assert run.code == code
    assert KEY not in run.text + run.err
    assert len(run.err.splitlines()) == 2


@SQLITE_ALONE
def test_a_key_that_is_typed_is_not_shown(program: Program) -> None:
    """The terminal asks for it, on stderr."""
    with Screen(program, "keys", "set", "https://router.example") as screen:
        screen.expect("The key to https://router.example")
        screen.type(KEY + ENTER)
        assert screen.end() == 0
        assert KEY not in screen.text
    assert program("keys", "list").text == "https://router.example\n"


@SQLITE_ALONE
def test_a_key_in_the_configuration_file_is_refused(program: Program) -> None:
    """That file may be anybody's to read; what stands there is not repeated."""
    folder = program.home / "config/convostore"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'openai_api_key = "{KEY}"\n')
    run = program("chat", "-p", "openai", "Hi")
    assert run.code == 2
    assert "unknown key: openai_api_key" in run.err
    assert KEY not in run.err


def test_a_provider_of_an_installed_package_is_found_by_its_name(
    program: Program, tmp_path: Path
) -> None:
    """Also when its conversation is gone on with; its faults are its own."""
    faulty = {"Nameless": "cannot be used", "fails": "cannot be made", "broken": "cannot be loaded"}
    faulty |= {"Mute": "failed: KeyError", "Counted": "no ModelInfo but int", "Rude": "failed: Va"}
    places = {one: "broken:Parrot" if one == "broken" else f"parrots:{one}" for one in faulty}
    points = [f"{one.lower()} = {place}" for one, place in places.items()]
    install(tmp_path, "parrots", "parrot = parrots:Parrot", *points)
    program.extra["PYTHONPATH"] = str(tmp_path)
    assert program("chat", "-p", "parrot", "Hi").text == "HI\n"
    assert program("chat", "-c", "Bye").text == "BYE\n"
    for name, words in faulty.items():
        run = program("models", "-p", name.lower())
        error, hint = run.err.splitlines()
        assert run.code == 6
        assert f"the provider {name.lower()} " in error
        assert words in error
        assert hint.startswith("hint: ")
    run = program("chat", "-p", "rude", "Hi")
    assert (run.code, run.text) == (6, "HI\n")


@SQLITE_ALONE
def test_a_provider_that_is_not_there_is_one_clear_line(program: Program) -> None:
    """It names those that are."""
    run = program("chat", "-p", "canary", "Hi")
    assert (run.code, len(run.err.splitlines())) == (2, 2)
    assert "openai" in run.err
