"""A stand-in for Slack's Web API on loopback: what a bot posts and changes."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class SlackServer:
    """Shows what a bot has posted.

    Attributes:
        url: of the Web API.
        posts: the bot's messages by their `ts`: where they stand, and their text.
        updates: how often the bot has changed one.
        refusals: how many of the next posts and updates are refused.
    """

    def __init__(self) -> None:
        self.url = ""
        self.posts: dict[str, dict[str, Any]] = {}
        self.updates = self.refusals = 0
        self._numbers = itertools.count(1)

    def shown(self) -> list[str]:
        """Return the texts of the bot's messages, in order."""
        return [post["text"] for post in self.posts.values()]

    async def answer(self, request: web.Request) -> web.Response:
        """Carry out one method."""
        form: dict[str, Any] = dict(await request.post())
        if request.content_type == "application/json":
            form = await request.json()
        if self.refusals and request.match_info["method"].startswith("chat."):
            self.refusals -= 1
            return web.json_response({"ok": False, "error": "ratelimited"})
        result: dict[str, Any] = {"ok": True}
        match request.match_info["method"]:
            case "auth.test":
                result |= {
                    "team_id": "T1",
                    "user_id": "UBOT",
                    "bot_id": "B1",
                    "url": "",
                    "team": "",
                }
            case "chat.postMessage":
                ts = f"1800000000.{next(self._numbers):06}"
                self.posts[ts] = form
                result |= {"channel": form["channel"], "ts": ts}
            case "chat.update":
                self.updates += 1
                self.posts[form["ts"]] |= {"text": form["text"]}
        return web.json_response(result)


@asynccontextmanager
async def slack_server() -> AsyncIterator[SlackServer]:
    """Serve on loopback."""
    server = SlackServer()
    app = web.Application()
    app.router.add_post("/api/{method}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/api/"
    try:
        yield server
    finally:
        await runner.cleanup()
