"""Any server that speaks chat completions: one request, its events; the models."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final, Literal

from convostore import clock
from convostore.errors import ProviderError
from convostore.events import TextDelta
from convostore.providers.connection import OK, BrokenBodyError, Connection, Limits, Words
from convostore.providers.ndjson import BadLineError
from convostore.providers.openai_address import OPENAI_ORIGIN, address, key_for
from convostore.providers.openai_errors import (
    NAME,
    OTHER_URL,
    Server,
    http_error,
    is_loading,
    loading_too_long,
    no_key,
    no_model,
    not_the_protocol,
    page_error,
)
from convostore.providers.openai_models import parse_models
from convostore.providers.openai_request import (
    body_of,
    check_files,
    check_request,
    contents,
    files_of,
    is_image,
)
from convostore.providers.openai_stream import ReplyDecoder
from convostore.providers.sse import EventReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from convostore.events import Event, Finished
    from convostore.providers.connection import Answer
    from convostore.providers.provider import ChatRequest, ModelInfo
    from convostore.records import RemoteThread

_WORDS: Final = Words(
    provider=NAME,
    server="the server",
    unreached="does it run there? Another address: CONVOSTORE_OPENAI_URL; a proxy: --proxy URL",
    again="the question is kept; ask for its answer again",
    other=OTHER_URL,
)
_JSON: Final = frozenset({"application/json", "application/problem+json"})
_STREAM: Final = "text/event-stream"
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_USAGE_S: Final = 5.0  # after the model has ended: then what it cost is there, or never comes
_TURNS_OF_LOOP: Final = 256  # events, after which others have their turn


class OpenAIProvider:
    """Ask OpenAI, or any server that speaks its chat completions: vLLM, Ollama, llama.cpp and others.

    Options (`settings`) go to the server by its own names: temperature, max_tokens, tools,
    response_format and whatever else it takes. It sends the whole conversation each time and
    keeps nothing there. It never follows a redirect, and never repeats a request, but for one
    that a server refuses because it is still loading its model.

    A key is sent to the server that it is for, and shown nowhere. Without `api_key` it is
    `CONVOSTORE_OPENAI_API_KEY` (for the configured server), else what `convostore keys set` has
    kept for this server, else `OPENAI_API_KEY` (for OpenAI, or the server in `OPENAI_BASE_URL`).

    Args:
        model: the model, where neither a turn nor its conversation names one; None is the
            server's only one.
        base_url: the server, usually with /v1; None is `CONVOSTORE_OPENAI_URL`, `OPENAI_BASE_URL`
            or what is configured, else OpenAI's own.
        api_key: for this server.
        proxy: an http or https proxy, with user and password if it wants them.
        connect_timeout_s: for making a connection.
        idle_timeout_s: for the next event, the first one included.
        total_timeout_s: for the whole reply.
        loading_timeout_s: for a server that is still loading its model.
        reasoning_as: the field in which a model is told its own earlier thoughts, for those that
            want them back with the results of tools; None tells none.

    Raises:
        ProviderError: the URL, the proxy's URL or a key cannot work.
        UsageError: the configuration cannot be read.
    """

    name = NAME
    takes_tools = True

    def __init__(
        self,
        model: str | None = None,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        proxy: str | None = None,
        connect_timeout_s: float = 10.0,
        idle_timeout_s: float = 120.0,
        total_timeout_s: float = 1800.0,
        loading_timeout_s: float = 120.0,
        reasoning_as: Literal["reasoning_content", "reasoning"] | None = None,
    ) -> None:
        self._model = model
        self._address = address(base_url)
        self._key = key_for(self._address.origin, api_key)
        self._connection = Connection(
            self._address.origin, _WORDS, proxy=proxy, connect_timeout_s=connect_timeout_s
        )
        self._server = Server(
            name=f"the server at {self._address.origin.partition('://')[2]}",
            origin=self._address.origin,
            key=self._key,
        )
        self.idle_timeout_s = idle_timeout_s
        self.total_timeout_s = total_timeout_s
        self._loading_timeout_s = loading_timeout_s
        self._reasoning_as = reasoning_as
        self._listed: list[ModelInfo] | None = None

    @property
    def default_model(self) -> str | None:
        """The model, where nobody names one; as it was given."""
        return self._model

    def __repr__(self) -> str:
        """Show the server alone."""
        return f"<OpenAIProvider at {self._address.url}>"

    def check(self, request: ChatRequest) -> None:
        """Refuse a request that cannot work before anything is stored: size, options, no key.

        Raises:
            ProviderError: with a hint; permanent.
        """
        check_request(request)
        if self._address.origin != OPENAI_ORIGIN:
            return
        if self._key is None:
            raise no_key(self._server)
        if request.model is None and self._model is None:
            raise no_model(self._server, "many models")

    async def check_attachments(self, request: ChatRequest) -> None:
        """Refuse files that cannot be sent: images and texts alone can, where the model takes them.

        Whether it takes images is not known of every model; then the server decides.

        Raises:
            AttachmentRefusedError: with a hint; permanent.
        """
        check_files(request, takes_images=await self._takes_images(request))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event]:
        """Ask, and yield what comes back; the last event is Finished, or an error is raised.

        Raises:
            ProviderError: any kind.
        """
        self.check(request)
        limits = self._limits()
        takes_images = await self._takes_images(request)
        model = await self._model_of(request, limits)
        files = await contents(request, files_of(request, takes_images=takes_images))
        body = body_of(request, model, files, reasoning_as=self._reasoning_as)
        loading_until_s, pause_s = clock.monotonic_s() + self._loading_timeout_s, _FIRST_PAUSE_S
        while (answer := await self._post(body, limits)) is None:
            if clock.monotonic_s() + pause_s > loading_until_s:
                raise loading_too_long(self._server, self._loading_timeout_s)
            yield TextDelta("")  # so that a turn does not count it as silence
            await clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        async with answer, aclosing(self._events(answer, limits)) as events:
            async for event in events:
                yield event

    async def recover(
        self,
        remote: RemoteThread,  # noqa: ARG002 - as the protocol says
        anonymous_user_id: str,  # noqa: ARG002 - as the protocol says
    ) -> Finished | None:
        """Return None: such a server keeps nothing."""
        return None

    async def models(self) -> list[ModelInfo]:
        """List the models on offer, the default one first.

        Raises:
            ProviderError: it could not be asked.
        """
        self._listed = await self._list(self._limits())
        return sorted(self._listed, key=lambda one: one.id != self._model)

    async def aclose(self) -> None:
        """Let go of connections. Idempotent; the next request opens new ones."""
        await self._connection.aclose()

    # The parts of a request

    def _limits(self) -> Limits:
        return Limits(self.idle_timeout_s, self.total_timeout_s, _WORDS)

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "Accept-Encoding": "identity"}  # a small answer stays small
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return headers

    async def _post(self, body: bytes, limits: Limits) -> Answer | None:
        """Send the request; return None where the server is still loading its model."""
        answer = await self._connection.request(
            "POST",
            f"{self._address.path}/chat/completions",
            limits,
            {
                **self._headers(f"{_STREAM}, application/json"),
                "Content-Type": "application/json",
            },
            body,
        )
        if answer.status == OK and not answer.is_page:
            return answer
        async with answer:
            if answer.status == OK:
                raise page_error(self._server)
            said = await answer.error_body(limits)
        if is_loading(answer.status, said):
            return None
        self._listed = None  # it may be the model that the server no longer has
        raise http_error(self._server, answer.status, answer.headers, said)

    async def _events(self, answer: Answer, limits: Limits) -> AsyncGenerator[Event]:
        """Read the body to its end, or as far as it is of use, and yield its events."""
        reply = ReplyDecoder(self._server)
        try:
            piece = await answer.read(limits)
            if _is_json(answer, piece):
                for event in reply.whole(piece + await answer.whole(limits)):
                    yield event
            else:
                async with aclosing(_streamed(answer, piece, reply, limits)) as events:
                    async for event in events:
                        yield event
        except BrokenBodyError as error:
            if (why := reply.broken(str(error))) is not None:
                raise why from error
        except BadLineError as error:
            raise not_the_protocol(self._server, error.reason, error.excerpt.encode()) from error
        yield reply.finished()

    async def _takes_images(self, request: ChatRequest) -> bool | None:
        """Return whether the model takes images, where there are any; None is unknown."""
        if not any(is_image(part) for said in request.messages for part in said.attachments):
            return None
        if self._listed is None:
            try:
                self._listed = await self._list(self._limits())
            except ProviderError as error:
                if error.status is None:
                    return None
                self._listed = []  # it has no list: nothing is known, and it is not asked again
        asked = request.model or self._model
        found = [one for one in self._listed if asked in {one.id, None}]
        return False if found and "image/*" not in found[0].accepts else None

    async def _model_of(self, request: ChatRequest, limits: Limits) -> str:
        """Return the model to ask: as asked for, else the server's only one."""
        asked = request.model or self._model
        if asked is not None:
            return asked
        if not self._listed:
            self._listed = await self._list(limits)
        if len(self._listed) == 1:
            return self._listed[0].id
        raise no_model(self._server, f"{len(self._listed)} models")

    async def _list(self, limits: Limits) -> list[ModelInfo]:
        path = f"{self._address.path}/models"
        headers = self._headers("application/json")
        async with await self._connection.request("GET", path, limits, headers) as answer:
            body = await self._connection.read(answer, limits)
        if answer.status != OK:
            raise http_error(self._server, answer.status, answer.headers, body)
        if answer.is_page:
            raise page_error(self._server)
        if (found := parse_models(body)) is None:
            raise not_the_protocol(self._server, "its list of models is none", body)
        return found


async def _streamed(
    answer: Answer, piece: bytes, reply: ReplyDecoder, limits: Limits
) -> AsyncGenerator[Event]:
    """Yield the events of a body that began with *piece*."""
    reader, count = EventReader(), 0
    end_s: float | None = None  # when what may follow the model's end has to be there
    while piece:
        for found in reader.feed(piece):
            limits.restart_idle()  # a comment counts: the server lives
            for event in reply.feed(found):
                yield event
            count += 1
            if count % _TURNS_OF_LOOP == 0:
                await asyncio.sleep(0)  # others want to go on, too
        if reply.done:
            await answer.settle()
            return
        if reply.finish_reason is not None and end_s is None:
            end_s = clock.monotonic_s() + _USAGE_S
        piece = await _next_piece(answer, limits, end_s)
    for found in reader.end():
        for event in reply.last(found):
            yield event


async def _next_piece(answer: Answer, limits: Limits, end_s: float | None) -> bytes:
    """Return what comes next of a body; nothing where it ends, or says nothing until *end_s*.

    Some servers keep the connection open without a word, once the model has ended.
    """
    if end_s is None:
        return await answer.read(limits)
    with suppress(TimeoutError):
        async with clock.timeout(max(0.0, end_s - clock.monotonic_s())):
            return await answer.read(limits)
    return b""


def _is_json(answer: Answer, beginning: bytes) -> bool:
    """Tell whether an answer came in one piece, though a stream was asked for."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in _JSON or beginning.lstrip().startswith(b"{")  # no event begins so
