"""The Discord bot of the examples, run in discord.py's own machinery, without a network."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import simcord

import convostore
from examples import discord_bot
from tests.engines import rows
from tests.turn.talking import BROKEN, BROKEN_OFF, write_elsewhere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import discord

    from convostore import Conversation, Store
    from convostore.testing import ScriptedProvider
    from tests.engines import Where


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no edit wait for its time."""
    monkeypatch.setattr(discord_bot, "EVERY_S", 0.0)


class Room:
    """A channel with two people and the bot."""

    def __init__(self, env: simcord.Env) -> None:
        guild = env.create_guild()
        self.env = env
        self.channel = guild.create_text_channel("fruit")
        self.ann = guild.add_member(env.create_user("ann", global_name="Ann"))
        self.bob = guild.add_member(env.create_user("bob", global_name="Bob"))

    async def ask(self, text: str, who: simcord.MemberActor | None = None) -> discord.Message:
        """Mention the bot."""
        return await (who or self.ann).send(self.channel, f"{self.mention} {text}")

    @property
    def mention(self) -> str:
        """What a mention of the bot is written as."""
        assert self.env.bot.user is not None
        return self.env.bot.user.mention

    def shown(self) -> list[str]:
        """Return what the bot has said in the channel."""
        return [one.content for one in self.channel.history() if one.author.bot]


@asynccontextmanager
async def running(path: Where, provider: ScriptedProvider) -> AsyncIterator[tuple[Room, Store]]:
    """Run the bot; what it stores is looked at through another store."""
    async with (
        convostore.open(path, provider=provider) as memory,
        convostore.open(path, provider=provider) as look,
    ):
        await look.list()
        async with simcord.run(discord_bot.Bot(memory)) as env:
            yield Room(env), look


async def texts(chat: Conversation) -> list[str]:
    """Return what was said on the active path, the system text left out."""
    return [one.text for one in (await chat.history())[1:]]


@pytest.mark.asyncio
async def test_bot_answers_who_means_it_and_remembers(
    path: Where, provider: ScriptedProvider
) -> None:
    """In the channel whoever mentions it, in direct messages always; each is a room of its own."""
    async with running(path, provider) as (room, look):
        await room.ask("plums?")
        await room.ann.send(room.channel, "not for the bot")
        await room.ask("pears?", room.bob)
        assert room.shown() == ["an answer", "an answer"]
        assert [one.text for one in provider.requests[-1].messages] == [
            discord_bot.SYSTEM,
            "Ann: plums?",
            "an answer",
            "Bob: pears?",
        ]
        await room.ann.send_dm("in private")
        assert len(provider.requests[-1].messages) == 2
        record = await look.find(f"discord:{room.channel.id}")
        assert record.metadata == {"channel_id": str(room.channel.id)}


@pytest.mark.asyncio
async def test_edit_and_deletion_reach_the_memory(path: Where, provider: ScriptedProvider) -> None:
    """The last question is answered anew, an older one is not; what is deleted is forgotten."""
    async with running(path, provider) as (room, look):
        first = await room.ask("plums?")
        second = await room.ask("pearz?")
        chat = await look.resume(f"discord:{room.channel.id}")
        await room.ann.edit(first, f"{room.mention} plums!")
        await room.ann.edit(second, f"{room.mention} pears?")
        assert len(provider.calls) == 3
        chat = await look.resume(f"discord:{room.channel.id}")
        assert await texts(chat) == ["plums?", "an answer", "pears?", "an answer"]
        await room.ann.delete(first)
        await room.ann.delete(second)
        assert await texts(chat) == ["", "an answer", "", "an answer"]
        stray = await room.ann.send(room.channel, "not for the bot")
        await room.ann.edit(stray, "still not")
        await room.ann.delete(stray)
        assert len(provider.calls) == 3


@pytest.mark.asyncio
async def test_words_begin_anew_and_forget(path: Where, provider: ScriptedProvider) -> None:
    """!reset keeps the old conversation; !forgetme takes what one person said out of all of them."""
    async with running(path, provider) as (room, look):
        await room.ask("plums?")
        await room.ask("pears?", room.bob)
        await room.ask("!reset")
        assert "kept as" in room.shown()[-1]
        await room.ask("figs?")
        assert len(provider.requests[-1].messages) == 2
        await room.ask("!forgetme")
        assert room.shown()[-1] == "Forgotten: 5 messages."
        kept = rows(path, "SELECT text FROM message WHERE role = 'user' AND text <> ''")
        assert kept == [("pears?",)]
        assert len((await look.list()).items) == 1


@pytest.mark.asyncio
async def test_failed_and_long_answers_are_shown(path: Where, provider: ScriptedProvider) -> None:
    """What came and why it ended; what does not fit goes into further messages."""
    async with running(path, provider) as (room, _):
        provider.script("half", BROKEN)
        await room.ask("plums?")
        assert room.shown() == ["half", "(gone)"]
        provider.answer("x" * 4500)
        await room.ask("pears?")
        assert [len(text) for text in room.shown()[2:]] == [2000, 2000, 500]


@pytest.mark.asyncio
async def test_restarted_bot_finishes_what_was_broken_off(
    path: Where, provider: ScriptedProvider
) -> None:
    """A reply whose writer is dead is answered anew in its channel, and nothing else is."""
    async with (
        convostore.open(path, provider=provider) as memory,
        convostore.open(path, provider=provider) as later,
    ):
        await later.list()
        async with simcord.run(discord_bot.Bot(memory)) as env:
            room = Room(env)
            await room.ask("plums?")
            chat = await later.resume(f"discord:{room.channel.id}")
            await chat.append(convostore.Message.user("pears?"), BROKEN_OFF)
            await asyncio.to_thread(write_elsewhere, path)
            restarting = asyncio.create_task(env.restart_bot(discord_bot.Bot(later)))
            await asyncio.wait({restarting}, timeout=0.05)
            assert len(provider.calls) == 1  # its writer may yet live
            await asyncio.to_thread(write_elsewhere, path, lives=False)
            await restarting
            assert room.shown() == ["an answer", "an answer"]
            assert await texts(chat) == ["plums?", "an answer", "pears?", ""]
            assert len(provider.calls) == 2
