"""Putting conversations in order from the command line, and listing them by filters."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from screen import Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

from tests.cli.filling import fill, titles
from tests.engines import change

if TYPE_CHECKING:
    from tests.cli.farside import FarSide
    from tests.cli.program import Program


def test_named_conversations_are_put_in_order_at_once(program: Program) -> None:
    """Pins, tags, folders and the archive are seen by the next list, and taken back the same way."""
    old, _, new = fill(program, "old", "middle", "new")
    assert program("pin", old, "@").err == "2 conversations pinned\n"
    assert program("unpin", new).err == "1 conversation unpinned\n"
    assert program("pin", old, old).err == "1 conversation pinned (1 was so before)\n"
    unpinned = program("unpin", "--not-pinned", "-y").err
    assert unpinned == "2 conversations unpinned (2 were so before)\n"
    assert titles(program("list")) == ["old", "new", "middle"]
    assert program("tag", "Travel", old, new).code == 0
    assert program("move", old, "--to", "work").code == 0
    assert titles(program("list", "--tag", "travel")) == ["old", "new"]
    assert titles(program("list", "--tag", "travel", "--not-pinned")) == ["new"]
    assert titles(program("list", "--folder", "work")) == ["old"]
    assert titles(program("list", "--no-folder")) == ["new", "middle"]
    (found,) = program("list", "--json", "--folder", "work").json
    assert (found["pinned"], found["tags"], found["folder"]) == (True, ["travel"], "work")
    assert program("archive", old).code == 0
    assert titles(program("list")) == ["new", "middle"]
    assert titles(program("list", "--archived")) == ["old"]
    assert titles(program("list", "--all")) == ["new", "middle", "old"]
    shown = program("show", old).text.splitlines()[1]
    assert shown == "echo, 2 messages, bot:old, pinned, archived, in work, #travel"
    for words in (["unarchive"], ["untag", "travel"], ["move", "--out"]):
        assert program(*words, old).code == 0
    (found,) = program("list", "--json", "--title", "OLD").json
    assert (found["archived_at_ms"], found["tags"], found["folder"]) == (None, [], None)


def test_filters_find_by_key_time_and_what_was_interrupted(program: Program) -> None:
    """The filters that name no order of ours; a wide one and a narrow one together."""
    fill(program, "one", "two")
    change(program.store, "UPDATE conversation SET updated_at_ms = 1000 WHERE title = 'one'")
    change(program.store, "UPDATE conversation SET interrupted_count = 1 WHERE title = 'two'")
    assert titles(program("list", "--key", "bot:o")) == ["one"]
    assert titles(program("list", "--since", "today")) == ["two"]
    assert titles(program("list", "--until", "2020-01", "--provider", "echo")) == ["one"]
    assert titles(program("list", "--interrupted", "--model", "nobody")) == []
    assert titles(program("list", "--interrupted")) == ["two"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], ""),
        (["tag", "again", "-y"], "1 conversation tagged again\n"),
        (
            ["delete", "--dry-run"],
            "1 conversation would be moved to the bin; nothing was changed\n",
        ),
    ],
)
def test_answer_of_a_killed_writer_is_interrupted_for_who_asks_first(
    program: Program, words: list[str], said: str
) -> None:
    """Nobody has closed it yet: the first one who wants those finds it, as `show` shows it."""
    fill(program, "one", "two")
    killed = "UPDATE message SET status = 'streaming', lease = 'token|boot|namespace|1|1|0'"
    two = "(SELECT id FROM conversation WHERE title = 'two')"
    change(program.store, f"{killed} WHERE role = 'assistant' AND conversation_id = {two}")
    assert "[interrupted" in program("show", "@").text
    run = program(*words, "--interrupted")
    assert (run.code, run.err) == (0, said)
    if words == ["list"]:
        assert titles(run) == ["two"]


def test_many_are_changed_only_once_their_number_was_agreed_to(program: Program) -> None:
    """Without anybody to ask nothing changes; --dry-run shows which; --yes does it."""
    fill(program, "trip 1", "trip 2", "else")
    run = program("archive", "--title", "trip")
    assert (run.code, run.out) == (2, b"")
    assert run.err.splitlines() == [
        "convostore: 2 conversations will be archived, and nobody is there to be asked",
        "hint: add --yes, or --dry-run to see which they are",
    ]
    run = program("archive", "--title", "trip", "--dry-run")
    assert titles(run) == ["trip 2", "trip 1"]
    assert run.err == "2 conversations would be archived; nothing was changed\n"
    assert len(titles(program("list"))) == 3
    assert program("archive", "--title", "trip", "--yes").err == "2 conversations archived\n"
    assert titles(program("list")) == ["else"]
    assert program("unarchive", "--title", "trip", "--yes").code == 0
    assert len(titles(program("list"))) == 3
    assert program("archive", "--title", "nothing").err == "0 conversations archived\n"


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, 1), ("n", 2, 3), ("", 2, 3)])
def test_a_person_is_asked_with_the_number(
    program: Program, answer: str, code: int, left: int
) -> None:
    """On a terminal the question says how many; anything but a yes changes nothing."""
    fill(program, "trip 1", "trip 2", "else")
    with Screen(program, "archive", "--title", "trip") as screen:
        screen.expect("2 conversations will be archived. Go on? [y/N]")
        screen.type(f"{answer}\r")
        assert screen.end() == code
    assert len(titles(program("list"))) == left


def test_table_marks_what_is_pinned_and_shows_tags_and_folder(program: Program) -> None:
    """A person sees why an old one is on top, and by which tags and folder to find it."""
    (handle, _) = fill(program, "Kyoto", "else")
    program("pin", handle)
    program("tag", "travel", handle)
    program("move", handle, "--to", "trips")
    with Screen(program, "list") as screen:
        assert screen.end() == 0
        first = screen.text.splitlines()[2]
    assert first.split()[:6] == [handle, "*", "Kyoto", "#travel", "in", "trips"]
    with Screen(program, "list", "--tag", "nobody") as screen:
        assert screen.end() == 0
        assert "no conversation fits" in screen.text


def test_title_is_shown_and_given(program: Program) -> None:
    """The title alone on stdout; the given one in one line."""
    (handle,) = fill(program, "Kyoto")
    assert program("title", handle).text == "Kyoto\n"
    assert program("title", handle, " Three  days\nin Kyoto ").text == "Three days in Kyoto\n"
    assert titles(program("list")) == ["Three days in Kyoto"]


def test_metadata_is_changed_by_name_and_shown_as_json(program: Program) -> None:
    """JSON values as such, whatever else as text, null takes away; the rest stays."""
    fill(program, "Kyoto")
    changed = program("metadata", "@", "ticket=42", "who=Ann", 'list=["a", null]', "done=true")
    wanted = {"ticket": 42, "who": "Ann", "list": ["a", None], "done": True}
    assert changed.json == wanted
    assert program("metadata", "@", "ticket=null", "who=", "nan=NaN").json == {
        **{name: wanted[name] for name in ("list", "done")},
        "who": "",
        "nan": "NaN",
    }
    assert program("metadata", "@").json["done"] is True


WRONG = [
    ("list --since soon", 2),
    ("list --until 32.13.2026", 2),
    ("list --title ''", 2),
    ("list --folder ''", 2),
    ("list --folder a --no-folder", 2),
    ("list --archived --all", 2),
    ("list --tag ' '", 1),
    ("list --colour red", 2),
    ("pin", 2),
    ("pin ''", 2),
    ("pin @ --tag a", 2),
    ("pin nothing-there", 3),
    ("pin @ nothing-there", 3),
    ("tag", 2),
    ("tag a", 2),
    ("tag ' ' @", 1),
    ("untag a nothing-there", 3),
    ("move @", 2),
    ("move @ --to ''", 2),
    ("move @ --to a --out", 2),
    ("move --to a", 2),
    ("title", 2),
    ("title nothing-there", 3),
    ("title @ ' '", 1),
    ("title @ " + "x" * 201, 1),
    ("title @ --generate Kyoto", 2),
    ("title @ -m tulu", 2),
    ("title @ --generate -p nobody", 2),
    ("metadata", 2),
    ("metadata @ a", 2),
    ("metadata @ =a", 2),
    ("metadata @ a=" + "x" * 70_000, 1),
    ("archive --since soon --yes", 2),
]


@pytest.mark.only("sqlite", reason="what is typed is refused before the engine")
def test_whatever_is_wrong_is_one_line_and_changes_nothing(program: Program) -> None:
    """Each wrong word ends with its code, one line that says what, and one that says what next."""
    fill(program, "Kyoto")
    before = program("list", "--json").out
    for line, code in WRONG:
        run = program(*shlex.split(line))
        said = run.err.splitlines()
        assert (run.code, run.out) == (code, b""), (line, run.err)
        assert [one.partition(":")[0] for one in said] == ["convostore", "hint"], (line, run.err)
    assert program("list", "--json").out == before


def test_hints_lead_to_the_store_that_was_typed(program: Program) -> None:
    """The command that a hint names is for the store and the owner of this run."""
    fill(program, "Kyoto")
    where = str(program.store)
    program.extra.pop("CONVOSTORE_DB", None)
    run = program("--db", where, "--owner", "ann", "move", "@")
    assert "convostore --db" in run.err.splitlines()[1]
    assert "--owner ann move @ --to work" in run.err


def test_title_is_made_by_the_conversations_provider(program: Program, far: FarSide) -> None:
    """It is printed and kept; a failure is one line with the provider's code, and the title stays."""
    assert program("chat", "Plan three days").code == 0
    messages = program("show", "@", "--json").json["messages"]
    far.server.script("<think>hm</think>", "\nKyoto\n")
    run = program("title", "@", "--generate")
    assert (run.code, run.text, run.err) == (0, "Kyoto\n", "")
    far.server.respond(500, "oops", times=None)
    run = program("title", "@", "--generate")
    assert (run.code, run.text) == (6, "Kyoto\n")
    assert [line.partition(":")[0] for line in run.err.splitlines()] == ["convostore", "hint"]
    assert program("title", "@", "Mine").code == 0
    run = program("title", "@", "--generate")
    assert (run.code, run.text) == (0, "Mine\n")
    assert "stays" in run.err
    assert program("show", "@", "--json").json["messages"] == messages
