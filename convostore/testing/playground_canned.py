"""Answers that are given as they are: error pages, redirects, and recorded traffic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.abc import AbstractStreamWriter


@dataclass(slots=True, kw_only=True)
class CannedAnswer:
    """Bytes to write to the connection instead of an answer of the server's own.

    Attributes:
        method: of the request it answers.
        path: of the request it answers; None is any.
        data: status line, headers and body, or whatever goes over the wire.
        times: how often it is given; None is for ever.
        stalls: keep the connection open after the last byte.
    """

    method: str
    path: str | None
    data: bytes
    times: int | None = 1
    stalls: bool = False

    def fits(self, method: str, path: str) -> bool:
        """Tell whether this answers a request."""
        return self.times != 0 and self.method == method and self.path in (None, path)


class VerbatimResponse(web.StreamResponse):
    """Write bytes to the connection as they are, then close it."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data
        self._transport_request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write everything at once."""
        self._transport_request = request
        if request.transport is not None:
            request.transport.write(self._data)
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - aiohttp's signature
        """Close the connection after what was written."""
        if self._transport_request is not None:
            cut(self._transport_request)


def cut(request: web.BaseRequest) -> None:
    """Close the connection once everything written so far has left."""
    if request.transport is not None:
        request.transport.close()


def http_answer(status: int, body: str | bytes, headers: dict[str, str]) -> bytes:
    """Return a whole HTTP answer."""
    data = body.encode() if isinstance(body, str) else body
    reason = HTTPStatus(status).phrase.upper()
    lines = [f"HTTP/1.1 {status} {reason}", "Connection: close", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def read_recording(case: Path) -> CannedAnswer:
    """Read one recorded case: a folder with request.txt, response-headers.txt and the body.

    A chunked body was kept without its framing and is framed anew, a line per chunk; `body.wire`
    holds the framing of one that broke off, and is written as it is.

    Raises:
        ValueError: the folder has no whole answer.
    """
    head = (case / "response-headers.txt").read_bytes().rstrip(b"\r\n") + b"\r\n\r\n"
    method, path = _request_line(case)
    if (case / "body.wire").exists():
        return CannedAnswer(method=method, path=path, data=head + (case / "body.wire").read_bytes())
    bodies = [*case.glob("body.*")]
    body = bodies[0].read_bytes() if bodies else b""
    if b"transfer-encoding: chunked" in head.lower():
        if not bodies:
            raise ValueError(f"{case}: the recorded body was left out")
        return CannedAnswer(method=method, path=path, data=head + _framed(body))
    length = _content_length(head)
    if not bodies and length:  # HTML pages were left out: as many blanks stand for them
        body = b" " * length
    return CannedAnswer(method=method, path=path, data=head + body)


def _request_line(case: Path) -> tuple[str, str]:
    request = case / "request.txt"
    if request.exists():
        method, target, _ = request.read_bytes().split(b"\r\n", 1)[0].decode().split(" ")
        return method, target.partition("?")[0]
    for entry in json.loads((case.parent.parent / "index.json").read_text()):
        if (entry["era"], entry["case"]) == (case.parent.name, case.name):
            return entry["method"], entry["path"].partition("?")[0]
    raise ValueError(f"{case}: neither request.txt nor index.json says what was asked")


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _framed(body: bytes) -> bytes:
    lines = body.splitlines(keepends=True) if body else []
    return b"".join(b"%X\r\n%s\r\n" % (len(one), one) for one in lines) + b"0\r\n\r\n"
