from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from screen import Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore.records import Message

if TYPE_CHECKING:
    from tests.cli.program import Program

LIST_KEYS = [
    "id",
    "handle",
    "title",
    "provider",
    "model",
    "pinned",
    "tags",
    "folder",
    "archived_at_ms",
    "message_count",
    "created_at_ms",
    "updated_at_ms",
]
SHOW_KEYS = [*LIST_KEYS[:9], "head_id", "messages"]
MESSAGE_KEYS = [
    "id",
    "parent_id",
    "role",
    "status",
    "text",
    "attachments",
    "model",
    "finish_reason",
    "error",
    "created_at_ms",
]
NASTY = "\x1b[2J\u202egnp.exe\x9b"


async def _fill(path: str, *talks: tuple[str, list[str]], owner: str | None = None) -> list[str]:
    handles = []
    async with convostore.open(path, owner=owner) as store:
        for title, texts in talks:
            talk = await store.create(title=title, provider="echo", model="echo-1")
            makers = (Message.user, Message.assistant)
            await talk.append(*(makers[n % 2](text) for n, text in enumerate(texts)))
            handles.append(talk.handle)
    return handles


def fill(program: Program, *talks: tuple[str, list[str]], owner: str | None = None) -> list[str]:
    """Put conversations into the store that the program will read; return their handles."""
    program.extra["CONVOSTORE_DB"] = str(program.home / "chats.db")
    return asyncio.run(_fill(program.extra["CONVOSTORE_DB"], *talks, owner=owner))


def test_list_json_has_the_documented_keys_newest_first(program: Program) -> None:
    """`list --json` is one array of objects with exactly the promised keys."""
    old, new = fill(program, ("old", ["a", "b"]), ("new", ["c"]))
    run = program("list", "--json")
    assert run.code == 0
    assert [each["handle"] for each in run.json] == [new, old]
    assert all(list(each) == LIST_KEYS for each in run.json)
    assert (run.json[1]["title"], run.json[1]["message_count"]) == ("old", 2)


def test_list_is_one_whole_line_each_when_nobody_looks(program: Program) -> None:
    """Without a terminal each conversation is one line of tab-separated fields, nothing cut."""
    title = "long " * 35 + "with \x1b and \x07"
    (handle,) = fill(program, (title, ["a", "b"]))
    run = program("list")
    fields = run.text.removesuffix("\n").split("\t")
    assert fields[:2] == [handle, title.replace("\x1b", "\\x1b").replace("\x07", "\\x07")]
    assert fields[2:4] == ["echo-1", "2"]
    assert len(fields) == 5
    assert run.err == ""


def test_list_is_a_table_on_a_terminal(program: Program) -> None:
    """A person sees columns with headings, as wide as the terminal, and harmless titles."""
    (handle,) = fill(program, (NASTY + "x" * 180, ["a", "b"]))
    with Screen(program, "list") as screen:
        assert screen.end() == 0
        lines = screen.text.splitlines()
    assert "title" in lines[0] + lines[1]
    row = next(line for line in lines if handle in line)
    assert "\\x1b[2J" in row
    assert "…" in row
    assert all(len(line) <= 100 for line in lines)


def test_list_shows_at_most_as_many_as_asked(program: Program) -> None:
    """`-n` limits the list, and more than there are is no error."""
    fill(program, *((f"t{number}", ["a"]) for number in range(25)))
    assert len(program("list").text.splitlines()) == 20
    assert len(program("list", "-n", "3").text.splitlines()) == 3
    assert len(program("list", "-n", "1000").text.splitlines()) == 25


@pytest.mark.parametrize("words", [["list"], ["list", "--not-pinned"]])
def test_person_is_told_that_there_is_more(program: Program, words: list[str]) -> None:
    """Under the table, and how to see it; programs asked for so many, and get no word more."""
    fill(program, *((f"t{number}", ["a"]) for number in range(25)))
    with Screen(program, *words) as screen:
        screen.expect("there is more: add -n 40\n")
    with Screen(program, *words, "-n", "25") as screen:
        assert screen.end() == 0
        assert "more" not in screen.text
        assert len(screen.text.splitlines()) == 25 + 2
    run = program(*words)
    assert (len(run.text.splitlines()), run.err) == (20, "")
    assert len(program(*words, "--json").json) == 20


@pytest.mark.only("sqlite", reason="a database is there before the program is")
def test_list_without_a_store_says_how_to_begin(program: Program) -> None:
    """Reading where nothing is makes no store, and names the command that would."""
    run = program("list")
    assert run.code == 5
    assert "convostore chat" in run.err
    assert len(run.err.splitlines()) == 2
    assert not list(program.home.rglob("*.db"))


def test_show_json_is_the_head_path_in_order_without_secrets(program: Program) -> None:
    """`show --json` has exactly the promised keys; the messages follow from root to head."""
    (handle,) = fill(program, ("Kyoto", ["a", "b", "c", "d"]))
    run = program("show", handle, "--json")
    assert list(run.json) == SHOW_KEYS
    messages = run.json["messages"]
    assert all(list(each) == MESSAGE_KEYS for each in messages)
    assert [each["text"] for each in messages] == ["a", "b", "c", "d"]
    assert [each["parent_id"] for each in messages] == [None, *(m["id"] for m in messages[:-1])]
    assert run.json["head_id"] == messages[-1]["id"]


def test_secrets_are_shown_only_when_asked_for(program: Program) -> None:
    """`--secrets` adds the two credentials, and nothing else ever shows them."""
    fill(program, ("Kyoto", ["a", "b"]))
    with_secrets = program("show", "@", "--json", "--secrets").json
    assert list(with_secrets) == [*SHOW_KEYS, "anonymous_user_id", "parent_id"]
    secret = with_secrets["anonymous_user_id"]
    assert secret
    others = (
        ["show", "@"],
        ["show", "@", "--json"],
        ["list", "--json"],
        ["list"],
        ["show", "@", "-r"],
    )
    assert not any(secret in program(*words).text for words in others)
    assert secret in program("show", "@", "--secrets").text


def test_show_escapes_what_could_disturb_a_terminal(program: Program) -> None:
    """Control and bidi characters are shown by number; --json still gives the exact text."""
    fill(program, (NASTY, [NASTY, f"a\r\n{NASTY}\tb"]))
    for words in (["show", "@"], ["show", "@", "-r"]):
        text = program(*words).text
        assert not {"\x1b", "\u202e", "\x9b"} & set(text)
        assert "a\n\\x1b[2J\\u202egnp.exe\\x9b\tb\n" in text
    run = program("show", "@", "--json")
    assert run.json["messages"][0]["text"] == NASTY
    assert run.out.isascii()


def test_show_r_is_the_last_answer_alone(program: Program) -> None:
    """`-r` prints the newest answer that has text, as it is, and nothing around it."""
    fill(program, ("Kyoto", ["q", "first", "q2", "second\nanswer", "q3"]))
    run = program("show", "@", "-r")
    assert (run.code, run.text, run.err) == (0, "second\nanswer\n", "")


def test_show_r_without_an_answer_is_not_found(program: Program) -> None:
    """A conversation that was never answered says so, with code 3."""
    fill(program, ("Kyoto", ["q"]))
    run = program("show", "@", "-r")
    assert (run.code, run.out) == (3, b"")
    assert "no answer yet" in run.err


@pytest.mark.parametrize("ref", ["zzzzzzzz", "@9", "telegram:42", "-x", "\x1b[2J", "' or 1=1"])
def test_an_unknown_reference_is_not_found(program: Program, ref: str) -> None:
    """Whatever is typed as a name, an unknown one is one line, harmless, with code 3."""
    fill(program, ("Kyoto", ["q"]))
    run = program("show", "--", ref)
    assert (run.code, run.out) == (3, b"")
    assert run.err.startswith("convostore: ")
    assert "\x1b" not in run.err
    assert len(run.err.splitlines()) <= 2


def test_an_ambiguous_handle_lists_its_candidates(program: Program) -> None:
    """A prefix that fits several conversations names them all, and ends with code 2."""
    handles = fill(program, *((f"title {number}", ["q"]) for number in range(60)))
    first = next(h[0] for h in handles if sum(other[0] == h[0] for other in handles) > 1)
    fitting = {handle for handle in handles if handle[0] == first}
    run = program("show", first)
    assert run.code == 2
    listed = {line.split()[0] for line in run.err.splitlines() if line.startswith("  ")}
    assert listed <= fitting
    assert len(listed) == min(len(fitting), 10)


def test_another_owner_sees_nothing(program: Program) -> None:
    """A handle of another owner is as unknown as any other, typed before or after the command."""
    (handle,) = fill(program, ("secret plan", ["q"]), owner="alice")
    for words in (["--owner", "bob", "show", handle], ["show", handle, "--owner", "bob"]):
        run = program(*words)
        assert run.code == 3
        assert "secret plan" not in run.err + run.text
    assert program("--owner", "bob", "list").out == b""
    assert program("--owner", "alice", "show", handle).code == 0


@pytest.mark.parametrize("command", ["show", "export"])
def test_a_missing_reference_names_the_command_that_finds_one(
    program: Program, command: str
) -> None:
    """Without a conversation the error says which command lists them."""
    run = program(command)
    assert run.code == 2
    assert "convostore list" in run.err


@pytest.mark.only("sqlite", reason="it is about where the file is by default")
def test_path_prints_where_the_store_is(program: Program) -> None:
    """`path` is one line: the file that --db, the environment or the data folder means."""
    default = program("path").text.strip()
    assert default.startswith(str(program.home / "data"))
    assert program("--db", "/x/y.db", "path").text == "/x/y.db\n"
    program.extra["CONVOSTORE_DB"] = "/from/env.db"
    assert program("path").text == "/from/env.db\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["path"], ["chat", "--help"]])
def test_light_commands_import_nothing_heavy(program: Program, words: list[str]) -> None:
    """What needs no store starts without the database, the network and the event loop."""
    program.extra["PYTHONPROFILEIMPORTTIME"] = "1"
    run = program(*words)
    assert run.code == 0
    heavy = {"sqlalchemy", "aiohttp", "alembic", "rich", "asyncio", "prompt_toolkit"}
    imported = {line.rpartition("|")[2].strip() for line in run.err.splitlines()}
    assert "convostore.cli.main" in imported
    assert not heavy & imported
