"""What may be appended, by whom, and what is said of everything else."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import convostore
from convostore.errors import DuplicateKeyError, InvalidTextError
from convostore.events import Finished
from convostore.parts import OpaquePart, TextPart, ToolCallPart, ToolResultPart
from convostore.records import ErrorRecord, Message
from convostore.testing import ScriptedProvider
from tests.engines import rows

if TYPE_CHECKING:
    from convostore import Store
    from tests.engines import Where


def changed(**fields: Any) -> Message:
    """Return a message with fields of other kinds than they should be."""
    return msgspec.structs.replace(Message.assistant("x"), **fields)


def deep(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def of_data(data: Any) -> Message:
    """Return a message with an opaque part."""
    return Message.assistant("", parts=(OpaquePart("odd", data),))


BAD = {
    "the idempotency_key of message 2": changed(idempotency_key=5),
    "the role of message 2 is 'robot'": changed(role="robot"),
    "the role of message 2 is int": changed(role=1),
    "the status of message 2 is 'done'": changed(status="done"),
    "the text of message 2 is no text but list": changed(text=["x"]),
    "the text of message 2 is no text but NoneType": changed(text=None),
    "the id of message 2": changed(id=7),
    "the author of message 2": changed(author=b"ann"),
    "the model of message 2 holds half": changed(model="\ud800"),
    "the finish_reason of message 2": changed(finish_reason=1.5),
    "the source_id of message 2 holds a NUL": changed(source_id="\x00"),
    "the parts of message 2 are no tuple": changed(parts=5),
    "the parts of message 2 are no tuple but str": changed(parts="x"),
    "part 1 of message 2 is no part but dict": changed(parts=({"t": "text"},)),
    "the text of part 1 of message 2": changed(parts=(TextPart(5),)),  # type: ignore[arg-type]  # what a caller may get wrong
    "the id of part 1 of message 2, a tool call, is empty": Message.assistant(
        "", parts=(ToolCallPart("", "look", "{}"),)
    ),
    "the args of part 1 of message 2": Message.assistant(
        "",
        parts=(ToolCallPart("a", "look", {}),),  # type: ignore[arg-type]  # what a caller may get wrong
    ),
    "the content of part 1 of message 2": Message.assistant(
        "",
        parts=(ToolResultPart("a", "look", None),),  # type: ignore[arg-type]  # what a caller may get wrong
    ),
    "the data of part 1 of message 2 holds nan": of_data({"x": math.nan}),
    "the data of part 1 of message 2 holds inf": of_data([math.inf]),
    "the data of part 1 of message 2 holds a value of the kind object": of_data(object()),
    "the data of part 1 of message 2 holds a value of the kind int": of_data(2**80),
    "the data of part 1 of message 2 has a key": of_data({1: 2}),
    "the data of part 1 of message 2 is more than 100 levels": of_data(deep(5000)),
    "the data of part 1 of message 2 holds half": of_data({"\ud800": 1}),
    "the error of message 2 is no ErrorRecord": changed(
        error=ErrorRecord(code=5, message="x")  # type: ignore[arg-type]  # what a caller may get wrong
    ),
    "message 2 is no Message but dict": {"role": "user", "content": "x"},
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("said", "bad"), BAD.items(), ids=list(BAD))
async def test_what_cannot_be_appended_is_named(store: Store, said: str, bad: Any) -> None:
    """One typed error says which message and which field; the neighbours are not stored either."""
    chat = await store.create()
    with pytest.raises(InvalidTextError) as caught:
        await chat.append(Message.user("good"), bad)
    assert said in caught.value.message
    assert caught.value.hint
    assert await chat.messages() == ()


@pytest.mark.asyncio
@pytest.mark.parametrize("bad", [[], "x", {"a": math.nan}, {"a": {1}}, {2: 3}, {"a": deep(300)}])
async def test_settings_and_metadata_are_json_objects(store: Store, bad: Any) -> None:
    """Of a new conversation, and of one turn."""
    for name in ("settings", "metadata"):
        with pytest.raises(InvalidTextError, match=f"the {name} "):
            await store.create(**{name: bad})
    chat = await store.create()
    provider = ScriptedProvider()
    with pytest.raises(InvalidTextError, match="the settings "):
        await chat.send("Hi", settings=bad, provider=provider)
    assert await chat.messages() == ()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "sk-canary"},
        {"X-API-Key": ["sk-canary"]},
        {"accessToken": "sk-canary"},
        {"extra_headers": {"Authorization": "canary"}},
        {"extra_headers": [["X-Whatever", "Bearer sk-canary"]]},
        {"mcp": [{"deep": {"client_secret": "canary"}}]},
        {"password": "canary"},
    ],
    ids=str,
)
async def test_no_key_is_stored_among_the_settings(
    store: Store, path: Where, settings: dict[str, Any]
) -> None:
    """One clear line says where it belongs; the key is not repeated, and no conversation is made."""
    with pytest.raises(InvalidTextError) as caught:
        await store.create(settings=settings)
    assert "canary" not in str(caught.value)
    assert "convostore keys set" in caught.value.hint
    assert await asyncio.to_thread(rows, path, "SELECT * FROM conversation") == []


@pytest.mark.asyncio
async def test_settings_that_only_sound_like_keys_are_kept(store: Store) -> None:
    """Numbers of tokens, texts that end a reply, arguments of tools."""
    password = {"type": "string", "description": "the new password"}
    schema = {"properties": {"password": password, "api_key": {}}, "required": ["password"]}
    settings = {
        "max_tokens": 5,
        "max_completion_tokens": 5,
        "max_token": 5,
        "stop_token": "</s>",
        "stop": ["token", "password:"],
        "stop_token_ids": [1, 2],
        "logit_bias": {"50256": -100},
        "prompt_cache_key": "room",
        "tools": [{"type": "function", "function": {"name": "login", "parameters": schema}}],
        "secret": None,
    }
    assert (await store.create(settings=settings)).record.settings == settings


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["text", "idempotency_key", "author", "model"])
@pytest.mark.parametrize("bad", [5, b"x", ["x"], "\ud800", "a\x00b"])
async def test_what_is_no_text_is_not_sent(store: Store, name: str, bad: Any) -> None:
    """The error names what was given; nothing is asked and nothing stored."""
    chat = await store.create()
    provider = ScriptedProvider()
    words: dict[str, Any] = {"text": "Hi", "provider": provider, name: bad}
    with pytest.raises(InvalidTextError, match=f"the {name.replace('_', ' ')}"):
        await chat.send(words.pop("text"), **words)
    assert (await chat.messages(), provider.calls) == ((), [])


@pytest.mark.asyncio
@pytest.mark.parametrize("bad", [5, b"x", "\ud800", "a\x00b", ""])
async def test_what_is_no_key_makes_no_conversation(store: Store, bad: Any) -> None:
    """A number is no key: it would be another one the next day."""
    with pytest.raises(InvalidTextError, match="the key "):
        await store.get_or_create(key=bad)
    with pytest.raises(InvalidTextError, match="the key "):
        await store.create(key=bad)
    assert (await store.list()).items == ()


def pair(question: str = "Hi", answer: str = "Hello") -> tuple[Message, Message]:
    """Return a question with a key, and its answer, as new objects."""
    asked = msgspec.structs.replace(Message.user(question), idempotency_key="once")
    return asked, Message.assistant(answer)


@pytest.mark.asyncio
async def test_an_append_with_a_key_is_stored_once(store: Store) -> None:
    """Repeated with new objects it returns what is stored; another text under the key is refused."""
    chat = await store.create()
    first = await chat.append(*pair())
    await chat.append(Message.user("later"))
    again = await chat.append(*pair())
    assert again == first
    assert len(await chat.messages()) == 3
    for other in (pair("Ho"), pair(answer="Ha"), pair()[:1] * 2):
        with pytest.raises(DuplicateKeyError):
            await chat.append(*other)
    assert len(await chat.messages()) == 3


@pytest.mark.asyncio
async def test_two_appends_with_a_key_at_once_are_one(store: Store) -> None:
    """Whether they come into one transaction or into two."""
    chat = await store.create()
    both = await asyncio.gather(*(chat.append(*pair()) for _ in range(8)))
    assert len({one[0].id for one in both}) == 1
    assert len(await chat.messages()) == 2


@pytest.mark.asyncio
async def test_a_key_holds_within_its_conversation(store: Store) -> None:
    """Two rooms number their messages as they like; and what was sent is not appended again."""
    first, second = await store.create(), await store.create()
    await first.append(*pair())
    await second.append(*pair("other"))
    provider = ScriptedProvider()
    provider.script("Hello", Finished())
    third = await store.create()
    await third.send("Hi", idempotency_key="once", provider=provider)
    asked, _ = await third.append(*pair())
    assert [one.text for one in await third.messages()] == ["Hi", "Hello"]
    assert asked.idempotency_key == (await third.history())[0].idempotency_key


@pytest.mark.asyncio
async def test_a_key_is_not_used_twice_in_one_append(store: Store) -> None:
    """Which of the two would a repeat be?"""
    chat = await store.create()
    with pytest.raises(DuplicateKeyError):
        await chat.append(pair("a")[0], pair("b")[0])
    assert await chat.messages() == ()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name",
    [5, b"x", "", "  ", "a\x00b", "\ud800", "a\nb", "a\x1b[2J", "a\x85", "a\u2028b", "x" * 256],
)
async def test_nobody_is_called_so(path: Where, store: Store, name: Any) -> None:
    """One gate for owners, wherever a name comes in."""
    with pytest.raises(InvalidTextError, match="the owner's name"):
        store.for_owner(name)
    with pytest.raises(InvalidTextError, match="the owner's name"):
        convostore.open(path, owner=name)
    await store.for_owner("Ärztin / 東京 \U0001f98a " + "x" * 200).create()
