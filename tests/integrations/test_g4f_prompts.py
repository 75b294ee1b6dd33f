"""What becomes of a list of messages: all of it is sent, or nothing is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import convostore
from convostore.errors import InvalidTextError, ProviderError
from convostore.integrations.g4f import Conversation
from convostore.integrations.g4f_prompt import GO_ON

if TYPE_CHECKING:
    from convostore.testing import PlaygroundServer
    from tests.integrations.conftest import Client

MODEL = "tulu3-405b"


def said(role: str, content: object, **more: Any) -> dict[str, Any]:
    """Make a message."""
    return {"role": role, "content": content, **more}


def told(content: str) -> list[dict[str, Any]]:
    """Return the earlier messages that a sent text tells of."""
    return [json.loads(line) for line in content.split("\n") if line.startswith("{")]


@pytest.mark.parametrize("role", ["tool", "function"])
@pytest.mark.asyncio
async def test_what_a_tool_said_is_part_of_the_prompt(client: Client, role: str) -> None:
    """It is told as the user's, under its name, wherever it stands; and kept like that."""
    await client.ask("", messages=[said("user", "one"), said(role, "42"), said("user", "what?")])
    assert client.sent()[0]["content"] == "one\n\nTool: 42\n\nwhat?"
    assert [one.text for one in await client.kept()][:3] == ["one", "Tool: 42", "what?"]
    asked = [said("user", "Time?"), said("assistant", "I look."), said(role, "12:00")]
    await client.ask("", messages=asked)
    assert told(client.sent()[1]["content"]) == asked[:2]
    assert client.sent()[1]["content"].endswith("\n\nTool: 12:00")


@pytest.mark.asyncio
async def test_beginning_of_the_answer_is_part_of_the_prompt(
    server: PlaygroundServer, client: Client
) -> None:
    """The model is told what it is to go on with, and asked to."""
    server.answer(" red.")
    begun = [said("user", "Write a poem"), said("assistant", "Roses are")]
    *_, conversation, _ = await client.ask("", messages=begun, return_conversation=True)
    assert told(client.sent()[0]["content"]) == begun
    assert client.sent()[0]["content"].endswith(f"\n\n{GO_ON}")
    assert [one.text for one in await client.kept()] == [
        *("Write a poem", "Roses are", GO_ON, " red."),
    ]
    assert isinstance(conversation, Conversation)
    assert [one["content"] for one in conversation.messages][1::2] == ["Roses are", " red."]


@pytest.mark.asyncio
async def test_system_text_behind_the_question_is_part_of_the_prompt(client: Client) -> None:
    """It goes before the question."""
    await client.ask("", messages=[said("user", "Hi"), said("system", "Be brief.")])
    assert client.sent()[0]["content"] == "Be brief.\nHi"


@pytest.mark.asyncio
async def test_with_a_conversation_what_tools_said_is_new(client: Client) -> None:
    """The conversation has the rest; answers behind the question are none of it."""
    conversation = Conversation(MODEL)
    for messages, sent in (
        ([said("user", "old"), said("user", "Time?")], "Time?"),
        ([said("user", "Time?"), said("tool", "12:00")], "Time?\n\nTool: 12:00"),
        ([said("user", "x"), said("assistant", "y"), said("tool", "12:00")], "Tool: 12:00"),
        ([said("user", "More"), said("assistant", "y")], "More"),
    ):
        await client.ask("", messages=messages, conversation=conversation)
        assert client.sent()[-1]["content"] == sent
    assert len(await client.kept(str(conversation.id))) == 8


@pytest.mark.asyncio
async def test_calls_of_tools_are_left_out_with_a_warning(client: Client) -> None:
    """They are no text."""
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]
    messages = [said("user", "a"), said("assistant", None, tool_calls=calls), said("tool", 5)]
    with pytest.warns(UserWarning, match="left out: tool_calls"):
        await client.ask("", messages=messages)
    assert client.sent()[0]["content"] == "a\n\nTool: 5"


@pytest.mark.asyncio
async def test_turns_that_do_not_fit_are_named(server: PlaygroundServer, client: Client) -> None:
    """A list longer than the transcript may be is cut with a warning."""
    long = [said(role, "x" * 9_000) for _ in range(3) for role in ("user", "assistant")]
    with pytest.warns(UserWarning, match="the oldest 2 turns did not fit"):
        await client.ask("", messages=[*long, said("user", "Hi")])
    assert server.messages


@pytest.mark.parametrize(
    ("text", "more", "kind"),
    [
        ("q", {"temperature": 2}, ProviderError),
        ("q", {"host": ""}, ProviderError),
        ("q", {"max_tokens": 0}, ProviderError),
        ("q", {"stop": "\ud800"}, ProviderError),
        ("q", {"model": "a\0"}, InvalidTextError),
        ("q\0", {}, InvalidTextError),
        ("q\ud800", {}, InvalidTextError),
        ("", {}, ProviderError),
        pytest.param("q" * 500_001, {}, ProviderError, id="too long"),
        ("q", {"conversation": Conversation(MODEL, x_anonymous_user_id="é")}, ProviderError),
        ("q", {"conversation": Conversation(MODEL, messages=[said("bot", "x")])}, ProviderError),
        (
            "q",
            {"conversation": Conversation(MODEL, messages=[said("user", "\0")])},
            InvalidTextError,
        ),
    ],
)
@pytest.mark.asyncio
async def test_request_that_cannot_work_leaves_nothing_behind(
    server: PlaygroundServer, client: Client, text: str, more: dict[str, Any], kind: type[Exception]
) -> None:
    """No conversation is made for it, and nothing is sent."""
    conversation = more.get("conversation") or Conversation(MODEL)
    with pytest.raises(kind):
        await client.ask(text, **{"conversation": conversation, **more})
    assert conversation.id is None
    assert server.requests == []
    async with convostore.open() as store:
        assert (await store.list()).items == ()


@pytest.mark.asyncio
async def test_earlier_text_that_cannot_be_stored_leaves_nothing_behind(client: Client) -> None:
    """Nor does a list in which only an older message is wrong."""
    with pytest.raises(InvalidTextError):
        await client.ask("", messages=[said("user", "\0"), said("user", "q")])
    async with convostore.open() as store:
        assert (await store.list()).items == ()
