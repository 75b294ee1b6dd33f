"""The Ai2 Playground: one request, its events; the check after a broken stream; the models."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from convostore import clock
from convostore.errors import ProviderError, ProviderProtocolError
from convostore.events import Finished
from convostore.providers.connection import BrokenBodyError, Limits
from convostore.providers.ndjson import BadLineError, ObjectReader
from convostore.providers.playground_errors import NAME, OTHER_URL, http_error, line_error
from convostore.providers.playground_files import check_files, file_fields
from convostore.providers.playground_http import WORDS, Connection
from convostore.providers.playground_models import chosen, named, parse_models
from convostore.providers.playground_objects import (
    IGNORED,
    StreamObject,
    parse_line,
    parse_thread,
    reply_chain,
)
from convostore.providers.playground_paths import (
    MODEL_PATHS,
    READ_PATH,
    SEND_PATH,
    WRONG_PATH,
    dialect_of,
    in_order,
    remember,
)
from convostore.providers.playground_request import (
    FIELD_LIMIT_BYTES,
    check_request,
    form_fields,
    parted,
)
from convostore.providers.playground_stream import ReplyDecoder
from convostore.providers.rehydrate import CONTEXT_CHARS, FirstContent, first_content

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from convostore.events import Event
    from convostore.providers.connection import Answer
    from convostore.providers.playground_models import ListedModel
    from convostore.providers.playground_objects import Dialect
    from convostore.providers.provider import ChatRequest, ModelInfo
    from convostore.records import RemoteThread

BASE_URL = "https://olmo-api.allen.ai"
# A null finish reason is what modal models report of a whole reply, and also what is kept of one
# whose backend failed (protocol 4.4, "grpc inference failed"): the two cannot be told apart.
_WHOLE = (None, "stop")


class Playground:
    """Ask the Ai2 Playground, or another server that speaks its protocol.

    It opens connections when they are needed, never follows a redirect, never repeats a request
    that the server may have taken, and sends ids to no other server than the one given.

    Args:
        base_url: the server, with scheme and without path.
        dialect: threads and stream are the newer and the older protocol; auto tries the newer
            one first; what a server speaks is remembered for the whole process.
        proxy: an http or https proxy, with user and password if it wants them.
        connect_timeout_s: for making a connection.
        idle_timeout_s: for the next event, the first one included.
        total_timeout_s: for the whole reply.
        context_chars: the most characters of earlier turns that a new remote thread is told.

    Raises:
        ProviderError: the URL or the proxy's URL cannot work.
    """

    name = NAME

    def __init__(
        self,
        base_url: str = BASE_URL,
        *,
        dialect: Literal["auto", "threads", "stream"] = "auto",
        proxy: str | None = None,
        connect_timeout_s: float = 10.0,
        idle_timeout_s: float = 120.0,
        total_timeout_s: float = 1800.0,
        context_chars: int = CONTEXT_CHARS,
    ) -> None:
        self._connection = Connection(base_url, proxy=proxy, connect_timeout_s=connect_timeout_s)
        self._dialect = dialect
        self.idle_timeout_s = idle_timeout_s
        self.total_timeout_s = total_timeout_s
        self._context_chars = context_chars
        self._listed: list[ListedModel] | None = None

    def __repr__(self) -> str:
        """Show the server alone."""
        return f"<Playground at {self.server_url}>"

    @property
    def server_url(self) -> str:
        """The server, in the form in which remote threads name it."""
        return self._connection.server_url

    def check(self, request: ChatRequest) -> None:
        """Refuse a request that cannot work (size, text, options) before anything is stored.

        Raises:
            ProviderError: with a hint; permanent.
        """
        check_request(request, starts_thread=self._usable(request) is None)

    async def check_attachments(self, request: ChatRequest) -> None:
        """Refuse files that the model does not take, as the server's list says.

        Files of earlier messages stay on the server's side of a thread; a new thread is told
        their names.

        Raises:
            AttachmentRefusedError: with a hint; permanent.
            ProviderError: the list cannot be had.
        """
        files = request.messages[-1].attachments
        if not files:
            return
        if self._listed is None:
            self._listed = await self._list(self._limits())
        check_files(files, self._asked(request), follows=self._usable(request) is not None)

    def _asked(self, request: ChatRequest) -> ListedModel | None:
        listed = self._listed or []
        if request.model is not None:
            return named(request.model, listed)
        return next((model for model in listed if model.is_visible), None)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Ask, and yield what comes back; the last event is Finished, or an error is raised.

        Raises:
            ProviderError: any kind; RemoteThreadGoneError only before the first delta.
        """
        self.check(request)
        await self.check_attachments(request)
        identity = request.identity_at(self.server_url)
        limits = self._limits()
        model = await self._model(request, limits)
        sent = await self._post(request, model, limits)
        async with sent.answer as answer:
            reply = ReplyDecoder(
                server_url=self.server_url,
                dialect=sent.dialect,
                continued=sent.continued,
                first=sent.first,
                secret=identity,
            )
            async with aclosing(_events(answer, reply, limits, identity)) as events:
                async for event in events:
                    yield event

    async def recover(self, remote: RemoteThread, anonymous_user_id: str) -> Finished | None:
        """Ask whether the server finished a reply whose stream broke.

        Returns:
            The whole reply, or None when the server has none (one that it cut off is none), or
            is not this one.

        Raises:
            ProviderError: it could not be asked.
        """
        user_id = remote.user_remote_id
        dialect = dialect_of(remote)
        if remote.server_url != self.server_url or user_id is None or dialect is None:
            return None
        status, headers, body = await self._connection.get(
            READ_PATH[dialect] + quote(user_id, safe=""),
            self._limits(),
            anonymous_user_id=anonymous_user_id,
        )
        if status == 404:  # noqa: PLR2004 - the message is gone: a status is its own name
            return None
        if status != 200:  # noqa: PLR2004 - see above
            raise http_error(status, headers, body, secret=anonymous_user_id)
        try:
            chain = reply_chain(parse_thread(body, dialect), user_id)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _not_the_protocol() from error
        replies = [message for message in chain if message.role == "assistant"]
        text = "".join(message.text for message in replies)
        if not text or chain[-1] is not replies[-1] or not replies[-1].final:
            return None
        last = replies[-1]
        if last.finish_reason not in _WHOLE:
            return None
        return Finished(
            model=last.model,
            finish_reason=last.finish_reason,
            remote=msgspec.structs.replace(remote, remote_id=last.id, same_text=True),
            text=text,
            reasoning="".join(message.thinking or "" for message in replies),
        )

    async def models(self) -> list[ModelInfo]:
        """List the models on offer, the default one first.

        Raises:
            ProviderError: it could not be asked.
        """
        limits = self._limits()
        self._listed = await self._list(limits)
        return [model.info() for model in self._listed if model.is_visible]

    async def aclose(self) -> None:
        """Let go of connections. Idempotent; the next request opens new ones."""
        await self._connection.aclose()

    # The parts of a request

    def _limits(self) -> Limits:
        return Limits(self.idle_timeout_s, self.total_timeout_s, WORDS)

    def _usable(self, request: ChatRequest, dialect: Dialect | None = None) -> RemoteThread | None:
        """Return the remote thread to continue, if it is of this server and still lives.

        Args:
            request: the request.
            dialect: the one that the request goes by; None is any that may be chosen for it.
        """
        remote = request.remote
        if remote is None or remote.server_url != self.server_url or not remote.remote_id:
            return None
        if remote.expires_at_ms is not None and remote.expires_at_ms <= clock.now_ms():
            return None
        allowed = (dialect,) if dialect is not None else self._dialects(request)
        return remote if remote.dialect in allowed else None

    def _dialects(self, request: ChatRequest) -> tuple[Dialect, ...]:
        """Return the dialects to try, in order."""
        wanted = request.settings.get("dialect", self._dialect)
        if wanted == "threads" or wanted == "stream":  # noqa: PLR1714 - mypy narrows it this way
            return (wanted,)
        return in_order(self.server_url, request.remote)

    def _first_content(self, request: ChatRequest) -> FirstContent:
        check_request(request, starts_thread=True)
        return first_content(
            parted(request), context_chars=self._context_chars, limit_bytes=FIELD_LIMIT_BYTES
        )

    async def _post(self, request: ChatRequest, model: ModelInfo, limits: Limits) -> _Sent:
        """Send the request by the first dialect that the server knows."""
        refused: ProviderError | None = None
        identity = request.identity_at(self.server_url)
        for dialect in self._dialects(request):
            continued = self._usable(request, dialect)
            first = None if continued is not None else self._first_content(request)
            answer = await self._connection.post(
                SEND_PATH[dialect],
                form_fields(
                    request.messages[-1].text if first is None else first.text,
                    model=model,
                    parent=continued.remote_id if continued is not None else None,
                    settings=request.settings,
                ),
                limits,
                anonymous_user_id=identity,
                files=file_fields(request),
            )
            if answer.status not in WRONG_PATH:
                remember(self.server_url, dialect)
            if answer.status == 200:  # noqa: PLR2004 - a status is its own name
                return _Sent(answer, dialect, continued, first)
            async with answer:
                body = await answer.error_body(limits)
            refused = http_error(answer.status, answer.headers, body, secret=identity)
            if answer.status not in WRONG_PATH:
                self._listed = None  # it may be the model that the server no longer has
                break
        assert refused is not None  # noqa: S101 - there is always a dialect to try
        raise refused

    async def _model(self, request: ChatRequest, limits: Limits) -> ModelInfo:
        """Choose the model: by its name in the list, or the list's first.

        A server without a usable list is asked all the same when a model is named.
        """
        if self._listed is None:
            try:
                self._listed = await self._list(limits)
            except ProviderError as error:
                # With a status the server is there; without one the turn would fail as well.
                if request.model is None or error.status is None:
                    raise
        listed = self._listed or []
        if request.model is not None:
            return chosen(request.model, listed, request.settings.get("host"))
        if (first := self._asked(request)) is not None:
            return first.info()
        raise ProviderError(
            "the Playground server offers no model",
            provider=NAME,
            hint="name one with: -m MODEL",
        )

    async def _list(self, limits: Limits) -> list[ListedModel]:
        for path in MODEL_PATHS:
            status, headers, body = await self._connection.get(path, limits)
            if status not in WRONG_PATH:
                break
        if status != 200:  # noqa: PLR2004 - a status is its own name
            raise http_error(status, headers, body)
        try:
            return parse_models(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _not_the_protocol() from error


class _Sent(NamedTuple):
    """A request that the server took, and what it was sent as."""

    answer: Answer
    dialect: Dialect
    continued: RemoteThread | None
    first: FirstContent | None


async def _events(
    answer: Answer, reply: ReplyDecoder, limits: Limits, secret: str
) -> AsyncGenerator[Event]:
    """Read the body to its end and yield its events."""
    reader: ObjectReader[StreamObject] = ObjectReader(parse_line)
    try:
        while piece := await answer.read(limits):
            had_news = False
            for found in reader.feed(piece):
                had_news = had_news or found is not IGNORED
                for event in reply.feed(found):
                    yield event
            if had_news:
                limits.restart_idle()
    except BrokenBodyError as error:
        raise reply.broken("the connection broke") from error
    except BadLineError as error:
        raise line_error(error, secret) from error
    for event in _last_events(reader, reply, secret):
        yield event


def _last_events(
    reader: ObjectReader[StreamObject], reply: ReplyDecoder, secret: str
) -> Iterator[Event]:
    """Yield what the end of a body means; a last line may lack its LF, if it is whole."""
    try:
        for found in reader.end():
            yield from reply.feed(found)
    except BadLineError as error:
        if isinstance(error.__cause__, msgspec.ValidationError):  # whole, and of another protocol
            raise line_error(error, secret) from error
        raise reply.broken("the last line is cut off") from error
    yield from reply.end()


def _not_the_protocol() -> ProviderProtocolError:
    return ProviderProtocolError(
        "the server's answer is not the Playground's", provider=NAME, hint=OTHER_URL, status=200
    )
