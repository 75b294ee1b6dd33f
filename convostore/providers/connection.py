"""HTTP to one server: connections, answers, time limits; the only part of a provider with I/O."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from convostore import __version__, clock
from convostore.errors import (
    ProviderConnectError,
    ProviderOptionError,
    ProviderProtocolError,
    ProviderTimeoutError,
)
from convostore.providers.ndjson import LINE_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from types import TracebackType
    from typing import Self

    import aiohttp

OK = 200
_MOMENT_S = 0.1  # a server that means to end its answer does so at once
ResultT = TypeVar("ResultT")


class Words(NamedTuple):
    """How errors speak of a server.

    Attributes:
        provider: the provider's name.
        server: what the server is called in a sentence.
        unreached: the hint where no connection can be made.
        again: the hint where it may work another time.
        other: the hint where what answers is no such server.
    """

    provider: str
    server: str
    unreached: str
    again: str
    other: str


class BrokenBodyError(Exception):
    """The body did not end properly, or is larger than anything the protocol sends."""


class Limits:
    """The time limits of one reply.

    Time counts only where `wait` waits: a slow reader of the events does not use up the idle
    time, but it does use up the total.

    Args:
        idle_s: for the next event, or the answer to a request.
        total_s: for the whole reply.
        words: how an error speaks of the server.
    """

    def __init__(self, idle_s: float, total_s: float, words: Words) -> None:
        self._words = words
        self._idle_s = idle_s
        self._total_s = total_s
        now_s = clock.monotonic_s()
        self._idle_ends_s = now_s + idle_s
        self._total_ends_s = now_s + total_s

    def restart_idle(self) -> None:
        """Note that there was an event, or that a request begins."""
        self._idle_ends_s = clock.monotonic_s() + self._idle_s

    async def wait(self, what: Awaitable[ResultT]) -> ResultT:
        """Wait for *what*, at most until the nearer limit.

        Raises:
            ProviderTimeoutError: a limit passed.
        """
        left_s = min(self._idle_ends_s, self._total_ends_s) - clock.monotonic_s()
        try:
            async with clock.timeout(max(left_s, 0.0)):
                result = await what
        except TimeoutError as error:
            if type(error) is not TimeoutError:  # the network layer's own
                raise
            raise self._passed() from None
        if left_s <= 0:  # there was always something to read at once
            raise self._passed()
        return result

    def _passed(self) -> ProviderTimeoutError:
        if self._total_ends_s <= self._idle_ends_s:
            message = f"the reply took longer than {self._total_s:g} s"
        else:
            message = f"nothing came from {self._words.server} for {self._idle_s:g} s"
        return ProviderTimeoutError(message, provider=self._words.provider, hint=self._words.again)


class Answer:
    """An HTTP answer whose body is still to be read. Leaving its context lets go of it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers

    @property
    def is_page(self) -> bool:
        """Whether it is a web page, which no protocol here speaks."""
        return self.headers.get("Content-Type", "").lower().startswith("text/html")

    async def __aenter__(self) -> Self:
        """Return it; it was opened when it was made."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give a whole connection back; close one with something still to come."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    async def read(self, limits: Limits) -> bytes:
        """Return what has arrived; nothing at the end of the body.

        Raises:
            BrokenBodyError: the connection broke, or the encoding is wrong.
            ProviderTimeoutError: a limit passed.
        """
        import aiohttp

        try:
            return await limits.wait(self._response.content.readany())
        except (aiohttp.ClientError, OSError) as error:
            # The reader raises before it hands over what had arrived with the break.
            rest: bytes = self._response.content._read_nowait(-1)  # noqa: SLF001 - no public way
            if rest:
                return rest  # the next read meets the break again
            raise BrokenBodyError("the connection broke") from error

    async def settle(self) -> None:
        """Wait a moment for the end of a body of which all that counts has come.

        A connection whose answer has ended serves the next request too.
        """
        import aiohttp

        with suppress(aiohttp.ClientError, OSError):  # one of them is the moment's end
            async with clock.timeout(_MOMENT_S):
                while not self._response.content.at_eof():
                    await self._response.content.readany()

    async def whole(self, limits: Limits) -> bytes:
        """Return the whole body.

        Raises:
            BrokenBodyError: it broke off, or is larger than a line of a stream may be.
            ProviderTimeoutError: a limit passed.
        """
        body = bytearray()
        while piece := await self.read(limits):
            body += piece
            if len(body) > LINE_LIMIT_BYTES:
                raise BrokenBodyError("the answer is too large")
        return bytes(body)

    async def error_body(self, limits: Limits) -> bytes:
        """Return the body of an error; empty when it cannot be had, as the status says enough."""
        try:
            return await self.whole(limits)
        except (BrokenBodyError, ProviderTimeoutError):
            return b""


class Connection:
    """Requests to one server, from any number of turns at once.

    Args:
        server_url: scheme, host and port.
        words: how errors speak of the server.
        proxy: an http or https proxy, or None.
        connect_timeout_s: for making a connection.

    Raises:
        ProviderOptionError: the proxy's URL cannot work.
    """

    def __init__(
        self, server_url: str, words: Words, *, proxy: str | None, connect_timeout_s: float
    ) -> None:
        self.server_url = server_url
        if proxy is not None and not is_http(proxy):
            raise ProviderOptionError(
                "the proxy's address must look like http://HOST:PORT",
                provider=words.provider,
                hint="give it as: --proxy http://HOST:PORT",
            )
        self._words = words
        self._proxy = proxy
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def request(
        self,
        method: str,
        path: str,
        limits: Limits,
        headers: Mapping[str, str],
        body: aiohttp.FormData | bytes | None = None,
    ) -> Answer:
        """Send a request and return the answer, whatever its status; no redirect is followed.

        Raises:
            ProviderError: there was no answer.
        """
        import aiohttp

        limits.restart_idle()
        try:
            return Answer(
                await limits.wait(
                    self._open().request(
                        method,
                        self.server_url + path,
                        data=body,
                        headers=headers,
                        allow_redirects=False,  # secrets must not go to another host
                        proxy=self._proxy,
                    )
                )
            )
        except (aiohttp.ClientError, OSError) as error:
            self._no_answer(error)

    async def read(self, answer: Answer, limits: Limits) -> bytes:
        """Return the whole body of an answer; of an error's, as much as can be had.

        The idle limit holds for all of it.

        Raises:
            ProviderError: the body of a 200 is not whole.
        """
        if answer.status != OK:
            return await answer.error_body(limits)
        try:
            return await answer.whole(limits)
        except BrokenBodyError as error:
            raise ProviderConnectError(
                f"the answer of {self._words.server} broke off: {error}",
                provider=self._words.provider,
                hint=self._words.again,
            ) from error

    async def aclose(self) -> None:
        """Close what is open. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Return the session of the running loop; it carries no cookies and no environment."""
        import aiohttp

        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"convostore/{__version__}"},
                timeout=aiohttp.ClientTimeout(
                    total=None,  # a long answer may take half an hour; Limits watches
                    connect=self._connect_timeout_s,
                    sock_connect=self._connect_timeout_s,
                ),
            )
        return self._session

    def _no_answer(self, error: Exception) -> NoReturn:
        """Raise what a request without an answer means.

        The network layer's own words can hold the proxy's password and are not repeated.
        """
        import aiohttp

        words = self._words
        host = urlsplit(self.server_url).netloc
        if isinstance(error, TimeoutError):
            raise ProviderTimeoutError(
                f"no connection to {host} within {self._connect_timeout_s:g} s",
                provider=words.provider,
                hint=words.unreached,
            ) from error
        if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
            raise ProviderConnectError(
                "the proxy cannot be reached, or refuses",
                provider=words.provider,
                hint="check --proxy URL",
            ) from None  # it shows the proxy's URL
        if isinstance(error, aiohttp.ClientResponseError):
            raise ProviderProtocolError(
                f"what answers at {host} does not speak HTTP",
                provider=words.provider,
                hint=words.other,
            ) from None  # it shows the request's URL, and with it the message's id
        if isinstance(error, aiohttp.ClientSSLError):
            why = "no secure connection (TLS) could be made"
        elif isinstance(error, aiohttp.ClientConnectorError):
            why = _reason(error.os_error)
        else:
            why = "it closed the connection without an answer"
        raise ProviderConnectError(
            f"cannot reach {words.server} at {host}: {why}",
            provider=words.provider,
            hint=words.unreached,
        ) from error


def _reason(error: OSError) -> str:
    """Return why there is no connection, in the system's words: asyncio's own hold a tuple."""
    if isinstance(error, socket.gaierror):
        return (error.strerror or "no such host").lower()
    return (os.strerror(error.errno) if error.errno else "no such host").lower()


def is_http(url: str) -> bool:
    """Tell whether *url* has the form of an address on the web."""
    try:
        parts = urlsplit(url.strip())
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
            and not any(character.isspace() for character in url.strip())
        )
    except ValueError:
        return False
