"""LangGraph itself over our saver: its conformance suite, its hello-world killed, a long thread's size."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import environments

if TYPE_CHECKING:
    from tests.engines import Where

pytestmark = [pytest.mark.compat, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "langgraph.md"
TABLE = re.compile(
    r"(<!-- conformance: made by make test-compat -->\n).*?(<!-- end -->)", re.DOTALL
)
BEGIN = "from benchmarks.checkpoints import with_langgraph; with_langgraph()\n"

CONFORMANCE = """
import asyncio, json, sys, tempfile
from pathlib import Path
from importlib.metadata import version
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from convostore.integrations.langgraph import ConvostoreSaver
from tests.postgres_server import any_server

@checkpointer_test(name="convostore, SQLite")
async def on_sqlite():
    with tempfile.TemporaryDirectory() as folder:
        async with ConvostoreSaver(Path(folder) / "chats.db") as saver:
            yield saver

@checkpointer_test(name="convostore, PostgreSQL")
async def on_postgresql():
    name = server.make()
    async with ConvostoreSaver(server.of(name)) as saver:
        yield saver
    server.drop(name)

@checkpointer_test(name="LangGraph's AsyncSqliteSaver")
async def theirs():
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        yield saver

with any_server() as server:
    reports = [asyncio.run(validate(one)).to_dict() for one in (on_sqlite, on_postgresql, theirs)]
print(json.dumps([version("langgraph-checkpoint"), reports]))
"""

# Source: LangGraph's documentation, "Persistence": a graph of two nodes over a state with a reducer.
HELLO = """
import operator, os, sys
from typing import Annotated, TypedDict
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import END, START, StateGraph, add_messages
from convostore.integrations.langgraph import ConvostoreSaver

class State(TypedDict):
    foo: str
    bar: Annotated[list[str], operator.add]
    messages: Annotated[list[AnyMessage], add_messages]

def node_a(state: State):
    print("a", flush=True)
    return {"foo": "a", "bar": ["a"], "messages": [AIMessage("from a")]}

def node_b(state: State):
    print("b", flush=True)
    if sys.argv[2] == "hang":
        sys.stdin.read()  # until it is killed
    return {"foo": "b", "bar": ["b"], "messages": [AIMessage("from b")]}

workflow = StateGraph(State)
workflow.add_node(node_a)
workflow.add_node(node_b)
workflow.add_edge(START, "node_a")
workflow.add_edge("node_a", "node_b")
workflow.add_edge("node_b", END)

with ConvostoreSaver(sys.argv[1]) as saver:
    graph = workflow.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "1"}}
    given = {"foo": "", "bar": [], "messages": [("user", "hello world")]}
    done = graph.invoke(given if sys.argv[2] == "hang" else None, config, durability="sync")
    print(done["foo"], done["bar"], [one.content for one in done["messages"]])
    print(graph.get_state(config).next, len(list(graph.get_state_history(config))))
"""

# Everything that makes a state hard to keep: tasks beside each other, an interrupt, a graph within the
# graph, models, messages taken out again, a channel kept as writes, forks and edits of the past.
ALIKE = """
import operator, sys
from typing import Annotated, TypedDict
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel
from convostore.integrations.langgraph import ConvostoreSaver

class Item(BaseModel):
    n: int
    tags: set[str] = set()

class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    items: Annotated[list[Item], operator.add]
    files: dict[str, str]
    log: Annotated[list, DeltaChannel(lambda a, several: a + sum(several, []), list)]

class Inner(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]

def plan(state):
    call = {"name": "t", "args": {"x": 1}, "id": "c"}
    said = AIMessage("planning", id=f"p{len(state['messages'])}", tool_calls=[call])
    return {"messages": [said], "items": [Item(n=0, tags={"a"})], "log": ["plan"]}

def fan_out(state):
    return [Send("work", {"k": k, "messages": state["messages"]}) for k in range(3)]

def work(state):
    told = ToolMessage("told", tool_call_id="c", id=f"t{state['k']}-{len(state['messages'])}")
    return {"items": [Item(n=state["k"])], "log": [f"work {state['k']}"], "messages": [told]}

def ask(state):
    answer = interrupt({"question": "ok?", "of": (1, 2)})
    return {"files": {**(state.get("files") or {}), str(len(state["messages"])): answer * 50}}

def inner(state):
    return {"messages": [AIMessage("inner", id=f"i{len(state['messages'])}")]}

def trim(state):
    return {"messages": [RemoveMessage(id=one.id) for one in state["messages"][:-6]]}

within = StateGraph(Inner)
within.add_node("inner", inner)
within.add_edge(START, "inner")
builder = StateGraph(State)
for name, node in [("plan", plan), ("work", work), ("ask", ask), ("in", within.compile()), ("trim", trim)]:
    builder.add_node(name, node)
builder.add_edge(START, "plan")
builder.add_conditional_edges("plan", fan_out, ["work"])
for one, other in [("work", "ask"), ("ask", "in"), ("in", "trim"), ("trim", END)]:
    builder.add_edge(one, other)
thread = {"configurable": {"thread_id": "1"}}

def story(saver, prune):
    graph = builder.compile(checkpointer=saver)
    yield from (
        graph.invoke(given, thread)
        for n in range(4)
        for given in ({"messages": [HumanMessage(f"q{n}", id=f"h{n}")]}, Command(resume=f"yes {n}"))
    )
    past = list(graph.get_state_history(thread))
    for one in past:
        yield [one.next, one.values, one.metadata["source"], one.metadata["step"]]
        yield [(task.name, [each.value for each in task.interrupts]) for task in one.tasks]
    yield graph.invoke(None, [one.config for one in past if one.next == ("plan",)][1])
    yield graph.invoke(Command(resume="in the past"), thread)
    edited = {"messages": [HumanMessage("edited", id="h3")], "log": ["by hand"]}
    yield graph.get_state(graph.update_state(past[3].config, edited)).values
    prune(["1"])
    yield graph.get_state(thread).values
    yield graph.invoke({"messages": [HumanMessage("more", id="h9")]}, thread)

def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key != "__interrupt__"}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value

with ConvostoreSaver(sys.argv[1], types=[State]) as saver:
    ours = plain(list(story(saver, saver.prune)))
theirs = plain(list(story(InMemorySaver(), lambda _: None)))
print([at for at, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]], len(ours))
"""


def run(program: str, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program with LangGraph in a process of its own."""
    command = [sys.executable, "-c", BEGIN + program, *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, **more)


@pytest.fixture(scope="module", autouse=True)
def langgraph() -> None:
    """Install LangGraph, its saver and its suite, as they are pinned."""
    assert environments.make("langgraph_saver") is None


@pytest.fixture(scope="module")
def reports() -> list[dict[str, Any]]:
    """Run the suite on both engines, and on LangGraph's own saver; write the table into the docs."""
    of, found = json.loads(run(CONFORMANCE).stdout.splitlines()[-1])
    capabilities = list(found[0]["results"])
    lines = [
        f"langgraph-checkpoint {of}, langgraph-checkpoint-conformance 0.0.2; tests passed:\n",
        "| capability |" + "".join(f" {one['checkpointer_name']} |" for one in found),
        "|---|" + "---|" * len(found),
    ]
    lines += [
        f"| `{name}` |" + "".join(f" {_told(one['results'][name])} |" for one in found)
        for name in capabilities
    ]
    text = PAGE.read_text("utf-8")
    PAGE.write_text(TABLE.sub(lambda m: f"{m[1]}{chr(10).join(lines)}\n{m[2]}", text), "utf-8")
    return list(found)


def _told(result: dict[str, Any]) -> str:
    if not result["detected"]:
        return "not implemented"
    passed = result["tests_passed"]
    return f"{passed} of {passed + result['tests_failed']}"


@pytest.mark.parametrize("at", [0, 1], ids=["SQLite", "PostgreSQL"])
def test_every_capability_passes_every_test(reports: list[dict[str, Any]], at: int) -> None:
    """All of the suite's, base and extended, with nothing left out."""
    results = reports[at]["results"]
    assert len(results) == 8
    assert {name: one["failures"] for name, one in results.items() if one["failures"]} == {}
    assert all(one["detected"] and one["passed"] for one in results.values())


def test_hello_world_goes_on_where_it_was_killed(path: Where) -> None:
    """Killed in its second node, it begins with that one again: the first is not run twice."""
    command = [sys.executable, "-c", BEGIN + HELLO, str(path), "hang"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in "ab"] == ["a\n", "b\n"]
        os.kill(child.pid, signal.SIGKILL)
    done = run(HELLO, str(path), "resume").stdout.splitlines()
    assert done == ["b", "b ['a', 'b'] ['hello world', 'from a', 'from b']", "() 4"]
    shown = [sys.executable, "-m", "convostore", "--db", str(path), "show", "langgraph:1", "--json"]
    texts = [
        one["text"]
        for one in json.loads(subprocess.check_output(shown, text=True, cwd=ROOT))["messages"]
    ]
    assert texts == ["hello world", "from a", "from b"]


def test_graph_comes_to_the_same_as_with_a_saver_in_memory(path: Where) -> None:
    """Each state, each task and interrupt, forks of the past, and what goes on after pruning."""
    different, _, told = run(ALIKE, str(path)).stdout.partition("] ")
    assert (different, int(told) > 60) == ("[", True)


def test_thread_of_500_turns_with_three_forks_is_below_3_mb() -> None:
    """States share what they have in common; LangGraph's own saver needs some eighty times as much."""
    program = "from benchmarks.checkpoints import *\nprint(size_mb(ours, 500)[0] < GOAL_MB)"
    assert run(program).stdout == "True\n"
