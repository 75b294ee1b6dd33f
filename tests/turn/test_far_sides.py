"""Turns against the Playground: who it is told we are, what is asked after a break, what fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import (
    ContextLengthError,
    ConvostoreError,
    IncompleteReplyError,
    ProviderConnectError,
)
from convostore.providers import Playground
from convostore.testing import PlaygroundServer, ScriptedProvider, Silence
from convostore.testing.playground_replies import Cut
from convostore.turning.place import Limits

if TYPE_CHECKING:
    from convostore.testing.playground import ReceivedRequest
    from tests.engines import Where

MODEL = "qwen3-openai"


def identities(server: PlaygroundServer) -> set[str | None]:
    """Return who a server was told that we are."""
    told = [one for one in server.requests if "models" not in one.path]
    return {one.headers.get("x-anonymous-user-id") for one in told}


def posts(server: PlaygroundServer) -> list[ReceivedRequest]:
    """Return the turns that a server was asked for."""
    return [one for one in server.requests if one.method == "POST"]


def sent(server: PlaygroundServer) -> list[str]:
    """Return the methods of what concerned messages."""
    return [one.method for one in server.requests if "models" not in one.path]


@pytest.mark.asyncio
async def test_a_stopped_answer_is_told_to_the_server_again(path: Where) -> None:
    """It keeps none of a reply whose reader left: a new remote thread is told what was shown."""
    async with (
        PlaygroundServer("threads") as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model=MODEL)
        await chat.send("My name is Ada.")
        server.script("as shown", Silence())
        async with chat.stream("Go on") as turn:
            async for delta in turn:
                if delta.text == "as shown":  # the first piece is empty
                    break
        assert posts(server)[-1].fields["parent"] in server.messages
        async with chat.stream("What is my name?") as turn:
            await turn.drain()
        assert turn.rehydrated
        fields = posts(server)[-1].fields
        assert "parent" not in fields
        assert '{"role":"assistant","content":"as shown"}' in fields["content"]
        assert "My name is Ada." in fields["content"]


@pytest.mark.asyncio
async def test_a_failed_answer_that_the_server_has_as_shown_is_continued(path: Where) -> None:
    """The older server stores what was cut off: its id is the next parent, and nothing is told again."""
    async with (
        PlaygroundServer("stream") as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model="tulu3-405b")
        with pytest.raises(IncompleteReplyError):
            await chat.send("script=length")
        cut = (await chat.history())[-1]
        async with chat.stream("go on") as turn:
            await turn.drain()
        assert not turn.rehydrated
        fields = posts(server)[-1].fields
        assert server.messages[str(fields["parent"])].content == cut.text
        assert fields["content"] == "go on"


@pytest.mark.asyncio
async def test_the_anonymous_id_goes_to_its_own_server_alone(path: Where) -> None:
    """Another server is told an id made from it: always the same, and of no use at home."""
    async with PlaygroundServer("threads") as home, PlaygroundServer("threads") as away:
        for server in (home, away, away, home):
            async with convostore.open(path, provider=Playground(server.url)) as store:
                chat = await store.get_or_create(key="room", model=MODEL)
                await chat.send("hello")
        assert identities(home) == {chat.anonymous_user_id}
        assert len(identities(away)) == 1
        assert identities(home) != identities(away)


@pytest.mark.asyncio
async def test_the_anonymous_id_stays_at_home_within_one_conversation_object(path: Where) -> None:
    """The very next turn of the same object knows already which server the id belongs to."""
    async with PlaygroundServer("threads") as home, PlaygroundServer("threads") as away:
        async with convostore.open(path) as store:
            chat = await store.create(model=MODEL)
            for server in (home, away, home):
                far = Playground(server.url)
                await chat.send("hello", provider=far)
                await far.aclose()
        assert identities(home) == {chat.anonymous_user_id}
        assert len(identities(away)) == 1
        assert identities(home) != identities(away)


@pytest.mark.asyncio
async def test_what_broke_away_from_home_is_asked_for_as_who_we_are_there(path: Where) -> None:
    """The check after a break uses the identity that the broken turn used."""
    async with PlaygroundServer("threads") as home, PlaygroundServer("threads") as away:
        async with convostore.open(path, provider=Playground(home.url)) as store:
            chat = await store.create(model=MODEL)
            await chat.send("hello")
        async with convostore.open(path, provider=Playground(away.url)) as store:
            away.script("half", Cut(server_finishes=True), " and half")
            reply = await (await store.resume(chat.id)).send("go")
        assert (reply.status, reply.text) == ("completed", "half and half")
        assert len(identities(away)) == 1


@pytest.mark.asyncio
async def test_what_broke_away_from_home_is_asked_for_later_as_who_we_are_there(
    path: Where,
) -> None:
    """The check before the next turn uses it too, and what the server had is the answer."""
    async with PlaygroundServer("threads") as home, PlaygroundServer("threads") as away:
        async with convostore.open(path, provider=Playground(home.url)) as store:
            chat = await store.create(model=MODEL)
            await chat.send("hello")
        async with convostore.open(path, provider=(far := Playground(away.url))) as store:
            chat = await store.resume(chat.id)
            await far.models()
            away.script("half", Cut(server_finishes=True), " and half")
            away.respond(503, "x", method="GET")
            with pytest.raises(ConvostoreError):
                await chat.send("go")
            await chat.send("go on")
            texts = [one.text for one in await chat.history()]
        assert texts[2:5] == ["go", "half and half", "go on"]
        assert sent(away) == ["POST", "GET", "GET", "POST"]
        assert len(identities(away)) == 1
        assert identities(home) != identities(away)


@pytest.mark.asyncio
async def test_a_repeat_asks_what_became_of_the_broken_reply(path: Where) -> None:
    """The check right after the break failed; the repeat makes it again, and sends nothing."""
    async with (
        PlaygroundServer("threads") as server,
        convostore.open(path, provider=(far := Playground(server.url))) as store,
    ):
        chat = await store.create(model=MODEL)
        await far.models()
        server.script("half", Cut(server_finishes=True), " and half")
        server.respond(503, "x", method="GET")
        with pytest.raises(ConvostoreError):
            await chat.send("go", idempotency_key="k")
        assert (await chat.history())[-1].error is not None
        reply = await chat.send("go", idempotency_key="k")
        assert (reply.status, reply.text) == ("completed", "half and half")
        assert sent(server) == ["POST", "GET", "GET"]


@pytest.mark.asyncio
async def test_a_question_that_was_never_answered_makes_no_later_one_too_large(path: Where) -> None:
    """It goes along where it fits, and is counted where it does not."""
    async with (
        PlaygroundServer("threads") as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model=MODEL)
        with pytest.raises(ContextLengthError):
            await chat.send("x" * 500_001)
        server.respond(503, "x", method="POST")
        with pytest.raises(ProviderConnectError):
            await chat.send("x" * 499_999)
        async with chat.stream("hi") as turn:
            assert (await turn.drain()).status == "completed"
        assert turn.dropped_turns == 1
        assert server.prompts[-1][-1][1].endswith("hi")
        short = await store.create(model=MODEL)
        server.respond(503, "x", method="POST")
        with pytest.raises(ProviderConnectError):
            await short.send("first")
        async with short.stream("second") as turn:
            await turn.drain()
        assert turn.dropped_turns == 0
        assert server.prompts[-1][-1][1] == "first\n\nsecond"


@pytest.mark.asyncio
async def test_a_providers_own_limits_are_those_of_its_turns(path: Where) -> None:
    """Whoever gives a provider longer than the store's default means it."""
    far = Playground("http://127.0.0.1:9", idle_timeout_s=600, total_timeout_s=7200)
    async with convostore.open(path, provider=far) as store:
        chat = await store.create()
        assert chat.stream("q").limits == Limits(idle_timeout_s=600, total_timeout_s=7200)
        assert chat.stream("q", provider=ScriptedProvider()).limits == Limits()
    async with convostore.open(path, provider=far, idle_timeout_s=5) as store:
        limits = (await store.create()).stream("q").limits
        assert limits == Limits(idle_timeout_s=5, total_timeout_s=7200)
