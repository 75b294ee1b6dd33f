"""What is sent, by which dialect, and which remote thread is continued."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from convostore import errors
from convostore.events import Finished, RemoteUpdate
from convostore.providers import playground_paths
from convostore.providers.playground import Playground
from convostore.providers.provider import ChatMessage, Provider
from convostore.records import RemoteThread
from tests.providers.far import (
    STREAM,
    THREADS,
    USER,
    ask,
    collect,
    failure,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.conftest import RawServer, Recording


def test_playground_is_a_provider_that_shows_no_secret() -> None:
    """It has the verbs of a provider, and its picture names the server alone."""
    provider = Playground(proxy="http://me:password@127.0.0.1:1")
    assert isinstance(provider, Provider)
    assert repr(provider) == "<Playground at https://olmo-api.allen.ai>"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "olmo-api.allen.ai",
        "ftp://a",
        "http://",
        "http://a b",
        "http://a:99999",
        "http://me:word@a",
        "http://a/v4",
        "http://a?x=1",
        "http://[::1",
    ],
)
def test_address_that_is_none_is_refused_at_once(url: str) -> None:
    """The message says what to correct and does not repeat the address."""
    with pytest.raises(errors.ProviderError, match="address must be like") as caught:
        Playground(url)
    assert "word" not in str(caught.value)
    with pytest.raises(errors.ProviderError, match="proxy's address"):
        Playground(proxy="socks5://127.0.0.1:1")


@pytest.mark.parametrize(
    "url", ["http://EXAMPLE.org", "http://example.org/", " http://example.org "]
)
def test_one_server_has_one_url(url: str) -> None:
    """Remote threads name their server by it, so spelling must not matter."""
    assert Playground(url).server_url == "http://example.org"


@pytest.mark.asyncio
async def test_form_has_all_fields_and_options_every_time(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Host and defaults come from the list, the rest from settings; the boundary is random."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    provider = Playground(raw_server.url)
    text = "é 汉 🙂\r\n--boundary\r\n\t "
    for settings in ({}, {"temperature": 0, "max_tokens": 7, "stop": ["a", "b"], "host": "x"}):
        _ = [event async for event in provider.stream(ask(text, settings=settings))]
    await provider.aclose()
    first, second = raw_server.sends()
    fixed = [("model", "tulu3-405b"), ("host", "inferd"), ("content", text), ("private", "true")]
    assert first.fields() == [
        *fixed,
        ("temperature", "0.7"),
        ("top_p", "1.0"),
        ("max_tokens", "2048"),
    ]
    assert second.fields() == [
        *fixed,
        ("temperature", "0"),
        ("top_p", "1.0"),
        ("max_tokens", "7"),
        ("stop", "a"),
        ("stop", "b"),
    ]
    assert first.headers["x-anonymous-user-id"] == USER
    assert first.headers["accept"] == "application/json"
    assert first.headers["content-type"] != second.headers["content-type"]
    models = [one for one in raw_server.received if one.method == "GET"]
    assert [one.path for one in models] == ["/v4/models/"]
    assert "x-anonymous-user-id" not in models[0].headers


@pytest.mark.asyncio
async def test_remote_thread_of_this_server_is_continued_with_the_new_text_alone(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """The server carries the context; the parent is the last reply."""
    raw_server.answer("POST", THREADS, recording("b/02-second-turn").wire)
    remote = RemoteThread(
        server_url=raw_server.url,
        dialect="threads",
        remote_id="msg_Z4E1C2V2G7",
        root_id="msg_V4Z1S8O2S0",
        expires_at_ms=32_503_680_000_000,
    )
    earlier = (ChatMessage("user", "one"), ChatMessage("assistant", "two"))
    events = await collect(Playground(raw_server.url), ask("three", *earlier, remote=remote))
    fields = dict(raw_server.sends()[0].fields())
    assert (fields["parent"], fields["content"]) == ("msg_Z4E1C2V2G7", "three")
    assert isinstance(events[0], RemoteUpdate)
    assert not events[0].rehydrated


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "change",
    [
        {"server_url": "http://127.0.0.1:9"},
        {"dialect": "stream"},
        {"dialect": "other"},
        {"expires_at_ms": 1},
        {"remote_id": ""},
    ],
)
async def test_remote_thread_that_cannot_be_continued_is_told_as_text(
    raw_server: RawServer, recording: Callable[[str], Recording], change: dict[str, Any]
) -> None:
    """Another server, another dialect, expired: a new thread, and its ids go nowhere."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    about: dict[str, Any] = {
        "server_url": raw_server.url,
        "dialect": "threads",
        "remote_id": "msg_OLD",
        "root_id": "msg_OLDROOT",
    } | change
    earlier = (ChatMessage("user", "one"), ChatMessage("assistant", "two"))
    request = ask("three", *earlier, remote=RemoteThread(**about))
    events = await collect(Playground(raw_server.url), request)
    sent = raw_server.sends()[-1]
    fields = dict(sent.fields())
    assert "parent" not in fields
    assert b"msg_OLD" not in sent.body
    lines = fields["content"].split("\n")
    assert [json.loads(line) for line in lines[1:3]] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
    ]
    assert lines[3:] == ["", "three"]
    assert isinstance(events[0], RemoteUpdate)
    assert (events[0].rehydrated, events[0].dropped_turns) == (True, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [404, 405])
async def test_older_dialect_is_found_and_remembered(
    raw_server: RawServer,
    recording: Callable[[str], Recording],
    plain_answer: Callable[..., bytes],
    status: int,
) -> None:
    """The newer path is tried once; the next request goes straight to the older one."""
    raw_server.answer("POST", THREADS, plain_answer(status, b"{}", "application/json"))
    raw_server.answer("POST", STREAM, recording("a/01-first-turn").wire)
    provider = Playground(raw_server.url)
    for _ in range(2):
        events = [event async for event in provider.stream(ask())]
    await provider.aclose()
    assert [one.path for one in raw_server.sends()] == [THREADS, STREAM, STREAM]
    assert isinstance(events[-1], Finished)
    assert events[-1].remote is not None
    assert events[-1].remote.dialect == "stream"


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 429, 503])
async def test_dialect_is_remembered_for_the_server_whatever_it_answers(
    raw_server: RawServer,
    recording: Callable[[str], Recording],
    plain_answer: Callable[..., bytes],
    status: int,
) -> None:
    """A refusal shows as well that the path exists; another object for the server knows it."""
    raw_server.answer(
        "POST",
        STREAM,
        plain_answer(status, b"{}", "application/json"),
        recording("a/01-first-turn").wire,
    )
    await failure(Playground(raw_server.url), ask())
    await collect(Playground(raw_server.url), ask())
    assert [one.path for one in raw_server.sends()] == [THREADS, STREAM, STREAM]


def test_servers_that_are_remembered_are_bounded_and_can_be_forgotten() -> None:
    """The ones learned last are kept; nobody's word is for ever."""
    for number in range(1000):
        playground_paths.remember(f"http://far-{number}", "stream")
    assert len(playground_paths._spoken) < 100
    assert playground_paths.in_order("http://far-999", None) == ("stream", "threads")
    assert playground_paths.in_order("http://far-0", None) == ("threads", "stream")
    playground_paths.remember("http://far-999", "threads")
    assert playground_paths.in_order("http://far-999", None) == ("threads", "stream")
    playground_paths.forget_all()
    assert not playground_paths._spoken


@pytest.mark.asyncio
async def test_dialect_of_the_remote_thread_is_tried_first(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """A fresh process needs no second request to continue on an older server."""
    raw_server.answer("POST", STREAM, recording("a/02-second-turn").wire)
    remote = RemoteThread(server_url=raw_server.url, dialect="stream", remote_id="msg_F1D8Q0X9E5")
    await collect(Playground(raw_server.url), ask(remote=remote))
    assert [one.path for one in raw_server.sends()] == [STREAM]
    assert dict(raw_server.sends()[0].fields())["parent"] == "msg_F1D8Q0X9E5"


@pytest.mark.asyncio
async def test_server_that_changed_its_dialect_is_told_the_history(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Ids of the older dialect are not sent to the newer path."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    remote = RemoteThread(server_url=raw_server.url, dialect="stream", remote_id="msg_OLD")
    events = await collect(
        Playground(raw_server.url), ask("two", ChatMessage("user", "one"), remote=remote)
    )
    assert [one.path for one in raw_server.sends()] == [STREAM, THREADS]
    assert b"msg_OLD" not in raw_server.sends()[1].body
    assert isinstance(events[0], RemoteUpdate)
    assert events[0].rehydrated


@pytest.mark.asyncio
async def test_dialect_can_be_chosen_by_an_option(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """`-o dialect=stream` goes to the older path and to no other."""
    raw_server.answer("POST", STREAM, recording("a/01-first-turn").wire)
    await collect(Playground(raw_server.url), ask(settings={"dialect": "stream"}))
    assert [one.path for one in raw_server.sends()] == [STREAM]
    error = await failure(Playground(raw_server.url, dialect="threads"), ask())
    assert isinstance(error, errors.ProviderProtocolError)
    assert "another version" in str(error)


def test_network_layer_is_loaded_with_the_first_request_only() -> None:
    """Naming the provider, building and checking it stay light."""
    code = (
        "import sys, convostore.providers; assert 'msgspec' not in sys.modules;"
        "convostore.providers.make('playground'); assert 'aiohttp' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.asyncio
async def test_provider_serves_several_turns_at_once(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Twenty turns side by side each get their own whole answer."""
    raw_server.answer("POST", THREADS, recording("b/01-first-turn").wire)
    provider = Playground(raw_server.url)

    async def one() -> str:
        return text_of([event async for event in provider.stream(ask())])

    texts = await asyncio.gather(*(one() for _ in range(20)))
    await provider.aclose()
    assert len(set(texts)) == 1
    assert texts[0] == "I was sent 1 message(s): user='My name is Ada. Remember it.'"
    assert await one() == texts[0]  # it opens again after it was closed
    await provider.aclose()
