"""The sizes whose recorded bodies were too large to keep, played by the test server."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.providers.talk import Far

Dialect = Literal["threads", "stream"]
both_dialects = pytest.mark.parametrize("dialect", ["stream", "threads"])


@pytest.mark.asyncio
@both_dialects
@pytest.mark.parametrize(
    "content",
    [
        pytest.param("x" * 100_000, id="08-content-100k"),
        pytest.param("x" * 499_000, id="08-content-499k"),
        pytest.param("京" * 90_000, id="08-cjk-content-90k"),
    ],
)
async def test_long_question_arrives_whole_and_the_thread_goes_on(
    dialect: Dialect, content: str
) -> None:
    """The first and the last line of the answer hold it again, escaped."""
    far = Far(dialect)
    async with far as talk:
        answer = await talk.say(content)
        assert far.server.prompts[-1][-1] == ("user", content)
        assert answer == f"I was sent 1 message(s): user={content[:40]!r}"
        await talk.say("go on")
        assert [text for _, text in far.server.prompts[-1]] == [content, answer, "go on"]


@pytest.mark.asyncio
@both_dialects
async def test_long_reply_is_read_whole_and_the_thread_goes_on(dialect: Dialect) -> None:
    """`18-reply-long`: lines of 50,000 and of 100,000 characters."""
    far = Far(dialect)
    async with far as talk:
        assert await talk.say("script=long") == "y" * 100_000
        await talk.say("go on")
        assert far.server.prompts[-1][1] == ("assistant", "y" * 100_000)
