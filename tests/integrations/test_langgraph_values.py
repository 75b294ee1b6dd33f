"""Values of a graph's state as JSON and back, and what no stored data can make happen."""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from pydantic import BaseModel

from convostore.errors import StoreCorruptError
from convostore.integrations.langgraph_kinds import classes_of, name_of
from convostore.integrations.langgraph_values import Reader, Writer
from convostore.storage.checkpoint_items import Piece, as_json


class Colour(Enum):
    """An enumeration of an application's."""

    RED = "red"


class Level(IntEnum):
    """One of numbers."""

    LOW = 1


class Point(NamedTuple):
    """A named tuple of an application's."""

    x: int
    y: int


@dataclass
class Plan:
    """A dataclass of an application's."""

    steps: list[Point]
    colour: Colour
    made: int = field(init=False, default=0)


class Order(BaseModel):
    """A model of an application's."""

    number: int
    plan: Plan | None = None


class Loud(HumanMessage):
    """A message of an application's own."""

    volume: int = 1


class State(TypedDict):
    """The state of a graph; what it names is what its values may be of."""

    orders: Annotated[list[Order], max]
    level: Level | None
    said: dict[str, Loud]


TYPES = classes_of([State])
MADE: list[str] = []  # what was made by a name that a stored value has


def back(tree: Any, types: dict[str, type[Any]] | None = None) -> Any:
    """Return a value as it is read, its pieces in their places."""

    def inline(one: Any) -> Any:
        if isinstance(one, Piece):
            return msgspec.json.decode(one.data)
        if isinstance(one, dict):
            return {key: inline(inner) for key, inner in one.items()}
        return [inline(inner) for inner in one] if isinstance(one, list) else one

    stored = msgspec.json.decode(as_json(inline(tree)))
    return Reader(TYPES if types is None else types, {}).value(stored)


def made_plan() -> Plan:
    """Make a plan whose last field is no argument."""
    plan = Plan([Point(1, 2)], Colour.RED)
    plan.made = 7
    return plan


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 0, -1.5, 2**80, "text", "", [], {}, [1, [2, {"a": None}]]),
        *((1, "a"), {1, 2}, frozenset({"b"}), deque([1, 2]), b"\0\xff", bytearray(b"x")),
        *(float("inf"), 1 + 2j, Decimal("1.10"), UUID(int=5), Path("a/b"), IPv4Address("10.0.0.1")),
        *(date(2026, 1, 2), timedelta(days=1, microseconds=3), ZoneInfo("Asia/Tokyo")),
        *(UTC, timezone(timedelta(hours=2), "X"), time(1, 2, fold=1)),
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        *(
            {1: "a", (2, 3): "b"},
            {"$": "human", "of": {"content": "x"}},
            {"$": 1},
            {"a": {"$": "item"}},
        ),
        *("half \ud800 a", {"\udfff": ["\ud801"]}, "a\0b", "\U0001f600"),
        *(Colour.RED, Level.LOW, Point(1, 2), made_plan(), Order(number=1, plan=made_plan())),
        _DeltaSnapshot([HumanMessage("q", id="1")]),
        *(
            Document("page", metadata={"n": 1}),
            SystemMessage("s"),
            ChatMessage(content="c", role="critic"),
        ),
        HumanMessage([{"type": "text", "text": "a"}, {"type": "image", "url": "u"}], name="Ann"),
        AIMessage(
            "a",
            id="x",
            tool_calls=[{"name": "t", "args": {"n": (1, 2)}, "id": "c"}],
            usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            additional_kwargs={"reasoning_content": "hm"},
        ),
        AIMessageChunk(content="a", id="x", chunk_position="last"),
        ToolMessage("t", tool_call_id="c", status="error", artifact={"raw": {1, 2}}),
        {"deep": [HumanMessage("q", id="1"), {"er": (AIMessage("a", id="2"),)}]},
        Loud(content="hi", id="1", volume=3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_comes_back_as_it_was(value: Any) -> None:
    """Of the same type and equal, also within lists and dictionaries."""
    for one in (value, [value], {"inner": {"of": value}}):
        found = back(Writer("c").value(one))
        assert (found, type(found)) == (one, type(one))
        assert repr(found) == repr(one)
    assert back(Writer("c").whole(value)) == value


def test_half_a_moment_in_a_zone_is_the_same_half() -> None:
    """Of two moments that a clock shows alike, the one that was meant."""
    value = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    assert back(Writer("c").value(value)).fold == 1


def test_values_of_kinds_that_json_knows_are_what_they_are_like() -> None:
    """Classes that add nothing to a dictionary or a list are given back as one."""
    assert back(Writer("c").value(defaultdict(int, a=1))) == {"a": 1}
    assert back(Writer("c").value(OrderedDict(b=1, a=2))) == {"b": 1, "a": 2}
    assert back(Writer("c").value(ValueError("no"))) == "ValueError('no')"
    assert back(Writer("c").value(re.compile("a+", re.IGNORECASE))) == re.compile("(?i)a+".replace("(?i)", ""), re.IGNORECASE)  # fmt: skip


def test_class_that_nobody_named_is_given_back_as_plain_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All of it is there, and it is said once which class that is."""
    tree = Writer("c").value(
        [Order(number=1), Colour.RED, Point(1, 2), Loud(content="hi", volume=3)]
    )
    found = back(tree, {})
    assert found[:3] == [{"number": 1, "plan": None}, "red", {"x": 1, "y": 2}]
    assert (type(found[3]), found[3].content) == (HumanMessage, "hi")
    assert any("types=[...]" in one.message for one in caplog.records)


def test_classes_are_named_by_the_state_that_has_them() -> None:
    """However deep: the models of its lists, the dataclass in a model, the enumeration in that."""
    assert set(TYPES) >= {name_of(one) for one in (Colour, Level, Point, Plan, Order, Loud)}
    assert not {"builtins:list", "builtins:str", name_of(State)} & set(TYPES)


def make(value: str = "", **_: Any) -> str:
    """Note that a stored value has had something made."""
    MADE.append(value)
    return value


@pytest.mark.parametrize("how", ["enum", "named", "data", "model"])
def test_no_stored_name_is_ever_imported_or_called(how: str) -> None:
    """A name that the application has not given is only a name, whatever it is of."""
    for name in (f"{__name__}:make", "os:system", "builtins:eval", "subprocess:Popen"):
        tree = {"$": how, "class": name, "of": {"value": "touch x"}}
        assert back([tree], {}) in (["touch x"], [{"value": "touch x"}])
    message = {"$": "human", "class": f"{__name__}:make", "of": {"content": "x"}}
    assert back([message], {}) == [HumanMessage("x")]
    assert MADE == []


@pytest.mark.parametrize(
    "tree",
    [
        *({"$": "eval", "of": "1"}, {"$": "bytes", "of": 1}, {"$": "date", "of": "never"}),
        *({"$": "human"}, {"$": "data", "of": {}}, {"$": "Pattern", "of": ["("]}),
        {"$": "ZoneInfo", "of": "../../etc/passwd"},
    ],
    ids=lambda tree: str(tree["$"]),
)
def test_value_that_was_changed_by_hand_is_an_error_of_ours(tree: Any) -> None:
    """Whatever stands there, nothing but a clear error comes of it."""
    with pytest.raises(StoreCorruptError, match="cannot be read"):
        back([tree])
