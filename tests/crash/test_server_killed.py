"""The server itself dies, at once, while programs write: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore import Message
from convostore.errors import StoreError, StoreOpenError
from convostore.events import Finished
from convostore.testing import ScriptedProvider

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.postgres_server import OwnServer

TASKS = 8


@pytest.fixture(params=["postgresql", "postgresql+psycopg"])
def url(request: pytest.FixtureRequest, fragile_postgres: OwnServer) -> Iterator[str]:
    """Give a database of a server that may be killed, for each driver."""
    name = fragile_postgres.make()
    yield fragile_postgres.of(name).replace("postgresql", request.param, 1)
    if not fragile_postgres.is_running:
        fragile_postgres.start()
    fragile_postgres.drop(name)


async def stored_at_last(work: Callable[[], Any], errors: list[StoreError]) -> Any:
    """Repeat *work* until it is acknowledged, as a caller with ids or keys may."""
    while True:
        try:
            return await work()
        except StoreError as error:
            errors.append(error)
            await asyncio.sleep(0.02)


async def write_through(
    server: OwnServer, url: str, kills: int, chance: random.Random
) -> list[StoreError]:
    """Append and ask with eight tasks while the server is killed; hold what is kept against it."""
    provider, errors = ScriptedProvider(), list[StoreError]()
    provider.otherwise = ("an ", "answer", Finished())
    async with convostore.open(url, provider=provider, busy_timeout_s=0.5) as store:
        done = asyncio.Event()
        told: dict[str, list[int]] = {}
        asked: list[str] = []

        async def append(task: int) -> None:
            chat = await stored_at_last(lambda: store.get_or_create(f"room{task % 2}"), errors)
            number = 0
            while not done.is_set():
                number += 1
                text = f"{task}.{number}"
                pair = (Message.user(text), Message.assistant("to " + text))
                stored = await stored_at_last(partial(chat.append, *pair), errors)
                told[text] = [one.seq for one in stored]

        async def ask(task: int) -> None:
            chat = await stored_at_last(lambda: store.get_or_create(f"talk{task}"), errors)
            while not done.is_set():
                key = f"{task}.{len(asked)}"
                send = partial(chat.send, key, idempotency_key=key)
                await stored_at_last(send, errors)
                asked.append(key)

        tasks = [asyncio.create_task(append(n)) for n in range(TASKS)]
        tasks += [asyncio.create_task(ask(n)) for n in range(2)]
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.1, 0.4))
            await asyncio.to_thread(server.end, signal.SIGQUIT)
            await asyncio.sleep(chance.choice((0, 0.3, 0.8)))
            await asyncio.to_thread(server.start)
        await asyncio.sleep(0.2)
        done.set()
        await asyncio.gather(*tasks)
        await verify(store, told, asked)
    return errors


async def verify(store: convostore.Store, told: dict[str, list[int]], asked: list[str]) -> None:
    """Hold what is kept against what was acknowledged."""
    places: dict[str, list[int]] = {}
    for room in ("room0", "room1"):
        messages = await (await store.resume(room)).messages()
        assert [one.seq for one in messages] == list(range(1, len(messages) + 1))
        for one, answer in zip(messages[::2], messages[1::2], strict=True):
            assert answer.text == "to " + one.text
            assert one.text not in places, "stored twice"
            places[one.text] = [one.seq, answer.seq]
    assert places == told
    for talk in ("talk0", "talk1"):
        messages = await (await store.resume(talk)).messages()
        questions = [one.text for one in messages if one.role == "user"]
        assert questions == [key for key in asked if key.startswith(talk[-1] + ".")]
        for one in messages:
            if one.status == "completed" and one.role == "assistant":
                assert one.text == "an answer"
    assert (await store.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_server_killed_again_and_again_loses_and_doubles_nothing(
    fragile_postgres: OwnServer, url: str, chance: random.Random
) -> None:
    """Through five kills each append and each question is stored once, in order."""
    await write_through(fragile_postgres, url, 5, chance)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.asyncio
async def test_server_killed_two_hundred_times(
    fragile_postgres: OwnServer, url: str, chance: random.Random
) -> None:
    """The same through two hundred kills."""
    await write_through(fragile_postgres, url, 200, chance)


@pytest.mark.asyncio
async def test_server_that_is_gone_is_said_within_the_limit(
    fragile_postgres: OwnServer, url: str
) -> None:
    """Reads, writes and opening end in one error that says so; once it is back all goes on."""
    async with convostore.open(url, busy_timeout_s=0.3) as store:
        chat = await store.create(title="kept")
        fragile_postgres.end(signal.SIGQUIT)
        try:
            message = Message.user("not now")
            for verb in (chat.append(message), store.list()):
                async with asyncio.timeout(5):
                    with pytest.raises(StoreOpenError) as caught:
                        await verb
                assert caught.value.hint
            with pytest.raises(StoreOpenError, match="cannot be opened"):
                await convostore.open(url)
        finally:
            fragile_postgres.start()
        assert [one.seq for one in await chat.append(message)] == [1]
        assert [one.text for one in await chat.history()] == ["not now"]


def test_a_server_that_is_killed_while_a_stream_runs_keeps_what_was_on_disk(
    fragile_postgres: OwnServer, url: str
) -> None:
    """A turn that meets a restart goes on and ends completed, its journal cleared."""

    async def talk() -> None:
        provider = ScriptedProvider()
        provider.script("x" * 5000, provider.gate("killed"), "y" * 5000, Finished())
        async with convostore.open(url, provider=provider) as store:
            chat = await store.create()
            async with chat.stream("go") as turn:
                await anext(turn)
                await turn._journal.catch_up()
                restart = threading.Thread(target=_restart, args=(fragile_postgres,))
                restart.start()
                provider.gate("killed").open()
                await turn.drain()
                restart.join()
            (_, reply) = await chat.messages()
            assert (reply.status, reply.text) == ("completed", "x" * 5000 + "y" * 5000)
            assert (await store.check(deep=True)).problems == ()

    asyncio.run(talk())


def _restart(server: OwnServer) -> None:
    server.end(signal.SIGQUIT)
    server.start()
