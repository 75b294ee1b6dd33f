"""What is asked after a broken stream: only a whole reply is one, and nothing secret is shown."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING

import msgspec
import pytest

import convostore
from convostore import errors
from convostore.events import RemoteUpdate
from convostore.providers.playground import Playground
from convostore.records import RemoteThread
from convostore.testing import Cut, ErrorObject, PlaygroundServer, Raw
from tests.providers.far import listening
from tests.providers.talk import MODEL, USER, Far, Talk

if TYPE_CHECKING:
    from pathlib import Path

    from convostore.testing.playground_replies import ReplyStep

BROKEN = ("half of it", Cut(server_finishes=True), " and the rest")


async def break_off(far: Far, talk: Talk, *steps: ReplyStep) -> RemoteThread:
    """Play a reply whose stream breaks, and return the ids that came before it did."""
    far.server.script(*steps)
    error = await talk.fail("go")
    assert error.status is None
    update = talk.events[0]
    assert isinstance(update, RemoteUpdate)
    return update.remote


@pytest.mark.asyncio
@pytest.mark.parametrize("reason", ["length", "aborted", "unclosed stream"])
async def test_reply_that_the_server_cut_off_is_not_whole(reason: str) -> None:
    """The server keeps a cut answer as final; its finish reason tells."""
    far = Far("stream")
    async with far as talk:
        remote = await break_off(far, talk, *BROKEN, ErrorObject(reason, "long text", reason))
        kept = [one for one in far.server.messages.values() if one.role == "assistant"]
        assert [(one.final, one.content) for one in kept] == [(True, "half of it and the rest")]
        assert await talk.provider.recover(remote, USER) is None


@pytest.mark.asyncio
@pytest.mark.parametrize(("model", "reason"), [("tulu3-405b", "stop"), ("tulu-3-1-8b", None)])
async def test_whole_reply_is_adopted_with_its_reason_or_without(
    model: str, reason: str | None
) -> None:
    """Models on modal end a whole reply without a reason."""
    far = Far("stream")
    async with far as talk:
        talk.model = model
        whole = await talk.provider.recover(await break_off(far, talk, *BROKEN), USER)
    assert whole is not None
    assert (whole.text, whole.finish_reason) == ("half of it and the rest", reason)


@pytest.mark.asyncio
async def test_turn_with_a_cut_reply_is_not_completed(tmp_path: Path) -> None:
    """What was shown is kept as failed, and the caller is told."""
    async with (
        PlaygroundServer("stream") as server,
        convostore.open(tmp_path / "a.db", provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model=MODEL["stream"])
        server.script(*BROKEN, ErrorObject("length", "too large", "length"))
        with pytest.raises(errors.ProviderError):
            await chat.send("go")
        reply = (await chat.history())[-1]
    assert (reply.status, reply.text) == ("failed", "half of it")


@pytest.mark.asyncio
async def test_line_that_is_no_json_makes_the_turn_ask_the_server(tmp_path: Path) -> None:
    """Such a stream is broken, and the reply may be whole on the server."""
    async with (
        PlaygroundServer("threads") as server,
        convostore.open(tmp_path / "a.db", provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model=MODEL["threads"])
        finish = server.gate("finish")
        server.script("kept", Raw(b"<html>not json\n"), finish)
        asked = asyncio.create_task(chat.send("go"))
        await finish.reached.wait()
        for message in server.messages.values():
            message.final = True
            message.content = "kept and more" if message.role == "assistant" else message.content
        reply = await asked
    assert (reply.status, reply.text) == ("completed", "kept and more")


@pytest.mark.asyncio
async def test_refusal_of_the_protocol_is_the_servers_own_word() -> None:
    """Objects that cannot stand where they stand keep the status of the answer."""
    far = Far("threads")
    async with far as talk:
        far.server.script("a", Raw(b'{"type": "start", "message": "msg_A1"}\n'))
        error = await talk.fail("go")
    assert isinstance(error, errors.ProviderProtocolError)
    assert error.status == 200


@pytest.mark.asyncio
async def test_traceback_of_a_failed_check_shows_no_id() -> None:
    """The network layer's own error shows the URL, in which the message's id stands."""

    async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"garbage\r\n\r\n")
        await writer.drain()

    remote = RemoteThread(
        server_url="",
        dialect="threads",
        remote_id="msg_A1A1",
        user_remote_id="msg_U1U1",
        root_id="msg_U1U1",
    )
    async with listening(no_http) as url:
        provider = Playground(url)
        with pytest.raises(errors.ProviderProtocolError) as caught:
            await provider.recover(msgspec.structs.replace(remote, server_url=url), USER)
        await provider.aclose()
    shown = "".join(traceback.format_exception(caught.value))
    assert "does not speak HTTP" in shown
    assert "msg_" not in shown
    assert USER not in shown
