"""A Discord bot with a memory: every channel and thread is a conversation, whatever ends the program.

    pip install convostore discord.py
    DISCORD_TOKEN=... python examples/discord_bot.py

It answers direct messages, and elsewhere whoever mentions it. What is edited is answered anew, what
is deleted is forgotten, and an answer that a crash broke off is gone on with. `!reset` begins anew,
`!forgetme` forgets whoever says it.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import discord

import convostore
from convostore.errors import ConvostoreError, NotFoundError
from convostore.integrations import discord as keys
from convostore.providers import Playground

if TYPE_CHECKING:
    from convostore import Conversation, Store
    from convostore import Message as Answer
    from convostore.turn import Turn

SYSTEM = "You are a friendly bot in a Discord channel. Answer briefly."
EVERY_S = 1.2  # Discord permits about five edits in five seconds
LIMIT = 2000  # characters of a message
RECENT = 50  # rooms that are looked at for broken-off answers when the bot starts


class Bot(discord.Client):
    """What is done with each event."""

    def __init__(self, memory: Store) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__(intents=intents, allowed_mentions=discord.AllowedMentions.none())
        self.memory = memory

    async def on_message(self, message: discord.Message) -> None:
        """Answer what is meant for the bot; told twice, it is asked once."""
        text = self.meant(message)
        if text is None:
            return
        if text == "!reset":
            old = await (await self.room(message)).reset()
            await message.reply(f"A new conversation. The old one is kept as {old.handle}.")
        elif text == "!forgetme" and (user := keys.author_id(message)):
            report = await self.memory.forget(user=user)
            await message.reply(f"Forgotten: {report.messages} messages.")
        else:
            chat = await self.room(message)
            await answer(message, chat.stream(text, every_s=EVERY_S, **keys.said(message)))

    async def on_message_edit(self, _: discord.Message, message: discord.Message) -> None:
        """Answer the last question anew; an older one stays, as what was said since builds on it."""
        text, key = self.meant(message), keys.idempotency_key(message)
        with suppress(NotFoundError):  # it was never seen here
            chat = await self.memory.resume(keys.conversation_key(message))
            question = await chat.message(key, wait_s=None)
            is_last = question.id in {one.id for one in await chat.history(limit=2)}
            if text and is_last and text != question.text:  # links that unfold are edits, too
                turn = chat.edit(key, text, every_s=EVERY_S, **keys.said(message))
                await answer(message, turn)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Forget what is deleted, also what was said before the bot was started."""
        with suppress(NotFoundError):  # it was never seen here
            chat = await self.memory.resume(keys.conversation_key(event))
            await chat.forget(keys.idempotency_key(event))

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Forget what is deleted at once."""
        with suppress(NotFoundError):  # a room that was never seen here
            chat = await self.memory.resume(keys.conversation_key(event))
            for id_ in event.message_ids:
                with suppress(NotFoundError):
                    await chat.forget(str(id_))

    async def on_ready(self) -> None:
        """Answer anew what a crash broke off; only what comes into those rooms waits for that."""
        await asyncio.gather(*(self.go_on(*one) for one in await self.broken_off()))

    async def broken_off(self) -> list[tuple[Conversation, Answer]]:
        """Return the rooms whose last answer broke off, or may yet: somebody else writes it."""
        page = await self.memory.list(key_prefix=f"{keys.PREFIX}:", limit=RECENT)
        found = []
        for record in page.items:
            with suppress(NotFoundError):  # deleted meanwhile
                chat = await self.memory.resume(record.id)
                last = await chat.history(limit=1)
                found += [(chat, one) for one in last if one.status in {"interrupted", "streaming"}]
        return found

    async def go_on(self, chat: Conversation, last: Answer) -> None:
        """Answer a room's last question, if nobody is left who does.

        A process of another machine counts as dead after half a minute without a sign of it: its
        answer is followed until then, or to its end.
        """
        with suppress(ConvostoreError, discord.HTTPException):  # the other rooms go on
            async with chat.proceed(below=last.parent_id) as turn:
                reply = await turn.drain()
            if reply.id == last.id:  # whoever was at it lives, and has shown it
                return
            channel: Any = await self.fetch_channel(int(chat.record.metadata["channel_id"]))
            for piece in cut(reply.text):
                await channel.send(piece)

    async def close(self) -> None:
        """Close the store when the program ends."""
        await super().close()
        await self.memory.aclose()

    def meant(self, message: discord.Message) -> str | None:
        """Return the text of a message that is meant for the bot, without the mention."""
        if message.author.bot or self.user is None:
            return None
        if message.guild is not None and self.user not in message.mentions:
            return None
        return re.sub(rf"<@!?{self.user.id}>", "", message.content).strip() or None

    async def room(self, message: discord.Message) -> Conversation:
        """Return the conversation of a message's channel."""
        return await self.memory.get_or_create(
            keys.conversation_key(message),
            system=SYSTEM,
            metadata={"channel_id": str(message.channel.id), **keys.metadata(message)},
        )


async def answer(message: discord.Message, turn: Turn) -> None:
    """Show an answer as it grows; of one that failed, what had come, and why.

    Where Discord refuses, the answer goes on: it is kept whole, and shown at the end.
    """
    shown: list[tuple[discord.Message, str]] = []
    missed = ""
    try:
        async with turn:
            async for delta in turn:
                missed = ""
                try:
                    await show(message, shown, delta.text)
                except discord.HTTPException:
                    missed = delta.text
    except ConvostoreError as error:
        await message.reply(f"({error.message})")
    if missed:
        await asyncio.sleep(EVERY_S)
        await show(message, shown, missed)


def cut(text: str) -> list[str]:
    """Return *text* in pieces that Discord takes."""
    return [text[at : at + LIMIT].strip() for at in range(0, len(text), LIMIT)]


async def show(
    message: discord.Message, shown: list[tuple[discord.Message, str]], text: str
) -> None:
    """Edit what is shown, and send what does not fit into it as further messages."""
    for at, piece in enumerate(cut(text)):
        if at == len(shown) and piece:
            shown.append((await message.reply(piece), piece))
        elif at < len(shown) and piece and shown[at][1] != piece:
            shown[at] = await shown[at][0].edit(content=piece), piece


if __name__ == "__main__":
    Bot(convostore.open("bot.db", provider=Playground())).run(os.environ["DISCORD_TOKEN"])
