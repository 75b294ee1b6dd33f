"""The bots of ten lines in the documentation, each run as it stands."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import discord
import pytest
import simcord
import slack_server  # type: ignore[import-not-found] # pytest puts this folder on the path
import telegram_server  # type: ignore[import-not-found] # likewise
from slack_bolt.adapter.socket_mode import aiohttp
from slack_bolt.request.async_request import AsyncBoltRequest
from telegram.ext import Application, ApplicationBuilder

from convostore import providers

if TYPE_CHECKING:
    from convostore.testing import ScriptedProvider

PAGE = (Path(__file__).parents[2] / "docs" / "bots.md").read_text("utf-8")
TELEGRAM, DISCORD, SLACK = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
NOT_PYTHON = re.compile(r'^\s*$|^(import|from) .*$|^"""', re.MULTILINE)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider) -> None:
    """Run each in a folder of its own, with a provider that answers everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(providers, "Playground", lambda: provider)
    for name in ("TELEGRAM_TOKEN", "DISCORD_TOKEN", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"):
        monkeypatch.setenv(name, telegram_server.TOKEN)


async def started(program: str) -> Any:
    """Run a program to its end, in which it would poll for ever; return its memory."""
    names: dict[str, Any] = {"__name__": "__main__"}
    await asyncio.to_thread(exec, program, names)  # it may run an event loop of its own
    return names["memory"]


def test_they_are_about_ten_lines() -> None:
    """Imports and empty lines aside."""
    for program in (TELEGRAM, DISCORD, SLACK):
        lines = [line for line in program.splitlines() if not NOT_PYTHON.match(line)]
        assert len(lines) <= 10, lines


@pytest.mark.asyncio
async def test_telegram_in_ten_lines(
    monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider
) -> None:
    """It answers, remembers, and answers what is told twice without the model."""
    token, seen = ApplicationBuilder.token, list[Any]()
    async with telegram_server.telegram_server() as server:
        monkeypatch.setattr(
            ApplicationBuilder, "token", lambda one, text: token(one, text).base_url(server.url)
        )
        monkeypatch.setattr(Application, "run_polling", lambda app: seen.append(app))  # noqa: PLW0108 - a method of a list would not be given the application
        memory, (app,) = await started(TELEGRAM), seen
        async with memory, app:
            await app.start()
            await app.updater.start_polling(timeout=0)
            update = server.tell("message", "plums?", id=5)
            server.tell_again(update)
            server.tell("message", "pears?", id=6)
            await server.until(lambda: server.shown() == ["an answer"] * 3)
            await app.updater.stop()
            await app.stop()
    assert [one.text for one in provider.requests[-1].messages] == ["plums?", "an answer", "pears?"]
    assert len(provider.calls) == 2


@pytest.mark.asyncio
async def test_discord_in_ten_lines(
    monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider
) -> None:
    """It answers whoever mentions it, and remembers."""
    seen: list[Any] = []
    monkeypatch.setattr(discord.Client, "run", lambda bot, _: seen.append(bot))
    memory, (bot,) = await started(DISCORD), seen
    async with memory:
        await memory.list()
        async with simcord.run(bot) as env:
            guild = env.create_guild()
            channel = guild.create_text_channel("fruit")
            ann = guild.add_member(env.create_user("ann"))
            for text in ("plums?", "pears?"):
                await ann.send(channel, f"<@{bot.user.id}> {text}")
            await ann.send(channel, "not for the bot")
            shown = [one.content for one in channel.history() if one.author.bot]
    assert shown == ["an answer", "an answer"]
    assert len(provider.requests[-1].messages) == 3


@pytest.mark.asyncio
async def test_slack_in_ten_lines(
    monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider
) -> None:
    """It answers in the thread, remembers, and asks once what is delivered twice."""
    seen: list[Any] = []

    class Handler:
        """Has the application, and no connection."""

        def __init__(self, app: Any, _: str) -> None:
            seen.append(app)

        async def start_async(self) -> None:
            """Do nothing."""

    monkeypatch.setattr(aiohttp, "AsyncSocketModeHandler", Handler)
    memory, (app,) = await started(SLACK), seen
    async with memory, slack_server.slack_server() as server:
        app.client.base_url = server.url
        event = {"type": "app_mention", "user": "UANN", "channel": "C1", "text": "<@UBOT> plums?"}
        for ts, thread in (("1.1", None), ("1.1", None), ("1.2", "1.1")):
            told = event | {"ts": ts} | ({"thread_ts": thread} if thread else {})
            body = {"type": "event_callback", "team_id": "T1", "event": told}
            before = asyncio.all_tasks()
            await app.async_dispatch(AsyncBoltRequest(body=body, mode="socket_mode"))
            while running := [one for one in asyncio.all_tasks() - before if not one.done()]:
                await asyncio.wait(running)
        assert server.shown() == ["an answer"] * 3
        assert {post["thread_ts"] for post in server.posts.values()} == {"1.1"}
    assert len(provider.calls) == 2
    assert len(provider.requests[-1].messages) == 3
