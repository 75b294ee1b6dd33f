"""The server of the tests keeps, forgets, breaks and refuses as the real one does."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from convostore.testing import Cut, ErrorObject, ManualClock, PlaygroundServer, Raw, Silence
from tests.testing.recorded import RECORDINGS, cases, send_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostore.testing.playground_models import Dialect

PATH = {"threads": "/v4/threads/", "stream": "/v4/message/stream", "mid": "/v4/message/stream"}
MODEL = {"threads": "qwen3-openai", "stream": "tulu3-405b", "mid": "tulu3-405b"}
BOTH = pytest.mark.parametrize("dialect", ["threads", "stream"])
DAY_S = 24 * 3600


@dataclass
class Client:
    """A plain HTTP client of one server."""

    server: PlaygroundServer
    http: aiohttp.ClientSession

    async def send(self, text: str, parent: str | None = None, **fields: str) -> tuple[int, bytes]:
        """Send a turn; a body that breaks off is returned as far as it came."""
        dialect = self.server.dialect
        form = aiohttp.FormData(default_to_multipart=True)
        given = {"model": MODEL[dialect], "host": "inferd", "content": text, **fields}
        for name, value in (given | ({"parent": parent} if parent else {})).items():
            form.add_field(name, value)
        body = b""
        async with self.http.post(self.server.url + PATH[dialect], data=form) as response:
            try:
                async for chunk in response.content.iter_any():
                    body += chunk
            except aiohttp.ClientPayloadError:
                body += b"(cut)"
            return response.status, body

    async def get(self, path: str) -> tuple[int, Any]:
        """Read a JSON document."""
        async with self.http.get(self.server.url + path) as response:
            return response.status, await response.json()

    def last(self) -> str:
        """Return the id of the message that was made last."""
        return next(reversed(self.server.messages))


@asynccontextmanager
async def client_of(server: PlaygroundServer) -> AsyncIterator[Client]:
    """Open a server and a client for it."""
    headers = {"x-anonymous-user-id": "u-alice"}
    async with server, aiohttp.ClientSession(headers=headers) as http:
        yield Client(server, http)


def said(body: bytes) -> str:
    """Return the joined text of a stream in either dialect."""
    objects = [json.loads(line) for line in body.split(b"\n") if line.startswith(b"{")]
    kinds = (None, "modelResponse")
    return "".join(
        one["content"]
        for one in objects
        if "message" in one and "content" in one and one.get("type") in kinds
    )


@pytest.mark.asyncio
@BOTH
async def test_the_server_carries_the_context(dialect: Dialect) -> None:
    """A turn with a parent reaches the model with everything above it."""
    async with client_of(PlaygroundServer(dialect)) as client:
        client.server.answer("Hello ", "Ada")
        assert said((await client.send("I am Ada"))[1]) == "Hello Ada"
        await client.send("Who am I?", client.last())
        assert client.server.prompts[-1] == [
            ("user", "I am Ada"),
            ("assistant", "Hello Ada"),
            ("user", "Who am I?"),
        ]
        assert [len(thread) for thread in client.server.threads] == [4]
        assert client.server.requests[-1].fields["content"] == "Who am I?"


@pytest.mark.asyncio
@BOTH
async def test_a_thread_lives_a_day_from_its_first_message(dialect: Dialect) -> None:
    """A message made an hour ago cannot be continued once its root has expired."""
    with ManualClock() as clock:
        async with client_of(PlaygroundServer(dialect)) as client:
            await client.send("first")
            await clock.advance(DAY_S - 3600)
            status, _ = await client.send("second", client.last())
            assert status == 200
            young = client.last()
            await clock.advance(3600)
            status, body = await client.send("third", young)
            assert (status, b"Message has an invalid root" in body) == (400, True)
            await clock.advance(DAY_S)
            status, body = await client.send("third", young)
            assert (status, f"Parent message {young} not found".encode() in body) == (400, True)


@pytest.mark.asyncio
async def test_the_servers_own_clock_can_be_passed_in() -> None:
    """Expiry goes by the clock that was given, not by the package's."""
    clock = ManualClock(start_ms=0)  # never entered: the package's time runs on
    async with client_of(PlaygroundServer(clock=clock)) as client:
        await client.send("first")
        clock.set_wall(DAY_S * 1000)
        status, _ = await client.send("second", client.last())
        assert status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(("dialect", "carried"), [("threads", 3), ("stream", 5)])
async def test_the_newer_server_damages_the_older_branch(dialect: Dialect, carried: int) -> None:
    """After a second branch from one reply, the first branch has lost what stood above it."""
    async with client_of(PlaygroundServer(dialect)) as client:
        await client.send("root")
        fork = client.last()
        await client.send("branch A", fork)
        branch_a = client.last()
        await client.send("branch B", fork)
        await client.send("on with A", branch_a)
        assert len(client.server.prompts[-1]) == carried


@pytest.mark.asyncio
@pytest.mark.parametrize(("dialect", "expected"), [("threads", 0.5), ("stream", 1.0)])
async def test_only_the_newer_server_inherits_options(dialect: Dialect, expected: float) -> None:
    """Left out options come from the parent, or from the defaults."""
    async with client_of(PlaygroundServer(dialect)) as client:
        await client.send("a", top_p="0.5")
        await client.send("b", client.last())
        assert client.server.messages[client.last()].opts["top_p"] == expected


@pytest.mark.asyncio
@pytest.mark.parametrize(("dialect", "expected"), [("threads", "a\nb\rc"), ("stream", "a\r\nb\rc")])
async def test_only_the_newer_server_turns_crlf_into_lf(dialect: Dialect, expected: str) -> None:
    """The text that is kept differs from the text that was sent."""
    async with client_of(PlaygroundServer(dialect)) as client:
        await client.send("a\r\nb\rc")
        assert client.server.prompts[-1][-1] == ("user", expected)


@pytest.mark.asyncio
@BOTH
async def test_a_field_may_have_half_a_million_bytes(dialect: Dialect) -> None:
    """500,000 bytes pass and 500,001 do not, counted as UTF-8 and not as characters."""
    async with client_of(PlaygroundServer(dialect)) as client:
        client.server.answer("ok")
        assert (await client.send("x" * 500_000))[0] == 200
        assert (await client.send("x" * 500_001))[0] == 413
        assert (await client.send("中" * 166_700))[0] == 413


@pytest.mark.asyncio
@BOTH
async def test_a_lost_turn_leaves_unfinished_messages(dialect: Dialect) -> None:
    """After Cut the body has no end, and the server keeps the reply empty and not final."""
    async with client_of(PlaygroundServer(dialect)) as client:
        client.server.script("half a", Cut())
        _, body = await client.send("hi")
        assert said(body) == "half a"
        assert body.endswith(b"(cut)")
        kept = list(client.server.messages.values())
        assert [(m.role, m.final) for m in kept] == [("user", False), ("assistant", False)]
        assert kept[-1].content == ""


@pytest.mark.asyncio
@BOTH
async def test_a_lost_connection_can_leave_a_finished_reply(dialect: Dialect) -> None:
    """When only the connection broke, a GET finds the whole reply."""
    async with client_of(PlaygroundServer(dialect)) as client:
        client.server.script("half", Cut(server_finishes=True), " and the rest")
        _, body = await client.send("hi")
        assert (said(body), body.endswith(b"(cut)")) == ("half", True)
        status, message = await client.get(f"/v3/message/{client.last()}")
        assert (status, message["content"], message["final"]) == (200, "half and the rest", True)


@pytest.mark.asyncio
@BOTH
async def test_a_client_that_leaves_loses_the_turn(dialect: Dialect) -> None:
    """The server drops the reply when nobody listens any more."""
    async with client_of(PlaygroundServer(dialect)) as client:
        gate = client.server.gate("half")
        client.server.script("half", gate, " and the rest", Silence())
        sending = asyncio.create_task(client.send("hi"))
        await gate.arrive()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        gate.open()
        assert [m.final for m in client.server.messages.values()] == [False, False]
        assert client.server.messages[client.last()].content == ""


@pytest.mark.asyncio
@pytest.mark.parametrize(("dialect", "cut"), [("threads", True), ("stream", False)])
async def test_an_error_object_ends_each_dialect_in_its_own_way(
    dialect: Dialect, *, cut: bool
) -> None:
    """The older one sends its final object, the newer one breaks the body."""
    async with client_of(PlaygroundServer(dialect)) as client:
        client.server.script("half", ErrorObject("overloaded", "too many"))
        _, body = await client.send("hi")
        assert b'"reason": "overloaded"' in body
        assert body.endswith(b"(cut)") is cut
        assert client.server.messages[client.last()].final is not cut


@pytest.mark.asyncio
async def test_raw_bytes_go_into_the_body_as_they_are() -> None:
    """A script can send what no server should."""
    async with client_of(PlaygroundServer()) as client:
        client.server.script(Raw(b"<html>\xff</html>\n"), "on")
        _, body = await client.send("hi")
        assert b"<html>\xff</html>\n" in body


@pytest.mark.asyncio
async def test_a_tool_nobody_defined_leaves_an_unfinished_reply() -> None:
    """The streamed text is not kept, the error is."""
    async with client_of(PlaygroundServer()) as client:
        _, body = await client.send("script=badtool")
        objects = [json.loads(line) for line in body.splitlines()]
        assert objects[-3]["errorCode"] == "toolCallError"
        reply = objects[-2]["messages"][-1]
        assert (reply["content"], reply["final"]) == ("", False)
        assert reply["errorCode"] == "toolCallError"
        assert objects[-1]["type"] == "end"


@pytest.mark.asyncio
async def test_a_front_can_answer_instead() -> None:
    """Status, headers and page are what the test wrote, as often as it said."""
    async with client_of(PlaygroundServer()) as client:
        client.server.respond(429, "<h1>slow down</h1>", headers={"Retry-After": "7"}, times=2)
        url = client.server.url + PATH["threads"]
        for _ in range(2):
            async with client.http.post(url) as response:
                assert (response.status, response.headers["Retry-After"]) == (429, "7")
                assert await response.text() == "<h1>slow down</h1>"
        assert (await client.send("hi"))[0] == 200
        client.server.respond_raw(b"")
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await http.post(url)
        client.server.respond(503, method="GET", path="/v4/models/")
        async with client.http.get(client.server.url + "/v4/models/") as response:
            assert response.status == 503
        assert (await client.get("/v4/models/"))[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name", ["b/01-first-turn", "b/18-reply-http_error", "a/18-reply-boom", "b/22-post-no-slash"]
)
async def test_a_recording_is_replayed_byte_for_byte(name: str) -> None:
    """Status line, headers and body are the recorded ones; a broken body breaks again."""
    case = next(case for case in cases(name[0]) if case.name == name)
    async with PlaygroundServer() as server:
        server.replay(RECORDINGS / name)
        answer = await send_bytes(server.url, case.request)
    assert answer.head.encode() == (case.folder / "response-headers.txt").read_bytes()
    if case.answer.status == 200:
        assert answer.body == (case.folder / "body.ndjson").read_bytes()
        assert answer.whole is not (case.folder / "body.wire").exists()


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["threads", "stream", "mid"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
async def test_numbers_that_are_none_are_out_of_range(dialect: Dialect, value: str) -> None:
    """They are refused as any other number that is too large or too small."""
    async with client_of(PlaygroundServer(dialect)) as client:
        for name in ("temperature", "top_p", "max_tokens"):
            status, body = await client.send("hi", captchaToken="good", **{name: value})
            assert status == 400, name
            assert b"than or equal" in body or b"Input should be a valid integer" in body
        assert client.server.messages == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["toolDefinitions", "inputParts"])
async def test_structured_fields_must_be_json_objects(name: str) -> None:
    """The newer server says which field is wrong; the older one does not know the fields."""
    for value, kind in (("{bad", "json_invalid"), ("", "json_invalid"), ("[1]", "dict_type")):
        async with client_of(PlaygroundServer("threads")) as client:
            status, body = await client.send("hi", **{name: value})
            problem = json.loads(body)["error"]["validation_errors"][0]
        assert (status, problem["loc"], problem["type"]) == (400, [name], kind)
    async with client_of(PlaygroundServer("stream")) as client:
        assert (await client.send("hi", **{name: "{bad"}))[0] == 200


@pytest.mark.asyncio
async def test_input_parts_alone_are_a_question() -> None:
    """The newer server wants content or parts; it keeps the parts and shows them again."""
    point = {"type": "molmo_2_input_point", "x": 1, "y": 2, "time": 0.5, "label": "object"}
    async with client_of(PlaygroundServer("threads")) as client:
        assert (await client.send(""))[0] == 400
        status, body = await client.send("", inputParts=json.dumps(point))
        assert status == 200
        asked = json.loads(body.splitlines()[1])["messages"][0]
    assert (asked["role"], asked["content"], asked["inputParts"]) == ("user", "", [point])


@pytest.mark.asyncio
async def test_may_2025_wants_a_captcha() -> None:
    """A missing token is a validation error; "bad" and "bot" are refused by name."""
    async with client_of(PlaygroundServer("mid")) as client:
        status, body = await client.send("hi")
        assert status == 400
        error = json.loads(body)["error"]
        assert error["validation_errors"][0]["loc"] == ["captcha_token"]
        assert (
            "Failed to evaluate captcha. Please reload the page and try again." in error["message"]
        )
        assert (await client.send("hi", captchaToken="bot"))[0] == 400
        assert (await client.send("hi", captchaToken="good"))[0] == 200


@pytest.mark.asyncio
async def test_a_signed_in_users_messages_do_not_expire() -> None:
    """A known bearer token names the account; its threads are public unless it says otherwise."""
    server = PlaygroundServer("stream", accounts={"good": "auth0|ada"})
    async with client_of(server) as client:
        client.http.headers["Authorization"] = "Bearer good"
        await client.send("hi")
        kept = client.server.messages[client.last()]
        assert (kept.creator, kept.expires_ms, kept.private) == ("auth0|ada", None, False)
        del client.http.headers["Authorization"]
        _, listed = await client.get("/v3/messages")
        assert [one["id"] for one in listed["messages"]] == [kept.root]


@pytest.mark.asyncio
async def test_a_request_under_another_name_is_refused() -> None:
    """Only loopback names are answered, so no web page can reach the server by rebinding."""
    async with PlaygroundServer() as server:
        for host, status in (("evil.example", 403), ("localhost:1", 200), ("[::1]:80", 200)):
            request = f"GET /v4/models/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            assert (await send_bytes(server.url, request)).status == status


@pytest.mark.asyncio
async def test_leaving_the_server_ends_a_reply_that_never_would() -> None:
    """A stalled stream does not hold up the end of a test."""
    async with client_of(PlaygroundServer()) as client:
        gate = client.server.gate("begun")
        client.server.script(gate, Silence())
        gate.open()
        sending = asyncio.create_task(client.send("hi"))
        await gate.arrive()
    with pytest.raises((aiohttp.ServerDisconnectedError, ConnectionResetError)):
        await sending
