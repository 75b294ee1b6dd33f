"""The twenty faults of gpt4free's own client, by number: the drop-in has none of them.

Number 8 was not confirmed, number 13 is the first test of the drop-in's prompts.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from convostore.errors import (
    CaptchaRequiredError,
    IncompleteReplyError,
    ProviderConnectError,
    ProviderError,
    ProviderProtocolError,
    ProviderTimeoutError,
)
from convostore.integrations.g4f import AllenAI, Conversation, FinishReason
from convostore.providers.playground_models import ALIASES
from convostore.testing import Cut, ErrorObject, PlaygroundServer, Raw, Silence, Think

if TYPE_CHECKING:
    from tests.integrations.conftest import Client

MODEL = "tulu3-405b"


@pytest.mark.asyncio
async def test_1_2_blank_pieces_and_whole_answers_are_kept(client: Client) -> None:
    """Indentation and lone newlines are shown and stored, and not only the last piece."""
    conversation = Conversation(MODEL)
    code = "def f(x):\n    return x\n\nprint(f(1))\n"
    shown = client.answer(await client.ask("script=whitespace", conversation=conversation))
    assert shown == code
    assert conversation.messages[-1] == {"role": "assistant", "content": code}
    assert (await client.kept())[-1].text == code


@pytest.mark.asyncio
async def test_3_models_with_a_system_prompt_keep_their_thread(
    server: PlaygroundServer, client: Client
) -> None:
    """The reply is found below the system message, and the next turn continues it."""
    conversation = Conversation("olmo-sys")
    for text in ("My name is Ada", "What is my name?"):
        await client.ask(text, model="olmo-sys", conversation=conversation)
    assert [role for role, _ in server.prompts[-1]] == ["system", "user", "assistant", "user"]


@pytest.mark.asyncio
async def test_4_error_in_the_stream_is_raised(client: Client) -> None:
    """What had arrived was yielded and is stored; there is no finish."""
    pieces = AllenAI.create_async_generator(MODEL, [client.user("script=midbreak")])
    assert [await anext(pieces), await anext(pieces)] == ["This starts", " well but"]
    with pytest.raises(IncompleteReplyError) as caught:
        await anext(pieces)
    assert caught.value.reply is not None
    assert [(one.status, one.text) for one in await client.kept()][1] == (
        "failed",
        "This starts well but",
    )


@pytest.mark.asyncio
async def test_5_answer_without_text_does_not_crash(client: Client) -> None:
    """An empty answer ends; no workers is an error that says so."""
    assert client.answer(await client.ask("script=empty")) == ""
    with pytest.raises(IncompleteReplyError):
        await client.ask("script=grpc_error_first")


@pytest.mark.asyncio
async def test_6_cut_off_answer_is_no_normal_end(server: PlaygroundServer, client: Client) -> None:
    """Reaching the length limit is an error."""
    server.script("cut off he", ErrorObject("length", "too large", "length"))
    with pytest.raises(IncompleteReplyError, match="length limit"):
        await client.ask("Tell me all")


@pytest.mark.parametrize("server", ["stream", "threads"], indirect=True)
@pytest.mark.asyncio
async def test_7_long_lines_pass(server: PlaygroundServer, client: Client) -> None:
    """90,000 Chinese characters and a reply of 140,000 make lines of many hundred kilobytes."""
    server.answer("y" * 140_000)
    conversation = Conversation(MODEL)
    assert len(client.answer(await client.ask("京" * 90_000, conversation=conversation))) == 140_000
    assert conversation.parent in server.messages


@pytest.mark.asyncio
async def test_9_broken_lines_are_not_skipped(server: PlaygroundServer, client: Client) -> None:
    """A line that is no JSON is an error, never a gap in the text, if the server has no whole one."""
    server.script("a", Raw(b'{"message": "msg_x", "content": "caf\xe9"}\n'), Silence())
    with pytest.raises(ProviderProtocolError):
        await client.ask("Hi")


@pytest.mark.asyncio
async def test_10_any_language_arrives(server: PlaygroundServer, client: Client) -> None:
    """Accents, CJK and emoji reach the server as they are."""
    await client.ask("café 京都 👩‍🚀")
    assert client.sent()[0]["content"] == "café 京都 👩‍🚀"


@pytest.mark.asyncio
async def test_11_caller_who_stops_keeps_question_and_partial_answer(
    server: PlaygroundServer,
    client: Client,
) -> None:
    """Both are stored, the conversation knows them, and the next turn follows them."""
    conversation = Conversation(MODEL)
    server.script("one", " two", server.gate("never"), " three")
    pieces = AllenAI.create_async_generator(
        MODEL, [client.user("Count")], conversation=conversation
    )
    async with aclosing(pieces):
        assert [await anext(pieces), await anext(pieces)] == ["one", " two"]
    assert [(one.status, one.text) for one in await client.kept()] == [
        ("completed", "Count"),
        ("stopped", "one two"),
    ]
    assert [one["content"] for one in conversation.messages] == ["Count", "one two"]
    await client.ask("Go on", conversation=conversation)
    assert [one.text for one in await client.kept()][:3] == ["Count", "one two", "Go on"]


@pytest.mark.asyncio
async def test_11_leaving_the_loop_is_enough(server: PlaygroundServer, client: Client) -> None:
    """A program that breaks out of the loop and ends has kept what it showed."""
    server.script("one", " two", server.gate("never"), " three")
    program = """
        import asyncio
        from convostore.integrations.g4f import AllenAI

        async def main():
            ask = [{"role": "user", "content": "Count"}]
            shown = ""
            async for piece in AllenAI.create_async_generator("tulu3-405b", ask):
                shown += piece
                if shown == "one two":
                    break

        asyncio.run(main())
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", textwrap.dedent(program), stderr=subprocess.PIPE
    )
    _, complaints = await child.communicate()
    assert (child.returncode, complaints) == (0, b"")
    assert [(one.status, one.text) for one in await client.kept()] == [
        ("completed", "Count"),
        ("stopped", "one two"),
    ]


@pytest.mark.asyncio
async def test_12_two_turns_at_once_stand_one_after_the_other(
    server: PlaygroundServer, client: Client
) -> None:
    """Both are in the record, in order, and in the server's chain; also in the very first turn."""
    conversation = Conversation(MODEL)
    await asyncio.gather(
        client.ask("script=echo first", conversation=conversation),
        client.ask("script=echo second", conversation=conversation),
    )
    path = await client.kept(str(conversation.id))
    assert [one.role for one in path] == ["user", "assistant"] * 2
    assert sorted(one.text for one in path[::2]) == ["script=echo first", "script=echo second"]
    assert [one.text for one in path[::2]] == [one.text for one in path[1::2]]
    assert len(server.prompts[-1]) == 3
    assert [one["content"] for one in conversation.messages] == [one.text for one in path]


@pytest.mark.parametrize("server", ["stream", "threads"], indirect=True)
@pytest.mark.asyncio
async def test_14_expired_thread_goes_on(server: PlaygroundServer, client: Client) -> None:
    """When the server has forgotten the parent, the earlier turns go along as text."""
    conversation = Conversation(client.model)
    await client.ask("My name is Ada", conversation=conversation)
    server.messages.clear()
    await client.ask("What is my name?", conversation=conversation)
    last = client.sent()[-1]
    assert "parent" not in last
    assert "My name is Ada" in last["content"]
    assert conversation.parent in server.messages


@pytest.mark.asyncio
async def test_15_models_own_host_wins_over_the_default(client: Client) -> None:
    """A model that runs on modal is asked for there, whatever the host argument says."""
    assert (
        client.answer(await client.ask("Hi", model="tulu-3-1-8b")) == "modal answer to 1 messages"
    )
    assert client.sent()[0]["host"] == "modal"


@pytest.mark.parametrize(("alias", "model"), ALIASES.items())
def test_16_every_alias_names_a_model(alias: str, model: str) -> None:
    """Each alias leads to a model with a host."""
    assert AllenAI.get_model(alias) == model
    assert AllenAI.model_hosts[model] in {"inferd", "modal"}
    assert alias in AllenAI.model_aliases
    assert model in AllenAI.models


@pytest.mark.asyncio
async def test_16_alias_is_asked_for_by_the_servers_name(
    server: PlaygroundServer, client: Client
) -> None:
    """The server gets its own name of the model; an empty name is the default model."""
    await client.ask("Hi", model="llama-3.1-405b")
    await client.ask("Hi", model="")
    assert [fields["model"] for fields in client.sent()] == [MODEL, MODEL]


@pytest.mark.asyncio
async def test_16_unknown_model_is_a_typed_error(client: Client) -> None:
    """The hint says how to see the models."""
    with pytest.raises(ProviderError) as caught:
        await client.ask("Hi", model="gpt-9")
    assert "convostore models" in caught.value.hint


@pytest.mark.asyncio
async def test_17_time_limits_are_the_configured_ones(
    server: PlaygroundServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent server is given up after the configured time, and what came is kept."""
    monkeypatch.setenv("CONVOSTORE_IDLE_TIMEOUT_S", "0.2")
    server.script("half", Silence())
    with pytest.raises(ProviderTimeoutError):
        await client.ask("Hi")
    assert (await client.kept())[-1].text == "half"


@pytest.mark.parametrize("server", ["mid"], indirect=True)
@pytest.mark.asyncio
async def test_18_captcha_is_named(server: PlaygroundServer, client: Client) -> None:
    """A server that wants a captcha gets a permanent error of its own."""
    with pytest.raises(CaptchaRequiredError) as caught:
        await client.ask("Hi")
    assert not caught.value.retryable


@pytest.mark.parametrize("server", ["threads"], indirect=True)
@pytest.mark.asyncio
async def test_19_20_newer_server_works_and_thinking_is_no_answer(
    server: PlaygroundServer, client: Client
) -> None:
    """Text, conversation and finish come; what the model thought is stored apart."""
    server.script(Think("Let me "), Think("think."), "The answer", " ", "is 42.")
    conversation = Conversation(MODEL)
    yielded = await client.ask("script=", conversation=conversation, return_conversation=True)
    assert client.answer(yielded) == "The answer is 42."
    assert yielded[-2] is conversation
    assert isinstance(yielded[-1], FinishReason)
    assert conversation.parent in server.messages
    parts = (await client.kept())[-1].parts
    assert [part.text for part in parts if hasattr(part, "text")] == [
        "Let me think.",
        "The answer is 42.",
    ]


@pytest.mark.asyncio
async def test_broken_connection_is_a_typed_error_and_keeps_the_text(
    server: PlaygroundServer,
    client: Client,
) -> None:
    """A cut body is no end of the answer."""
    server.script("before", Cut())
    with pytest.raises(IncompleteReplyError):
        await client.ask("Hi")
    assert [(one.status, one.text) for one in await client.kept()][1] == ("failed", "before")


@pytest.mark.asyncio
async def test_server_that_is_down_keeps_the_question(
    client: Client, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """The question is stored before anybody is asked."""
    monkeypatch.setenv("CONVOSTORE_PLAYGROUND_URL", f"http://127.0.0.1:{unused_tcp_port}")
    conversation = Conversation(MODEL)
    with pytest.raises(ProviderConnectError):
        await client.ask("Hi", conversation=conversation)
    assert [one.text for one in await client.kept(str(conversation.id))][:1] == ["Hi"]
