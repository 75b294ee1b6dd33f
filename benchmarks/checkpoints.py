"""How large a thread of LangGraph gets: ours beside the saver of its own for SQLite.

    python -m benchmarks.checkpoints [--turns 500] [--ours-only]

The same graph runs over both: a question and an answer a turn, then three times a few turns from a
checkpoint of the past. LangGraph comes from the environment of `make bench-peers`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import environments

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL_MB: Final = 3.0
FORKS: Final = 3
_OF_A_FORK: Final = 2  # turns
_ENVIRONMENT: Final = "langgraph_saver"
_QUESTION: Final = (
    "How does it go on, and why is that so? Tell me in a few words, please, number {}."
)
_ANSWER: Final = (
    "It goes on in small steps, one after the other, as it has since the beginning: {}."
)


def with_langgraph() -> None:
    """Let LangGraph be imported here, from the peers' environment."""
    if reason := environments.make(_ENVIRONMENT):
        sys.exit(f"LangGraph cannot be installed: {reason}")
    python = environments.python_of(_ENVIRONMENT)
    assert python is not None  # it was just made
    sys.path += [str(one) for one in python.parent.parent.glob("lib/python*/site-packages")]


def graph(saver: Any) -> Any:
    """Return a graph that answers, and keeps its states with *saver*."""
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    numbers = count()

    def model(_: Any) -> dict[str, Any]:
        number = next(numbers)
        about = {"model_name": "model", "finish_reason": "stop"}
        id_ = f"lc_run--{number:032x}"  # as chat models of LangChain make them
        return {"messages": [AIMessage(_ANSWER.format(number), id=id_, response_metadata=about)]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", model)
    builder.add_edge(START, "model")
    return builder.compile(checkpointer=saver)


def talk(saver: Any, turns: int) -> float:
    """Have a thread of so many turns, and its forks; return the seconds that a turn took."""
    agent, began_s = graph(saver), time.perf_counter()
    thread: dict[str, Any] = {"configurable": {"thread_id": "1"}}

    def ask(config: Any, number: int) -> None:
        agent.invoke({"messages": [("user", _QUESTION.format(number))]}, config)

    for number in range(turns):
        ask(thread, number)
    past = [one.config for one in agent.get_state_history(thread, limit=30 * FORKS)]
    for fork in range(FORKS):
        ask(past[30 * fork + 29], turns)
        for number in range(_OF_A_FORK - 1):
            ask(thread, turns + number)
    return (time.perf_counter() - began_s) / (turns + FORKS * _OF_A_FORK)


def ours(path: Path, turns: int) -> float:
    """Keep the thread in a store."""
    from convostore.integrations.langgraph import ConvostoreSaver

    with ConvostoreSaver(path) as saver:
        return talk(saver, turns)


def theirs(path: Path, turns: int) -> float:
    """Keep the thread with LangGraph's own saver."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    with SqliteSaver.from_conn_string(str(path)) as saver:
        return talk(saver, turns)


def size_mb(keep: Callable[[Path, int], float], turns: int) -> tuple[float, float]:
    """Return how large the file is, closed, in MB, and the seconds of a turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "thread.db"
        took_s = keep(path, turns)
        return sum(one.stat().st_size for one in Path(folder).iterdir()) / 1e6, took_s


def main() -> None:
    """Print the sizes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--ours-only", action="store_true")
    asked = parser.parse_args()
    with_langgraph()
    print(f"one thread, {asked.turns} turns, {FORKS} forks of {_OF_A_FORK} turns more")
    for name, keep in (("convostore", ours), ("LangGraph's SqliteSaver", theirs)):
        if keep is ours or not asked.ours_only:
            size, took_s = size_mb(keep, asked.turns)
            print(f"{name:24} {size:8.2f} MB, {took_s * 1000:.0f} ms a turn", flush=True)


if __name__ == "__main__":
    main()
