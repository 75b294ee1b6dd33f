"""The Playground's requests: forms and files, and who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from convostore.errors import ProviderError
from convostore.providers.connection import OK, Words, is_http
from convostore.providers.connection import Connection as AnyConnection
from convostore.providers.playground_errors import NAME, OTHER_URL, USE_LOCAL, page_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    import aiohttp

    from convostore.providers.connection import Answer, Limits

WORDS: Final = Words(
    provider=NAME,
    server="the Playground server",
    unreached=f"check the network or --proxy URL, or {USE_LOCAL}",
    again=f"try again, or {USE_LOCAL}",
    other=OTHER_URL,
)


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


class Connection(AnyConnection):
    """Requests to one server, from any number of turns at once.

    Args:
        base_url: the server's URL; only its scheme, host and port.
        proxy: an http or https proxy, or None.
        connect_timeout_s: for making a connection.

    Raises:
        ProviderError: one of the URLs cannot work.
    """

    def __init__(self, base_url: str, *, proxy: str | None, connect_timeout_s: float) -> None:
        super().__init__(
            _server_url(base_url), WORDS, proxy=proxy, connect_timeout_s=connect_timeout_s
        )

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
        return await self._ask("POST", path, limits, anonymous_user_id, form)

    async def get(
        self, path: str, limits: Limits, *, anonymous_user_id: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, headers and body of a read, whatever its status.

        The idle limit holds for the whole answer.

        Raises:
            ProviderError: there was no answer, or none that is whole.
        """
        async with await self._ask("GET", path, limits, anonymous_user_id) as answer:
            return answer.status, answer.headers, await self.read(answer, limits)

    async def _ask(
        self,
        method: str,
        path: str,
        limits: Limits,
        anonymous_user_id: str,
        form: aiohttp.FormData | None = None,
    ) -> Answer:
        headers = {"Accept": "application/json"}  # text/html would bring errors as pages
        if anonymous_user_id:
            headers["x-anonymous-user-id"] = anonymous_user_id
        answer = await self.request(method, path, limits, headers, form)
        if answer.status == OK and answer.is_page:
            async with answer:
                raise page_error(answer.status)
        return answer


def _server_url(base_url: str) -> str:
    """Return scheme, host and port in the one form by which remote threads name a server."""
    parts = urlsplit(base_url.strip()) if is_http(base_url) else None
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
