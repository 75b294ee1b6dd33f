"""Any provider of gpt4free as ours. g4f is not needed: its answers are known by their classes' names."""

from __future__ import annotations

import asyncio
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import convostore
from convostore.errors import (
    IncompleteReplyError,
    InvalidTextError,
    ProviderAuthError,
    ProviderError,
    ProviderOptionError,
    RateLimitError,
)
from convostore.integrations.g4f_provider import G4FProvider
from convostore.parts import ReasoningPart, TextPart, ToolCallPart
from tests.canaries import holds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from convostore.store import Store
    from tests.engines import Where


class HiddenResponse:
    """Stands for theirs: it says nothing."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def __str__(self) -> str:
        """Return nothing."""
        return ""


class Reasoning(HiddenResponse):
    pass


class Usage(HiddenResponse):
    pass


class FinishReason(HiddenResponse):
    pass


class ToolCalls(HiddenResponse):
    pass


class ProviderInfo(HiddenResponse):
    pass


class Sources:
    def __str__(self) -> str:
        """Return them as text, as theirs does."""
        return "\n> [0] a source"


class MissingAuthError(Exception):
    pass


class Theirs:
    """A provider as theirs are: a class with a generator, which plays what the test wrote."""

    chunks: tuple[Any, ...] = ()
    asked: list[dict[str, Any]]
    is_closed = False

    async def create_async_generator(self, **asked: Any) -> AsyncIterator[Any]:
        """Play it."""
        self.asked = [*getattr(self, "asked", ()), asked]
        try:
            for chunk in self.chunks:
                if isinstance(chunk, Exception):
                    raise chunk
                yield chunk
        finally:
            self.is_closed = True


@pytest.fixture
def theirs() -> Theirs:
    """Give a provider."""
    return Theirs()


@pytest_asyncio.fixture
async def store(path: Where, theirs: Theirs) -> AsyncIterator[Store]:
    """Open a new store with it."""
    async with convostore.open(path, provider=G4FProvider(theirs, temperature=1)) as opened:
        yield opened


@pytest.mark.asyncio
async def test_all_that_it_yields_is_kept_as_what_it_is(store: Store, theirs: Theirs) -> None:
    """Text, reasoning, tool calls, usage, reason and model; what is hidden is no text."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    theirs.chunks = (
        ProviderInfo(name="Loop", model="real-1"),
        Reasoning(token="hm"),
        Reasoning(token=None, status="searching"),
        "Hello ",
        "you",
        Sources(),
        ToolCalls(list=[call]),
        Usage(prompt_tokens=3, completion_tokens=2, prompt_tokens_details={"cached_tokens": 1}),
        HiddenResponse(),
        FinishReason(reason="stop"),
    )
    chat = await store.create(model="any-1", system="Be brief.", settings={"top_p": 0.5})
    reply = await chat.send("Hi")
    assert reply.parts == (
        ReasoningPart("hm"),
        TextPart("Hello you\n> [0] a source"),
        ToolCallPart("c1", "look", "{}"),
    )
    assert (reply.model, reply.finish_reason, reply.status) == ("real-1", "stop", "completed")
    paid = (await store.stats()).total.usage
    assert (paid.input_tokens, paid.output_tokens, paid.cached_tokens) == (3, 2, 1)
    assert theirs.asked == [
        {
            "model": "any-1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
            ],
            "temperature": 1,
            "top_p": 0.5,
            "stream": True,
        }
    ]


@pytest.mark.asyncio
async def test_next_turn_is_told_what_was_said(store: Store, theirs: Theirs) -> None:
    """Whatever the provider itself remembers."""
    theirs.chunks = ("Hello",)
    chat = await store.create()
    await chat.send("Hi")
    await chat.send("And now?")
    assert [one["content"] for one in theirs.asked[1]["messages"]] == ["Hi", "Hello", "And now?"]


@pytest.mark.asyncio
async def test_provider_that_chooses_a_model_chooses_anew(store: Store, theirs: Theirs) -> None:
    """What has answered is in the reply; the next turn asks as the first one did."""
    theirs.default_model = "auto"  # type: ignore[attr-defined] # as some of theirs have it
    theirs.chunks = (ProviderInfo(name="Loop", model="real-1"), "Hello")
    chat = await store.create()
    for _ in range(2):
        assert (await chat.send("Hi")).model == "real-1"
    assert [one["model"] for one in theirs.asked] == ["auto", "auto"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MissingAuthError("no key"), ProviderAuthError),
        (type("RateLimitError", (Exception,), {})("slow down"), RateLimitError),
        (KeyError("choices"), ProviderError),
        (None, IncompleteReplyError),
    ],
)
@pytest.mark.asyncio
async def test_its_errors_are_ours_and_what_came_before_is_kept(
    store: Store, theirs: Theirs, error: Exception | None, kind: type[ProviderError]
) -> None:
    """Each by its kind; nothing at all is no answer."""
    theirs.chunks = () if error is None else ("Hel", error)
    chat = await store.create()
    with pytest.raises(kind) as caught:
        await chat.send("Hi")
    assert caught.value.reply is not None
    assert (caught.value.reply.status, caught.value.reply.text) == (
        "failed",
        "Hel" if error else "",
    )
    assert "Theirs" in str(caught.value)


@pytest.mark.asyncio
async def test_key_is_in_no_error_no_traceback_and_no_byte_of_the_store(
    path: Where, theirs: Theirs
) -> None:
    """Whatever the provider says of it; one among a conversation's settings is refused."""
    key, password = "canaryxqzkey01", "canaryxqzword"
    proxy = f"http://me:{password}@near.example"
    theirs.chunks = ("Hel", RuntimeError(f"401: bad {key} by {proxy}, bearer {key}"))
    headers = {"Authorization": f"Bearer {key}"}
    provider = G4FProvider(theirs, api_key=key, proxy=proxy, headers=headers)
    async with convostore.open(path, provider=provider) as store:
        with pytest.raises(ProviderError, match="401: bad … by http") as caught:
            await (await store.create()).send("Hi")
        told = "".join(traceback.format_exception(caught.value))
        for settings in ({"api_key": key}, {"proxy": proxy}, {"cookies": {"a": key}}):
            with pytest.raises(InvalidTextError, match="must not be"):
                await store.create(settings=settings)
    assert theirs.asked[0]["api_key"] == key
    assert "canaryxqz" not in told
    assert not await asyncio.to_thread(holds, path, "canaryxqz")


@pytest.mark.asyncio
async def test_leaving_early_closes_its_generator(store: Store, theirs: Theirs) -> None:
    """So that it lets go of its connection."""
    theirs.chunks = ("one", "two", "three")
    chat = await store.create()
    async with chat.stream("Hi") as turn:
        async for _ in turn:
            break
    assert theirs.is_closed
    assert turn.reply.status == "stopped"


@pytest.mark.asyncio
async def test_option_that_the_request_says_itself_is_refused(store: Store, theirs: Theirs) -> None:
    """Nothing is stored."""
    chat = await store.create()
    with pytest.raises(ProviderOptionError, match="messages"):
        await chat.send("Hi", settings={"messages": []})
    assert await chat.history() == ()


@pytest.mark.asyncio
async def test_models_are_listed_with_the_default_first() -> None:
    """From a list, or from a function; a failure is an error of ours."""

    class Listing(Theirs):
        default_model = "b"

        @staticmethod
        def get_models() -> list[str]:
            return ["a", "b"]

    class Failing(Theirs):
        @staticmethod
        def get_models() -> list[str]:
            raise OSError("no network")

    assert [one.id for one in await G4FProvider(Listing).models()] == ["b", "a"]
    assert await G4FProvider(Theirs).models() == []
    with pytest.raises(ProviderError, match="no network"):
        await G4FProvider(Failing).models()


@pytest.mark.asyncio
async def test_provider_that_answers_in_one_piece_or_not_at_all(tmp_path: Path) -> None:
    """One with `create_async` alone is asked so; one without either is refused."""

    class Whole:
        @staticmethod
        async def create_async(**asked: Any) -> str:
            return f"{len(asked['messages'])} message"

    async with convostore.open(tmp_path / "chats.db", provider=G4FProvider(Whole)) as store:
        chat = await store.create(ephemeral=True)
        assert (await chat.send("Hi")).text == "1 message"
        with pytest.raises(ProviderError, match="without blocking"):
            await chat.send("Hi", provider=G4FProvider(object()))
