"""What a server of chat completions refuses or reports becomes one of our errors, with a hint.

Of its own words 200 characters are repeated, and never the key.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from convostore.errors import (
    ContextLengthError,
    IncompleteReplyError,
    ModerationRefusedError,
    ProviderAuthError,
    ProviderConnectError,
    ProviderError,
    ProviderProtocolError,
    ProviderTimeoutError,
    RateLimitError,
)
from convostore.providers.keys import redacted
from convostore.providers.openai_said import Said, said, said_in
from convostore.providers.retry_after import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convostore.providers.keys import Key

NAME: Final = "openai"
MODELS: Final = "see them all: convostore models -p openai"
OTHER_URL: Final = "is this the address of an OpenAI-compatible server? It often ends in /v1"
_AGAIN: Final = "the question is kept; ask for its answer again later"
_SHORTER: Final = "start a new conversation, send less text, or choose a model with more room"

# Source: the words of OpenAI and Groq (the code), llama.cpp (the type), vLLM, llama-cpp-python,
# Ollama, LM Studio, TGI, SGLang, OpenRouter and Mistral, in this order as far as they differ.
_TOO_LONG_WORDS: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG: Final = re.compile(
    r"(?:maximum|model'?s|available|exceed\w*|larger than) (?:the |this |model )*"
    r"(?:context|input|prompt) (?:length|size|window)"
    r"|exceed\w* (?:the )?(?:maximum|max|available|allowed)? ?(?:context|prompt|model length)"
    r"|context (?:length|size|window) (?:of|exceeded|is|was|limit)|reached context length"
    r"|exceeds the maximum number of tokens|too many tokens"
    r"|context the overflows|prompt is too long|input is too long|too large for model"
    r"|longer than the (?:model's )?(?:context|maximum)|reduce the length of the (?:messages|input)"
    r"|tokens \+ `?max_new_tokens`? must be|exceeds the maximum allowed length",
    re.IGNORECASE,
)
_REFUSED_WORDS: Final = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked"}
)
_NO_MONEY: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_NO_MODEL: Final = re.compile(r"\bmodels?\b", re.IGNORECASE)
_LOADING: Final = re.compile(r"\bloading\b", re.IGNORECASE)
_BY_WORD: Final = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "overloaded_error": 503,
    "timeout": 504,
}


class Server(NamedTuple):
    """Whose answers these are.

    Attributes:
        name: what it is called in a sentence.
        origin: its scheme, host and port.
        key: what is never repeated; None where it was sent none.
        provider: the provider's name.
    """

    name: str
    origin: str
    key: Key | None = None
    provider: str = NAME


def http_error(
    server: Server, status: int, headers: Mapping[str, str], body: bytes
) -> ProviderError:
    """Turn an answer that is not 200 into an error.

    Args:
        server: who answered.
        status: the HTTP status.
        headers: looked up without regard to case by the caller's mapping.
        body: as much of the answer as was read.
    """
    told = said_in(body)
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP statuses are their own names
        return ProviderProtocolError(
            f"{server.name} redirects to another address ({status}); not followed",
            provider=server.provider,
            hint="set CONVOSTORE_OPENAI_URL to the address where the server is",
            status=status,
        )
    if status == 429 or (status == 413 and "rate_limit_exceeded" in told.words):  # noqa: PLR2004 - see above
        return _rate_limit(server, status, told, _wait_s(headers))
    error = _of_status(server, status, told)
    error.retry_after_s = _wait_s(headers) if error.retryable else None
    return error


def is_loading(status: int, body: bytes) -> bool:
    """Tell whether a server is there, and still loads its model.

    Source: llama.cpp's server and text-generation-inference answer so while they start.
    """
    return status == 503 and _LOADING.search(said_in(body).message) is not None  # noqa: PLR2004 - a status is its own name


def reported_error(server: Server, value: object, *, had_text: bool) -> ProviderError:
    """Turn an error that is reported inside a 200 into an error.

    Args:
        server: who reports it.
        value: the JSON that it came as, or text.
        had_text: whether a piece of the answer came before.
    """
    told = said(value)
    status = told.status or next((_BY_WORD[word] for word in told.words if word in _BY_WORD), None)
    if _is_too_long(told):
        return _too_long(server, told, 200)
    if status == 429:  # noqa: PLR2004 - HTTP statuses are their own names
        return _rate_limit(server, status, told, None)
    if status is not None and status < 500 and not had_text:  # noqa: PLR2004 - see above
        return _of_status(server, status, told)
    return IncompleteReplyError(
        f"{server.name} ended the reply with an error: {told.shown(server.key)}",
        provider=server.provider,
        hint=_AGAIN,
        status=200,
        retryable=True,
    )


def page_error(server: Server) -> ProviderProtocolError:
    """Say that a web page came where the protocol was expected."""
    return ProviderProtocolError(
        f"{server.name} answered with a web page",
        provider=server.provider,
        hint=OTHER_URL,
        status=200,
    )


def not_the_protocol(server: Server, why: str, data: bytes) -> ProviderProtocolError:
    """Say that something came that no such server sends."""
    return ProviderProtocolError(
        f"{server.name} sent something that is not its protocol: {why}",
        provider=server.provider,
        hint=f"{OTHER_URL}; what arrived is kept",
        status=200,
        excerpt=redacted(data[:500].decode("utf-8", "replace"), server.key),
    )


def cut_off(server: Server) -> IncompleteReplyError:
    """Say that a body ended as it should, and the reply in it did not."""
    return IncompleteReplyError(
        f"the reply broke off: {server.name} ended it without a finish reason",
        provider=server.provider,
        hint="what arrived is kept; ask for the answer again",
        status=200,
        retryable=True,
    )


def broken_off(server: Server, why: str) -> IncompleteReplyError:
    """Say that a body broke off before the reply was complete."""
    return IncompleteReplyError(
        f"the reply broke off: {why}",
        provider=server.provider,
        hint="what arrived is kept; ask for the answer again",
        retryable=True,
    )


def loading_too_long(server: Server, waited_s: float) -> ProviderConnectError:
    """Say that a server did not have its model loaded in time."""
    return ProviderConnectError(
        f"{server.name} still loads its model, after {waited_s:g} s",
        provider=server.provider,
        hint=_AGAIN,
        status=503,
    )


def no_key(server: Server) -> ProviderAuthError:
    """Say that a server is not asked without a key."""
    return ProviderAuthError(
        f"there is no key to {server.origin}",
        provider=server.provider,
        hint=_NO_KEY.format(origin=server.origin),
    )


def no_model(server: Server, has: str) -> ProviderError:
    """Say that a model has to be named, of those that a server has."""
    return ProviderError(
        f"{server.name} has {has}, and none was named",
        provider=server.provider,
        hint=f"name one with: -m MODEL; {MODELS}",
    )


# By status


class _Meaning(NamedTuple):
    kind: type[ProviderError]
    message: str  # after the server's name; `{}` is what it says
    hint: str
    retryable: bool = False


_NO_KEY: Final = "give it a key: convostore keys set {origin}"
_MEANINGS: Final = {
    401: _Meaning(ProviderAuthError, "does not accept the key (401)", _NO_KEY),
    402: _Meaning(ProviderAuthError, "wants to be paid first (402): {}", "add credit there"),
    403: _Meaning(ProviderAuthError, "forbids this (403): {}", "is the key for this model?"),
    404: _Meaning(ProviderProtocolError, "does not have this path (404)", OTHER_URL),
    405: _Meaning(ProviderProtocolError, "takes no chat completions there (405)", OTHER_URL),
    408: _Meaning(ProviderTimeoutError, "did not get it in time (408)", _AGAIN, retryable=True),
    409: _Meaning(ProviderError, "is busy with something else (409): {}", _AGAIN, retryable=True),
    413: _Meaning(ContextLengthError, "takes no request of that size (413): {}", _SHORTER),
    500: _Meaning(ProviderError, "had a fault of its own (500): {}", _AGAIN, retryable=True),
    502: _Meaning(ProviderConnectError, "is not available (502): {}", _AGAIN, retryable=True),
    503: _Meaning(ProviderConnectError, "is not available (503): {}", _AGAIN, retryable=True),
    504: _Meaning(ProviderTimeoutError, "did not answer in time (504)", _AGAIN, retryable=True),
    529: _Meaning(ProviderConnectError, "has too much to do (529): {}", _AGAIN, retryable=True),
}


def _of_status(server: Server, status: int, told: Said) -> ProviderError:
    if status <= 500 and status not in {401, 404} and _is_too_long(told):  # noqa: PLR2004 - llama-cpp-python has 500 for it
        return _too_long(server, told, status)
    if told.reasons or any(word in _REFUSED_WORDS for word in told.words):
        return ModerationRefusedError(
            f"{server.name} refuses this text (moderation): {told.shown(server.key)}",
            provider=server.provider,
            hint="say it differently, or ask another model",
            status=status,
        )
    if status in {400, 404} and _is_of_model(told):
        return ProviderError(
            f"{server.name} does not have the model: {told.shown(server.key)}",
            provider=server.provider,
            hint=MODELS,
            status=status,
        )
    meaning = _MEANINGS.get(status)
    if meaning is None:
        return _any_other(server, status, told)
    return meaning.kind(
        f"{server.name} {meaning.message.format(told.shown(server.key))}",
        provider=server.provider,
        hint=meaning.hint.format(origin=server.origin),
        status=status,
        retryable=meaning.retryable,
    )


def _any_other(server: Server, status: int, told: Said) -> ProviderError:
    if status >= 500 or not told.message:  # noqa: PLR2004 - a status is its own name
        return ProviderProtocolError(
            f"{server.name} answered with status {status}: {told.shown(server.key)}",
            provider=server.provider,
            hint=_AGAIN if status >= 500 else OTHER_URL,  # noqa: PLR2004 - see above
            status=status,
            retryable=status >= 500,  # noqa: PLR2004 - see above
        )
    return ProviderError(
        f"{server.name} refuses the request ({status}): {told.shown(server.key)}",
        provider=server.provider,
        hint="correct or leave out the option that it names: -o name=value",
        status=status,
    )


def _rate_limit(server: Server, status: int, told: Said, wait_s: float | None) -> RateLimitError:
    spent = any(word in _NO_MONEY for word in told.words)
    later = "later" if wait_s is None else f"in {math.ceil(wait_s)} s"
    return RateLimitError(
        f"{server.name} asks to wait ({status}): {told.shown(server.key)}",
        provider=server.provider,
        hint="add credit there" if spent else f"the question is kept; ask again {later}",
        status=status,
        retryable=not spent,
        retry_after_s=wait_s,
    )


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """Return how long to wait; OpenAI says it in milliseconds too."""
    exact = headers.get("retry-after-ms", "").strip()
    if exact.isdecimal() and exact.isascii() and len(exact) < 9:  # noqa: PLR2004 - a day has 8 digits
        return int(exact) / 1000
    return retry_after_s(headers.get("Retry-After", ""))


def _is_too_long(told: Said) -> bool:
    return any(word in _TOO_LONG_WORDS for word in told.words) or (
        _TOO_LONG.search(told.message) is not None
    )


def _is_of_model(told: Said) -> bool:
    """Tell whether an error is about a model that the server does not have."""
    if "model_not_found" in told.words:
        return True
    missing = re.search(
        r"not found|not exist|unknown|invalid model|not a valid", told.message, re.IGNORECASE
    )
    return missing is not None and _NO_MODEL.search(told.message) is not None


def _too_long(server: Server, told: Said, status: int) -> ContextLengthError:
    return ContextLengthError(
        f"the conversation is too long for the model: {told.shown(server.key)}",
        provider=server.provider,
        hint=_SHORTER,
        status=status,
    )
