"""How is measured: quiet time, percentiles, the worker's protocol, what is done by hand."""

from __future__ import annotations

import compileall
import re
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import convostore
from benchmarks import environments, library, machine
from benchmarks.byhand.same import Same
from benchmarks.byhand.shelf import handle
from benchmarks.child import Child, ChildError
from benchmarks.ours.chats import Convostore
from benchmarks.stopwatch import Spent, Stopwatch, percentile, quiet, sync_cost_s
from benchmarks.systems import LIMIT, OURS, SAME, SYSTEMS, named
from benchmarks.workloads import FULL, QUICK, workloads
from convostore.storage import sqlite as database_module
from convostore.storage.sqlite import connect_writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterator

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("spent", "expected_s"),
    [
        (Spent(elapsed_s=1.0, waiting_s=0.0, cpu_s=0.5, busiest_s=0.5), 1.0),
        (Spent(elapsed_s=1.0, waiting_s=0.4, cpu_s=0.5, busiest_s=0.5), 0.6),
        (Spent(elapsed_s=1.0, waiting_s=0.9, cpu_s=0.5, busiest_s=0.3), 0.3),
        (Spent(elapsed_s=1.0, waiting_s=3.0, cpu_s=1.6, busiest_s=0.4), 0.8),
        (Spent(elapsed_s=1.0, waiting_s=-0.1, cpu_s=2.5, busiest_s=1.2), 1.0),
    ],
)
def test_quiet_time_leaves_out_waits_but_never_work(spent: Spent, expected_s: float) -> None:
    """Waits for a CPU do not count, what was computed does, and nothing passes the elapsed time."""
    assert quiet(spent, cores=2) == pytest.approx(expected_s)


def test_stopwatch_adds_its_stretches() -> None:
    """Two stretches count together, what lies between them does not."""
    watch = Stopwatch()
    for _ in range(2):
        with watch:
            sum(range(20_000))
    assert 0 < watch.spent.busiest_s <= watch.spent.cpu_s * 1.5 + 0.01
    assert 0 < watch.spent.quiet_s <= watch.spent.elapsed_s


def test_code_has_a_hash_that_tells_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code gives the same hash, a changed file another one."""
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "benchmarks" / "machine.py"))
    file = tmp_path / "convostore" / "store.py"
    file.parent.mkdir()
    file.write_text("a = 1\n")
    before = machine.code()
    assert machine.code() == before
    file.write_text("a = 2\n")
    assert machine.code() != before


def test_percentiles_and_syncs(tmp_path: Path) -> None:
    """The 99th percentile of a hundred values is the last but one; a sync takes some time."""
    values = [float(value) for value in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert percentile([], 0.5) != percentile([], 0.5)  # there is none
    assert sync_cost_s(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def limit(tmp_path: Path) -> Iterator[Child]:
    """Run the worker of the raw limit."""
    with Child(named(LIMIT), Path(sys.executable), tmp_path) as child:
        yield child


def test_worker_writes_for_a_while_and_says_what_it_cost(limit: Child, tmp_path: Path) -> None:
    """Open, write in two ways, fill, load, close: one line each, every turn counted."""
    limit.ask({"do": "open", "path": str(tmp_path / "chats.db")}, within_s=20)
    write = {"do": "write", "seconds": 0.05, "turns_each": 2}
    results = [
        limit.ask({**write, "operation": operation, "tasks": tasks}, within_s=20)
        for operation, tasks in (("append", 1), ("append", 4), ("turn", 1), ("turn", 4))
    ]
    assert all(result["operations"] > 0 and result["errors"] == {} for result in results)
    assert all(0 < result["quiet_s"] <= result["elapsed_s"] for result in results)
    found = limit.ask({"do": "once", "verb": "count", "arguments": []}, within_s=20)
    assert found == 2 * sum(result["operations"] for result in results)
    limit.ask({"do": "fill", "chat": "long", "arguments": [10]}, within_s=20)
    loaded = {"do": "repeat", "verb": "load", "chat": "long", "seconds": 0.01}
    assert limit.ask(loaded, within_s=20)["found"] == 10
    limit.ask({"do": "close"}, within_s=20)


def test_worker_goes_on_after_a_command_that_failed(limit: Child) -> None:
    """An error is an answer; a child that has ended is an error, too."""
    with pytest.raises(ChildError, match="do_nonsense"):
        limit.ask({"do": "nonsense"}, within_s=20)
    assert limit.ask({"do": "versions"}, within_s=20) == {}
    limit.end()
    with pytest.raises(ChildError):
        limit.ask({"do": "versions"}, within_s=20)


def test_every_adapter_compiles_and_stands_in_the_registry() -> None:
    """Each adapter's file is Python, has its class, and its environment has pinned requirements."""
    assert compileall.compile_dir(BENCHMARKS, quiet=2, force=True)
    for system in SYSTEMS:
        module, _, name = system.adapter.partition(":")
        file = BENCHMARKS.parent / f"{module.replace('.', '/')}.py"
        assert f"class {name}" in file.read_text("utf-8"), system.name
    used = {system.environment for system in SYSTEMS} - {environments.OWN}
    assert used == set(environments.names())
    for environment in used:
        pins = (BENCHMARKS / "peers" / f"{environment}.txt").read_text("utf-8").splitlines()
        assert all("==" in pin for pin in pins), environment


def test_workloads_have_a_name_each_and_systems_that_exist() -> None:
    """Quick and full measure the same things, each under one name."""
    quick, full = workloads(QUICK), workloads(FULL)
    huge = [one.id for one in full if one.id.startswith("huge-")]
    assert [one.id for one in quick] == [one.id for one in full if one.id not in huge]
    assert len(huge) == 11
    assert len({one.id for one in quick}) == len(quick)
    assert all(named(system) for one in quick for system in one.systems)
    assert {OURS, SAME} <= {system for one in quick for system in one.systems}


def test_handles_of_a_filled_store_are_unique() -> None:
    """A hundred thousand numbers give as many handles."""
    assert len({handle(number) for number in range(100_000)}) == 100_000


# -- by hand is the same as ours ------------------------------------------------------------------


class Heard:
    """The first words of the statements of both writing connections."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def hear(self, statement: str) -> None:
        """Note what is done to which table, without values."""
        tables = re.findall(r"(?:FROM|INTO|UPDATE) (conversation|message|journal)\b", statement)
        self.statements.append(" ".join([statement.split(maxsplit=1)[0], *tables[-1:]]))

    def take(self) -> list[str]:
        """Return what was heard, and begin again."""
        heard, self.statements = sorted(self.statements), []
        return heard


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Listen to convostore's writing connections."""
    ears = Heard()

    def connect(path: Path) -> sqlite3.Connection:
        connection = connect_writer(path)
        connection.set_trace_callback(ears.hear)
        return connection

    monkeypatch.setattr(database_module, "connect_writer", connect)
    return ears


@pytest_asyncio.fixture
async def ours(tmp_path: Path, heard: Heard) -> AsyncIterator[Convostore]:
    """Open convostore's own adapter; its writer is listened to."""
    del heard
    adapter = Convostore()
    await adapter.open(str(tmp_path / "ours.db"))
    yield adapter
    await adapter.close()


@pytest.mark.usefixtures("index_at_rest")
@pytest.mark.asyncio
@pytest.mark.parametrize("operation", ["append", "turn"])
async def test_same_by_hand_runs_the_statements_that_we_run(
    operation: str, ours: Convostore, heard: Heard, tmp_path: Path
) -> None:
    """In one more turn of a conversation, both do the same to the same tables, as often."""
    chat = await ours.create()
    await getattr(ours, operation)(chat, "Why?", "Because.")
    heard.take()
    await getattr(ours, operation)(chat, "Why?", "Because.")
    by_us = heard.take()
    same = Same()
    same.open(str(tmp_path / "same.db"))
    name = same.create()
    getattr(same, operation)(name, "Why?", "Because.")
    same.connection.set_trace_callback(heard.hear)
    getattr(same, operation)(name, "Why?", "Because.")
    by_hand = heard.take()
    same.close()
    assert by_hand == by_us


@pytest.mark.asyncio
async def test_same_by_hand_leaves_a_store_that_is_sound(tmp_path: Path) -> None:
    """What is written by hand passes convostore's own deep check, hashes and all."""
    same = Same()
    same.open(str(tmp_path / "same.db"))
    chats = [same.create() for _ in range(3)]
    same.append_group([(chat, "Why?", "Because.") for chat in chats])
    same.turn_group([(chat, "Really?", "Yes.") for chat in chats])
    same.append(same.fill(4), "Why?", "Because.")
    same.close()
    async with convostore.open(tmp_path / "same.db") as store:
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_library_is_made_as_it_is_said_to_be(tmp_path: Path) -> None:
    """Many lengths, or one each; what is planted is found, and each verb measures something."""
    for one_each in (False, True):
        adapter = Convostore()
        await adapter.open(str(tmp_path / f"{one_each}.db"))
        await adapter.library(600, one_each, 1, 0)
        facts = await adapter.facts()
        assert facts["messages"] == 600
        assert (facts["conversations"] == 600) is one_each
        assert 900 < facts["characters"] / 600 < 1_600
        assert 1 < facts["plain"] < facts["indexed"] < 5
        assert await adapter.rare() == 1
        assert await adapter.common() == await adapter.common_newest() == 20
        assert await adapter.everywhere() == 20
        assert (await adapter.found_at_once(3))["found"] == 1
        chat = await adapter.fill(100)
        assert await adapter.resume(chat) == await adapter.raw_rows(chat) == 100
        assert (await adapter.store.check(deep=True)).problems == ()
        await adapter.close()


def test_seed_makes_the_same_library_again() -> None:
    """The lengths of conversations and all texts, up to the last word."""
    makers = [library.Texts(Random(7), 100) for _ in range(2)]
    made = [
        (
            list(library.lengths(Random(7), 5_000, one_each=False)),
            [maker.text(number) for number in range(200)],
        )
        for maker in makers
    ]
    assert made[0] == made[1]
    lengths, texts = made[0]
    assert sum(lengths) == 5_000
    assert max(lengths) > 100
    assert sorted(lengths)[len(lengths) // 2] < 20
    assert [number for number, text in enumerate(texts) if library.RARE in text] == [50, 150]
