"""What goes wrong between a store and its server: once, nothing lost, an error that says it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from asyncpg.exceptions import InternalClientError
from sqlalchemy import func, select

import convostore
from convostore.errors import (
    DuplicateKeyError,
    StoreBusyError,
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreOpenError,
)
from convostore.events import Finished
from convostore.ids import new_id
from convostore.records import Message, Usage
from convostore.storage import postgres_schema
from convostore.storage.checkpoint_items import MESSAGES, Piece, Shown, hash_of
from convostore.storage.checkpoints import NewWrite
from convostore.storage.exchanges import NewMessage
from convostore.storage.postgres import READERS, PostgresDatabase
from convostore.storage.statements import Hot
from convostore.testing import ScriptedProvider
from tests.engines import change, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from convostore import Store
    from convostore.storage.statements import Tx
    from tests.engines import Where

pytestmark = [
    pytest.mark.only("postgres", "psycopg", reason="it is about the server"),
    pytest.mark.usefixtures("index_at_rest"),  # so that a fault meets what it is meant for
]

NOWHERE = {"namespace": "", "parent_id": None, "run_id": None, "metadata": "{}"}
_SLEEP = Hot(select(func.pg_sleep(2)))


@pytest_asyncio.fixture
async def patient(path: Where) -> AsyncIterator[Store]:
    """Open a store whose writes are tried again for longer than a busy machine takes for one."""
    async with convostore.open(path, busy_timeout_s=20) as opened:
        yield opened


async def database_of(store: Store) -> PostgresDatabase:
    """Return the store's database."""
    database = (await store._opener.opened()).database
    assert isinstance(database, PostgresDatabase)
    return database


class Raising:
    """A group function: the server raises an error of the given state the first so many times."""

    def __init__(self, state: str, times: int = 1) -> None:
        self.state, self.left, self.calls = state, times, 0

    def __call__(self, tx: Tx, _: str, jobs: Sequence[str]) -> list[Any]:
        """Store the names, or fail."""
        self.calls += 1
        for job in jobs:
            tx.cursor.execute("INSERT INTO store_meta VALUES ('" + job + "', 'x')")
        if self.left:
            self.left -= 1
            tx.cursor.execute(
                f"DO $$ BEGIN RAISE EXCEPTION 'forced' USING ERRCODE = '{self.state}'; END $$"
            )
        return list(jobs)


def names(path: Where) -> list[str]:
    """Return the names that were stored."""
    return [name for (name,) in rows(path, "SELECT name FROM store_meta WHERE value = 'x'")]


@pytest.mark.asyncio
async def test_store_opens_although_its_first_connection_is_ended(
    path: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice is bad luck; a third time it is the server's wish, and said."""
    look, ended = postgres_schema._revision, list[int]()

    async def revision(driver: Any, connection: Any, server: Any) -> str:
        if left:
            ended.append(left.pop())
            rows(
                path,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE"
                " datname = current_database() AND application_name = 'convostore'",
            )
        return await look(driver, connection, server)

    monkeypatch.setattr(postgres_schema, "_revision", revision)
    left = [1, 2]
    async with convostore.open(path) as store:
        assert await store.create()
    left = [1, 2, 3]
    with pytest.raises(StoreOpenError, match="cannot be opened"):
        await convostore.open(path)
    assert len(ended) == 5


@pytest.mark.asyncio
@pytest.mark.parametrize("state", ["40001", "40P01"])
async def test_serialization_failure_and_deadlock_are_run_again(
    patient: Store, path: Where, state: str
) -> None:
    """The caller never hears of a transaction that only has to be run again."""
    function = Raising(state, times=2)
    assert await (await database_of(patient)).write(function, "", "name") == "name"
    assert function.calls == 3
    assert names(path) == ["name"]


@pytest.mark.asyncio
async def test_what_never_passes_ends_in_a_busy_store(store: Store, path: Where) -> None:
    """Tries are bounded by the store's patience; then it is certain that nothing was stored."""
    with pytest.raises(StoreBusyError, match="nothing was stored"):
        await (await database_of(store)).write(Raising("40001", times=10_000), "", "name")
    assert names(path) == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", StoreFullError),
        ("XX001", StoreCorruptError),
        ("57014", StoreBusyError),
        ("55P03", StoreBusyError),
        ("25006", StoreOpenError),
        ("42501", StoreOpenError),
        ("42P01", StoreError),
    ],
)
async def test_each_trouble_of_the_server_is_an_error_of_ours(
    store: Store, path: Where, state: str, error: type[StoreError]
) -> None:
    """A full disk, a broken page, a timeout: named, with what to do, and nothing is stored."""
    database = await database_of(store)
    with pytest.raises(error) as caught:
        await database.write(Raising(state), "", "name")
    assert type(caught.value) is error
    assert caught.value.hint
    assert names(path) == []
    assert await database.write(Raising(state, times=0), "", "next") == "next"


@pytest.mark.asyncio
async def test_a_bad_job_fails_alone(store: Store, path: Where) -> None:
    """A name that is stored already takes none of its neighbours with it."""
    database = await database_of(store)
    function = Raising("", times=0)
    await database.write(function, "", "b")
    outcomes = await asyncio.gather(
        *(database.write(function, "", name) for name in "abc"), return_exceptions=True
    )
    assert [type(one) for one in outcomes] == [str, StoreError, str]
    assert sorted(names(path)) == ["a", "b", "c"]


@pytest.mark.asyncio
async def test_statement_timeout_is_a_busy_store_that_may_be_tried_again(
    path: Where, store: Store
) -> None:
    """An operator's limit on statements ends a slow read as busy; the next one is answered."""
    database = await database_of(store)
    name = str(path).partition("?")[0].rpartition("/")[2]
    change(path, f"ALTER DATABASE {name} SET statement_timeout = '100ms'")
    await database._connections.drop_idle()
    with pytest.raises(StoreBusyError) as caught:
        await database.read(_SLEEP)
    assert caught.value.retryable
    assert (await store.list()).items == ()


@pytest.mark.asyncio
async def test_when_every_connection_is_in_use_a_reader_waits_and_gives_up(store: Store) -> None:
    """A reader that finds no connection within the store's patience is told so."""
    database = await database_of(store)
    slow = [asyncio.create_task(database.read(_SLEEP)) for _ in range(READERS)]
    await asyncio.sleep(0)
    with pytest.raises(StoreBusyError, match="every connection"):
        await store.list()
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert (await store.list()).items == ()


@pytest.mark.asyncio
async def test_store_whose_server_became_read_only_looks_for_another(
    path: Where, store: Store
) -> None:
    """A write to a standby is refused and says so; the next one asks for a connection anew."""
    chat = await store.create()
    name = str(path).partition("?")[0].rpartition("/")[2]
    change(path, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    cut_connections(path)
    message = Message.user("q")
    with pytest.raises(StoreOpenError, match="read-only"):
        await chat.append(message)
    change(path, f"BEGIN READ WRITE; ALTER DATABASE {name} RESET ALL; COMMIT")
    assert [one.seq for one in await chat.append(message)] == [1]


def cut_connections(path: Where) -> int:
    """End every connection of the program, as an administrator does."""
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'convostore'"
    )
    return len(rows(path, sql))


@pytest.mark.asyncio
async def test_idle_connections_that_were_cut_are_replaced(patient: Store, path: Where) -> None:
    """After a restart of the server nobody hears of it: reading and writing just go on."""
    chat = await patient.create(title="kept")
    for _ in range(3):
        assert cut_connections(path) >= 2
        await chat.append(Message.user("q"))
        assert (await patient.find("@")).title == "kept"
    assert len(await chat.messages()) == 3


@pytest.mark.asyncio
async def test_connections_cut_while_writing_lose_and_double_nothing(path: Where) -> None:
    """Appends and reads of sixteen tasks go on through thirty cuts; each is stored once."""
    async with convostore.open(path) as store:
        chats = [await store.create() for _ in range(4)]
        done = asyncio.Event()
        stored: list[tuple[str, int]] = []

        async def work(task: int) -> None:
            number = 0
            while not done.is_set():
                number += 1
                text = f"{task}.{number}"
                chat = chats[number % 4]
                pair = await chat.append(Message.user(text), Message.assistant("to " + text))
                stored.append((text, pair[0].seq))
                await store.list()

        tasks = [asyncio.create_task(work(task)) for task in range(16)]
        for _ in range(30):
            await asyncio.sleep(0.02)
            cut_connections(path)
        done.set()
        await asyncio.gather(*tasks)
        kept = {one.text: one.seq for chat in chats for one in await chat.messages()}
        assert sum([len(await chat.messages()) for chat in chats]) == 2 * len(stored) == len(kept)
        assert all(kept[text] == seq for text, seq in stored)
        assert (await store.check(deep=True)).problems == ()


@asynccontextmanager
async def answers_lost(store: Store, times: int = 1) -> AsyncIterator[None]:
    """Commit, and lose the answer, so many times."""
    database = await database_of(store)
    made = database._driver.writing
    left = times

    async def writing() -> Any:
        connection = await made()
        commit = connection.commit

        def lose() -> None:
            nonlocal left
            commit()
            if left:
                left -= 1
                raise ConnectionResetError("the answer was lost")

        class Losing:
            """The connection, but for its commit."""

            def __getattr__(self, name: str) -> Any:
                return lose if name == "commit" else getattr(connection, name)

        return Losing()

    await database._writer._forget()
    database._driver.writing = writing  # type: ignore[method-assign] # for this test
    yield
    assert left == 0
    database._driver.writing = made  # type: ignore[method-assign] # as it was


@pytest.mark.asyncio
async def test_conversation_whose_answer_was_lost_is_made_once(patient: Store) -> None:
    """With and without a key, with its system text; a key that is really taken is refused."""
    await patient.create(title="first")
    for key in (None, "room"):
        async with answers_lost(patient, 2):
            chat = await patient.create(title="again", key=key, system="be kind")
        assert [one.text for one in await chat.history()] == ["be kind"]
    with pytest.raises(DuplicateKeyError):
        await patient.create(key="room")
    assert [one.title for one in (await patient.list()).items] == ["again", "again", "first"]


@pytest.mark.asyncio
async def test_keeping_whose_answer_was_lost_is_done_once(patient: Store) -> None:
    """The second try finds the conversation by its id, and returns the handle that it has there."""
    chat = await patient.create(key="room", ephemeral=True)
    await chat.append(Message.user("q"), Message.assistant("a"))
    await patient.create(title="the owner is there")
    async with answers_lost(patient, 2):
        await chat.keep()
    assert [one.text for one in await chat.history()] == ["q", "a"]
    assert (await patient.get_or_create("room")).handle == chat.handle
    assert len((await patient.list()).items) == 2
    assert (await patient.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_append_whose_answer_was_lost_is_stored_once(patient: Store) -> None:
    """The second try finds the messages by their ids and returns the same places."""
    chat = await patient.create()
    async with answers_lost(patient, 2):
        stored = await chat.append(Message.user("q"), Message.assistant("a"))
    assert [one.seq for one in stored] == [1, 2]
    assert len(await chat.messages()) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [None, "once"])
async def test_turn_whose_answers_were_lost_is_one_turn(patient: Store, key: str | None) -> None:
    """Neither its beginning nor its end is doubled, branched off, or taken for somebody else's."""
    provider = ScriptedProvider()
    provider.answer("Hello")
    chat = await patient.create()
    async with answers_lost(patient):
        turn = chat.stream("Hi", provider=provider, idempotency_key=key)
        await turn.__aenter__()
    async with answers_lost(patient):
        reply = await turn.drain()
    await turn.__aexit__(None, None, None)
    assert (turn.branched, turn.user.seq, reply.seq, reply.status) == (False, 1, 2, "completed")
    assert turn.user.content_hash == (await chat.messages())[0].content_hash
    assert [(one.role, one.text) for one in await chat.messages()] == [
        ("user", "Hi"),
        ("assistant", "Hello"),
    ]
    assert len(provider.calls) == 1
    assert (await patient.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_summary_whose_answers_were_lost_is_made_once(patient: Store) -> None:
    """The second try of its beginning and of its end finds the row by its lease."""
    provider = ScriptedProvider()
    provider.script(provider.gate("summing"), "They talked.", Finished())
    chat = await patient.create()
    await chat.append(Message.user("plum " * 20), Message.assistant("a"))
    await chat.append(Message.user("q"), Message.assistant("b"))
    async with answers_lost(patient):
        making = asyncio.create_task(chat.compact(keep_turns=1, provider=provider))
        await provider.gate("summing").arrive()
    async with answers_lost(patient):
        provider.gate("summing").open()
        assert await making == (await chat.summaries())[0]
    async with answers_lost(patient):
        await chat.uncompact()
    assert await chat.summaries() == ()
    assert (await patient.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_branch_whose_answer_was_lost_is_still_a_branch(patient: Store) -> None:
    """Where the head had moved, the second try says so too, and the head stays."""
    provider = ScriptedProvider()
    provider.answer("Hello")
    chat = await patient.create()
    other = await patient.resume(chat.id)
    await other.append(Message.user("elsewhere"))
    async with answers_lost(patient):
        turn = chat.stream("Hi", provider=provider)
        await turn.__aenter__()
    await turn.drain()
    await turn.__aexit__(None, None, None)
    assert turn.branched
    assert (await patient.find("@")).head_seq == 1


@pytest.mark.asyncio
async def test_branch_work_whose_answer_was_lost_is_done_once(patient: Store) -> None:
    """A second answer, a fork, a switch, a way back and a removal each leave what one try would."""
    provider = ScriptedProvider()
    provider.answer("again")
    chat = await patient.create()
    await chat.append(Message.user("q"), Message.assistant("a"))
    async with answers_lost(patient):
        turn = chat.regenerate(provider=provider)
        await turn.__aenter__()
    reply = await turn.drain()
    await turn.__aexit__(None, None, None)
    assert not turn.branched
    async with answers_lost(patient):
        await chat.fork()
    async with answers_lost(patient):
        await chat.switch(2)
    async with answers_lost(patient):
        left = await chat.back()
    assert (left and left.text, [one.text for one in await chat.history()]) == ("a", ["q"])
    async with answers_lost(patient):
        await chat.rewind()
    assert await chat.history() == ()
    await chat.switch(2)
    async with answers_lost(patient):
        await chat.delete_branch(reply.seq)
    assert [one.text for one in await chat.messages()] == ["q", "a"]
    assert [one.message_count for one in (await patient.list()).items] == [2, 2]


@pytest.mark.asyncio
async def test_title_whose_answers_were_lost_is_counted_once(patient: Store) -> None:
    """The call has an id of its own, by which the second try finds it counted."""
    provider = ScriptedProvider()
    provider.answer("Kyoto")
    chat = await patient.create()
    await chat.append(Message.user("q"))
    async with answers_lost(patient, 2):
        made = await chat.generate_title(provider=provider)
    assert (made.title, made.source) == ("Kyoto", "generated")
    assert (await patient.stats()).total.calls == 1


@pytest.mark.asyncio
async def test_erasing_whose_answer_was_lost_has_erased(patient: Store) -> None:
    """Once, and what is made for that name afterwards stays."""
    await patient.for_owner("alice").create(title="hers")
    alice = patient.for_owner("alice")
    async with answers_lost(patient):
        assert (await alice.erase_owner()).conversations == 1
    await alice.create(title="anew")
    assert [one.name for one in await patient.owners()] == ["alice"]
    assert len((await alice.list()).items) == 1


@pytest.mark.asyncio
async def test_purge_whose_answer_was_lost_is_a_purge(patient: Store) -> None:
    """It counts as made, and so does the note of a scrub that is taken away."""
    chat = await patient.create(title="one")
    await chat.append(Message.user("q"))
    async with answers_lost(patient):
        assert await chat.forget(1)
    await chat.delete()
    async with answers_lost(patient):
        report = await patient.purge("@")
    assert (report.found, report.changed) == (1, 1)
    async with answers_lost(patient):
        assert (await patient.scrub()).was_owed
    assert not (await patient.scrub()).was_owed


@pytest.mark.asyncio
async def test_room_work_whose_answer_was_lost_is_done_once(patient: Store) -> None:
    """Another key, a new beginning, and a person who is forgotten, with their own room."""
    chat = await patient.get_or_create("old")
    said = [Message.user(who, author_id=who) for who in ("ann", "bob")]
    await chat.append(*said)
    async with answers_lost(patient):
        assert await patient.rename_key("old", "new")
    async with answers_lost(patient):
        before = await chat.reset()
    assert chat.key == "new"
    async with answers_lost(patient):
        await patient.forget(user="ann")
    old = await patient.resume(before.id)
    assert [one.text for one in await old.messages()] == ["", "bob"]
    async with answers_lost(patient):
        assert (await patient.forget(user="bob")).busy == 0
    assert [one.key for one in (await patient.list()).items] == ["new"]
    assert (await patient.check(deep=True)).problems == ()


@pytest.mark.asyncio
async def test_late_sibling_whose_answer_was_lost_is_made_once(patient: Store, path: Where) -> None:
    """A writer that was taken for dead keeps its words beside the interrupted reply, once."""
    provider = ScriptedProvider()
    provider.script("half", provider.gate("rest"), " whole", Finished())
    chat = await patient.create()
    async with chat.stream("go", provider=provider) as turn:
        await anext(turn)
        change(path, "UPDATE message SET lease = 'thief|x|x|1|1|0' WHERE status = 'streaming'")
        provider.gate("rest").open()
        async with answers_lost(patient):
            reply = await turn.drain()
    messages = await chat.messages()
    assert [one.text for one in messages][2:] == ["half whole"]
    assert (reply.id, reply.content_hash) == (messages[2].id, messages[2].content_hash)


@pytest.mark.asyncio
async def test_an_outcome_that_stays_unknown_is_called_unknown(store: Store) -> None:
    """When no answer ever comes, the caller is told to repeat, not that nothing was stored."""
    chat = await store.create()
    message = Message.user("q")
    async with answers_lost(store, 1):
        database = await database_of(store)
        made = database._driver.writing

        async def refused() -> Any:
            database._driver.writing = down  # type: ignore[method-assign] # for this test
            return await made()

        async def down() -> Any:
            raise ConnectionRefusedError("down")

        database._driver.writing = refused  # type: ignore[method-assign] # for this test
        with pytest.raises(StoreError, match="not known") as caught:
            await chat.append(message)
        assert "idempotency key" in caught.value.hint
    assert [one.seq for one in await chat.append(message)] == [1]


@pytest.mark.asyncio
async def test_another_event_loop_is_refused(store: Store) -> None:
    """A connection belongs to its loop: used from another one, the store says so."""
    outcome = await asyncio.to_thread(asyncio.run, _try_list(store))
    assert isinstance(outcome, StoreClosedError)
    assert (await store.list()).items == ()


async def _try_list(store: Store) -> Exception | None:
    try:
        await store.create()
    except StoreClosedError as error:
        return error
    return None


@pytest.mark.asyncio
async def test_attachment_whose_answers_were_lost_is_kept_once(patient: Store, path: Where) -> None:
    """Its pieces, its end, the message that refers to it, and what is removed with a branch."""
    chat = await patient.create()
    async with answers_lost(patient, 2):  # a piece and the end
        part = await patient.attach(b"x" * 10)
    async with answers_lost(patient):
        await chat.append(Message.user("q", attachments=[part, part]))
    tables = ("attachment", "attachment_chunk", "message_attachment")
    counts = [rows(path, f"SELECT count(*) FROM {table}") for table in tables]
    assert counts == [[(1,)], [(1,)], [(2,)]]
    async with answers_lost(patient):
        await chat.delete_branch(1)
    await patient.attach(b"forsaken")
    async with answers_lost(patient):
        await patient.remove_forsaken_attachments(older_than_s=-1)
    assert [rows(path, f"SELECT count(*) FROM {table}") for table in tables] == [[(0,)]] * 3


@pytest.mark.only("postgres", reason="it is about asyncpg")
@pytest.mark.asyncio
async def test_connection_that_was_cut_between_two_messages_is_tried_again(
    path: Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver then says only that its own state is wrong; what was asked is asked once more."""
    look, cut = postgres_schema._revision, [1]

    async def revision(driver: Any, connection: Any, server: Any) -> str:
        if cut:
            cut.pop()
            raise InternalClientError("cannot switch to state 12; another operation is in progress")
        return await look(driver, connection, server)

    monkeypatch.setattr(postgres_schema, "_revision", revision)
    async with convostore.open(path) as store:
        assert await store.create()
    assert not cut


@pytest.mark.asyncio
async def test_checkpoint_work_whose_answer_was_lost_is_done_once(patient: Store) -> None:
    """A state, a write, a copy and a removal each leave what one try would."""
    checkpoints = patient.checkpoints()
    new = NewMessage(id=new_id(), role="user", text="q", source_id="m")
    said = Piece(MESSAGES, '{"q":1}', hash_of('{"q":1}'), lambda: Shown(new, Usage()), "m")
    state = {"values": {"messages": [said]}}
    await checkpoints.put("graph", path=None, **NOWHERE, id="1", state={})
    async with answers_lost(patient, 2):
        await checkpoints.put("graph", path=(said,), **NOWHERE, id="2", state=state)
    async with answers_lost(patient):
        beside = {"namespace": "", "checkpoint_id": "2", "task_id": "t", "task_path": ""}
        write = NewWrite(number=0, channel="messages", value=[said])
        await checkpoints.put_writes("graph", writes=[write], **beside)
    await patient.create(key="copy")
    async with answers_lost(patient):
        assert await checkpoints.copy("graph", "copy")
    async with answers_lost(patient):
        await checkpoints.remove(["graph"], keep_latest=True)
    for key in ("graph", "copy"):
        found = await checkpoints.get(key, "")
        assert found is not None
        assert (found.checkpoint.id, len(found.writes), len(found.contents)) == ("2", 1, 1)
        assert [one.text for one in await (await patient.resume(key)).messages()] == ["q"]
    assert await checkpoints.get("graph", "", "1") is None
    assert (await patient.check(deep=True)).problems == ()
