"""The Telegram bot of the examples, run against a Bot API on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import telegram_server  # type: ignore[import-not-found] # pytest puts this folder on the path

import convostore
from convostore import Message
from convostore.events import Finished
from convostore.integrations import telegram
from examples import telegram_bot
from tests.engines import change, rows
from tests.turn.talking import BROKEN, BROKEN_OFF, said, write_elsewhere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

    from convostore import Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where

ANN, BOB, GROUP = telegram_server.ANN, telegram_server.BOB, telegram_server.GROUP
ENDED = "UPDATE message SET status = 'completed', text = 'whole' WHERE status = 'streaming'"
PRIVATE = {"id": 1, "type": "private", "first_name": "Ann"}


@asynccontextmanager
async def running(memory: Store) -> AsyncIterator[Any]:
    """Run the bot as `run_polling` does; give the server that it polls."""
    async with telegram_server.telegram_server() as server:
        app = telegram_bot.build(memory, telegram_server.TOKEN, server.url)
        async with app:
            await app.post_init(app)
            await app.start()
            await app.updater.start_polling(timeout=0)
            try:
                yield server
            finally:
                await app.updater.stop()
                await app.stop()


@asynccontextmanager
async def bots(path: Where, url: str, log: Path) -> AsyncIterator[Any]:
    """Give what starts the bot in a process of its own, and that returns what ends it."""
    command = [sys.executable, "tests/examples/telegram_child.py", str(path), url, str(log)]
    pipe, running = asyncio.subprocess.PIPE, set()
    parent = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert parent.stdin is not None
    assert parent.stdout is not None
    told, hear = parent.stdin, parent.stdout

    async def start(how: str) -> Any:
        told.write(f"{how}\n".encode())
        pid = int(await hear.readline())
        running.add(pid)

        async def end(signum: int) -> int:
            os.kill(pid, signum)
            ended = int(await hear.readline())
            running.remove(pid)
            return ended

        return end

    try:
        yield start
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
        told.close()
        await parent.wait()


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no edit wait for its second."""
    monkeypatch.setattr(telegram_bot, "EVERY_S", 0.0)


@pytest.mark.asyncio
async def test_bot_answers_in_place_and_remembers(path: Where, provider: ScriptedProvider) -> None:
    """One message that grows; who said what is in the next question; topics are rooms of their own."""
    async with convostore.open(path, provider=provider) as memory, running(memory) as server:
        provider.script("half ", provider.gate("rest"), "whole", Finished())
        server.tell("message", "plums?", id=5)
        await server.until(lambda: server.shown() == ["half"])
        provider.gate("rest").open()
        await server.until(lambda: server.shown() == ["half whole"])
        server.tell("message", "pears?", id=6, **{"from": BOB})
        await server.until(lambda: server.shown()[1:] == ["an answer"])
        assert [one.text for one in provider.requests[-1].messages] == [
            telegram_bot.SYSTEM,
            "Ann Lee: plums?",
            "half whole",
            "Bob: pears?",
        ]
        forum = GROUP | {"type": "supergroup", "is_forum": True}
        topic = {"chat": forum, "message_thread_id": 7}
        server.tell("message", "in a topic", id=7, is_topic_message=True, **topic)
        await server.until(lambda: len(server.shown()) == 3)
        assert len(provider.requests[-1].messages) == 2
        assert (await memory.find("telegram:-42:7")).message_count == 3


@pytest.mark.asyncio
async def test_edited_message_is_answered_anew_where_it_was_the_last(
    path: Where, provider: ScriptedProvider
) -> None:
    """An older one, and one that was never seen, change nothing; told twice, it is asked once."""
    async with convostore.open(path, provider=provider) as memory, running(memory) as server:
        for id_, text in ((5, "plums?"), (6, "pearz?")):
            server.tell("message", text, id=id_)
            await server.until(lambda id_=id_: len(server.shown()) == id_ - 4)
        server.tell("edited_message", "never seen", id=4)
        server.tell("edited_message", "plums!", id=5)
        server.tell("edited_message", "pearz?", id=6)  # its preview has come, say
        edit = server.tell("edited_message", "pears?", id=6)
        await server.until(lambda: len(server.shown()) == 3)
        server.tell_again(edit)
        server.tell("message", "figs?", id=7)
        await server.until(lambda: len(server.shown()) == 4)
        assert len(provider.calls) == 4
        chat = await memory.resume("telegram:-42")
        texts = [one.text for one in await chat.history() if one.role == "user"]
        assert texts == ["plums?", "pears?", "figs?"]


@pytest.mark.asyncio
async def test_commands_begin_anew_and_forget(path: Where, provider: ScriptedProvider) -> None:
    """/reset keeps the old conversation, /forget one message, /forgetme all that one person said."""
    async with convostore.open(path, provider=provider) as memory, running(memory) as server:

        async def tell(text: str, **more: Any) -> str:
            before = len(server.shown(more.get("chat", GROUP)["id"]))
            server.tell("message", text, **more)
            shown = more.get("chat", GROUP)["id"]
            await server.until(lambda: len(server.shown(shown)) > before)
            return str(server.shown(shown)[-1])

        await tell("plums?", id=5)
        await tell("pears?", id=6, **{"from": BOB})
        await tell("secret", id=7, chat=PRIVATE)
        assert await tell("/forget", id=8) == "Reply with it to a question of yours."
        asked = {"date": 1_700_000_000, "chat": GROUP, "text": "..."}
        theirs = asked | {"message_id": 6, "from": BOB}
        assert "of yours" in await tell("/forget", id=13, reply_to_message=theirs)
        replied = asked | {"message_id": 5, "from": ANN}
        assert await tell("/forget", id=9, reply_to_message=replied) == "Forgotten."
        assert "kept as" in await tell("/reset", id=10)
        await tell("figs?", id=11)
        assert len(provider.requests[-1].messages) == 2
        answer = await tell("/forgetme", id=12, chat=PRIVATE)
        assert answer == "Forgotten: 6 messages."
        said = [
            one.text
            for record in (await memory.list()).items
            for one in await (await memory.resume(record.id)).messages()
            if one.role == "user" and one.text
        ]
        assert said == ["pears?"]


@pytest.mark.asyncio
async def test_group_that_becomes_a_supergroup_is_gone_on_with(
    path: Where, provider: ScriptedProvider
) -> None:
    """Both chats tell of it; what was said before is sent along under the new id."""
    async with convostore.open(path, provider=provider) as memory, running(memory) as server:
        server.tell("message", "plums?", id=5)
        await server.until(lambda: len(server.shown()) == 1)
        large = {"id": -10042, "type": "supergroup", "title": "Fruit"}
        server.tell("message", "", id=6, migrate_to_chat_id=-10042)
        server.tell("message", "", id=1, migrate_from_chat_id=-42, chat=large)
        server.tell("message", "and?", id=5, chat=large)  # its messages are counted anew
        await server.until(lambda: len(server.shown(-10042)) == 1)
        assert [one.text for one in provider.requests[-1].messages][1:] == [
            "plums?",
            "an answer",
            "and?",
        ]
        async with asyncio.timeout(20):  # that the room has another id is noted beside
            while (await memory.find("telegram:-10042")).metadata["chat_id"] != -10042:
                await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_failed_answer_is_shown_as_far_as_it_came(
    path: Where, provider: ScriptedProvider
) -> None:
    """What there is of it stays, and the reason is said; the next question is answered."""
    async with convostore.open(path, provider=provider) as memory, running(memory) as server:
        provider.script("half", BROKEN)
        server.tell("message", "plums?", id=5)
        await server.until(lambda: server.shown() == ["half", "(gone)"])
        long = "word " * 1000
        provider.answer(long)
        server.tell("message", "pears?", id=6)
        await server.until(lambda: len(server.shown()) == 4)
        assert "".join(server.shown()[2:]).replace(" ", "") == long.replace(" ", "")


@pytest.mark.asyncio
async def test_answer_of_a_process_on_another_machine_is_gone_on_with_once_that_is_dead(
    path: Where, provider: ScriptedProvider
) -> None:
    """Till then others are answered; what comes into the same room waits, and is asked after it."""
    async with convostore.open(path, provider=provider) as memory:
        chat = await memory.get_or_create("telegram:-42", metadata={"chat_id": -42})
        await chat.append(Message.user("plums?"), BROKEN_OFF)
        await asyncio.to_thread(write_elsewhere, path)
        async with running(memory) as server:
            server.tell("message", "pears?", id=6)
            server.tell("message", "figs?", id=7, chat=PRIVATE)
            await server.until(lambda: server.shown(1) == ["an answer"])
            assert len(provider.calls) == 1
            await asyncio.to_thread(write_elsewhere, path, lives=False)
            await server.until(lambda: server.shown() == ["an answer", "an answer"])
        assert await said(chat) == ["plums?", ""]
        chat = await memory.resume("telegram:-42")
        assert await said(chat) == ["plums?", "an answer", "pears?", "an answer"]


@pytest.mark.asyncio
async def test_answer_that_another_machine_ends_is_left_to_it(
    path: Where, provider: ScriptedProvider
) -> None:
    """It has shown it there: neither is the model asked, nor anything told twice."""
    async with convostore.open(path, provider=provider) as memory:
        chat = await memory.get_or_create("telegram:-42", metadata={"chat_id": -42})
        await chat.append(Message.user("plums?"), BROKEN_OFF)
        await asyncio.to_thread(write_elsewhere, path)
        async with running(memory) as server:
            server.tell("message", "figs?", id=7, chat=PRIVATE)
            await server.until(lambda: server.shown(1) == ["an answer"])
            await asyncio.to_thread(change, path, ENDED)
            server.tell("message", "pears?", id=6)
            await server.until(lambda: server.shown() == ["an answer"])
        assert [len(one.messages) for one in provider.requests] == [2, 3]


@pytest.mark.asyncio
async def test_killed_bot_goes_on_and_answers_what_is_told_again_without_the_model(
    path: Where, tmp_path: Path
) -> None:
    """Killed in the middle of an answer: it is asked once more by itself, and then never again."""
    log = tmp_path / "calls"
    async with telegram_server.telegram_server() as server, bots(path, server.url, log) as start:
        update = server.tell("message", "plums?", id=5)
        end = await start("hang")
        await server.until(lambda: server.shown() == ["half"])
        while not await asyncio.to_thread(rows, path, "SELECT seq FROM journal"):
            await asyncio.sleep(0.02)
        assert await end(signal.SIGKILL) == signal.SIGKILL
        end = await start("answer")
        await server.until(lambda: server.shown() == ["half", "a whole answer"])
        server.tell_again(update)
        await server.until(lambda: server.shown()[2:] == ["a whole answer"])
        assert await end(signal.SIGKILL) == signal.SIGKILL
        end = await start("answer")
        server.tell_again(update)
        await server.until(lambda: server.shown()[3:] == ["a whole answer"])
        assert await end(signal.SIGTERM) == 0
    assert len(telegram_server.calls(log)) == 2
    async with convostore.open(path) as memory:
        chat = await memory.resume(telegram.PREFIX + ":-42")
        ended = [(one.status, one.text) for one in await chat.messages()][1:]
        assert ended == [
            ("completed", "plums?"),
            ("interrupted", "half"),
            ("completed", "a whole answer"),
        ]
