"""What the Playground's server refuses or reports becomes one of our errors, with a hint.

Nothing of an answer is repeated unshortened: a 400 of the older dialect echoes the whole
conversation. Message ids and the anonymous user id are secrets and are blanked out.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import msgspec

from convostore.errors import (
    CaptchaRequiredError,
    ContextLengthError,
    IncompleteReplyError,
    ModerationRefusedError,
    ProviderAuthError,
    ProviderConnectError,
    ProviderError,
    ProviderProtocolError,
    ProviderTimeoutError,
    RateLimitError,
    RemoteThreadGoneError,
)
from convostore.providers.playground_objects import ErrorBody, ErrorDetail
from convostore.providers.retry_after import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convostore.providers.ndjson import BadLineError

NAME = "playground"
USE_LOCAL = "use a model on this machine with: -p local"
OTHER_URL = "is CONVOSTORE_PLAYGROUND_URL an Ai2 Playground server? See: convostore models"
_EXCERPT_CHARS = 200  # of the server's own words, in a one-line message
_MESSAGE_ID = re.compile(r"msg_\w+")
_GONE = re.compile(r"(?:Parent message .*not found|.*has an invalid root)", re.DOTALL)
_UNKNOWN_MODEL = re.compile(r"(?:model .* is not available on |Invalid model )")
_TOOL_ERRORS = frozenset({"tool error", "toolCallError"})
_CAPTCHA = frozenset({"invalid_captcha", "failed_captcha_assessment"})
_errors = msgspec.json.Decoder(ErrorBody)


def redacted(text: str, secret: str) -> str:
    """Return *text* on one line, without message ids and without *secret*."""
    if secret:
        text = text.replace(secret, "…")
    return _MESSAGE_ID.sub("msg_…", " ".join(text.split()))


def line_error(error: BadLineError, secret: str) -> ProviderProtocolError:
    """Turn a line that is no object of the stream into an error.

    As with `broken_off` it has no status: such a stream is broken.
    """
    return ProviderProtocolError(
        f"the Playground server sent something that is not its protocol: {error.reason}",
        provider=NAME,
        hint=OTHER_URL,
        excerpt=redacted(error.excerpt, secret),
    )


def reported_error(reason: str, *, had_text: bool, description: str = "") -> ProviderError:
    """Turn an error object inside a stream into an error.

    Source: Playground wire protocol, "Errors inside a 200 stream": the reason is for people,
    the technical text beside it can hold internal addresses and is not shown.

    Args:
        reason: the server's word for it.
        had_text: whether a piece of the answer came before.
        description: a sentence for people, which newer servers add; it names the tool.
    """
    if reason == "length":
        if had_text:
            return IncompleteReplyError(
                "the reply was cut off: it reached the length limit",
                provider=NAME,
                hint="ask to go on, or allow more with: -o max_tokens=2048",
                status=200,
            )
        return ContextLengthError(
            "the conversation is too long for the model",
            provider=NAME,
            hint="start a new conversation, or choose another model: convostore models",
            status=200,
        )
    of_tool = reason in _TOOL_ERRORS
    again = "ask in other words, or choose another model: convostore models"
    return IncompleteReplyError(
        f"the Playground server ended the reply: {(description or reason)[:_EXCERPT_CHARS]}",
        provider=NAME,
        hint=again if of_tool else f"send it again later, or {USE_LOCAL}",
        status=200,
        retryable=not of_tool,
    )


def http_error(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str = ""
) -> ProviderError:
    """Turn an answer that is not 200 into an error.

    Args:
        status: the HTTP status.
        headers: the answer's headers; looked up without regard to case by the caller's mapping.
        body: as much of the answer as was read.
        secret: the anonymous user id, to be blanked out.
    """
    detail = _detail(body)
    if status == 429:  # noqa: PLR2004 - HTTP statuses are their own names
        return _rate_limit(retry_after_s(headers.get("Retry-After", "")))
    if status == 400 and detail is not None:  # noqa: PLR2004 - see above
        return _refusal(detail, secret)
    if status in _BY_STATUS:
        return _by_status(status, is_page=detail is None)
    if 300 <= status < 400:  # noqa: PLR2004 - see above
        return ProviderProtocolError(
            f"the Playground server redirects to another address ({status}); not followed",
            provider=NAME,
            hint="set CONVOSTORE_PLAYGROUND_URL to the address where the server is",
            status=status,
        )
    return ProviderProtocolError(
        f"the Playground server answered with status {status}",
        provider=NAME,
        hint=OTHER_URL,
        status=status,
        retryable=status >= 500,  # noqa: PLR2004 - see above
        excerpt=redacted(detail.message or "", secret) if detail else "",
    )


def _rate_limit(wait_s: float | None) -> RateLimitError:
    later = "later" if wait_s is None else f"in {math.ceil(wait_s)} s"
    return RateLimitError(
        "the Playground server asks to wait (429)",
        provider=NAME,
        hint=f"try again {later}, or {USE_LOCAL}",
        status=429,
        retry_after_s=wait_s,
    )


def page_error(status: int) -> ProviderProtocolError:
    """Say that a web page came where the protocol was expected."""
    return ProviderProtocolError(
        "the server answered with a web page, not with the Playground protocol",
        provider=NAME,
        hint=OTHER_URL,
        status=status,
    )


def broken_off(why: str) -> IncompleteReplyError:
    """Say that a stream ended before the reply was complete, without a word of the server.

    It has no status: the server may have the whole reply, and can be asked for it.
    """
    return IncompleteReplyError(
        f"the reply broke off: {why}",
        provider=NAME,
        hint=f"send it again, or {USE_LOCAL}",
        retryable=True,
    )


_BY_STATUS: dict[int, tuple[type[ProviderError], str, str, bool]] = {
    401: (
        ProviderAuthError,
        "the Playground server does not accept the identity (401)",
        f"start a new conversation, or {USE_LOCAL}",
        False,
    ),
    403: (
        ProviderAuthError,
        "the Playground server forbids this request (403)",
        "start a new conversation: this remote thread belongs to another anonymous user",
        False,
    ),
    404: (
        ProviderProtocolError,
        "the server speaks another version: it knows none of the Playground's paths (404)",
        OTHER_URL,
        False,
    ),
    405: (
        ProviderProtocolError,
        "the server speaks another version: it takes no messages on the Playground's paths (405)",
        OTHER_URL,
        False,
    ),
    413: (
        ContextLengthError,
        "the text is too large for the Playground server (413)",
        "send less than 500,000 bytes",
        False,
    ),
    500: (
        ProviderError,
        "the Playground server had a fault of its own (500)",
        f"send it again later, or {USE_LOCAL}",
        True,
    ),
    502: (
        ProviderConnectError,
        "the Playground server is not available (502)",
        f"try again later, or {USE_LOCAL}",
        True,
    ),
    503: (
        ProviderConnectError,
        "the Playground server is not available (503)",
        f"try again later, or {USE_LOCAL}",
        True,
    ),
    504: (
        ProviderTimeoutError,
        "the Playground server did not answer in time (504)",
        f"try again later, or {USE_LOCAL}",
        True,
    ),
}


def _by_status(status: int, *, is_page: bool) -> ProviderError:
    kind, message, hint, retryable = _BY_STATUS[status]
    if status == 403 and is_page:  # noqa: PLR2004 - the front's deny list answers with a page
        message = "this computer's address is blocked by the Playground server (403)"
        hint = f"use another way out with: --proxy URL, or {USE_LOCAL}"
    return kind(message, provider=NAME, hint=hint, status=status, retryable=retryable)


def _refusal(detail: ErrorDetail, secret: str) -> ProviderError:
    """Tell the kinds of 400 apart.

    Source: Playground wire protocol, "HTTP errors and what to do".
    """
    message, fields = detail.message or "", detail.validation_errors or []
    said = [(field.msg or "").removeprefix("Value error, ") for field in fields]
    said = said or [message or "it gives no reason"]
    if message.startswith("inappropriate_prompt"):
        return ModerationRefusedError(
            "the Playground server refuses this text (moderation)",
            provider=NAME,
            hint=f"say it differently, or {USE_LOCAL}",
            status=400,
        )
    if message in _CAPTCHA or any("evaluate captcha" in one for one in said):
        return CaptchaRequiredError(
            "the Playground server wants a captcha, which only a browser can solve",
            provider=NAME,
            hint=USE_LOCAL,
            status=400,
        )
    if any(_GONE.match(one) for one in said):
        return RemoteThreadGoneError(
            "the Playground server no longer has this conversation",
            provider=NAME,
            hint="send it again: the earlier turns then go along as text",
            status=400,
        )
    if _UNKNOWN_MODEL.match(message):
        return ProviderError(
            redacted(message, secret)[:_EXCERPT_CHARS],
            provider=NAME,
            hint="choose one of: convostore models, and name it with: -m MODEL",
            status=400,
        )
    where = [".".join(map(str, field.loc or ())) for field in fields]
    if where:
        said = [f"{at}: {one}" if at else one for at, one in zip(where, said, strict=True)]
    return ProviderError(
        "the Playground server refuses the request: "
        + redacted("; ".join(said), secret)[:_EXCERPT_CHARS],
        provider=NAME,
        hint="correct the option with: -o name=value",
        status=400,
    )


def _detail(body: bytes) -> ErrorDetail | None:
    try:
        return _errors.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # a page of the front, or a body that was cut
