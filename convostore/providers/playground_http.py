"""The Playground's connections: requests, answers, time limits; the only part that does I/O."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

from convostore import __version__, clock
from convostore.errors import (
    ProviderConnectError,
    ProviderError,
    ProviderOptionError,
    ProviderProtocolError,
    ProviderTimeoutError,
)
from convostore.providers.ndjson import LINE_LIMIT_BYTES
from convostore.providers.playground_errors import NAME, OTHER_URL, USE_LOCAL, page_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    import aiohttp

ResultT = TypeVar("ResultT")


class BrokenBodyError(Exception):
    """The body did not end properly, or is larger than anything the protocol sends."""


class FormFile(NamedTuple):
    """A file in a form.

    Attributes:
        field: the name of its field.
        name: what it is called.
        media_type: what it is.
        size: in bytes.
        read: yields them, anew at each call.
    """

    field: str
    name: str
    media_type: str
    size: int
    read: Callable[[], AsyncGenerator[bytes]]


def _payload(file: FormFile) -> aiohttp.payload.Payload:
    """Return what streams a file, and says before how long it is: not every front takes chunks."""
    from aiohttp.payload import AsyncIterablePayload

    class Sized(AsyncIterablePayload):
        size = file.size

    return Sized(file.read(), content_type=file.media_type)


class Limits:
    """The time limits of one reply.

    Time counts only where `wait` waits: a slow reader of the events does not use up the idle
    time, but it does use up the total.
    """

    def __init__(self, idle_s: float, total_s: float) -> None:
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
            message = f"nothing came from the Playground server for {self._idle_s:g} s"
        return ProviderTimeoutError(message, provider=NAME, hint=f"try again, or {USE_LOCAL}")


class Answer:
    """An HTTP answer whose body is still to be read. Leaving its context lets go of it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

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
        base_url: the server's URL; only its scheme, host and port.
        proxy: an http or https proxy, or None.
        connect_timeout_s: for making a connection.

    Raises:
        ProviderError: one of the URLs cannot work.
    """

    def __init__(self, base_url: str, *, proxy: str | None, connect_timeout_s: float) -> None:
        self.server_url = _server_url(base_url)
        if proxy is not None and not _is_http(proxy):
            raise ProviderOptionError(
                "the proxy's address must look like http://HOST:PORT",
                provider=NAME,
                hint="give it as: --proxy http://HOST:PORT",
            )
        self._proxy = proxy
        self._connect_timeout_s = connect_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(
        self,
        path: str,
        fields: Iterable[tuple[str, str]],
        limits: Limits,
        *,
        anonymous_user_id: str,
        files: Iterable[FormFile] = (),
    ) -> Answer:
        """Send a multipart form and return the answer, whatever its status.

        Args:
            path: where to.
            fields: of text, in order.
            limits: of time.
            anonymous_user_id: who asks.
            files: after these; their bytes are read as they are sent.

        Raises:
            ProviderError: there was no answer, or a web page with status 200.
        """
        import aiohttp

        form = aiohttp.FormData(default_to_multipart=True)  # makes its own random boundary
        for name, value in fields:
            form.add_field(name, value)
        for file in files:
            form.add_field(
                file.field,
                _payload(file),
                filename=file.name,
                content_type=file.media_type,
            )
        return await self._request("POST", path, limits, anonymous_user_id, form)

    async def get(
        self, path: str, limits: Limits, *, anonymous_user_id: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, headers and body of a read, whatever its status.

        The idle limit holds for the whole answer.

        Raises:
            ProviderError: there was no answer, or none that is whole.
        """
        async with await self._request("GET", path, limits, anonymous_user_id) as answer:
            if answer.status != 200:  # noqa: PLR2004 - a status is its own name
                return answer.status, answer.headers, await answer.error_body(limits)
            try:
                return answer.status, answer.headers, await answer.whole(limits)
            except BrokenBodyError as error:
                raise ProviderConnectError(
                    f"the Playground server's answer broke off: {error}",
                    provider=NAME,
                    hint=f"try again, or {USE_LOCAL}",
                ) from error

    async def aclose(self) -> None:
        """Close what is open. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _request(
        self,
        method: str,
        path: str,
        limits: Limits,
        anonymous_user_id: str,
        form: aiohttp.FormData | None = None,
    ) -> Answer:
        import aiohttp

        headers = {"Accept": "application/json"}  # text/html would bring errors as pages
        if anonymous_user_id:
            headers["x-anonymous-user-id"] = anonymous_user_id
        limits.restart_idle()
        try:
            answer = Answer(
                await limits.wait(
                    self._open().request(
                        method,
                        self.server_url + path,
                        data=form,
                        headers=headers,
                        allow_redirects=False,  # the id must not go to another host
                        proxy=self._proxy,
                    )
                )
            )
        except (aiohttp.ClientError, OSError) as error:
            self._no_answer(error)
        page = answer.headers.get("Content-Type", "").lower().startswith("text/html")
        if answer.status == 200 and page:  # noqa: PLR2004 - a status is its own name
            async with answer:
                raise page_error(answer.status)
        return answer

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

        host = urlsplit(self.server_url).netloc
        if isinstance(error, TimeoutError):
            raise ProviderTimeoutError(
                f"no connection to {host} within {self._connect_timeout_s:g} s",
                provider=NAME,
                hint=f"check the network or --proxy URL, or {USE_LOCAL}",
            ) from error
        if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
            raise ProviderConnectError(
                "the proxy cannot be reached, or refuses",
                provider=NAME,
                hint=f"check --proxy URL, or {USE_LOCAL}",
            ) from None  # it shows the proxy's URL
        if isinstance(error, aiohttp.ClientResponseError):
            raise ProviderProtocolError(
                f"what answers at {host} does not speak HTTP", provider=NAME, hint=OTHER_URL
            ) from None  # it shows the request's URL, and with it the message's id
        if isinstance(error, aiohttp.ClientSSLError):
            why = "no secure connection (TLS) could be made"
        elif isinstance(error, aiohttp.ClientConnectorError):
            why = _reason(error.os_error)
        else:
            why = "it closed the connection without an answer"
        raise ProviderConnectError(
            f"cannot reach the Playground server at {host}: {why}",
            provider=NAME,
            hint=f"check the network or --proxy URL, or {USE_LOCAL}",
        ) from error


def _reason(error: OSError) -> str:
    """Return why there is no connection, in the system's words: asyncio's own hold a tuple."""
    if isinstance(error, socket.gaierror):
        return (error.strerror or "no such host").lower()
    return (os.strerror(error.errno) if error.errno else "no such host").lower()


def _server_url(base_url: str) -> str:
    """Return scheme, host and port in the one form by which remote threads name a server."""
    parts = urlsplit(base_url.strip()) if _is_http(base_url) else None
    if (
        parts is None
        or parts.username is not None
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise ProviderError(
            "the Playground's address must be like https://olmo-api.allen.ai, and nothing more",
            provider=NAME,
            hint="correct CONVOSTORE_PLAYGROUND_URL",
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _is_http(url: str) -> bool:
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
