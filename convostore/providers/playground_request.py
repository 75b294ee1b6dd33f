"""What the Playground is sent: options checked, and the fields of the form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostore.errors import (
    ContextLengthError,
    ProviderAuthError,
    ProviderError,
    ProviderOptionError,
)
from convostore.providers.playground_errors import NAME
from convostore.providers.provider import ChatMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convostore.providers.provider import ChatRequest, ModelInfo

# Source: Playground wire protocol, "Size": 500,000 bytes of UTF-8 pass, one more fails.
FIELD_LIMIT_BYTES = 500_000
# Source: Playground wire protocol, "Sending a turn": the server's defaults.
DEFAULTS: dict[str, float | int] = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 2048}


def check_request(request: ChatRequest, *, starts_thread: bool) -> None:
    """Refuse what the server would refuse, before anything is stored or sent.

    Args:
        request: the request.
        starts_thread: whether the system text goes along, in the same field as the new text.

    Raises:
        ProviderError: with a hint; permanent.
    """
    if not request.messages or request.messages[-1].role != "user":
        raise ProviderError("the last message must be the user's", provider=NAME)
    _check_identity(request.anonymous_user_id)
    text = request.question or request.messages[-1].text
    if starts_thread and len(request.messages) > 1 and request.messages[0].role == "system":
        text = f"{request.messages[0].text}\n{text}"
    _check_text(text)
    for name, value in request.settings.items():
        _check_option(name, value)


def parted(request: ChatRequest) -> Sequence[ChatMessage]:
    """Return the messages; where the last one is too large, with its new text apart.

    What it holds besides was never answered. It may then be left out like any earlier turn, so
    that it does not make every later question too large as well.
    """
    *earlier, last = request.messages
    size = len(last.text.encode())
    if earlier and earlier[0].role == "system":
        size += len(earlier[0].text.encode()) + 1
    question = request.question or last.text
    if size <= FIELD_LIMIT_BYTES or question == last.text:
        return request.messages
    unanswered = last.text.removesuffix(question).rstrip("\n")
    return [*earlier, ChatMessage("user", unanswered), ChatMessage(last.role, question)]


def form_fields(
    content: str, *, model: ModelInfo, parent: str | None, settings: dict[str, Any]
) -> list[tuple[str, str]]:
    """Return the form's fields in order; all options every time, as later turns inherit them.

    Args:
        content: the text to send.
        model: with its host and the option values that the server lists for it.
        parent: the id of the reply to continue from; None starts a new remote thread.
        settings: options as the caller set them, already checked.
    """
    fields = [
        ("model", model.id),
        ("host", model.host or ""),
        ("content", content),
        ("private", "true"),
    ]
    if parent:
        fields.append(("parent", parent))
    options = DEFAULTS | model.defaults | settings
    fields += [(name, str(options[name])) for name in DEFAULTS]
    fields += [(name, str(settings[name])) for name in ("n", "logprobs") if name in settings]
    stops = settings.get("stop", ())
    fields += [("stop", one) for one in ([stops] if isinstance(stops, str) else stops)]
    if "captchaToken" in settings:
        fields.append(("captchaToken", settings["captchaToken"]))
    return fields


def _check_identity(anonymous_user_id: str) -> None:
    """Refuse an id that a header cannot carry unchanged, or that everybody would share.

    Source: Playground wire protocol, "Identity": an empty id is accepted and shared by all.
    """
    name = anonymous_user_id
    if not name or name != name.strip() or not (name.isascii() and name.isprintable()):
        raise ProviderAuthError(
            "the anonymous user id must be plain ASCII text, not empty, without blanks around it",
            provider=NAME,
            hint="leave it out, then one is made",
        )


def _check_text(text: str) -> None:
    if not text:
        raise ProviderError("the message is empty", provider=NAME, hint="type some text")
    if "\0" in text:
        raise ProviderError(
            "the message holds a NUL character, which the Playground server cannot keep",
            provider=NAME,
            hint="remove it",
        )
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ProviderError(
            "the message holds half of a surrogate pair, which is no text",
            provider=NAME,
            hint="remove it",
        ) from error
    if size > FIELD_LIMIT_BYTES:
        raise ContextLengthError(
            f"the message is {size:,} bytes; the Playground server takes {FIELD_LIMIT_BYTES:,}",
            provider=NAME,
            hint="send it in parts",
        )


def _is_number(value: object, low: float, high: float) -> bool:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value: object, low: int, high: int) -> bool:
    if isinstance(value, str):
        value = int(value) if value.isdecimal() and len(value) <= 9 else None  # noqa: PLR2004 - far over any limit
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_stop(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(one == "" or _is_word(one) for one in value)
    return _is_word(value)


def _is_word(value: object) -> bool:
    """Tell whether *value* is text that a form carries and the server can keep."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


# Source: Playground wire protocol, "Sending a turn": the widest limits that hold everywhere.
_OPTIONS: dict[str, tuple[Callable[[object], bool], str]] = {
    "temperature": (lambda value: _is_number(value, 0, 1), "a number from 0 to 1"),
    "top_p": (lambda value: _is_number(value, 0, 1), "a number from 0 to 1"),
    "max_tokens": (lambda value: _is_whole(value, 1, 1_000_000), "a whole number from 1"),
    "n": (lambda value: _is_whole(value, 1, 1), "1"),
    "logprobs": (lambda value: _is_whole(value, 0, 10), "a whole number from 0 to 10"),
    "stop": (_is_stop, "a text, or a list of texts"),
    "host": (_is_word, "a word, such as modal or inferd"),
    "dialect": (lambda value: value in ("auto", "threads", "stream"), "auto, threads or stream"),
    "captchaToken": (_is_word, "a captcha token"),
}


def _check_option(name: str, value: object) -> None:
    if name not in _OPTIONS:
        raise ProviderOptionError(
            f"the Playground has no option called {name!r}",
            provider=NAME,
            hint=f"it takes: -o {', '.join(_OPTIONS)}",
        )
    is_right, wanted = _OPTIONS[name]
    if not is_right(value):
        raise ProviderOptionError(
            f"the option {name} must be {wanted}",
            provider=NAME,
            hint=f"set it with: -o {name}=VALUE, or leave it out",
        )
