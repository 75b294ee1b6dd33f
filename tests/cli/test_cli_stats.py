"""What model calls came to, on a terminal, for programs, and as JSON."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.events import Finished
from convostore.records import Usage
from convostore.testing import ScriptedProvider
from tests.cli.screen import Screen

if TYPE_CHECKING:
    from tests.cli.program import Program
    from tests.engines import Where


async def _ask(where: Where) -> str:
    provider = ScriptedProvider()
    async with convostore.open(where, provider=provider) as store:
        chat = await store.create(title="Kyoto")
        for usage in (Usage(input_tokens=1200, output_tokens=40, cost=0.0625), None):
            provider.script("a", Finished(model="big", usage=usage))
            await chat.send("question")
        other = await store.create(title="Nara\x1b[31m", key="bot:nara")
        provider.script("a", Finished(model="small", usage=Usage(input_tokens=620)))
        await other.send("question")
        return chat.handle


def ask(program: Program) -> str:
    """Put three calls into the program's store; return the handle of the first conversation."""
    return asyncio.run(_ask(program.store))


def test_sums_for_programs_leave_empty_what_is_unknown(program: Program) -> None:
    """A line a row with tabs, the escaped title at its end; JSON has null and the counts."""
    handle = ask(program)
    by_model = program("stats", "--by", "model")
    assert by_model.text == "big\t2\t1200\t40\t\t\t0.0625\t1\t\nsmall\t1\t620\t\t\t\t\t1\t\n"
    by_chat = program("stats", "--by", "conversation").text.splitlines()
    assert by_chat[0] == f"{handle}\t2\t1200\t40\t\t\t0.0625\t1\tKyoto"
    assert by_chat[1].endswith("\tNara\\x1b[31m")
    told = program("stats", "@", "--json").json
    assert (told["by"], told["total"]["calls"]) == ("day", 1)
    assert told["rows"][0]["name"] == time.strftime("%Y-%m-%d")
    assert told["rows"][0]["usage"]["output_tokens"] is None
    assert told["rows"][0]["unknown"] == {
        "input_tokens": 0,
        "output_tokens": 1,
        "cached_tokens": 1,
        "reasoning_tokens": 1,
        "cost": 1,
    }
    assert program("stats", "--model", "big", "--by", "provider").text.startswith("scripted\t2\t")
    assert program("stats", "--until", "yesterday").err == (
        "no model was asked, as far as this store knows\n"
    )
    cut = program("stats", "--by", "model", "-n", "1")
    assert (cut.text.count("\n"), cut.err) == (1, "1 more row: -n 2 shows all\n")


def test_chart_on_a_terminal_is_as_long_as_the_tokens(program: Program) -> None:
    """A bar for each row, half as long for half the tokens; what is unknown is a question mark."""
    ask(program)
    with Screen(program, "stats", "--by", "model") as screen:
        assert screen.end() == 0
        head, big, small, together = screen.text.splitlines()
    assert head.split() == ["model", "calls", "input", "output", "unknown", "tokens"]
    assert big.split()[:5] == ["big", "2", "1,200", "40", "1"]
    assert small.split()[:5] == ["small", "1", "620", "?", "1"]
    assert small.count("█") == big.count("█") // 2 > 10
    assert together.split() == ["together", "3", "1,820", "40", "2"]


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_long_title_takes_no_number_away(program: Program, columns: int) -> None:
    """It is cut; where there is little room the chart goes as well, and every number stays whole."""

    async def ask_one() -> None:
        provider = ScriptedProvider()
        async with convostore.open(program.store, provider=provider) as store:
            chat = await store.create(title="Plan three days in Kyoto " * 8)
            usage = Usage(input_tokens=1_234_567, output_tokens=89_012)
            provider.script("a", Finished(usage=usage))
            await chat.send("question")

    asyncio.run(ask_one())
    program.extra["COLUMNS"] = str(columns)
    with Screen(program, "stats", "--by", "conversation") as screen:
        assert screen.end() == 0
        head, row, together = screen.text.splitlines()
    assert head.split()[:5] == ["conversation", "calls", "input", "output", "unknown"]
    for line in (row, together):
        assert "1   1,234,567   89,012" in line
    assert all(len(line) <= max(columns, 60) for line in (head, row, together))
    assert ("█" in row) is (columns > 60)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--by", "week"], 2, "'week' is not one of"),
        (["--since", "soon"], 2, "--since soon is no time"),
        (["--model", ""], 2, "--model is empty"),
        (["nobody"], 3, "there is no conversation nobody"),
        (["-n", "0"], 2, "0 is not in the range"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    program: Program, words: list[str], code: int, said: str
) -> None:
    """One line says what is wrong, and a hint what to type."""
    ask(program)
    run = program("stats", *words)
    assert (run.code, run.out) == (code, b"")
    assert said in run.err.splitlines()[0]
