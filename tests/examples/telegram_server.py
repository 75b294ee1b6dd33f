"""A stand-in for Telegram's Bot API on loopback: a few methods, and what a bot does with them."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TOKEN = "1:token"
ANN = {"id": 1, "is_bot": False, "first_name": "Ann", "last_name": "Lee"}
BOB = {"id": 2, "is_bot": False, "first_name": "Bob"}
GROUP = {"id": -42, "type": "group", "title": "Fruit"}
_ME = {"id": 99, "is_bot": True, "first_name": "Bot", "username": "fruit_bot"}
_POLL_S = 0.05  # the real one holds a request for up to a minute
_PATIENCE_S = 30.0


class TelegramServer:
    """Gives a bot updates, and shows what it has sent.

    Attributes:
        url: of the Bot API, up to the token.
        chats: the texts that each chat shows of the bot, by the id of the message.
        edits: how often the bot has edited a message.
    """

    def __init__(self) -> None:
        self.url = ""
        self.chats: dict[int, dict[int, str]] = {}
        self.edits = 0
        self._updates: list[dict[str, Any]] = []
        self._numbers, self._ids = itertools.count(1), itertools.count(1000)
        self._changed = asyncio.Condition()

    def tell(self, kind: str, text: str, *, id: int, **more: Any) -> dict[str, Any]:
        """Put an update about a message in line, and return the update."""
        message: dict[str, Any] = {"message_id": id, "date": 1_700_000_000, "text": text}
        if text.startswith("/"):
            length = len(text.split(maxsplit=1)[0])
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        if kind == "edited_message":
            message["edit_date"] = 1_700_000_001
        message |= {"chat": GROUP, "from": ANN} | more
        update = {"update_id": next(self._numbers), kind: message}
        self._updates.append(update)
        return update

    def tell_again(self, update: dict[str, Any]) -> None:
        """Put an update in line that was told before, as where its confirmation was lost."""
        self._updates.append(update | {"update_id": next(self._numbers)})

    def shown(self, chat_id: int = -42) -> list[str]:
        """Return the texts of the bot in a chat, in order."""
        return list(self.chats.get(chat_id, {}).values())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the bot has done something."""
        async with self._changed, asyncio.timeout(_PATIENCE_S):
            await self._changed.wait_for(holds)

    async def answer(self, request: web.Request) -> web.Response:
        """Carry out one method."""
        form = dict(await request.post())
        method = request.match_info["method"]
        found = getattr(self, f"_{method}", None)
        result = True if found is None else await found(form)
        async with self._changed:
            self._changed.notify_all()
        return web.json_response({"ok": True, "result": result})

    async def _getMe(self, _: dict[str, Any]) -> Any:  # noqa: N802 - the method's own name
        return _ME

    async def _getUpdates(self, form: dict[str, Any]) -> Any:  # noqa: N802 - the method's own name
        offset = int(form.get("offset", 0))
        self._updates = [one for one in self._updates if one["update_id"] >= offset]
        if not self._updates:
            await asyncio.sleep(_POLL_S)
        return self._updates

    async def _sendMessage(self, form: dict[str, Any]) -> Any:  # noqa: N802 - the method's own name
        return self._message(form, next(self._ids))

    async def _editMessageText(self, form: dict[str, Any]) -> Any:  # noqa: N802 - the method's own name
        self.edits += 1
        return self._message(form, int(form["message_id"]))

    def _message(self, form: dict[str, Any], id: int) -> dict[str, Any]:
        chat_id = int(form["chat_id"])
        self.chats.setdefault(chat_id, {})[id] = form["text"]
        chat = {"id": chat_id, "type": "group", "title": "Fruit"}
        return {"message_id": id, "date": 1_700_000_002, "chat": chat, "text": form["text"]}


@asynccontextmanager
async def telegram_server() -> AsyncIterator[TelegramServer]:
    """Serve on loopback."""
    server = TelegramServer()
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/bot"
    try:
        yield server
    finally:
        await runner.cleanup()


def calls(log: Any) -> list[dict[str, Any]]:
    """Return what a provider of another process has noted of its calls."""
    with suppress(FileNotFoundError):
        return [json.loads(line) for line in log.read_text().splitlines()]
    return []
