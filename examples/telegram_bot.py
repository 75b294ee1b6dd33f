"""A Telegram bot with a memory: every room is a conversation, whatever ends the program.

    pip install convostore python-telegram-bot
    TELEGRAM_TOKEN=... python examples/telegram_bot.py

It answers what is edited anew, goes on with answers that a crash broke off, and follows a group that
becomes a supergroup. /reset begins anew, /forgetme forgets whoever says it, and /forget, in reply to
a message of one's own, forgets that: Telegram tells no bot what was deleted.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from telegram.constants import MessageLimit
from telegram.error import TelegramError
from telegram.ext import Application, CommandHandler, MessageHandler, filters

import convostore
from convostore.errors import ConvostoreError, NotFoundError
from convostore.integrations import telegram
from convostore.providers import Playground

if TYPE_CHECKING:
    from telegram import Message, Update

    from convostore import Conversation, Store
    from convostore import Message as Answer
    from convostore.turn import Turn

SYSTEM = "You are a friendly bot in a Telegram chat. Answer briefly."
EVERY_S = 1.0  # Telegram permits about one edit a second
RECENT = 50  # rooms that are looked at for broken-off answers when the bot starts


class Bot:
    """What is done with each kind of message."""

    def __init__(self, memory: Store) -> None:
        self.memory = memory
        self.finishing: list[asyncio.Task[None]] = []

    async def on_text(self, update: Update, _: Any) -> None:
        """Answer, in place, what somebody has said; told twice, it is asked once."""
        message = cast("Message", update.effective_message)
        chat = await self.room(message)
        turn = chat.stream(message.text or "", every_s=EVERY_S, **telegram.said(message))
        await answer(message, turn)

    async def on_edit(self, update: Update, _: Any) -> None:
        """Answer the last question anew; an older one stays, as what was said since builds on it."""
        message = cast("Message", update.edited_message)
        key, text = telegram.idempotency_key(message), message.text or ""
        with suppress(NotFoundError):  # it was never seen here
            chat = await self.memory.resume(telegram.conversation_key(message))
            question = await chat.message(key, wait_s=None)
            is_last = question.id in {one.id for one in await chat.history(limit=2)}
            if is_last and text != question.text:  # other changes are told as edits, too
                turn = chat.edit(key, text, every_s=EVERY_S, **telegram.said(message))
                await answer(message, turn)

    async def on_reset(self, update: Update, _: Any) -> None:
        """Begin anew; the old conversation is kept."""
        message = cast("Message", update.effective_message)
        old = await (await self.room(message)).reset()
        await message.reply_text(f"A new conversation. The old one is kept as {old.handle}.")

    async def on_forget(self, update: Update, _: Any) -> None:
        """Forget the message that this one replies to, if both are of the same person."""
        message = cast("Message", update.effective_message)
        asked, forgotten = message.reply_to_message, False
        if asked is not None and telegram.author_id(asked) == telegram.author_id(message):
            with suppress(NotFoundError):
                chat = await self.room(message)
                forgotten = await chat.forget(telegram.idempotency_key(asked))
        answer = "Forgotten." if forgotten else "Reply with it to a question of yours."
        await message.reply_text(answer)

    async def on_forget_me(self, update: Update, _: Any) -> None:
        """Forget whoever says so, in all rooms."""
        message = cast("Message", update.effective_message)
        if user := telegram.author_id(message):
            report = await self.memory.forget(user=user)
            await message.reply_text(f"Forgotten: {report.messages} messages.")

    async def on_migration(self, update: Update, _: Any) -> None:
        """Go on with a group's conversation under its new id."""
        keys = telegram.migrated(update.effective_message)
        if keys is not None and await self.memory.rename_key(*keys):
            chat = await self.memory.get_or_create(keys[1])
            chat_id = int(keys[1].removeprefix(f"{telegram.PREFIX}:"))
            await chat.set_metadata({"chat_id": chat_id}, merge=True)

    async def room(self, message: Message) -> Conversation:
        """Return the conversation of a message's room."""
        topic = message.message_thread_id if message.is_topic_message else None
        return await self.memory.get_or_create(
            telegram.conversation_key(message),
            system=SYSTEM,
            metadata={"chat_id": message.chat_id, "message_thread_id": topic},
        )

    async def start(self, app: Any) -> None:
        """Answer anew what a crash broke off; only what comes into those rooms waits for that."""
        found = await self.broken_off()
        self.finishing = [asyncio.create_task(self.go_on(*one, app)) for one in found]

    async def close(self, _: Any) -> None:
        """Close the store when the program ends."""
        for task in self.finishing:
            task.cancel()
        await self.memory.aclose()

    async def broken_off(self) -> list[tuple[Conversation, Answer]]:
        """Return the rooms whose last answer broke off, or may yet: somebody else writes it."""
        page = await self.memory.list(key_prefix=f"{telegram.PREFIX}:", limit=RECENT)
        found = []
        for record in page.items:
            with suppress(NotFoundError):  # deleted meanwhile
                chat = await self.memory.resume(record.id)
                last = await chat.history(limit=1)
                found += [(chat, one) for one in last if one.status in {"interrupted", "streaming"}]
        return found

    async def go_on(self, chat: Conversation, last: Answer, app: Any) -> None:
        """Answer a room's last question, if nobody is left who does.

        A process of another machine counts as dead after half a minute without a sign of it: its
        answer is followed until then, or to its end.
        """
        with suppress(ConvostoreError, TelegramError):  # the other rooms go on
            async with chat.proceed(below=last.parent_id) as turn:
                reply = await turn.drain()
            if reply.id == last.id:  # whoever was at it lives, and has shown it
                return
            for piece in cut(reply.text):
                await app.bot.send_message(text=piece, **chat.record.metadata)


async def answer(message: Message, turn: Turn) -> None:
    """Show an answer as it grows; of one that failed, what had come, and why.

    Where Telegram refuses, the answer goes on: it is kept whole, and shown at the end.
    """
    shown: list[tuple[Message, str]] = []
    missed = ""
    try:
        async with turn:
            async for delta in turn:
                missed = ""
                try:
                    await show(message, shown, delta.text)
                except TelegramError:
                    missed = delta.text
    except ConvostoreError as error:
        await message.reply_text(f"({error.message})")
    if missed:
        await asyncio.sleep(EVERY_S)
        await show(message, shown, missed)


def cut(text: str) -> list[str]:
    """Return *text* in pieces that Telegram takes."""
    limit = MessageLimit.MAX_TEXT_LENGTH
    return [text[at : at + limit].strip() for at in range(0, len(text), limit)]


async def show(message: Message, shown: list[tuple[Message, str]], text: str) -> None:
    """Edit what is shown, and send what does not fit into it as further messages."""
    for at, piece in enumerate(cut(text)):
        if at == len(shown) and piece:
            shown.append((await message.reply_text(piece), piece))
        elif at < len(shown) and piece and shown[at][1] != piece:
            await shown[at][0].edit_text(piece)
            shown[at] = shown[at][0], piece


def build(memory: Store, token: str, base_url: str = "https://api.telegram.org/bot") -> Any:
    """Return the application; rooms are answered side by side, and each in its order."""
    bot = Bot(memory)
    text = filters.TEXT & ~filters.COMMAND
    new, edited = filters.UpdateType.MESSAGE, filters.UpdateType.EDITED_MESSAGE
    app = (
        Application.builder()
        .token(token)
        .base_url(base_url)
        .concurrent_updates(True)
        .post_init(bot.start)
        .post_shutdown(bot.close)
        .build()
    )
    app.add_handlers(
        [
            CommandHandler("reset", bot.on_reset),
            CommandHandler("forget", bot.on_forget),
            CommandHandler("forgetme", bot.on_forget_me),
            MessageHandler(filters.StatusUpdate.MIGRATE, bot.on_migration),
            MessageHandler(text & new, bot.on_text),
            MessageHandler(text & edited, bot.on_edit),
        ]
    )
    return app


if __name__ == "__main__":
    build(
        convostore.open("bot.db", provider=Playground()), os.environ["TELEGRAM_TOKEN"]
    ).run_polling()
