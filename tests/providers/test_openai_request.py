"""What a server of chat completions is asked with."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore import errors
from convostore.parts import AttachmentPart, ReasoningPart, ToolCallPart, ToolResultPart
from convostore.providers.openai import OpenAIProvider
from convostore.providers.openai_request import FILES_LIMIT_BYTES
from convostore.providers.provider import ChatMessage, ChatRequest
from tests.providers.completions import DONE, END, ChatServer, ask, chunk, hear, serving, text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

PNG = AttachmentPart("a" * 64, 3, "image/png", "cat.png")
NOTE = AttachmentPart("b" * 64, 5, "text/plain", "note.txt")
TAPE = AttachmentPart("c" * 64, 4, "audio/wav", "tape.wav")
CONTENT = {PNG.sha256: b"\x89PN", NOTE.sha256: "Grüß".encode(), TAPE.sha256: b"RIFF"}


async def reader(part: AttachmentPart) -> AsyncGenerator[bytes]:
    """Yield the bytes of an attachment, one by one."""
    for byte in CONTENT[part.sha256]:
        yield bytes([byte])


def with_files(*files: AttachmentPart, earlier: tuple[AttachmentPart, ...] = ()) -> ChatRequest:
    """Return a request with files, after one that may have some."""
    messages = (
        ChatMessage("user", "first", earlier),
        ChatMessage("assistant", "yes?"),
        ChatMessage("user", "look", files),
    )
    return ChatRequest(messages=messages, model="m", reader=reader)


async def sent(request: ChatRequest, models: Any = None) -> dict[str, Any]:
    """Return what a server is sent."""
    async with serving() as server:
        server.models = models or server.models
        server.answer(*text("a"), END, DONE)
        assert (await hear(server, request)).error is None
        found: dict[str, Any] = server.sent
        return found


@pytest.mark.asyncio
async def test_the_whole_conversation_is_sent_each_time() -> None:
    """With a system text first, and nothing but roles and texts where there is no more."""
    messages = (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "a"),
        ChatMessage("assistant", "b"),
        ChatMessage("user", "c"),
    )
    body = await sent(ChatRequest(messages=messages, model="m"))
    assert body == {
        "model": "m",
        "messages": [{"role": one.role, "content": one.text} for one in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


CALLED = (ReasoningPart("Hm."), ToolCallPart("c1", "rain", "{}"), ToolCallPart("c2", "wind", "{}"))
LOOKED = (
    ChatMessage("user", "Well?"),
    ChatMessage("assistant", "", parts=CALLED),
    ChatMessage("tool", "dry", parts=(ToolResultPart("c1", "rain", "dry"),)),
    ChatMessage("tool", "", parts=(ToolResultPart("c2", "wind", ""),)),
)


@pytest.mark.parametrize("told", [None, "reasoning_content"])
@pytest.mark.asyncio
async def test_calls_and_results_go_in_the_servers_own_form(told: Any) -> None:
    """Thoughts go back to those alone that want them: others refuse what they do not know."""
    async with serving() as server:
        server.answer(*text("Dry."), END)
        await hear(server, ChatRequest(messages=LOOKED, model="m"), reasoning_as=told)
        messages = server.sent["messages"]
    call = {"type": "function", "function": {"name": "rain", "arguments": "{}"}}
    other = {"type": "function", "function": {"name": "wind", "arguments": "{}"}}
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", **call}, {"id": "c2", **other}],
            **({told: "Hm."} if told else {}),
        },
        {"role": "tool", "content": "dry", "tool_call_id": "c1"},
        {"role": "tool", "content": "", "tool_call_id": "c2"},
    ]


@pytest.mark.asyncio
async def test_options_go_by_their_own_names() -> None:
    """Whatever a server takes, also what nobody here has heard of; None is as left out."""
    options: dict[str, Any] = {
        "temperature": 0.2,
        "top_p": 1,
        "max_tokens": 9,
        "stop": ["\n"],
        "seed": 7,
        "n": 1,
        "tools": [{"type": "function", "function": {"name": "rain", "parameters": {}}}],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "anything_new": {"a": [1]},
    }
    body = await sent(ask(settings={**options, "stream_options": None}))
    assert {name: body[name] for name in options} == options
    assert "stream_options" not in body


@pytest.mark.parametrize(
    ("name", "value"),
    [("stream", False), ("messages", []), ("model", "x"), ("n", 2), ("n", True), ("n", "1")],
)
def test_options_that_would_break_the_protocol_are_refused(name: str, value: object) -> None:
    """Before anything is stored, with what to do instead."""
    with pytest.raises(errors.ProviderOptionError) as caught:
        OpenAIProvider("m").check(ask(settings={name: value}))
    assert caught.value.hint


@pytest.mark.parametrize("name", ["api_key", "API-Key", "Authorization", "openai_api_key", "token"])
@pytest.mark.parametrize("around", [None, "extra_headers"])
def test_a_key_is_no_option(name: str, around: str | None) -> None:
    """Options are stored with the conversation; the key is not repeated either."""
    key: dict[str, Any] = {name: "sk-secret"}
    with pytest.raises(errors.ProviderOptionError) as caught:
        OpenAIProvider("m").check(ask(settings={around: key} if around else key))
    assert "sk-secret" not in f"{caught.value!r} {caught.value.hint}"
    assert "convostore keys set" in caught.value.hint


def test_more_than_any_server_takes_is_refused_before_it_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be refused there, after minutes of sending."""
    monkeypatch.setattr("convostore.providers.openai_request.REQUEST_LIMIT_BYTES", 10)
    with pytest.raises(errors.ContextLengthError):
        OpenAIProvider("m").check(ask("x" * 11))


@pytest.mark.asyncio
async def test_images_go_as_data_and_texts_as_text() -> None:
    """Those of earlier messages too: the server keeps none."""
    messages = (await sent(with_files(PNG, earlier=(NOTE,))))["messages"]
    assert messages[0]["content"][0] == {"type": "text", "text": "first"}
    assert messages[0]["content"][1]["text"].endswith("note.txt, text/plain.)\n\nGrüß")
    assert messages[1]["content"] == "yes?"
    url = f"data:image/png;base64,{base64.b64encode(CONTENT[PNG.sha256]).decode()}"
    assert messages[2]["content"][1] == {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.asyncio
async def test_earlier_files_that_cannot_be_sent_are_named() -> None:
    """They were for another provider; the conversation goes on."""
    messages = (await sent(with_files(earlier=(TAPE,))))["messages"]
    assert "tape.wav" in messages[0]["content"][1]["text"]


@pytest.mark.asyncio
async def test_files_of_the_assistant_are_named() -> None:
    """Servers take images from the user alone."""
    messages = (ChatMessage("assistant", "a cat", (PNG,)), ChatMessage("user", "And?"))
    body = await sent(ChatRequest(messages=messages, model="m", reader=reader))
    assert [one["type"] for one in body["messages"][0]["content"]] == ["text", "text"]
    assert "cat.png" in body["messages"][0]["content"][1]["text"]


async def check(server: ChatServer, request: ChatRequest) -> None:
    """Check the attachments of a request."""
    provider = OpenAIProvider(base_url=server.url)
    try:
        await provider.check_attachments(request)
    finally:
        await provider.aclose()


@pytest.mark.asyncio
async def test_files_of_other_kinds_are_refused() -> None:
    """Before anything is stored."""
    svg = AttachmentPart("d" * 64, 3, "image/svg+xml", "x.svg")
    large = AttachmentPart("e" * 64, FILES_LIMIT_BYTES, "image/png", "x.png")
    async with serving() as server:
        for files in ((TAPE,), (svg,), (large, NOTE)):
            with pytest.raises(errors.AttachmentRefusedError):
                await check(server, with_files(*files))


LISTS: dict[str, tuple[Any, bool]] = {
    "a router, without": ({"data": [{"id": "m", "architecture": {"input_modalities": ["text"]}}]}, False),
    "a router, with": ({"data": [{"id": "m", "architecture": {"input_modalities": ["text", "image"]}}]}, True),
    "Mistral": ({"data": [{"id": "m", "capabilities": {"vision": False}}]}, False),
    "llama.cpp": ({"models": [{"name": "m", "capabilities": ["completion"]}], "data": [{"id": "m"}]}, False),
    "llama.cpp, with": ({"models": [{"name": "m", "capabilities": ["completion", "multimodal"]}], "data": [{"id": "m"}]}, True),
    "nothing known": ({"data": [{"id": "m", "architecture": 7, "capabilities": 7}]}, True),
    "another model": ({"data": [{"id": "x", "capabilities": {"vision": False}}]}, True),
    "no list": ("?", True),
}  # fmt: skip


@pytest.mark.parametrize("who", LISTS)
@pytest.mark.asyncio
async def test_images_are_refused_where_the_model_is_known_to_take_none(who: str) -> None:
    """Where nothing is known the server decides; earlier images are then named, not sent."""
    models, takes = LISTS[who]
    async with serving() as server:
        server.models = models
        if takes:
            await check(server, with_files(PNG))
        else:
            with pytest.raises(errors.AttachmentRefusedError):
                await check(server, with_files(PNG))
    content = (await sent(with_files(earlier=(PNG,)), models))["messages"][0]["content"]
    assert content[1]["type"] == ("image_url" if takes else "text")


@pytest.mark.asyncio
async def test_without_a_model_the_servers_only_one_is_asked() -> None:
    """Of several one has to be named: the first of a hundred is none that anybody chose."""
    async with serving() as server:
        server.answer(END)
        provider = OpenAIProvider(base_url=server.url)
        assert [one async for one in provider.stream(ask(model=None))]
        assert server.sent["model"] == "m"
        await provider.aclose()
        server.models = {"data": [{"id": "m"}, {"id": "n"}]}
        provider = OpenAIProvider(base_url=server.url)
        with pytest.raises(errors.ProviderError, match="none was named"):
            [one async for one in provider.stream(ask(model=None))]
        await provider.aclose()


def test_openai_is_not_asked_without_a_key_or_a_model() -> None:
    """It would refuse, after the question was stored; other servers may need neither."""
    OpenAIProvider("m", api_key="k").check(ask(model=None))
    OpenAIProvider(api_key="k").check(ask())
    OpenAIProvider(base_url="http://localhost").check(ask(model=None))
    with pytest.raises(errors.ProviderAuthError) as caught:
        OpenAIProvider("m").check(ask())
    assert "convostore keys set https://api.openai.com" in caught.value.hint
    with pytest.raises(errors.ProviderError, match="none was named"):
        OpenAIProvider(api_key="k").check(ask(model=None))


@pytest.mark.asyncio
async def test_a_conversation_goes_on_with_the_model_that_was_asked(tmp_path: Path) -> None:
    """Its answers may call it by a name that the server does not take; its thoughts are its own."""
    async with serving() as server:
        server.answer(chunk({"reasoning": "Hm."}), *text("a"), END, DONE)
        provider = OpenAIProvider("auto", server.url, reasoning_as="reasoning")
        async with convostore.open(tmp_path / "s.db", provider=provider) as store:
            chat = await store.get_or_create("room")
            assert (await chat.send("Hi")).model == "m-1"
            for named, asked, thought in ((None, "auto", "Hm."), ("slow", "slow", None)):
                server.answer(*text("b"), END, DONE)
                chat = await store.get_or_create("room")
                await chat.send("And now?", model=named)
                assert (server.sent["model"], chat.model) == (asked, asked)
                assert server.sent["messages"][1].get("reasoning") == thought


@pytest.mark.asyncio
async def test_a_model_that_is_gone_is_looked_for_again() -> None:
    """A server was started again with another one; its list was known before."""
    async with serving() as server:
        provider = OpenAIProvider(base_url=server.url)
        server.answer(END)
        server.refuse(404, {"error": {"message": "The model `m` does not exist"}})
        server.answer(END)
        assert [one async for one in provider.stream(ask(model=None))]
        server.models = {"data": [{"id": "n"}]}
        with pytest.raises(errors.ProviderError):
            [one async for one in provider.stream(ask(model=None))]
        assert [one async for one in provider.stream(ask(model=None))]
        assert server.sent["model"] == "n"
        await provider.aclose()


@pytest.mark.asyncio
async def test_models_are_listed_the_default_one_first() -> None:
    """Names and descriptions where a server has them; what is no model is left out."""
    async with serving() as server:
        server.models = {"data": [{"id": "m", "object": "model"}, 7, {"id": ""}, {"id": "a/n", "name": "N", "description": "two\nlines"}]}  # fmt: skip
        provider = OpenAIProvider("a/n", server.url)
        found = await provider.models()
        await provider.aclose()
    assert [(one.id, one.name, one.description) for one in found] == [
        ("a/n", "N", "two lines"),
        ("m", "m", ""),
    ]


@pytest.mark.parametrize("models", [{"data": 7}, 7, "?", {}])
@pytest.mark.asyncio
async def test_a_list_that_is_none_is_a_typed_error(models: object) -> None:
    """Something else answers there."""
    async with serving() as server:
        server.models = models
        provider = OpenAIProvider("m", server.url)
        with pytest.raises(errors.ProviderProtocolError):
            await provider.models()
        await provider.aclose()


@pytest.mark.asyncio
async def test_there_is_nothing_to_recover() -> None:
    """Such a server keeps no conversation."""
    assert await OpenAIProvider("m").recover(None, "") is None  # type: ignore[arg-type]  # it is not looked at
