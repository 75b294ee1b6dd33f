"""The recordings of the real server, as requests to send and answers to compare."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from convostore.testing.playground_form import snake
from convostore.testing.playground_threads import KeptMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDINGS = Path(__file__).parent.parent / "providers" / "recordings"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, de-chunked; `whole` is False when its body broke off."""

    status: int
    head: str
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        for line in self.head.splitlines()[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The objects of a stream."""
        return [json.loads(line) for line in self.body.split(b"\n") if line]


@dataclass(frozen=True)
class Recorded:
    """One recorded case."""

    folder: Path

    @property
    def name(self) -> str:
        """Era and case."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def request(self) -> bytes:
        """The bytes that were sent."""
        return (self.folder / "request.txt").read_bytes()

    @property
    def is_send(self) -> bool:
        """Whether it sent a turn."""
        return self.request.startswith(b"POST")

    @cached_property
    def answer(self) -> Answer:
        """What the real server said."""
        head = (self.folder / "response-headers.txt").read_bytes().decode("latin-1")
        status = int(head.split(" ")[1])
        wire = self.folder / "body.wire"
        if wire.exists():
            return _dechunked(status, head, wire.read_bytes())
        body = b"".join(path.read_bytes() for path in sorted(self.folder.glob("body.*")))
        return Answer(status, head, body, whole=True)

    @property
    def at_ms(self) -> int:
        """When it was answered; the header has whole seconds."""
        date = self.answer.header("Date")
        assert date is not None
        return int(parsedate_to_datetime(date).timestamp() * 1000)

    @property
    def messages(self) -> list[KeptMessage]:
        """Every message that the answer shows, whatever the shape."""
        content_type = self.answer.header("Content-Type") or ""
        if "jsonl" in content_type:
            return [m for line in self.answer.lines for m in _messages(line)]
        if "json" not in content_type or not self.answer.body:
            return []
        return list(_messages(json.loads(self.answer.body)))


@cache
def cases(era: str) -> tuple[Recorded, ...]:
    """Return the recorded cases of one era that have both request and answer."""
    return tuple(
        Recorded(folder)
        for folder in sorted((RECORDINGS / era).iterdir())
        if (folder / "request.txt").exists()
    )


@cache
def known_messages(era: str) -> dict[str, KeptMessage]:
    """Return every message that any recording of the era shows, as it was in the end."""
    known: dict[str, KeptMessage] = {}
    for case in cases(era):
        for message in case.messages:
            before = known.get(message.id)
            if before is None or message.final or not before.final:
                known[message.id] = message
    return dict(sorted(known.items(), key=lambda item: item[1].created_ms))


async def send_bytes(url: str, request: bytes, *, lines: int | None = None) -> Answer:
    """Send *request* as it is and read the answer; hang up after so many *lines* of its body."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    wire = b""
    while chunk := await reader.read(65536):
        wire += chunk
        if lines is not None and wire.count(b"}\n") >= lines:
            break
    writer.close()
    await writer.wait_closed()
    text = head.decode("latin-1")
    status = int(text.split(" ")[1])
    if "transfer-encoding: chunked" in text.lower():
        return _dechunked(status, text, wire)
    return Answer(status, text, wire, whole=True)


def _dechunked(status: int, head: str, wire: bytes) -> Answer:
    body, at = b"", 0
    while (end := wire.find(b"\r\n", at)) >= 0:
        size = int(wire[at:end], 16)
        if size == 0:
            return Answer(status, head, body, whole=True)
        body += wire[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return Answer(status, head, body, whole=False)


def _messages(value: Any) -> Iterator[KeptMessage]:
    if isinstance(value, list):
        for item in value:
            yield from _messages(item)
    if isinstance(value, dict):
        if "role" in value and "root" in value and isinstance(value["root"], str):
            yield _kept(value)
        for item in value.values():
            yield from _messages(item)


def _kept(shown: dict[str, Any]) -> KeptMessage:
    values = {snake(name): value for name, value in shown.items()}
    fields = set(KeptMessage.__slots__) - {"created_ms", "expires_ms", "opts"}
    return KeptMessage(
        **{name: values[name] for name in fields & set(values)},
        created_ms=_ms(values["created"]) or 0,
        expires_ms=_ms(values["expiration_time"]),
        opts={snake(name): value for name, value in values["opts"].items()},
    )


def _ms(time: str | None) -> int | None:
    if time is None:
        return None
    return int(datetime.fromisoformat(time).astimezone(UTC).timestamp() * 1000)
