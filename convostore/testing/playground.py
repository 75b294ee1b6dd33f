"""A Playground server on loopback, for tests; `python -m convostore.testing.playground` runs one."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiohttp import web

from convostore import clock as system_clock
from convostore.testing import playground_wire as wire
from convostore.testing.playground_canned import (
    CannedAnswer,
    VerbatimResponse,
    http_answer,
    read_recording,
)
from convostore.testing.playground_endpoints import Endpoints, as_gunicorn, form_of
from convostore.testing.playground_form import Form, SentFile
from convostore.testing.playground_models import Dialect, PlaygroundModel, default_models
from convostore.testing.playground_rules import RefusedError
from convostore.testing.playground_threads import KeptMessage, KeptThreads
from convostore.testing.playground_turns import CaptchaMode, TurnDesk
from convostore.testing.steps import Gate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from convostore.clock import Clock
    from convostore.testing.playground_replies import ReplyStep

_MAX_BODY_BYTES = 100 * 1024 * 1024  # Source: olmo-api, nginx client_max_body_size
_CAPTCHA_OF: dict[Dialect, CaptchaMode] = {
    "threads": "optional",
    "stream": "off",
    "mid": "required",
}
Method: TypeAlias = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """What came in.

    Attributes:
        method: GET, POST or DELETE.
        path: without the query.
        query: the query's parameters.
        headers: as sent.
        fields: of a multipart or JSON body, by snake_case name; of repeated ones the first.
        body: all bytes.
        files: what of it are files.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    fields: dict[str, Any]
    body: bytes
    files: tuple[SentFile, ...] = ()


class PlaygroundServer:
    """Speak one dialect of the Ai2 Playground on loopback, by the real server's rules.

    .. code-block:: python

        async with PlaygroundServer() as server:
            provider = Playground(server.url)
            server.answer("Hel", "lo")  # the next turn
            server.script("Hel", server.gate("half"), Cut())  # the one after it
            server.respond(429, headers={"Retry-After": "7"})  # before any of them

    Without a script the model says what it was sent, so a test can prove which context the
    server carried; `script=NAME` in the user's text plays one of the known scripts.
    Source: olmo-api at da33b0b ("stream"), 3395b71 ("mid") and f0c14ee ("threads").

    Attributes:
        dialect: threads (2026), stream (February 2025), or mid (May 2025: stream with a captcha).
        requests: what was received, in order.
    """

    def __init__(
        self,
        dialect: Dialect = "threads",
        *,
        clock: Clock | None = None,
        models: Sequence[PlaygroundModel] | None = None,
        captcha: CaptchaMode | None = None,
        accounts: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        """Make a server; entering it opens the port.

        Args:
            dialect: what it speaks.
            clock: tells when messages expire; the package's clock by default.
            models: what it offers; the models of the recorded servers by default.
            captcha: off, optional (a token that is sent is checked), or required; by default
                as the dialect has it. The tokens "bad" and "bot" fail, all others pass.
            accounts: bearer token -> the signed-in client.
            port: 0 is any free one.
        """
        self.dialect = dialect
        self.requests: list[ReceivedRequest] = []
        now_ms = clock.now_ms if clock is not None else system_clock.now_ms
        self._kept = KeptThreads(now_ms, loses_branches=dialect == "threads")
        desk = TurnDesk(
            dialect=dialect,
            kept=self._kept,
            models=list(default_models(dialect) if models is None else models),
            captcha=captcha or _CAPTCHA_OF[dialect],
            now_ms=now_ms,
        )
        self._endpoints = Endpoints(desk, accounts or {})
        self._canned: list[CannedAnswer] = []
        self._gates: dict[str, Gate] = {}
        self._running: set[asyncio.Task[Any]] = set()
        self._wanted_port = port
        self._runner: web.AppRunner | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The server's address, once it is entered."""
        return self._url

    @property
    def prompts(self) -> list[list[tuple[str, str]]]:
        """What the models were sent, turn by turn, as (role, content)."""
        return self._endpoints.prompts

    @property
    def messages(self) -> dict[str, KeptMessage]:
        """All messages that are kept, by id; change them to play a fault of the server."""
        return self._kept.by_id

    @property
    def threads(self) -> list[list[KeptMessage]]:
        """The live threads, newest first, each depth first from its first message."""
        return [list(self._kept.subtree(root)) for root in self._kept.threads()]

    def answer(self, *pieces: str) -> None:
        """Let the next turn without a script say *pieces*."""
        self.script(*pieces)

    def script(self, *steps: ReplyStep) -> None:
        """Let the next turn without a script play *steps*; its proper end follows by itself."""
        self._endpoints.scripts.append(steps)

    def gate(self, name: str) -> Gate:
        """Return the gate of that name, making it at the first mention."""
        return self._gates.setdefault(name, Gate())

    def respond(
        self,
        status: int,
        body: str | bytes = "",
        *,
        headers: Mapping[str, str] | None = None,
        method: Method = "POST",
        path: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer the next fitting requests with a status and a body, as a front would.

        Args:
            status: the HTTP status.
            body: an HTML page, JSON, or anything.
            headers: such as Content-Type, Retry-After or Location.
            method: of the requests that fit.
            path: of the requests that fit; None is any.
            times: how many of them; None is all.
        """
        data = http_answer(status, body, dict(headers or {}))
        self._canned.append(CannedAnswer(method=method, path=path, data=data, times=times))

    def respond_raw(
        self, data: bytes, *, method: Method = "POST", path: str | None = None, stalls: bool = False
    ) -> None:
        """Write *data* to the connection of the next fitting request, and nothing else.

        Args:
            data: empty is a connection closed without an answer.
            method: of the request that fits.
            path: of the request that fits; None is any.
            stalls: keep the connection open afterwards instead of closing it.
        """
        self._canned.append(CannedAnswer(method=method, path=path, data=data, stalls=stalls))

    def replay(self, case: Path, *, times: int | None = 1) -> None:
        """Answer the next request of the recorded method and path byte for byte as recorded.

        Args:
            case: a folder with request.txt, response-headers.txt and the body.
            times: how many such requests; None is all.

        Raises:
            ValueError: the folder holds no whole answer.
        """
        canned = read_recording(case)
        canned.times = times
        self._canned.append(canned)

    async def __aenter__(self) -> Self:
        """Open the port."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES, middlewares=[self._front])
        app.add_routes(self._endpoints.routes())
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._wanted_port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self._url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop every reply that is still running and close the port."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _front(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler runs in a task
        self._running.add(task)
        try:
            return await self._answer(request, handler)
        finally:
            self._running.discard(task)

    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        try:
            if not _is_loopback(request.host):
                raise RefusedError(403)
            await self._remember(request)
            canned = next((c for c in self._canned if c.fits(request.method, request.path)), None)
            if canned is not None:
                return await _give(canned, request)
            response = await handler(request)
        except RefusedError as error:
            response = _error_page(request, error)
        except web.HTTPException as error:
            response = _error_page(request, RefusedError(error.status))
        return response if response.prepared else as_gunicorn(response)

    async def _remember(self, request: web.Request) -> None:
        try:
            form = await form_of(request)
        except RefusedError:  # a field is too large: the endpoint says so
            form = Form()
        self.requests.append(
            ReceivedRequest(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=dict(request.headers),
                fields={name: values[0] for name, values in form.repeated.items()},
                body=await request.read(),
                files=form.files,
            )
        )


async def _give(canned: CannedAnswer, request: web.Request) -> web.StreamResponse:
    if canned.times is not None:
        canned.times -= 1
    if canned.stalls:
        if request.transport is not None:
            request.transport.write(canned.data)
        await asyncio.Event().wait()
    return VerbatimResponse(canned.data)


def _error_page(request: web.Request, error: RefusedError) -> web.Response:
    status = error.status
    if request.headers.get("Accept") == "text/html":
        page = f"<!doctype html>\n<title>{status}</title>\n<h1>{status}</h1>\n<p>{error}</p>\n"
        return web.Response(status=status, text=page, content_type="text/html")
    body = wire.document(error.document)
    return web.Response(status=status, body=body, content_type="application/json")


def _is_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _serve(dialect: Dialect, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with PlaygroundServer(dialect, port=port) as server:
        print(server.url, flush=True)  # noqa: T201 - the one line a caller waits for
        await ended.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Run a server on loopback until Ctrl-C or SIGTERM; its address is the first line on stdout."""
    parser = argparse.ArgumentParser(
        prog="python -m convostore.testing.playground", description=main.__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="0 is any free one")
    parser.add_argument("--dialect", choices=("threads", "stream", "mid"), default="threads")
    options = parser.parse_args(argv)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(options.dialect, options.port))
    except (OSError, OverflowError) as error:  # in use, not allowed, or no port at all
        number = getattr(error, "errno", None)
        why = os.strerror(number).lower() if number else error
        parser.exit(2, f"{parser.prog}: port {options.port} cannot be opened: {why}\n")


if __name__ == "__main__":
    main()
