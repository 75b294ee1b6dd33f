"""What the server refuses becomes the right error, without repeating it."""

from __future__ import annotations

import json

import pytest

from convostore import clock, errors
from convostore.providers.playground_errors import http_error
from tests.providers.talk import Far


def test_400_is_never_repeated_unshortened() -> None:
    """The older server echoes the whole conversation; ids and the identity are blanked out."""
    said = "u-1 said msg_A1B2C3D4E5 " * 1000
    error = http_error(400, {}, json.dumps({"error": {"message": said}}).encode(), secret="u-1")
    assert len(str(error)) < 300
    assert "u-1" not in str(error)
    assert "msg_A1" not in str(error)
    echo = {
        "error": {"message": "x", "validation_errors": [{"input": said, "loc": [], "msg": "m"}]}
    }
    assert "said" not in str(http_error(400, {}, json.dumps(echo).encode()))


def test_words_of_the_user_do_not_choose_the_error() -> None:
    """What a 400 echoes of the text is not taken for the server's own words."""
    body = {
        "error": {
            "code": 400,
            "message": "1 validation error\n input_value='Parent message x not found'",
            "validation_errors": [
                {
                    "loc": ["temperature"],
                    "msg": "Input should be less than or equal to 1",
                    "input": "inappropriate_prompt invalid_captcha",
                }
            ],
        }
    }
    error = http_error(400, {}, json.dumps(body).encode())
    assert type(error) is errors.ProviderError
    assert "temperature: Input should be less" in str(error)


def test_missing_captcha_of_the_middle_server_is_named() -> None:
    """It comes as a validation error on the token."""
    body = {
        "error": {
            "code": 400,
            "message": "1 validation error",
            "validation_errors": [
                {
                    "loc": ["captcha_token"],
                    "msg": "Value error, Failed to evaluate captcha. Please reload the page",
                }
            ],
        }
    }
    error = http_error(400, {}, json.dumps(body).encode())
    assert type(error) is errors.CaptchaRequiredError
    assert not error.retryable
    assert "-p local" in error.hint


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("inappropriate_prompt", errors.ModerationRefusedError),
        ("inappropriate_prompt_text", errors.ModerationRefusedError),
        ("invalid_captcha", errors.CaptchaRequiredError),
        ("failed_captcha_assessment", errors.CaptchaRequiredError),
        ("Invalid model x", errors.ProviderError),
        (None, errors.ProviderError),
    ],
)
@pytest.mark.parametrize("problems", [None, [], "left out"])
def test_400_is_named_whether_or_not_it_lists_fields(
    message: str | None, kind: type[errors.ProviderError], problems: object
) -> None:
    """A list of fields may be null, empty or not there."""
    detail = {"code": 400, "message": message}
    if problems != "left out":
        detail["validation_errors"] = problems  # type: ignore[assignment]  # any JSON
    error = http_error(400, {}, json.dumps({"error": detail}).encode())
    assert type(error) is kind
    assert error.status == 400


def test_400_with_nulls_in_its_fields_is_still_read() -> None:
    """What is there is said."""
    fields = [{"loc": None, "msg": "bad"}, {"loc": ["stop", 0, None], "msg": None}]
    body = {"error": {"message": None, "validation_errors": fields}}
    error = http_error(400, {}, json.dumps(body).encode())
    assert type(error) is errors.ProviderError
    assert "bad; stop.0" in str(error)


@pytest.mark.asyncio
async def test_error_of_a_tool_names_the_tool() -> None:
    """The newer dialect says it in a sentence; asking again the same way helps nobody."""
    async with Far("threads") as talk:
        error = await talk.fail("script=badtool")
    assert isinstance(error, errors.IncompleteReplyError)
    assert "Could not find tool 'no_such_tool'" in str(error)
    assert not error.retryable
    assert error.status == 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2025 00:01:00 GMT", 0.0),
        ("86400", 86_400.0),
        ("86401", None),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("Sun, 04 Jan 2026 00:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Thu, 01 Jan 2026 00:01:00 +99999999999", None),
    ],
)
def test_time_to_wait_is_read_as_seconds_or_date(value: str, seconds: float | None) -> None:
    """Both forms of the header are allowed; more than a day is no time to wait."""

    class At2026:
        def now_ms(self) -> int:
            return 1_767_225_600_000

        def monotonic_s(self) -> float:
            return 0.0

    before = clock.replace(At2026())
    try:
        error = http_error(429, {"Retry-After": value}, b"")
    finally:
        clock.replace(before)
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after_s == seconds
