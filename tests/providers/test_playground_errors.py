"""What the server refuses becomes the right error, without repeating it."""

from __future__ import annotations

import json

import pytest

from convostore import clock, errors
from convostore.providers.playground_errors import http_error


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
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2025 00:01:00 GMT", 0.0),
    ],
)
def test_time_to_wait_is_read_as_seconds_or_date(value: str, seconds: float | None) -> None:
    """Both forms of the header are allowed."""

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
