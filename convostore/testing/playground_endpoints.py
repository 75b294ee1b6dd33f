"""The addresses of a Playground server and what each answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web

from convostore.testing import playground_wire as wire
from convostore.testing.playground_canned import cut
from convostore.testing.playground_form import FieldTooLargeError, Form, read_form, with_options
from convostore.testing.playground_models import Dialect, PlaygroundModel, listed
from convostore.testing.playground_replies import ReplyStep, default_reply
from convostore.testing.playground_rules import (
    Number,
    Problem,
    RefusedError,
    check_number,
    checker_for,
    option_schema,
    read_send_request,
)
from convostore.testing.playground_stream import (
    BodyCutError,
    Exchange,
    NestedSpeaker,
    TypedSpeaker,
)
from convostore.testing.playground_turns import Caller, TurnDesk, tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convostore.testing.playground_threads import KeptMessage, KeptThreads

_PAGE_LIMIT = 100
_DEFAULT_PAGE = 10


class Endpoints:
    """Answer the requests of one server.

    Attributes:
        scripts: what the next turns say, in order; see `PlaygroundServer.script`.
        prompts: what the models were sent, turn by turn, as (role, content).
    """

    def __init__(self, desk: TurnDesk, accounts: Mapping[str, str]) -> None:
        self.scripts: list[tuple[ReplyStep, ...]] = []
        self.prompts: list[list[tuple[str, str]]] = []
        self._desk = desk
        self._accounts = dict(accounts)

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses that this version of the server has."""
        shared = [
            web.get("/health", self.health),
            web.get("/v3/whoami", self.whoami),
            web.get("/v3/message/{id}", self.get_message),
            web.delete("/v3/message/{id}", self.delete_thread),
        ]
        if self._dialect == "threads":
            return [
                *shared,
                web.post("/v4/threads/", self.send),
                web.get("/v4/threads/", self.list_threads),
                web.get("/v4/threads/{id}", self.get_thread),
                web.get("/v4/models/", self.list_models),
                web.route("*", "/v4/threads", self.add_slash),
                web.route("*", "/v4/models", self.add_slash),
            ]
        older = [
            *shared,
            web.post("/v4/message/stream", self.send),
            web.post("/v3/message/", self.send),
            web.post("/v3/message/stream", self.send),
            web.route("*", "/v3/message", self.add_slash),
            web.get("/v3/messages", self.list_messages),
            web.get("/v3/models", self.list_models),
            web.get("/v3/schema", self.schema),
        ]
        if self._dialect == "mid":
            older += [
                web.get("/v4/models/", self.list_models),
                web.route("*", "/v4/models", self.add_slash),
            ]
        return older

    async def health(self, request: web.Request) -> web.StreamResponse:
        """Say that the server is there."""
        del request
        return web.Response(status=204, content_type="text/html", charset="utf-8")

    async def whoami(self, request: web.Request) -> web.StreamResponse:
        """Repeat the caller's id."""
        shape: dict[str, Any] = {
            "client": self._caller(request).client,
            "hasAcceptedTermsAndConditions": False,
            "id": None,
        }
        if self._dialect == "threads":
            shape |= {
                "hasAcceptedDataCollection": False,
                "hasAcceptedMediaCollection": False,
                "permissions": [],
            }
        return _json(shape)

    async def schema(self, request: web.Request) -> web.StreamResponse:
        """List the options' limits."""
        del request
        return _json({"Message": {"InferenceOpts": option_schema()}})

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """List the models; nobody has to say who they are."""
        return _json(
            [listed(model, dialect=self._dialect, path=request.path) for model in self._models]
        )

    async def add_slash(self, request: web.Request) -> web.StreamResponse:
        """Send the caller to the address with a slash."""
        target = f"http://{request.host}{request.path}/"
        page = f'<!doctype html>\n<title>Redirecting...</title>\n<a href="{target}">{target}</a>\n'
        return web.Response(
            status=308, text=page, content_type="text/html", headers={"Location": target}
        )

    async def get_message(self, request: web.Request) -> web.StreamResponse:
        """Show a message with everything below it, nested; only to its creator."""
        caller = self._caller(request)
        message = self._find(request)
        if message.creator != caller.client:
            raise RefusedError(403, "You do not have access to that private message.")
        return _json(tree(self._kept, message, newer=self._dialect == "threads"))

    async def get_thread(self, request: web.Request) -> web.StreamResponse:
        """Show a message with everything below it, flat; to anybody who knows the id."""
        self._caller(request)
        return _json(self._thread(self._find(request)))

    async def list_threads(self, request: web.Request) -> web.StreamResponse:
        """List the caller's threads."""
        caller = self._caller(request)
        reader_problems: list[Problem] = []
        limit = _query_number(request, "limit", _DEFAULT_PAGE, _PAGE_LIMIT, reader_problems)
        offset = _query_number(request, "offset", 0, None, reader_problems)
        if reader_problems:
            raise checker_for(self._dialect).refusal("GetThreadsRequest", reader_problems)
        own = [m for m in self._kept.threads() if m.creator == caller.client and m.final]
        page = [self._thread(message) for message in own[offset : offset + limit]]
        return _json({"threads": page, "meta": _meta(len(own), offset, limit)})

    async def list_messages(self, request: web.Request) -> web.StreamResponse:
        """List the threads that the caller may see."""
        caller = self._caller(request)
        if "sort" in request.query:
            raise RefusedError(400, "sorting messages is not supported")
        limit = _old_query_number(request, "limit", _DEFAULT_PAGE, _PAGE_LIMIT)
        offset = _old_query_number(request, "offset", 0, None)
        creator = request.query.get("creator")
        seen = [
            message
            for message in self._kept.threads()
            if message.final
            and creator in (None, message.creator)
            and (not message.private or message.creator == caller.client)
        ]
        page = [tree(self._kept, message) for message in seen[offset : offset + limit]]
        total = len(seen) if limit else 0  # the real server counts wrongly here
        return _json({"messages": page, "meta": _meta(total, offset, limit)})

    async def delete_thread(self, request: web.Request) -> web.StreamResponse:
        """Delete a whole thread by the id of its first message."""
        caller = self._caller(request)
        message = self._kept.by_id.get(request.match_info["id"])
        if message is None or message.root != message.id:
            raise RefusedError(404)
        if message.creator != caller.client:
            raise RefusedError(
                403,
                "The current thread was not created by the current user. You do not have "
                "permission to delete the current thread.",
            )
        self._kept.delete(message.id)
        return _json(None)

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Take a turn and stream the reply."""
        caller = self._caller(request)
        form = await form_of(request)
        if request.path.startswith("/v3/"):
            form = with_options(form)
        send = read_send_request(
            form, dialect=self._dialect, captcha_required=self._desk.captcha == "required"
        )
        if send.role == "assistant" and self._dialect != "threads":
            kept = self._desk.put_in_mouth(send, form.raw, caller)
            return _json(wire.nested(kept, None))
        exchange = self._desk.begin(send, form.raw, caller)
        return await self._stream(request, exchange)

    async def _stream(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        prompt = self._kept.path(exchange.new[-2])
        self.prompts.append([(message.role, message.content) for message in prompt])
        if self.scripts:
            steps = self.scripts.pop(0)
        else:
            host = exchange.reply.model_host
            steps = default_reply(prompt, host=host, dialect=self._dialect)
        response = as_gunicorn(web.StreamResponse(headers={"Content-Type": "application/jsonl"}))
        response.enable_chunked_encoding()
        await response.prepare(request)
        speaker = TypedSpeaker if self._dialect == "threads" else NestedSpeaker
        try:
            await speaker(exchange, response.write).play(steps)
        except BodyCutError:
            cut(request)
        return response

    @property
    def _dialect(self) -> Dialect:
        return self._desk.dialect

    @property
    def _kept(self) -> KeptThreads:
        return self._desk.kept

    @property
    def _models(self) -> list[PlaygroundModel]:
        return self._desk.models

    def _caller(self, request: web.Request) -> Caller:
        """Say who asks; a bearer token beats the anonymous id, good or bad."""
        bearer = request.headers.get("Authorization")
        if bearer is not None:
            account = self._accounts.get(bearer.removeprefix("Bearer "))
            if account is None:
                raise RefusedError(401)
            return Caller(account, is_anonymous=False)
        client = request.headers.get("x-anonymous-user-id")
        if client is None:
            raise RefusedError(401)
        as_sent = client.encode("utf-8", "surrogateescape").decode("latin-1")
        return Caller(as_sent, is_anonymous=True)

    def _find(self, request: web.Request) -> KeptMessage:
        message = self._kept.live(request.match_info["id"])
        if message is None:
            raise RefusedError(404)
        return message

    def _thread(self, message: KeptMessage) -> dict[str, Any]:
        messages = [
            wire.flat(one, [child.id for child in self._kept.children(one)])
            for one in self._kept.subtree(message)
        ]
        return {"id": message.id, "messages": messages}


async def form_of(request: web.Request) -> Form:
    """Read the fields of a request.

    Raises:
        RefusedError: 413, a text field is too large.
    """
    try:
        return read_form(request.headers.get("Content-Type", ""), await request.read())
    except FieldTooLargeError:
        raise RefusedError(413) from None


ResponseT = TypeVar("ResponseT", bound=web.StreamResponse)


def as_gunicorn(response: ResponseT) -> ResponseT:
    """Give an answer the headers of the real front: its name, and one request a connection."""
    response.headers["Server"] = "gunicorn"
    response.force_close()
    return response


def _json(value: Any) -> web.Response:
    return web.Response(body=wire.document(value), content_type="application/json")


def _meta(total: int, offset: int, limit: int) -> dict[str, Any]:
    return {"limit": limit, "offset": offset, "sort": None, "total": total}


def _query_number(
    request: web.Request, name: str, default: int, high: int | None, problems: list[Problem]
) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    value, problem = check_number(Number(name, True, default, 0, high), text)
    if problem is not None:
        problems.append(problem)
    return int(value or 0)


def _old_query_number(request: web.Request, name: str, default: int, high: int | None) -> int:
    try:
        value = int(request.query.get(name, default))
    except ValueError as error:
        raise RefusedError(400, f"invalid {name}: {error}") from None
    if value < 0:
        raise RefusedError(400, f"invalid {name}: must be >= 0")
    if high is not None and value > high:
        raise RefusedError(400, f"invalid {name}: must be <= {high}")
    return value
