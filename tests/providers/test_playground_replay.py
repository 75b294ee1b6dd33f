"""Every recorded send and read, sent byte for byte, gives the right result or the right error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from convostore import errors
from convostore.events import (
    Finished,
    ReasoningDelta,
    RemoteUpdate,
    TextDelta,
    ToolCallDelta,
    ToolResultDelta,
)
from convostore.providers.playground import Playground
from convostore.providers.provider import ChatMessage, ChatRequest
from convostore.records import RemoteThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostore.events import Event
    from tests.providers.conftest import RawServer, Recording

USER = "u-alice"  # who the recordings are of
INDEX = json.loads((Path(__file__).parent / "recordings" / "index.json").read_text())
SENDS = [f"{one['era']}/{one['case']}" for one in INDEX if one["method"] == "POST"]
READS = [f"{one['era']}/{one['case']}" for one in INDEX if one["method"] == "GET"]

# What a send must raise; every other one must give a reply.
RAISES: dict[str, type[errors.ProviderError]] = {
    "a/04-bad-model": errors.ProviderError,
    "a/04-missing-host": errors.ProviderError,
    "a/04-missing-model": errors.ProviderError,
    "a/04-model-on-wrong-host": errors.ProviderError,
    "a/05-assistant-role": errors.ProviderProtocolError,
    "a/05-assistant-role-no-parent": errors.ProviderError,
    "a/05-bad-parent": errors.RemoteThreadGoneError,
    "a/05-empty-parent": errors.RemoteThreadGoneError,
    "a/05-original-missing": errors.ProviderError,
    "a/05-parent-is-user-message": errors.ProviderError,
    "a/05-parent-of-other-user": errors.ProviderAuthError,
    "a/06-bad-bearer": errors.ProviderAuthError,
    "a/06-missing-anon-id": errors.ProviderAuthError,
    "a/07-empty-content": errors.ProviderError,
    "a/07-missing-content": errors.ProviderError,
    "a/08-content-1200k": errors.ContextLengthError,
    "a/08-content-500k-plus": errors.ContextLengthError,
    "a/09-nul": errors.ProviderError,
    "a/12-parent-deleted": errors.RemoteThreadGoneError,
    "a/13-private-garbage": errors.ProviderError,
    "a/14-max_tokens-4096": errors.ProviderError,
    "a/14-n-2": errors.ProviderError,
    "a/14-temperature-0.123": errors.ProviderError,
    "a/14-temperature-2": errors.ProviderError,
    "a/14-temperature-text": errors.ProviderError,
    "a/14-top_p-0": errors.ProviderError,
    "a/17-safety": errors.ModerationRefusedError,
    "a/18-reply-aborted": errors.IncompleteReplyError,
    "a/18-reply-boom": errors.IncompleteReplyError,
    "a/18-reply-grpc_error_first": errors.IncompleteReplyError,
    "a/18-reply-length": errors.IncompleteReplyError,
    "a/18-reply-midbreak": errors.IncompleteReplyError,
    "a/18-reply-slow": errors.IncompleteReplyError,
    "a/22-accept-html": errors.ProviderProtocolError,
    "a/22-broken-multipart": errors.ProviderError,
    "a/22-urlencoded-body": errors.ProviderError,
    "a/23-no-trailing-boundary": errors.ProviderError,
    "a/24-client-disconnect": errors.IncompleteReplyError,
    "a/25-expired-parent": errors.RemoteThreadGoneError,
    "mid/17-safety": errors.ModerationRefusedError,
    "mid/18-reply-boom": errors.IncompleteReplyError,
    "mid/18-reply-grpc_error_first": errors.IncompleteReplyError,
    "mid/18-reply-length": errors.IncompleteReplyError,
    "mid/26-captcha-bad": errors.CaptchaRequiredError,
    "mid/26-captcha-bot": errors.CaptchaRequiredError,
    "b/04-bad-model": errors.ProviderError,
    "b/04-inferd-model": errors.IncompleteReplyError,
    "b/04-missing-model": errors.ProviderError,
    "b/05-assistant-role": errors.ProviderError,
    "b/05-bad-parent": errors.RemoteThreadGoneError,
    "b/05-empty-parent": errors.RemoteThreadGoneError,
    "b/05-parent-is-user-message": errors.ProviderError,
    "b/05-parent-of-other-user": errors.ProviderAuthError,
    "b/06-bad-bearer": errors.ProviderAuthError,
    "b/06-bypass-safety": errors.ProviderAuthError,
    "b/06-missing-anon-id": errors.ProviderAuthError,
    "b/07-empty-content": errors.ProviderError,
    "b/07-missing-content": errors.ProviderError,
    "b/08-content-500k-plus": errors.ContextLengthError,
    "b/09-nul": errors.ProviderError,
    "b/12-parent-deleted": errors.RemoteThreadGoneError,
    "b/13-private-garbage": errors.ProviderError,
    "b/14-max_tokens-4096": errors.ProviderError,
    "b/14-n-2": errors.ProviderError,
    "b/14-temperature-2": errors.ProviderError,
    "b/14-temperature-text": errors.ProviderError,
    "b/17-safety": errors.ModerationRefusedError,
    "b/18-reply-http_error": errors.IncompleteReplyError,
    "b/22-accept-html": errors.ProviderProtocolError,
    "b/22-old-stream-path": errors.ProviderProtocolError,
    "b/22-old-v3-post": errors.ProviderProtocolError,
    "b/22-post-no-slash": errors.ProviderProtocolError,
    "b/22-urlencoded-body": errors.ProviderError,
    "b/24-client-disconnect": errors.IncompleteReplyError,
    "b/25-expired-parent": errors.RemoteThreadGoneError,
    "b/26-captcha-bad": errors.CaptchaRequiredError,
    "b/26-captcha-bot": errors.CaptchaRequiredError,
}
READ_RAISES: dict[str, type[errors.ProviderError]] = {
    "a/03-get-noauth": errors.ProviderAuthError,
    "a/03-get-other-user": errors.ProviderAuthError,
    "b/03-get-thread-noauth": errors.ProviderAuthError,
    "b/03-get-v3-message-other-user": errors.ProviderAuthError,
}


def request() -> ChatRequest:
    """Ask what the recordings were asked, more or less."""
    return ChatRequest(
        messages=(ChatMessage("user", "hello"),), model="tulu3-405b", anonymous_user_id=USER
    )


async def collect(
    provider: Playground, asked: ChatRequest
) -> tuple[list[Event], errors.ProviderError | None]:
    """Return all events of a request, and the error that ended it."""
    found: list[Event] = []
    try:
        async for event in provider.stream(asked):
            found.append(event)  # noqa: PERF401 - what came before an error counts
    except errors.ProviderError as error:
        return found, error
    return found, None


def objects(recording: Recording) -> list[dict[str, Any]]:
    """Return the recorded lines, read by other code than the package's."""
    lines = recording.body.split(b"\n") if recording.status == 200 else []
    return [json.loads(line) for line in lines if line]


def joined(found: list[dict[str, Any]], kind: str) -> str:
    """Join the pieces of one kind as the recording has them, by other code than the package's."""
    return "".join(
        one["content"]
        for one in found
        if "content" in one and "role" not in one and one.get("type", "modelResponse") == kind
    )


def assert_no_secret(error: errors.ProviderError) -> None:
    """Check that an error is one short line without any id."""
    for shown in (str(error), error.hint, repr(error), getattr(error, "excerpt", "")):
        assert "msg_" not in shown.replace("msg_…", "")
        assert USER not in shown
        assert len(shown) < 600
        assert "\n" not in shown


@pytest.mark.asyncio
@pytest.mark.parametrize("piece", [0, 1, 7], ids=["whole", "bytewise", "sevens"])
@pytest.mark.parametrize("name", SENDS)
async def test_each_recorded_send_gives_its_reply_or_its_error(
    raw_server: RawServer, recording: Callable[[str], Recording], name: str, piece: int
) -> None:
    """The text is what the server streamed, and the error is of the kind the table names."""
    one = recording(name)
    dialect: Literal["threads", "stream"] = "threads" if one.era == "b" else "stream"
    path = "/v4/threads/" if dialect == "threads" else "/v4/message/stream"
    raw_server.answer("POST", path, one.wire)
    raw_server.piece = piece
    provider = Playground(raw_server.url, dialect=dialect)
    events, error = await collect(provider, request())
    await provider.aclose()

    found = objects(one)
    text = "".join(e.text for e in events if isinstance(e, TextDelta))
    thought = "".join(e.reasoning for e in events if isinstance(e, ReasoningDelta))
    assert text == joined(found, "modelResponse")
    assert thought == joined(found, "thinking")
    if any("id" in line for line in found) and name != "a/05-assistant-role":
        assert isinstance(events[0], RemoteUpdate)
    if name in RAISES:
        assert type(error) is RAISES[name]
        assert error.provider == "playground"
        assert error.hint
        assert_no_secret(error)
        assert not any(isinstance(event, Finished) for event in events)
    else:
        assert error is None
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.text is None
        assert last.remote is not None
        assert last.remote.same_text
        assert last.remote.remote_id == last_assistant(found)
        assert last.remote.expires_at_ms is not None


def last_assistant(found: list[dict[str, Any]]) -> str:
    """Return the id of the newest reply in the last message object."""
    final = next(one for one in reversed(found) if "id" in one)
    messages = final.get("messages") or [final]
    while messages[-1].get("children") and isinstance(messages[-1]["children"][0], dict):
        messages = messages[-1]["children"]
    ids: list[str] = [one["id"] for one in messages if one["role"] == "assistant"]
    return ids[-1]


@pytest.mark.parametrize("name", sorted(RAISES))
def test_table_of_errors_names_recordings_that_exist(name: str) -> None:
    """A row without a recording would test nothing."""
    assert name in SENDS


@pytest.mark.asyncio
@pytest.mark.parametrize("name", READS)
async def test_each_recorded_read_gives_its_value_or_its_error(
    raw_server: RawServer, recording: Callable[[str], Recording], name: str
) -> None:
    """A model list is a list of models, a message read is the reply below it, or nothing."""
    one = recording(name)
    provider = Playground(raw_server.url)
    if "models" in one.path:
        raw_server.answer("GET", "/v4/models/", one.wire)
        if one.status == 308:
            with pytest.raises(errors.ProviderProtocolError, match="redirects"):
                await provider.models()
        else:
            visible = [m["id"] for m in json.loads(one.body) if m["is_visible"]]
            assert [model.id for model in await provider.models()] == visible
        await provider.aclose()
        return
    raw_server.answer("GET", one.path, one.wire)
    user_id = one.path.rpartition("/")[2]
    remote = RemoteThread(
        server_url=raw_server.url,
        dialect="threads" if one.path.startswith("/v4") else "stream",
        remote_id="msg_X",
        user_remote_id=user_id,
    )
    if name in READ_RAISES:
        with pytest.raises(READ_RAISES[name]) as caught:
            await provider.recover(remote, USER)
        assert_no_secret(caught.value)
    else:
        finished = await provider.recover(remote, USER)
        if (
            one.status == 404
            or "disconnect" in name
            or user_id in {"msg_F1D8Q0X9E5", "msg_Z4E1C2V2G7"}
        ):
            assert finished is None  # gone, unfinished, or an assistant's id with questions below
        else:
            assert finished is not None
            assert finished.text
            assert finished.text.startswith("I was sent 1 message")
            assert finished.remote is not None
            assert finished.remote.same_text
            assert finished.remote.remote_id in {"msg_F1D8Q0X9E5", "msg_Z4E1C2V2G7"}
    assert raw_server.received[-1].headers["x-anonymous-user-id"] == USER
    await provider.aclose()


@pytest.mark.asyncio
async def test_tool_calls_and_results_come_apart_from_the_answer(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Pieces of a call share its id, its result is whole, and the last reply is continued."""
    raw_server.answer("POST", "/v4/threads/", recording("b/18-reply-toolcall").wire)
    provider = Playground(raw_server.url, dialect="threads")
    events, error = await collect(provider, request())
    await provider.aclose()
    assert error is None
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert {call.id for call in calls} == {"call_1"}
    assert [call.name for call in calls] == ["create_random_number", "", ""]
    assert "".join(call.args for call in calls) == '{"upper_bound": 10}'
    results = [event for event in events if isinstance(event, ToolResultDelta)]
    assert [(one.id, one.name) for one in results] == [("call_1", "create_random_number")]
    assert results[0].content.startswith("create_random_number() got")


@pytest.mark.asyncio
async def test_text_kept_by_the_server_after_an_error_can_be_continued(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """The older server stores the partial text, so its id is told before the error is raised."""
    raw_server.answer("POST", "/v4/message/stream", recording("a/18-reply-length").wire)
    provider = Playground(raw_server.url, dialect="stream")
    events, error = await collect(provider, request())
    await provider.aclose()
    assert isinstance(error, errors.IncompleteReplyError)
    assert "length" in str(error)
    assert isinstance(events[-1], RemoteUpdate)
    assert events[-1].remote.same_text


@pytest.mark.asyncio
async def test_server_words_with_addresses_are_not_shown(
    raw_server: RawServer, recording: Callable[[str], Recording]
) -> None:
    """Of an error object the reason is shown, the technical text beside it is not."""
    raw_server.answer("POST", "/v4/threads/", recording("b/18-reply-http_error").wire)
    provider = Playground(raw_server.url, dialect="threads")
    _, error = await collect(provider, request())
    await provider.aclose()
    assert error is not None
    assert "Model http error" in str(error)
    assert "exploded" not in str(error)
