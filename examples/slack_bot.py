"""A Slack bot with a memory: every thread is a conversation, whatever ends the program.

    pip install convostore slack-bolt aiohttp
    SLACK_BOT_TOKEN=... SLACK_APP_TOKEN=... python examples/slack_bot.py

It answers direct messages, mentions, and whatever is said in a thread where it was mentioned. What
is edited is answered anew, what is deleted is forgotten, and what Slack delivers twice is asked once.
`!reset` begins anew, `!forgetme` forgets whoever says it.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

import convostore
from convostore.errors import ConvostoreError, NotFoundError
from convostore.integrations import slack
from convostore.providers import Playground

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from convostore import Conversation, Store
    from convostore import Message as Answer
    from convostore.turn import Turn

SYSTEM = "You are a friendly bot in a Slack workspace. Answer briefly."
EVERY_S = 1.2  # Slack permits about one update a second
LIMIT = 4000  # characters of a message
MENTION = re.compile(r"<@\w+>")
RECENT = 50  # rooms that are looked at for broken-off answers when the bot starts
Event = dict[str, Any]


class Bot:
    """What is done with each kind of event."""

    def __init__(self, memory: Store) -> None:
        self.memory = memory

    async def on_message(self, event: Event, body: Event, client: AsyncWebClient) -> None:
        """Answer what is said in direct messages, and in threads that the bot is in."""
        if not slack.is_said(event):
            return
        if event.get("channel_type") != "im":
            if any(f"<@{one['user_id']}>" in slack.text(event) for one in body["authorizations"]):
                return  # a mention of the bot, which comes as an event of its own, too
            with suppress(NotFoundError):  # a room that the bot was not asked into
                await self.memory.resume(slack.conversation_key(event, body["team_id"]))
                await self.on_mention(event, body, client)
            return
        await self.on_mention(event, body, client)

    async def on_mention(self, event: Event, body: Event, client: AsyncWebClient) -> None:
        """Answer what is meant for the bot; told twice, it is asked once."""
        text = MENTION.sub("", slack.text(event)).strip()
        chat = await self.room(event, body)
        where = place(event)
        if text == "!reset":
            old = await chat.reset()
            done = f"A new conversation. The old one is kept as {old.handle}."
            await client.chat_postMessage(text=done, **where)
        elif text == "!forgetme" and (user := slack.author_id(event)):
            report = await self.memory.forget(user=user)
            done = f"Forgotten: {report.messages} messages."
            await client.chat_postMessage(text=done, **where)
        elif text:
            turn = chat.stream(text, every_s=EVERY_S, **slack.said(event))
            await answer(client, where, turn)

    async def on_change(self, event: Event, body: Event, client: AsyncWebClient) -> None:
        """Answer the last question anew; an older one stays, as what was said since builds on it."""
        if slack.is_deletion(event):
            await self.on_delete(event, body)
            return
        text, key = MENTION.sub("", slack.text(event)).strip(), slack.idempotency_key(event)
        with suppress(NotFoundError):  # it was never seen here
            chat = await self.memory.resume(slack.conversation_key(event, body["team_id"]))
            question = await chat.message(key, wait_s=None)
            is_last = question.id in {one.id for one in await chat.history(limit=2)}
            if text and is_last and text != question.text:  # links that unfold are changes, too
                turn = chat.edit(key, text, every_s=EVERY_S, **slack.said(event))
                await answer(client, place(event), turn)

    async def on_delete(self, event: Event, body: Event) -> None:
        """Forget what is deleted."""
        with suppress(NotFoundError):  # it was never seen here
            chat = await self.memory.resume(slack.conversation_key(event, body["team_id"]))
            await chat.forget(slack.idempotency_key(event))

    async def room(self, event: Event, body: Event) -> Conversation:
        """Return the conversation of an event's thread."""
        key = slack.conversation_key(event, body["team_id"])
        return await self.memory.get_or_create(key, system=SYSTEM, metadata=place(event))

    async def finish(self, client: AsyncWebClient) -> None:
        """Answer anew what a crash broke off; only what comes into those rooms waits for that."""
        await asyncio.gather(*(self.go_on(*one, client) for one in await self.broken_off()))

    async def broken_off(self) -> list[tuple[Conversation, Answer]]:
        """Return the rooms whose last answer broke off, or may yet: somebody else writes it."""
        page = await self.memory.list(key_prefix=f"{slack.PREFIX}:", limit=RECENT)
        found = []
        for record in page.items:
            with suppress(NotFoundError):  # deleted meanwhile
                chat = await self.memory.resume(record.id)
                last = await chat.history(limit=1)
                found += [(chat, one) for one in last if one.status in {"interrupted", "streaming"}]
        return found

    async def go_on(self, chat: Conversation, last: Answer, client: AsyncWebClient) -> None:
        """Answer a room's last question, if nobody is left who does.

        A process of another machine counts as dead after half a minute without a sign of it: its
        answer is followed until then, or to its end.
        """
        with suppress(ConvostoreError, SlackApiError):  # the other rooms go on
            async with chat.proceed(below=last.parent_id) as turn:
                reply = await turn.drain()
            if reply.id != last.id:  # else whoever was at it lives, and has shown it
                await show(client, chat.record.metadata, [], reply.text)


def place(event: Event) -> Event:
    """Return where an event is answered: in its thread, but for direct messages."""
    where = {"channel": event["channel"]}
    if event.get("channel_type") != "im":
        message = event.get("message") or event
        where["thread_ts"] = message.get("thread_ts") or message["ts"]
    return where


async def answer(client: AsyncWebClient, where: Event, turn: Turn) -> None:
    """Show an answer as it grows; of one that failed, what had come, and why.

    Where Slack refuses, the answer goes on: it is kept whole, and shown at the end.
    """
    shown: list[Any] = []
    missed = ""
    try:
        async with turn:
            async for delta in turn:
                missed = ""
                try:
                    await show(client, where, shown, delta.text)
                except SlackApiError:
                    missed = delta.text
    except ConvostoreError as error:
        await client.chat_postMessage(text=f"({error.message})", **where)
    if missed:
        await asyncio.sleep(EVERY_S)
        await show(client, where, shown, missed)


async def show(client: AsyncWebClient, where: Event, shown: list[Any], text: str) -> None:
    """Update what is shown, and post what does not fit into it as further messages."""
    pieces = [text[at : at + LIMIT].strip() for at in range(0, len(text), LIMIT)]
    for at, piece in enumerate(pieces):
        if at == len(shown) and piece:
            posted = await client.chat_postMessage(text=piece, **where)
            shown.append({"channel": posted["channel"], "ts": posted["ts"], "text": piece})
        elif at < len(shown) and piece and shown[at]["text"] != piece:
            await client.chat_update(**{**shown[at], "text": piece})
            shown[at]["text"] = piece


def build(memory: Store, **options: Any) -> tuple[AsyncApp, Bot]:
    """Return the application and what it does; *options* are those of slack-bolt."""
    bot, app = Bot(memory), AsyncApp(**options)
    app.event("app_mention")(bot.on_mention)
    app.event({"type": "message", "subtype": "message_changed"})(bot.on_change)
    app.event({"type": "message", "subtype": "message_deleted"})(bot.on_delete)
    app.event("message")(bot.on_message)
    return app, bot


async def main() -> None:
    """Answer until the program is ended."""
    store = convostore.open("bot.db", provider=Playground())
    async with store as memory, asyncio.TaskGroup() as beside:
        app, bot = build(memory, token=os.environ["SLACK_BOT_TOKEN"])
        beside.create_task(bot.finish(app.client))
        handler: Any = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
        await handler.start_async()


if __name__ == "__main__":
    asyncio.run(main())
