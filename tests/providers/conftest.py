"""A raw server on loopback that sends prepared bytes, and the recordings it can send."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from convostore.providers import Local, playground_paths
from convostore.providers.local_model import fetch_model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RECORDINGS = Path(__file__).parent / "recordings"


@dataclass
class Recording:
    """One recorded answer."""

    era: str
    case: str
    method: str
    path: str
    status: int

    @property
    def name(self) -> str:
        return f"{self.era}/{self.case}"

    @property
    def folder(self) -> Path:
        return RECORDINGS / self.era / self.case

    @property
    def body(self) -> bytes:
        """The body after de-chunking; a filled-up page where it was HTML."""
        for file in ("body.ndjson", "body.json"):
            if (self.folder / file).exists():
                return (self.folder / file).read_bytes()
        head = (self.folder / "response-headers.txt").read_text().lower()
        return b"<html>".ljust(int(head.split("content-length: ")[1].split()[0]))

    @property
    def wire(self) -> bytes:
        """Headers and body as they were on the wire."""
        head = (self.folder / "response-headers.txt").read_bytes()
        if (self.folder / "body.wire").exists():
            return head + (self.folder / "body.wire").read_bytes()
        if b"transfer-encoding: chunked" in head.lower():
            return head + chunked(self.body)
        return head + self.body


def chunked(body: bytes) -> bytes:
    """Frame a body as the recorded server did: a chunk per line."""
    lines = body.splitlines(keepends=True) if body else []
    framed = [f"{len(line):x}\r\n".encode() + line + b"\r\n" for line in lines]
    return b"".join(framed) + b"0\r\n\r\n"


@pytest.fixture(autouse=True)
def _no_server_is_known() -> None:
    """Let no test know from another one what the server on a reused port speaks."""
    playground_paths.forget_all()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no test see the keys and the configuration of whoever runs it."""
    for name in [one for one in os.environ if "OPENAI" in one]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-config"))


@pytest.fixture(scope="session")
def model() -> Path:
    """Return the small model's file, downloaded if need be."""
    return fetch_model()


@pytest_asyncio.fixture
async def local(model: Path) -> AsyncIterator[Local]:
    """Return a provider with the small model, closed afterwards."""
    provider = Local(model, context_tokens=512)
    yield provider
    await provider.aclose()


@functools.cache
def load_recordings() -> list[Recording]:
    """Return all recordings."""
    return [Recording(**entry) for entry in json.loads((RECORDINGS / "index.json").read_text())]


@dataclass
class Received:
    """A request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def fields(self) -> list[tuple[str, str]]:
        """Return the form's fields, in order."""
        boundary = self.headers["content-type"].split("boundary=")[1].strip('"').encode()
        found = []
        for part in self.body.split(b"--" + boundary)[1:-1]:
            head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            name = head.decode().split('name="')[1].split('"')[0]
            found.append((name, value.removesuffix(b"\r\n").decode()))
        return found


@dataclass
class RawServer:
    """Answers each request with prepared bytes and closes the connection.

    Attributes:
        answers: by method and path; a list is used up from the front, the last one stays.
        piece: how many bytes are written at a time; 0 is all at once.
        hang: whether the connection stays open, silent, after the answer.
    """

    answers: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    piece: int = 0
    hang: bool = False
    url: str = ""
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[Any]] = field(default_factory=set)

    def answer(self, method: str, path: str, *raw: bytes) -> None:
        self.answers[method, path] = list(raw)

    def sends(self) -> list[Received]:
        return [one for one in self.received if one.method == "POST"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            raw = await self._take(reader)
            step = self.piece or len(raw) or 1
            for start in range(0, len(raw), step):
                writer.write(raw[start : start + step])
                await writer.drain()
                await asyncio.sleep(0)
            self.sent.set()
            if self.hang:
                await asyncio.Event().wait()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self._open.discard(task)

    async def _take(self, reader: asyncio.StreamReader) -> bytes:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
        method, path, _ = first.split(" ")
        self.received.append(Received(method, path, headers, body))
        prepared = self.answers.get((method, path), [NOT_FOUND])
        return prepared.pop(0) if len(prepared) > 1 else prepared[0]

    async def stop(self) -> None:
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


def ok(body: bytes, content_type: str = "application/jsonl", extra: str = "") -> bytes:
    """Return an answer with status 200 and a chunked body."""
    head = (
        f"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: {content_type}\r\n{extra}\r\n"
    )
    return head.encode() + chunked(body)


def plain(status: int, body: bytes, content_type: str = "text/html", extra: str = "") -> bytes:
    """Return an answer with any status and a known length."""
    head = (
        f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: {content_type}\r\n{extra}\r\n"
    )
    return head.encode() + body


NOT_FOUND = plain(404, b'{"error": {"code": 404, "message": "no"}}', "application/json")


@pytest_asyncio.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """Run a raw server with the recorded model list, on a free port, for one test."""
    server = RawServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=16 * 1024 * 1024)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}"
    server.answer("GET", "/v4/models/", recording_of("b/00-models").wire)
    yield server
    listening.close()
    await server.stop()
    await listening.wait_closed()


def recording_of(name: str) -> Recording:
    """Return one recording by its era and case."""
    return next(one for one in load_recordings() if one.name == name)


@pytest.fixture
def recording() -> Callable[[str], Recording]:
    """Find recordings by name."""
    return recording_of


@pytest.fixture
def ok_answer() -> Callable[..., bytes]:
    """Make answers with status 200."""
    return ok


@pytest.fixture
def plain_answer() -> Callable[..., bytes]:
    """Make answers of a known length."""
    return plain
