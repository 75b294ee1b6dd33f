"""Searching from the command line: for people, for programs, and the same whichever way it goes."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from screen import Screen  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import Message, clock
from convostore.cli import found, quick, terminal
from convostore.storage import fastsearch
from convostore.storage.leases import new_lease
from convostore.storage.searching import Hit
from tests.engines import change

if TYPE_CHECKING:
    from convostore.records import SearchPage
    from tests.cli.program import Program, Run
    from tests.engines import Where

sys.path.insert(0, str(Path(__file__).parent))
quick_ways: Any = importlib.import_module("test_cli_quick")
home, varied, three_ways = quick_ways.home, quick_ways.varied, quick_ways.three_ways

TALKS = {
    "Kyoto": ["Where is the rail pass sold?", "The rail pass is sold abroad. " * 20],
    "Базы": ["Все разговоры о базах данных", "Съёмки закончены"],
    "京都": ["学习数据库很有趣", "検索エンジン"],
    "Code": ["call someFunction in src/file.py v3.12.1", "a snake_case name\x1b[2J"],
}
QUERIES = ["rail", '"rail pass"', "rail -sold", "разговор", "съемка", "数据", "学", "someFunction"]
QUERIES += [
    "3.12.1",
    "snake_case",
    "role:user",
    "role:title kyoto",
    "name -rail",
    "zzz",
    "after:lunch",
]
QUERIES += ["in:@ name", "tag:travel", "ra*", "after:1d rail", "model:m-1 rail", "name"]


async def _fill(where: Where) -> None:
    async with convostore.open(where) as store:
        for title, texts in TALKS.items():
            chat = await store.create(title=title, key=f"key:{title}")
            for number, text in enumerate(texts):
                await chat.append(
                    Message.assistant(text, model="m-1") if number % 2 else Message.user(text)
                )
        await chat.tag("travel")
        page: SearchPage = await store.search("rail")
        assert page.unindexed == 0


@pytest.fixture
def filled(program: Program) -> Program:
    """Give the program with a few conversations, all of them indexed."""
    asyncio.run(_fill(program.store))
    return program


def lines(run: Run) -> list[list[str]]:
    """Return the fields of each line."""
    assert run.code == 0, run.err
    return [line.split("\t") for line in run.text.splitlines()]


def test_hits_are_lines_with_tabs_for_programs(filled: Program) -> None:
    """Handle, number, role, time, title and excerpt, escaped, with no mark and no colour."""
    (hit,) = lines(filled("search", "snake_case"))
    handle, seq, role, at, title, excerpt = hit
    assert len(handle) == 8
    assert (seq, role, title) == ("2", "assistant", "Code")
    assert at.endswith("Z")
    assert excerpt == "a snake_case name\\x1b[2J"
    assert [line[1:3] for line in lines(filled("search", "role:title", "kyoto"))] == [
        ["0", "title"]
    ]


def test_words_may_be_one_argument_or_several(filled: Program) -> None:
    """What the shell takes apart is put together again."""
    assert lines(filled("search", "rail", "pass")) == lines(filled("search", "rail pass"))


def test_json_has_the_page(filled: Program) -> None:
    """Places of marks, the cursor of the next page, what is missing, and remarks."""
    page = filled("search", "rail", "--json", "-n", "1").json
    assert sorted(page) == ["hits", "next_cursor", "remarks", "unindexed"]
    (hit,) = page["hits"]
    assert next(hit["excerpt"][start:end] for start, end in hit["marks"]) == "rail"
    assert page["next_cursor"]
    after = filled("search", "rail", "--json", "-n", "1", "--cursor", page["next_cursor"]).json
    assert after["hits"][0]["message_id"] != hit["message_id"]
    assert after["next_cursor"] is None


def test_options_reach_the_search(filled: Program) -> None:
    """The newest first, all branches, and thoughts."""
    assert len(lines(filled("search", "rail", "--newest", "--all-branches", "--reasoning"))) == 2
    assert filled("search", "rail", "--newest", "--json").json["hits"][0]["score"] is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["search"], 2, "convostore search"),
        (["search", "  "], 2, "convostore search"),
        (["search", "in:nowhere x"], 3, '"in:nowhere"'),
        (["search", "x", "-n", "0"], 2, "-n"),
        (["search", "x", "-n", "201"], 2, "-n"),
        (["search", "x", "--cursor", "y"], 1, "cursor"),
        (["search", "x", "--nope"], 2, "--nope"),
    ],
)
def test_wrong_use_is_said_in_a_line(
    filled: Program, words: list[str], code: int, said: str
) -> None:
    """What is wrong and what to type, on stderr, with the documented code."""
    run = filled(*words)
    assert (run.code, run.out) == (code, b"")
    assert said in run.err
    assert "Traceback" not in run.err
    assert len(run.err.splitlines()) <= 3


@pytest.mark.parametrize(
    "query", ['"', "*", "(", "a AND (", "^x", "{y}:", "-", "\x1b", "--", "NEAR(a b)"]
)
def test_no_query_is_an_error(filled: Program, query: str) -> None:
    """Whatever is typed, the answer is a page."""
    run = filled("search", "--", query)
    assert run.code == 0, run.err


def test_nothing_found_is_no_error(filled: Program) -> None:
    """No line on stdout, and code 0."""
    run = filled("search", "zzz")
    assert (run.code, run.out, run.err) == (0, b"", "")


def test_remarks_go_to_stderr(filled: Program) -> None:
    """What was not taken as it may have been meant is said, and the output stays clean."""
    run = filled("search", "after:lunch")
    assert (run.code, run.out) == (0, b"")
    assert run.err == "note: after:lunch is no filter, and was taken as words\n"


def test_person_sees_marks_in_colour(filled: Program) -> None:
    """On a terminal two lines a hit: where it is, and what it says, with the words in colour."""
    with Screen(filled, "search", "rail", "-n", "1") as screen:
        screen.expect("Kyoto")
        screen.expect("there is more: add -n 2")
        assert f"{terminal.FOUND}rail{terminal._NO_STYLE}".encode() in screen.seen
    with Screen(filled, "search", "zzz") as screen:
        screen.expect("nothing found; --all-branches")
    with Screen(filled, "search", "zzz", "--all-branches") as screen:
        screen.expect("nothing found\n")


def test_what_a_full_page_says_to_add_is_taken(filled: Program) -> None:
    """Twice as many, up to the most that may be asked for; from there on, the page after it."""

    async def fill_more() -> None:
        async with convostore.open(filled.store) as store:
            chat = await store.create(title="much")
            await chat.append(*(Message.user(f"zebra {number}") for number in range(203)))

    asyncio.run(fill_more())
    with Screen(filled, "search", "zebra", "-n", "120") as screen:
        screen.expect("there is more: add -n 200\n")
    with Screen(filled, "search", "zebra", "-n", "200") as screen:
        screen.expect("there is more: add --cursor ")
        assert screen.end() == 0
        cursor = screen.text.split("--cursor ")[1].strip()
    assert len(lines(filled("search", "zebra", "-n", "200", "--cursor", cursor))) == 3


@pytest.mark.parametrize("options", [[], ["--newest"]])
def test_what_stands_behind_thousands_of_other_branches_is_found(
    program: Program, tmp_path: Path, options: list[str]
) -> None:
    """A search looks on until it has as many as are wanted, or has seen everything."""
    first = {"id": "q", "parentId": None, "role": "user", "content": "zebra?"}
    messages = {"q": first}
    for number in range(2200):
        answer = {"parentId": "q", "role": "assistant", "content": f"zebra {number}"}
        messages[f"a{number}"] = {"id": f"a{number}", **answer}
    history = {"messages": messages, "currentId": "a0"}
    chat = {"id": "c", "title": "Animals", "chat": {"title": "Animals", "history": history}}
    file = tmp_path / "chats.json"
    file.write_text(json.dumps([chat]), "utf-8")
    assert program("import", str(file)).code == 0
    assert {line[1] for line in lines(program("search", "zebra", *options))} == {"1", "2"}
    assert len(program("search", "zebra", *options, "--json").json["hits"]) == 2
    assert len(lines(program("search", "zebra", *options, "-n", "1"))) == 1


def test_query_that_begins_like_an_option_is_told_how_to_be_typed(filled: Program) -> None:
    """A word that may not be there stands first; a mistyped option is one all the same."""
    refused = filled("search", "-bus rail")
    assert refused.code == 2
    assert refused.err.endswith(
        "hint: a query may begin with - after --: convostore search -- '-bus rail'\n"
    )
    assert len(lines(filled("search", "--", "-zzz rail"))) == 2
    assert "--newst" in filled("search", "--newst", "rail").err


def test_store_that_is_not_indexed_is_searched_the_full_way(filled: Program) -> None:
    """What another program left unindexed is found all the same, and indexed by that."""
    change(filled.store, "DELETE FROM message_search")
    change(
        filled.store,
        "INSERT INTO search_pending SELECT owner_id, conversation_id, min(seq) FROM message"
        " GROUP BY owner_id, conversation_id",
    )
    assert len(lines(filled("db", "reindex"))) == 1
    assert len(lines(filled("search", "rail"))) == 2


def test_answer_that_is_being_written_is_said_to_be_missing(filled: Program) -> None:
    """Until it has ended; what else is missing a command puts in at once."""
    lease = new_lease("token", clock.now_ms())  # this process lives
    at = "(SELECT id FROM conversation WHERE title = 'Kyoto')"
    running = f"UPDATE message SET status = 'streaming', lease = ? WHERE conversation_id = {at}"
    change(filled.store, f"{running} AND seq = 2", lease)
    change(
        filled.store,
        "INSERT INTO search_pending SELECT owner_id, conversation_id, seq FROM message"
        " WHERE status = 'streaming'",
    )
    run = filled("search", "rail")
    assert run.code == 0
    assert run.err == (
        "note: 1 turn may be missing here: what is still being written is indexed when it has"
        " ended, everything else now by: convostore db reindex\n"
    )


def test_check_and_reindex_know_the_index(filled: Program) -> None:
    """The check says what is wrong, and the command that it names mends it."""
    change(filled.store, "DELETE FROM message_search WHERE seq = 1")
    run = filled("db", "check")
    assert run.code == 0
    assert "convostore db reindex" in run.err
    assert filled("db", "reindex").text == "12 messages and titles are indexed\n"
    assert "reindex" not in filled("db", "check").err


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """Let this process be a program with an indexed store."""
    path = tmp_path / "searched.db"
    asyncio.run(_fill(path))
    monkeypatch.setenv("CONVOSTORE_DB", str(path))
    return path


@pytest.mark.only("sqlite", reason="the quick way is a file's")
@pytest.mark.parametrize("query", QUERIES)
def test_search_is_the_same_each_way(searched: Path, three_ways: Any, query: str) -> None:
    """Without click, with click over the quick reading, and the full way: byte for byte."""
    for options in ([], ["--json"], ["-n", "1", "--json"], ["--newest", "--all-branches"]):
        first, second, third = three_ways(["search", query, *options])
        assert first == second == third
        assert first[0] == 0


@pytest.mark.only("sqlite", reason="the quick way is a file's")
def test_quick_way_steps_back_where_something_is_not_indexed(searched: Path) -> None:
    """A mark, or words of another version, is for the full way; so is a name that names nothing."""
    assert quick.search(None, None, "rail", 20, dict.fromkeys(WISH, False)) is not None
    assert quick.search(None, None, "in:zzz rail", 20, dict.fromkeys(WISH, False)) is None
    change(searched, "UPDATE store_meta SET value = 'x' WHERE name = 'search_words'")
    assert quick.search(None, None, "rail", 20, dict.fromkeys(WISH, False)) is None
    asyncio.run(_again(searched))
    assert quick.search(None, None, "rail", 20, dict.fromkeys(WISH, False)) is not None
    change(searched, "INSERT INTO search_pending SELECT id, 'x', 1 FROM owner")
    assert quick.search(None, None, "rail", 20, dict.fromkeys(WISH, False)) is None


WISH = ("newest_first", "all_branches", "reasoning")


async def _again(path: Path) -> None:
    async with convostore.open(path) as store:
        await store.search("rail")


@pytest.mark.only("sqlite", reason="the quick way is a file's")
def test_cursor_of_the_quick_way_is_one_of_the_full_way(searched: Path) -> None:
    """A page that was read the quick way goes on the full way."""
    page = quick.search(None, None, "rail", 1, dict.fromkeys(WISH, False))
    assert isinstance(page, fastsearch.Page)

    async def rest() -> list[int]:
        async with convostore.open(searched) as store:
            return [hit.seq for hit in (await store.search("rail", cursor=page.next_cursor)).items]

    assert len(asyncio.run(rest())) == 1


@pytest.mark.only("sqlite", reason="the quick way is a file's")
def test_quick_search_loads_next_to_nothing(filled: Program) -> None:
    """Neither the database layer nor the event loop: a stemmer, and the standard library."""
    loaded, text = quick_ways._loaded(filled, "search", "rail")
    assert "rail" in text
    assert "snowballstemmer.english_stemmer" in loaded
    loaded -= quick_ways._started_with(filled)
    assert not (quick_ways.FORBIDDEN - {"typing"}) & loaded


def test_excerpt_in_colour_is_the_excerpt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour adds nothing but colour, and escapes stay escaped."""
    monkeypatch.setattr(terminal, "has_colour", lambda _: True)
    hit = Hit()
    hit.excerpt, hit.marks = "a\x1bb rail c", ((4, 8),)
    shown = found._marked(hit)
    assert shown == f"a\\x1bb {terminal.FOUND}rail{terminal._NO_STYLE} c"
