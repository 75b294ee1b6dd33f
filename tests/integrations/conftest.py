"""A Playground server that is the configured one, and a client that calls the drop-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import convostore
from convostore.integrations.g4f import AllenAI
from convostore.providers import playground_paths
from convostore.testing import PlaygroundServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from convostore.records import Message
    from tests.engines import Where

_PATHS = {"stream": "/v4/message/stream", "mid": "/v4/message/stream", "threads": "/v4/threads/"}


class Client:
    """A program that was written for gpt4free's AllenAI."""

    def __init__(self, server: PlaygroundServer) -> None:
        self.server = server
        # The newer servers list tulu3-405b and cannot run it.
        self.model = "qwen3-openai" if server.dialect == "threads" else "tulu3-405b"

    async def ask(self, text: str, **kwargs: Any) -> list[Any]:
        """Ask one question and return all that is yielded."""
        kwargs = {"model": self.model, "messages": [self.user(text)], **kwargs}
        return [one async for one in AllenAI.create_async_generator(**kwargs)]

    def user(self, content: object) -> dict[str, Any]:
        """Make a user's message."""
        return {"role": "user", "content": content}

    def answer(self, yielded: Iterable[object]) -> str:
        """Join the pieces of text."""
        return "".join(one for one in yielded if isinstance(one, str))

    def sent(self) -> list[dict[str, Any]]:
        """Return the form fields of the turns that the server was asked for."""
        turns = [one for one in self.server.requests if one.method == "POST"]
        return [one.fields for one in turns if one.path == _PATHS[self.server.dialect]]

    async def kept(self, ref: str | None = "@") -> list[Message]:
        """Read a conversation's path back from the store."""
        async with convostore.open() as store:
            return list(await (await store.resume(str(ref))).history())


@pytest.fixture(autouse=True)
def _no_server_is_known() -> None:
    """Let no test know from another one what the server on a reused port speaks."""
    playground_paths.forget_all()


@pytest_asyncio.fixture
async def server(
    request: pytest.FixtureRequest, path: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PlaygroundServer]:
    """Run a server of the older dialect, or the parametrized one, with a new store beside it."""
    async with PlaygroundServer(getattr(request, "param", "stream")) as running:
        monkeypatch.setenv("CONVOSTORE_DB", str(path))
        (tmp_path / "config.toml").touch()
        monkeypatch.setenv("CONVOSTORE_CONFIG", str(tmp_path / "config.toml"))
        monkeypatch.setenv("CONVOSTORE_PLAYGROUND_URL", running.url)
        monkeypatch.delenv("CONVOSTORE_OWNER", raising=False)
        yield running


@pytest.fixture
def client(server: PlaygroundServer) -> Client:
    """Give a client of that server."""
    return Client(server)
