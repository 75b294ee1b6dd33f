"""Tool calls in chunks: every manner in which servers cut them gives the same calls."""

from __future__ import annotations

from typing import Any

import pytest

from convostore.providers.openai_calls import CallReader
from tests.providers.completions import DONE, END, hear, serving, text

Piece = dict[str, Any]


def piece(index: int | None, id: str | None, name: str | None, args: object) -> Piece:
    """Return a fragment of a call."""
    made = {"index": index, "id": id, "function": {"name": name, "arguments": args}}
    return {key: value for key, value in made.items() if value is not None}


def read(*deltas: list[Piece]) -> list[tuple[str, str, str]]:
    """Return the calls that fragments come to: id, name, arguments; ids made here are empty."""
    reader = CallReader()
    found: dict[str, tuple[str, str]] = {}
    for pieces in deltas:
        for one in reader.read({"tool_calls": pieces}):
            name, args = found.get(one.id, ("", ""))
            found[one.id] = (name + one.name, args + one.args)
    return [("" if id_.startswith("call_") else id_, *rest) for id_, rest in found.items()]


TWO = [("a", "rain", '{"at": 1}'), ("b", "wind", '{"at": 2}')]
MANNERS = {
    "OpenAI and vLLM: by index, the id in the first piece alone": (
        [piece(0, "a", "rain", "")],
        [piece(0, None, None, '{"at"')],
        [piece(0, None, None, ": 1}")],
        [piece(1, "b", "wind", "")],
        [piece(1, None, None, '{"at": 2}')],
    ),
    "both at once, piece by piece": (
        [piece(0, "a", "rain", '{"at'), piece(1, "b", "wind", '{"at')],
        [piece(1, None, None, '": 2}'), piece(0, None, None, '": 1}')],
    ),
    "Ollama and proxies: a whole call in one delta": (
        [piece(0, "a", "rain", '{"at": 1}')],
        [piece(1, "b", "wind", '{"at": 2}')],
    ),
    "all of them at index 0, each with a new id": (
        [piece(0, "a", "rain", '{"at": 1}')],
        [piece(0, "b", "wind", '{"at"'), piece(0, "b", None, ": 2}")],
    ),
    "without an index, by id": (
        [piece(None, "a", "rain", '{"at'), piece(None, "b", "wind", '{"at": 2}')],
        [piece(None, "a", None, '": 1}')],
    ),
    "without an index, what follows has no id": (
        [piece(None, "a", "rain", '{"at')],
        [piece(None, None, None, '": 1}')],
        [piece(None, "b", "wind", '{"at": 2}')],
    ),
    "id and name again with every piece": (
        [piece(0, "a", "rain", '{"at'), piece(0, "a", "rain", '": 1}')],
        [piece(1, "b", "wind", '{"at'), piece(1, "b", "wind", '": 2}')],
    ),
    "the name after the id": (
        [piece(0, "a", "", None), piece(0, None, "rain", '{"at": 1}')],
        [piece(1, "b", None, ""), piece(1, "", "wind", '{"at": 2}')],
    ),
    "arguments as an object": (
        [piece(0, "a", "rain", {"at": 1}), piece(1, "b", "wind", {"at": 2})],
    ),
}


@pytest.mark.parametrize("manner", MANNERS)
def test_every_manner_gives_the_same_calls(manner: str) -> None:
    """Two calls, whatever the pieces that they come in."""
    calls = [
        (id_, name, args.replace('":', '": ').replace(":  ", ": "))
        for id_, name, args in read(*MANNERS[manner])
    ]
    assert calls == TWO


UNNAMED = {
    "old Ollama: no index, no id, each call whole": (
        [piece(None, None, "rain", {"at": 1})],
        [piece(None, None, "wind", {"at": 2})],
    ),
    "whole calls at index 0, without ids": (
        [piece(0, None, "rain", '{"at":1}')],
        [piece(0, "", "wind", '{"at":2}')],
    ),
    "by index, without ids": (
        [piece(0, None, "rain", '{"at'), piece(1, None, "wind", '{"at')],
        [piece(0, None, None, '":1}'), piece(1, None, None, '":2}')],
    ),
    "the name again with every piece, without ids": (
        [piece(0, None, "rain", '{"at'), piece(0, None, "rain", '":1}')],
        [piece(1, None, "wind", '{"at'), piece(1, None, "wind", '":2}')],
    ),
}


@pytest.mark.parametrize("manner", UNNAMED)
def test_calls_without_ids_are_given_some(manner: str) -> None:
    """Each has one of its own, so that its result can name it."""
    assert read(*UNNAMED[manner]) == [("", "rain", '{"at":1}'), ("", "wind", '{"at":2}')]


def test_an_id_that_comes_late_begins_no_call() -> None:
    """The call keeps the id by which its first piece was handed on."""
    assert read([piece(0, None, "rain", '{"a')], [piece(0, "late", None, '":1}')]) == [
        ("", "rain", '{"a":1}')
    ]


def test_one_id_for_two_calls_is_made_two() -> None:
    """Otherwise the second would vanish in the first."""
    calls = read([piece(0, "same", "rain", "{}"), piece(1, "same", "wind", "{}")])
    assert calls == [("same", "rain", "{}"), ("", "wind", "{}")]


def test_the_call_of_before_there_were_tools_is_one() -> None:
    """Older servers know functions alone."""
    reader = CallReader()
    said = [{"name": "rain", "arguments": '{"a"'}, {"arguments": ":1}"}]
    found = [one for call in said for one in reader.read({"function_call": call})]
    assert [one.name for one in found] == ["rain", ""]
    assert "".join(one.args for one in found) == '{"a":1}'
    assert len({one.id for one in found}) == 1


@pytest.mark.parametrize("odd", [None, 7, {}, [7], [{"function": 7}], [{"id": 7, "index": "x"}]])
def test_calls_of_another_shape_break_nothing(odd: object) -> None:
    """They are read as far as they are calls."""
    for one in CallReader().read({"tool_calls": odd}):
        assert (one.name, one.args) == ("", "")


def test_a_name_with_every_piece_is_not_looked_at_for_ever() -> None:
    """Whether arguments are whole is asked of a call some times, and not of each of its pieces."""
    reader = CallReader()
    for number in range(3_000):
        args = '{"a": "' + "y" * 300_000 if not number else "x}"
        for one in reader.read({"tool_calls": [piece(0, None, "rain", args)]}):
            assert one.name == ("rain" if not number else "")
    assert len({call.id for call in reader._at.values()}) == 1


@pytest.mark.asyncio
async def test_a_choice_of_another_shape_is_none() -> None:
    """Nobody asked for it; the reply goes on."""
    odd = b'data: {"choices":[{"index":[0],"delta":{"content":"x"}}]}\n\n'
    async with serving() as server:
        server.answer(odd, *text("a"), END, DONE)
        heard = await hear(server)
    assert (heard.error, heard.text) == (None, "a")
