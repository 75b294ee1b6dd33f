"""The Slack bot of the examples, run by slack-bolt's own dispatch, its Web API on loopback."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import slack_server  # type: ignore[import-not-found] # pytest puts this folder on the path
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.web.async_client import AsyncWebClient

import convostore
from convostore.events import Finished
from convostore.integrations import slack
from examples import slack_bot
from tests.turn.talking import BROKEN, BROKEN_OFF, asked, said, write_elsewhere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from slack_bolt.async_app import AsyncApp

    from convostore.testing import ScriptedProvider
    from tests.engines import Where

ANN, BOB = "UANN", "UBOB"
DIRECT = {"channel": "D1", "channel_type": "im"}


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no update wait for its time."""
    monkeypatch.setattr(slack_bot, "EVERY_S", 0.0)


class Workspace:
    """Delivers events to the bot, and shows what it posts."""

    def __init__(self, app: AsyncApp, bot: slack_bot.Bot, server: Any) -> None:
        self.app, self.bot, self.server = app, bot, server
        self._numbers = itertools.count(1)

    async def say(self, text: str, who: str = ANN, **more: Any) -> dict[str, Any]:
        """Mention the bot in a channel, or say a plain message; return the event."""
        ts = f"1700000000.{next(self._numbers):06}"
        if more.get("type") != "message":
            text = f"<@UBOT> {text}"
        event = {"type": "app_mention", "user": who, "text": text, "ts": ts}
        event |= {"channel": "C1", "team": "T1", "channel_type": "channel"} | more
        await self.deliver(event)
        return event

    async def deliver(self, event: dict[str, Any], *, retry: int = 0) -> None:
        """Deliver an event, and wait until all that comes of it is done."""
        body = {
            "type": "event_callback",
            "team_id": "T1",
            "api_app_id": "A1",
            "event_id": "Ev1",
            "event": event,
            "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
        }
        headers: dict[str, str | Sequence[str]] = {"content-type": ["application/json"]}
        if retry:
            headers["X-Slack-Retry-Num"] = [str(retry)]
        before = asyncio.all_tasks()
        request = AsyncBoltRequest(body=json.dumps(body), headers=headers)
        assert (await self.app.async_dispatch(request)).status == 200
        begun = asyncio.all_tasks() - before
        while running := [one for one in begun if not one.done()]:
            await asyncio.wait(running)


@asynccontextmanager
async def running(path: Where, provider: ScriptedProvider) -> AsyncIterator[Workspace]:
    """Run the bot."""
    async with (
        convostore.open(path, provider=provider) as memory,
        slack_server.slack_server() as server,
    ):
        client = AsyncWebClient(token="xoxb-1", base_url=server.url)
        app, bot = slack_bot.build(
            memory, client=client, token="xoxb-1", request_verification_enabled=False
        )
        yield Workspace(app, bot, server)


@pytest.mark.asyncio
async def test_bot_answers_in_threads_and_remembers(
    path: Where, provider: ScriptedProvider
) -> None:
    """A mention begins a thread; in it nobody has to mention the bot; direct messages are one room."""
    async with running(path, provider) as workspace:
        first = await workspace.say("plums?")
        thread = {"type": "message", "thread_ts": first["ts"]}
        await workspace.say("pears?", BOB, **thread)
        assert workspace.server.shown() == ["an answer", "an answer"]
        assert {one["thread_ts"] for one in workspace.server.posts.values()} == {first["ts"]}
        assert asked(provider) == [
            slack_bot.SYSTEM,
            "UANN: plums?",
            "an answer",
            "UBOB: pears?",
        ]
        await workspace.say("nobody asked", type="message")  # not in a thread of the bot
        for text in ("in private", "and again"):
            await workspace.say(text, type="message", channel="D1", channel_type="im")
        assert asked(provider)[1:] == ["in private", "an answer", "and again"]
        assert len(provider.calls) == 4


@pytest.mark.asyncio
async def test_event_that_is_delivered_twice_is_asked_once(
    path: Where, provider: ScriptedProvider
) -> None:
    """As a retry, and as the mention and the message that Slack makes of one post."""
    async with running(path, provider) as workspace:
        first = await workspace.say("plums?")
        await workspace.deliver(first, retry=1)
        before = workspace.server.shown()
        await workspace.deliver(first | {"type": "message"})
        assert len(provider.calls) == 1
        assert workspace.server.shown() == before
        assert set(before) == {"an answer"}


@pytest.mark.asyncio
async def test_message_that_was_deleted_though_it_has_replies_is_forgotten(
    path: Where, provider: ScriptedProvider
) -> None:
    """A tombstone takes its place, and that is told as a change: nobody is asked about it."""
    async with running(path, provider) as workspace:
        first = await workspace.say("plums?")
        grave = {"type": "message", "subtype": "tombstone", "text": "This message was deleted."}
        grave |= {"user": "USLACKBOT", "ts": first["ts"], "thread_ts": first["ts"]}
        about = {"type": "message", "channel": "C1", "channel_type": "channel"}
        await workspace.deliver(about | {"subtype": "message_changed", "message": grave})
        assert len(provider.calls) == 1
        chat = await workspace.bot.memory.resume(f"slack:T1:C1:{first['ts']}")
        assert (await said(chat))[1:] == ["", "an answer"]


@pytest.mark.asyncio
async def test_answer_is_kept_and_shown_whole_though_an_update_is_refused(
    path: Where, provider: ScriptedProvider
) -> None:
    """Slack has its limits; the model's words do not end with them."""
    async with running(path, provider) as workspace:
        provider.script("one ", "two ", "three", Finished())
        workspace.server.refusals = 1
        first = await workspace.say("count", subtype="file_share", type="message", **DIRECT)
        assert workspace.server.refusals == 0
        assert workspace.server.shown() == ["one two three"]
        chat = await workspace.bot.memory.resume(slack.conversation_key(first))
        assert [one.status for one in await chat.history(limit=1)] == ["completed"]


@pytest.mark.asyncio
async def test_change_and_deletion_reach_the_memory(
    path: Where, provider: ScriptedProvider
) -> None:
    """The last question is answered anew, an older one is not; what is deleted is forgotten."""
    async with running(path, provider) as workspace:
        first = await workspace.say("plums?")
        second = await workspace.say("pearz?", thread_ts=first["ts"])
        about = {"type": "message", "channel": "C1", "channel_type": "channel"}
        for event, text in ((first, "plums!"), (second, "pears?"), (second, "pears?")):
            changed = event | {"type": "message", "text": text}
            await workspace.deliver(about | {"subtype": "message_changed", "message": changed})
        assert len(provider.calls) == 3
        memory = workspace.bot.memory
        chat = await memory.resume(f"slack:T1:C1:{first['ts']}")
        assert (await said(chat))[1:] == ["plums?", "an answer", "pears?", "an answer"]
        for event in (second, {"ts": "1.0", "user": ANN}):
            gone = {"subtype": "message_deleted", "previous_message": event}
            await workspace.deliver(about | gone | {"deleted_ts": event["ts"]})
        assert (await said(chat))[1:] == ["plums?", "an answer", "", "an answer"]


@pytest.mark.asyncio
async def test_words_begin_anew_and_forget(path: Where, provider: ScriptedProvider) -> None:
    """!reset keeps the old conversation; !forgetme takes what one person said out of all of them."""
    async with running(path, provider) as workspace:
        direct = {"type": "message", "channel": "D1", "channel_type": "im"}
        await workspace.say("plums?", **direct)
        await workspace.say("!reset", **direct)
        assert "kept as" in workspace.server.shown()[-1]
        await workspace.say("figs?", **direct)
        assert asked(provider)[1:] == ["figs?"]
        await workspace.say("pears?", BOB)
        await workspace.say("!forgetme", **direct)
        assert workspace.server.shown()[-1] == "Forgotten: 6 messages."
        memory = workspace.bot.memory
        assert [one.title for one in (await memory.list()).items] == ["pears?"]


@pytest.mark.asyncio
async def test_failed_answer_is_shown_and_a_broken_one_finished(
    path: Where, provider: ScriptedProvider
) -> None:
    """What came and why it ended; after a restart, what a dead writer has left is answered anew."""
    async with running(path, provider) as workspace:
        provider.script("half", BROKEN)
        first = await workspace.say("plums?")
        assert workspace.server.shown() == ["half", "(gone)"]
        bot = workspace.bot
        chat = await bot.memory.resume(slack.conversation_key(first))
        await chat.append(convostore.Message.user("pears?"), BROKEN_OFF)
        await asyncio.to_thread(write_elsewhere, path)
        finishing = asyncio.create_task(bot.finish(workspace.app.client))
        await asyncio.wait({finishing}, timeout=0.05)
        assert len(provider.calls) == 1  # its writer may yet live
        await asyncio.to_thread(write_elsewhere, path, lives=False)
        await finishing
        assert workspace.server.shown()[2:] == ["an answer"]
