"""LangGraph's threads as conversations: kept whole, stored once, and gone when they are deleted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from graphs import put, thread, values  # type: ignore[import-not-found] # in this folder
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, ToolMessage

import convostore
from convostore.errors import DuplicateKeyError, InvalidTextError, StoreClosedError, TurnStateError
from convostore.integrations.langgraph import ConvostoreSaver
from convostore.parts import ToolCallPart, ToolResultPart
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from langchain_core.runnables import RunnableConfig

    from convostore import Store
    from tests.engines import Where

TABLES = ("checkpoint", "checkpoint_write", "checkpoint_item")
SECRET = "the password is swordfish-xqz"


@pytest_asyncio.fixture
async def store(path: Where) -> AsyncIterator[Store]:
    """Open a store."""
    async with convostore.open(path) as opened:
        yield opened


@pytest_asyncio.fixture
async def saver(store: Store) -> ConvostoreSaver:
    """Make a saver over it, in the loop of the test."""
    return ConvostoreSaver(store)


def human(text: str, id_: str | None = None) -> HumanMessage:
    """Make a message with an id made of its text."""
    return HumanMessage(text, id=id_ or f"h-{text}")


def ai(text: str, **more: Any) -> AIMessage:
    """Make an answer with an id made of its text."""
    return AIMessage(text, id=f"a-{text}", **more)


def everything(path: Where) -> str:
    """Return all that is stored of checkpoints and messages, as one text."""
    return repr([rows(path, f"SELECT * FROM {table}") for table in (*TABLES, "message")])


@pytest.mark.asyncio
async def test_thread_is_a_conversation_that_is_listed_and_searched(path: Where) -> None:
    """Roles, tool calls and results, model and title are there, below each other."""
    async with convostore.open(path) as store:
        saver = ConvostoreSaver(store)
        call = {"name": "weather", "args": {"city": "Kyoto"}, "id": "c1", "type": "tool_call"}
        about = {"model_name": "m-1", "model_provider": "far"}
        used = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        asked = ai("", tool_calls=[call], response_metadata=about, usage_metadata=used)
        told = ToolMessage("rain", tool_call_id="c1", name="weather", id="t")
        said = [human("Will it rain in Kyoto?"), asked, told]
        config = await put(saver, thread(), messages=said)
        await put(saver, config, 1, messages=[*said, ai("Take an umbrella")])
        chat = await store.resume("langgraph:42")
        found = await chat.history()
        assert [one.role for one in found] == ["user", "assistant", "tool", "assistant"]
        assert found[1].parts == (ToolCallPart("c1", "weather", '{"city":"Kyoto"}'),)
        assert found[2].parts == (ToolResultPart("c1", "weather", "rain"),)
        assert (found[1].model, found[3].text) == ("m-1", "Take an umbrella")
        tally = (await store.stats(by="model")).rows[0]
        assert (tally.name, tally.calls, tally.usage.input_tokens) == ("m-1", 1, 7)
        assert (await store.list()).items[0].title == "Will it rain in Kyoto?"
        assert [hit.seq for hit in (await store.search("umbrella")).items] == [4]
        assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_fork_and_changed_message_are_siblings(store: Store, saver: ConvostoreSaver) -> None:
    """What was said first stays; the conversation stands where the graph stands."""
    first = await put(saver, thread(), messages=[human("q")])
    await put(saver, first, 1, messages=[human("q"), ai("one")])
    await put(saver, first, 1, messages=[human("q"), ai("two")])
    await put(saver, first, 1, messages=[human("other", "h-q"), ai("three")])
    chat = await store.resume("langgraph:42")
    tree = [(one.seq, one.parent_seq, one.text) for one in await chat.messages()]
    assert tree == [
        *((1, None, "q"), (2, 1, "one"), (3, 1, "two")),
        *((4, None, "other"), (5, 4, "three")),
    ]
    assert [one.text for one in await chat.history()] == ["other", "three"]


@pytest.mark.asyncio
async def test_messages_that_a_graph_takes_out_stay_in_the_conversation(
    store: Store, saver: ConvostoreSaver
) -> None:
    """The record is not the window: it goes on below what the graph has dropped."""
    config = await put(saver, thread(), messages=[human("q"), ai("a")])
    await saver.aput_writes(config, [("messages", [RemoveMessage("h-q")])], "task")
    config = await put(saver, config, 1, messages=[ai("a"), human("more")])
    chat = await store.resume("langgraph:42")
    assert [one.text for one in await chat.history()] == ["q", "a", "more"]
    assert (await values(saver, config))["messages"] == [ai("a"), human("more")]


@pytest.mark.asyncio
async def test_what_stays_the_same_is_stored_once(store: Store, path: Where) -> None:
    """A list costs what is added to it, whatever else changes, and a large value one row."""
    saver, config, said = ConvostoreSaver(store), thread(), list[Any]()
    for step in range(20):
        said = [*said, human(f"q {step}"), ai(f"a {step}")]
        config = await put(saver, config, step, messages=said, plan="x" * 500, facts=["y" * 100])
    assert (await values(saver, config))["messages"] == said
    assert rows(path, "SELECT count(*) FROM checkpoint_item") == [(40 + 2,)]
    longest = rows(path, "SELECT max(length(state)) FROM checkpoint")[0][0]
    assert longest < 500


@pytest.mark.asyncio
async def test_list_in_any_order_is_read_as_it_was_and_stays_small(
    store: Store, path: Where
) -> None:
    """Very many runs are items themselves, which a list that goes on shares."""
    saver, there = ConvostoreSaver(store), [human(f"m {at}") for at in range(300)]
    config = await put(saver, thread(), messages=there)
    mixed = there[::-1]
    config = await put(saver, config, 1, messages=mixed)
    assert (await values(saver, config))["messages"] == mixed
    before = rows(path, "SELECT count(*) FROM checkpoint_item")
    config = await put(saver, config, 2, messages=[*mixed, there[0]])
    assert (await values(saver, config))["messages"] == [*mixed, there[0]]
    assert rows(path, "SELECT count(*) FROM checkpoint_item") == before
    assert rows(path, "SELECT max(length(state)) FROM checkpoint")[0][0] < 1_200
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_forgotten_message_is_in_no_checkpoint(store: Store, path: Where) -> None:
    """Not in lists, in writes, in copies without a name, in what the graph was given; others stay."""
    saver = ConvostoreSaver(store)
    given = {"messages": [{"role": "user", "content": SECRET}, ("user", SECRET)]}
    config = await put(saver, thread(), __start__=given)
    await saver.aput_writes(config, [("messages", [HumanMessage(SECRET)])], "task")
    said = [human("hello"), human(SECRET, "s"), ai("I see")]
    config = await put(saver, config, 1, messages=said, last=human(SECRET, "s"), note=SECRET)
    await saver.aput_writes(config, [("messages", human(SECRET, "s")), ("n", [SECRET])], "t2")
    inner = await put(saver, thread(namespace="sub:1"), messages=said, plan={"say": f"<{SECRET}>"})
    chat = await store.resume("langgraph:42")
    await chat.forget(2)
    assert "swordfish" not in everything(path)
    assert (await values(saver, config))["messages"] == [human("hello"), ai("I see")]
    assert (await values(saver, inner)) == {
        "messages": [human("hello"), ai("I see")],
        "plan": {"say": "<>"},
    }
    await put(saver, config, 2, messages=said)  # a graph that has it still in memory
    assert "swordfish" not in everything(path)
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_short_forgotten_text_takes_nothing_else_along(saver: ConvostoreSaver) -> None:
    """A word such as `yes` is taken from what says it, and from no other value."""
    config = await put(saver, thread(), messages=[human("yes"), ai("ok")], agreed="yes", yes=1)
    chat = await saver.store.resume("langgraph:42")
    await chat.forget(1)
    assert await values(saver, config) == {"messages": [ai("ok")], "agreed": "yes", "yes": 1}


@pytest.mark.asyncio
async def test_removed_branch_is_in_no_checkpoint(store: Store, path: Where) -> None:
    """The messages go, the checkpoints that had them stay without."""
    saver = ConvostoreSaver(store)
    first = await put(saver, thread(), messages=[human("q")])
    other = await put(saver, first, 1, messages=[human("q"), ai(SECRET)])
    await put(saver, first, 1, messages=[human("q"), ai("two")])
    await (await store.resume("langgraph:42")).delete_branch(2)
    assert "swordfish" not in everything(path)
    assert await values(saver, other) == {"messages": [human("q")]}
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_deleted_thread_leaves_nothing(store: Store, path: Where) -> None:
    """Neither rows, nor its conversation, nor one in the bin; another thread stays."""
    saver = ConvostoreSaver(store)
    for name in ("42", "43"):
        config = await put(saver, thread(name), messages=[human(f"{SECRET} {name}")])
        await saver.aput_writes(config, [("x", "y" * 100)], "task")
    await store.delete("langgraph:42")
    assert await saver.aget_tuple(thread()) is None  # in the bin it is no thread any more
    await saver.adelete_thread("42")
    await saver.adelete_thread("42")
    assert f"{SECRET} 42" not in everything(path)
    assert f"{SECRET} 43" in everything(path)
    assert len((await store.list()).items) == 1


@pytest.mark.only("sqlite", reason="it is about the bytes of a file")
@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["forget", "delete_thread"])
async def test_what_went_is_in_no_byte_of_the_file(store: Store, path: Path, how: str) -> None:
    """Neither in pages that were freed, nor in the log beside the file."""
    saver = ConvostoreSaver(store)
    config = await put(saver, thread(), __start__={"messages": [("user", SECRET)]})
    config = await put(saver, config, 1, messages=[human(SECRET, "s"), ai("ok")], note="z" * 9_000)
    await saver.aput_writes(config, [("messages", [HumanMessage(SECRET)])], "task")
    assert any(b"swordfish" in one.read_bytes() for one in path.parent.iterdir())
    if how == "forget":
        await (await store.resume("langgraph:42")).forget(1)
        assert (await values(saver, config))["messages"] == [ai("ok")]
    else:
        await saver.adelete_thread("42")
    assert not any(b"swordfish" in one.read_bytes() for one in path.parent.iterdir())


@pytest.mark.asyncio
async def test_thread_whose_conversation_is_in_the_bin_begins_anew(
    store: Store, saver: ConvostoreSaver
) -> None:
    """Also for a saver that has known the other one; so does one whose key was given away."""
    await put(saver, thread(), messages=[human("older")])
    await (await store.resume("langgraph:42")).reset()
    config = await put(saver, thread(), messages=[human("old")])
    assert await values(saver, config) == {"messages": [human("old")]}
    await store.delete("langgraph:42")
    config = await put(saver, thread(), messages=[human("new")])
    assert await values(saver, config) == {"messages": [human("new")]}
    assert [one.text for one in await (await store.resume("langgraph:42")).history()] == ["new"]


@pytest.mark.asyncio
async def test_pruned_thread_keeps_its_messages_and_what_its_channels_are_made_of(
    store: Store, path: Where
) -> None:
    """A channel that is kept as writes comes to the same afterwards, and nothing unnamed stays."""
    saver, config = ConvostoreSaver(store), thread()
    for step in range(4):
        more: dict[str, Any] = {"log": ["start"]} if step == 0 else {}
        config = await put(saver, config, step, counters={"log": (step, step)}, **more)
        await saver.aput_writes(config, [("log", [f"entry {step}"])], "task")
    config = await put(saver, config, 4, counters={"log": (4, 4)}, messages=[human("q")])
    history = await saver.aget_delta_channel_history(config=config, channels=["log", "none"])
    assert history["log"]["seed"] == ["start"]
    assert [one[2] for one in history["log"]["writes"]] == [[f"entry {at}"] for at in range(4)]
    assert history["none"] == {"writes": []}
    await saver.aprune(["42", "no such"])
    assert len(rows(path, "SELECT id FROM checkpoint")) == 1
    assert rows(path, "SELECT count(*) FROM checkpoint_write") == [(0,)]
    assert (await saver.aget_delta_channel_history(config=config, channels=["log", "none"])) == (
        history
    )
    assert (await store.check(deep=True)).problems == ()
    await saver.aprune(["42"], strategy="delete")
    assert [rows(path, f"SELECT count(*) FROM {one}") for one in TABLES] == [[(0,)]] * 3
    assert [one.text for one in await (await store.resume("langgraph:42")).history()] == ["q"]
    with pytest.raises(ValueError, match="keep_latest or delete"):
        await saver.aprune(["42"], strategy="some")


@pytest.mark.asyncio
async def test_messages_of_a_channel_kept_as_writes_are_shown(
    store: Store, saver: ConvostoreSaver
) -> None:
    """They are those that the step before has written, below what was shown there."""
    config = await put(saver, thread(), counters={"messages": (0, 1)})
    await saver.aput_writes(config, [("messages", human("q"))], "a")
    config = await put(saver, config, 1, counters={"messages": (1, 2)})
    await saver.aput_writes(config, [("messages", [ai("a")])], "b")
    await put(saver, config, 2, counters={"messages": (2, 3)})
    chat = await store.resume("langgraph:42")
    assert [one.text for one in await chat.history()] == ["q", "a"]


@pytest.mark.asyncio
async def test_copied_thread_goes_on_by_itself(store: Store, saver: ConvostoreSaver) -> None:
    """With its messages and its forks; the first one does not move, and a third is not overwritten."""
    first = await put(saver, thread(), messages=[human("q")])
    await put(saver, first, 1, messages=[human("q"), ai("one")])
    await put(saver, first, 1, messages=[human("q"), ai("two")])
    await saver.acopy_thread("42", "copy")
    copied = await saver.aget_tuple(thread("copy"))
    assert copied is not None
    await put(saver, copied.config, 2, messages=[human("q"), ai("two"), human("on")])
    texts = {
        name: [one.text for one in await (await store.resume(f"langgraph:{name}")).history()]
        for name in ("42", "copy")
    }
    assert texts == {"42": ["q", "two"], "copy": ["q", "two", "on"]}
    assert len(await (await store.resume("langgraph:copy")).messages()) == 4
    with pytest.raises(DuplicateKeyError, match="not empty"):
        await saver.acopy_thread("42", "copy")
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_all_threads_are_listed_page_by_page(saver: ConvostoreSaver) -> None:
    """Copies have the same ids, and none is left out where a page ends among them."""
    config = thread()
    for step in range(40):
        config = await put(saver, config, step, score=step % 2, value=step)
    for name in ("b", "c"):
        await saver.acopy_thread("42", name)
    found = [one async for one in saver.alist(None)]
    assert len({(str(one.config), one.checkpoint["id"]) for one in found}) == 120
    assert [one.checkpoint["id"] for one in found] == sorted(
        (one.checkpoint["id"] for one in found), reverse=True
    )
    odd = [one async for one in saver.alist(None, filter={"score": 1}, limit=50)]
    assert [one.metadata["step"] % 2 for one in odd] == [1] * 50
    assert [one async for one in saver.alist(None, filter={"$.step') OR 1=1 --": 1})] == []


@pytest.mark.asyncio
async def test_owner_sees_only_threads_of_their_own(store: Store) -> None:
    """The name of a thread is no credential."""
    alice = ConvostoreSaver(store.for_owner("alice"))
    bob = ConvostoreSaver(store.for_owner("bob"))
    config = await put(alice, thread(), messages=[human("mine")], run_id="r")
    assert await bob.aget_tuple(config) is None
    assert [one async for one in bob.alist(None)] == []
    await bob.adelete_thread("42")
    await bob.adelete_for_runs(["r"])
    await bob.aprune(["42"], strategy="delete")
    await bob.acopy_thread("42", "43")
    assert await values(alice, config) == {"messages": [human("mine")]}


@pytest.mark.asyncio
async def test_write_may_come_before_its_checkpoint(saver: ConvostoreSaver, path: Where) -> None:
    """A graph stores both at once; what a task wrote first stays, an error is replaced."""
    place: Any = {"configurable": {**thread()["configurable"], "checkpoint_id": "1"}}
    await saver.aput_writes(place, [("x", 1), ("__error__", "old")], "task", "~b")
    await saver.aput_writes(place, [("x", 2), ("__error__", "new")], "task", "~b")
    await saver.aput_writes(place, [("x", 3)], "another", "~a")
    assert rows(path, "SELECT count(*) FROM checkpoint_write") == [(3,)]
    from langgraph.checkpoint.base import empty_checkpoint

    await saver.aput(thread(), empty_checkpoint() | {"id": "1"}, {}, {})
    found = await saver.aget_tuple(place)
    assert found is not None
    assert found.pending_writes == [
        ("another", "x", 3), ("task", "__error__", "new"), ("task", "x", 1)
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_programs_that_put_at_once_lose_nothing(store: Store, path: Where) -> None:
    """Two of them, each with a fork of its own: every state is there, and numbers are given once."""
    async with convostore.open(path) as other:
        savers = [ConvostoreSaver(store), ConvostoreSaver(other)]
        first = await put(savers[0], thread(), messages=[human("q")])

        async def fork(at: int) -> tuple[RunnableConfig, AIMessage]:
            saver, said = savers[at % 2], ai(f"answer {at}")
            config = await put(saver, first, at, messages=[human("q"), said])
            await saver.aput_writes(config, [("messages", [said])], "task")
            return config, said

        for config, said in await asyncio.gather(*map(fork, range(12))):
            assert (await values(savers[1], config))["messages"] == [human("q"), said]
    assert len(await (await store.resume("langgraph:42")).messages()) == 13
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_damage_is_found(store: Store, path: Where) -> None:
    """An item that is gone, or is not as it was, or a message that is gone."""
    config = await put(ConvostoreSaver(store), thread(), messages=[human("q"), ai("a")])
    assert (await store.check(deep=True)).problems == ()
    await asyncio.to_thread(change, path, "DELETE FROM checkpoint_item WHERE number = 1")
    await asyncio.to_thread(change, path, "UPDATE checkpoint_item SET data = '1', message_seq = 9")
    problems = " ".join((await store.check(deep=True)).problems)
    assert "names item 1, which is gone" in problems
    assert "message 9, which shows it, is gone" in problems
    assert "not as it was stored" in problems
    with pytest.raises(convostore.errors.StoreCorruptError, match="parts of a checkpoint"):
        await values(ConvostoreSaver(store), config)


@pytest.mark.only("sqlite", reason="it is about loops and threads")
@pytest.mark.asyncio
async def test_saver_in_a_loop_serves_other_threads_and_loops(path: Path) -> None:
    """Without `await` it would wait for itself in its own loop, and says so."""
    async with ConvostoreSaver(path) as saver:
        config = await put(saver, thread(), messages=[human("q")])
        with pytest.raises(TurnStateError, match="wait for itself"):
            saver.get_tuple(config)
        assert await asyncio.to_thread(saver.get_tuple, config) is not None

        def elsewhere() -> Any:
            return asyncio.run(values(saver, config))

        assert await asyncio.to_thread(elsewhere) == {"messages": [human("q")]}
    with pytest.raises(StoreClosedError):
        await saver.aget_tuple(config)


@pytest.mark.only("sqlite", reason="it is about loops and threads")
def test_saver_without_a_loop_has_one_of_its_own(path: Path) -> None:
    """Each method is there without `await`, and with it in any loop."""
    with ConvostoreSaver(path) as saver:
        config = asyncio.run(put(saver, thread(), messages=[human("q")], run_id="r"))
        saver.put_writes(config, [("x", 1)], "task")
        assert [one.pending_writes for one in saver.list(thread())] == [[("task", "x", 1)]]
        saver.copy_thread("42", "43")
        assert next(iter(saver.list(None, limit=1))).config["configurable"]["thread_id"] == "42"
        assert saver.get_delta_channel_history(config=config, channels=["x"]) == {
            "x": {"writes": []}
        }
        saver.delete_for_runs(["r"])
        saver.prune(["43"], strategy="delete")
        saver.delete_thread("42")
        assert list(saver.list(None)) == []
    saver.close()


@pytest.mark.asyncio
async def test_value_that_cannot_be_stored_is_refused_by_its_channel(
    saver: ConvostoreSaver,
) -> None:
    """The error names the channel and the kind; names of threads are looked at as well."""
    with pytest.raises(InvalidTextError, match=r"channel 'tool' holds a builtins:object"):
        await put(saver, thread(), tool=[object()])
    inner: list[Any] = []
    inner.append(inner)
    with pytest.raises(InvalidTextError, match="holds itself"):
        await put(saver, thread(), loop=inner)
    with pytest.raises(InvalidTextError, match="NUL"):
        await put(saver, thread("a\0b"), x=1)
    with pytest.raises(InvalidTextError, match="1,000"):
        await put(saver, thread("x" * 10_000), x=1)
