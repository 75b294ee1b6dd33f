"""Turns with a server of chat completions: what is kept of them, and what never is."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

import convostore
from convostore.errors import AttachmentRefusedError, ConvostoreError, IncompleteReplyError
from convostore.parts import ReasoningPart, TextPart, ToolCallPart
from convostore.providers import OpenAIProvider
from convostore.records import Usage
from tests.canaries import holds
from tests.providers.completions import DONE, END, KEY, chunk, event, serving, text

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines import Where


@pytest.mark.asyncio
async def test_a_reply_is_kept_with_all_that_the_server_tells(path: Where) -> None:
    """Thoughts and calls are parts of their own; the model that answered stands with the reply."""
    call = {"index": 0, "id": "c1", "function": {"name": "rain", "arguments": '{"at":1}'}}
    async with (
        serving() as server,
        convostore.open(path, provider=OpenAIProvider(base_url=server.url)) as store,
    ):
        server.answer(
            chunk({"reasoning": "Hm."}),
            *text("Let me ", "see."),
            chunk({"tool_calls": [call]}, "tool_calls"),
            event({"choices": [], "usage": {"prompt_tokens": 9, "cost": 0.01}}),
            DONE,
        )
        chat = await store.create(model="m", settings={"temperature": 0})
        reply = await chat.send("Will it rain?")
        stored = (await (await store.resume(chat.id)).history())[-1]
        assert server.sent["temperature"] == 0
        usage = (await store.stats()).total.usage
    assert stored.parts == reply.parts
    assert stored.parts == (
        ReasoningPart("Hm."),
        TextPart("Let me see."),
        ToolCallPart("c1", "rain", '{"at":1}'),
    )
    assert (stored.model, stored.finish_reason, chat.model) == ("m-1", "tool_calls", "m")
    assert usage == Usage(input_tokens=9, cost=0.01)


@pytest.mark.asyncio
async def test_a_reply_that_is_cut_off_is_kept_as_failed(path: Where) -> None:
    """No model says of a cut stream that it is one; here it is never shown as complete."""
    async with (
        serving() as server,
        convostore.open(path, provider=OpenAIProvider("m", server.url)) as store,
    ):
        server.answer(*text("half "), DONE)
        server.answer(*text("whole"), END, DONE)
        chat = await store.create()
        with pytest.raises(IncompleteReplyError) as caught:
            await chat.send("Go")
        assert caught.value.reply is not None
        assert (caught.value.reply.status, caught.value.reply.text) == ("failed", "half ")
        async with chat.regenerate() as turn:
            await turn.drain()
        assert (turn.reply.status, turn.reply.text) == ("completed", "whole")


@pytest.mark.asyncio
async def test_an_image_is_sent_with_its_question_and_with_those_after_it(path: Where) -> None:
    """It is in the store once, and read from there each time; another file is refused before."""
    async with (
        serving() as server,
        convostore.open(path, provider=OpenAIProvider("m", server.url)) as store,
    ):
        server.answer(*text("A cat."), END, DONE)
        chat = await store.create()
        image = await store.attach(b"\x89PNG", name="cat.png", media_type="image/png")
        for words, files in (("What is it?", [image]), ("Sure?", [])):
            await chat.send(words, attachments=files)
            said, shown = server.sent["messages"][0]["content"]
            assert said == {"type": "text", "text": "What is it?"}
            assert shown["image_url"]["url"] == "data:image/png;base64,iVBORw=="
        tape = await store.attach(b"RIFF", name="a.wav", media_type="audio/wav")
        with pytest.raises(AttachmentRefusedError):
            await chat.send("And this?", attachments=[tape])
        assert len(await chat.history()) == 4


@pytest.mark.asyncio
async def test_the_key_is_in_no_byte_of_the_store_an_export_or_a_log(
    path: Where, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where a server repeats it in every error that it can make."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    async with (
        serving() as server,
        convostore.open(path, provider=OpenAIProvider("m", server.url, api_key=KEY)) as store,
    ):
        for status in (400, 401, 403, 404, 413, 418, 429, 500, 503):
            server.refuse(status, {"error": {"message": f"bad {KEY}", "code": KEY, "type": KEY}})
        server.refuse(307, KEY, Location=f"http://127.0.0.1:1/{KEY}")
        server.answer(event({"error": {"message": f"bad {KEY}", "code": KEY}}))
        server.answer(b"data: {" + KEY.encode() + b"\n\n")
        server.answer(f'{{"x": "{KEY}"}}'.encode(), kind="application/json")
        server.answer(f"<html>{KEY}".encode(), kind="text/html")
        server.answer(*text("fine"), END, DONE)
        chat = await store.create(title="keys")
        while len(shown) < 20:
            try:
                shown.append((await chat.send("Go")).text)
                break
            except ConvostoreError as error:
                shown.append(f"{error!r} {error.hint} {vars(error)} {error.__cause__!r}")
        assert len(shown) == 15
        assert all(one.headers["Authorization"] == f"Bearer {KEY}" for one in server.received)
        await store.export(to=tmp_path / "out.jsonl")
        shown.append((tmp_path / "out.jsonl").read_text())
        shown += [repr(one) for one in await chat.history()]
    assert "Go" in shown[-2]
    assert KEY not in "".join(shown) + caplog.text
    assert not holds(path, KEY)
