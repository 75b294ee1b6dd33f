"""What was typed or piped in: the text to send and the options, checked before anything starts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from convostore.cli.terminal import is_terminal, say
from convostore.errors import InvalidTextError, UsageError
from convostore.text import MOST_TEXT_BYTES, gate_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_BYTES = MOST_TEXT_BYTES + 1024  # with room for the line ends that are left out
_PATIENCE_S = 2.0  # then a person is told what the program is waiting for


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed; None is "as stored, else as configured".

    Attributes:
        files: to be attached to the first question.
        ephemeral: nothing is kept, unless the person says so.
        expires_at_ms: when a new conversation goes by itself; None is never.
    """

    ref: str | None = None
    provider: str | None = None
    model: str | None = None
    system: str | None = None
    settings: dict[str, Any] = {}
    dialect: str | None = None
    proxy: str | None = None
    files: tuple[str, ...] = ()
    ephemeral: bool = False
    expires_at_ms: int | None = None


def text_to_send(typed: str | None, example: str = "convostore chat") -> str | None:
    """Return the text: *typed*, then a blank line and what is piped in; None on a bare terminal.

    Args:
        typed: on the command line.
        example: the command, for the hint where nothing is there.

    Raises:
        UsageError: there is no text at all.
        InvalidTextError: the piped bytes are not UTF-8.
    """
    piped = "" if sys.stdin is None or is_terminal(sys.stdin) else _read_stdin()
    texts = [text for text in (typed, piped) if text and text.strip()]
    if texts:
        return "\n\n".join(texts)
    if typed is None and is_terminal(sys.stdin):
        return None
    raise UsageError("there is no text to send", hint=f'{example} "Hello"')


def _read_stdin() -> str:
    _tell_who_waits()
    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise InvalidTextError(
            f"standard input has more than the {MOST_TEXT_BYTES:,} bytes that one message may have",
            hint="send it in parts",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidTextError(
            f"standard input is not UTF-8 text (byte {error.start + 1} is 0x{data[error.start]:02x})",
            hint="convert it first, for example: iconv -f latin1 -t utf-8",
        ) from error
    return text.rstrip("\r\n")


def _tell_who_waits() -> None:
    import select

    if not select.select([sys.stdin], [], [], _PATIENCE_S)[0]:
        say("convostore: waiting for text on standard input (without any: add < /dev/null)")


def settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Return `name=value` pairs as settings: numbers, true, false, null and JSON in brackets as such.

    Whatever else is text.

    Raises:
        UsageError: a pair without a name or without `=`, or with a key: it would be stored.
    """
    refused = ("-o {} is not name=value", "for example: -o temperature=0.2")
    found = {name: _value(value) for name, value in _pairs(pairs, *refused)}
    try:
        return gate_settings(found, "the options (-o)")
    except InvalidTextError as error:
        raise UsageError(error.message, hint=error.hint) from error


def values(pairs: Iterable[str]) -> dict[str, Any]:
    """Return `name=value` pairs: JSON values as such, whatever else as text.

    Raises:
        UsageError: a pair without a name or without `=`.
    """
    refused = ("{} is not NAME=VALUE", "for example: ticket=42")
    return {name: _json_or_text(value) for name, value in _pairs(pairs, *refused)}


def _pairs(pairs: Iterable[str], refusal: str, hint: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of `name=value` pairs; *refusal* says what a wrong one is not."""
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(refusal.format(pair), hint=hint)
        yield name.strip(), value


def _json_or_text(value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return value


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "null": None}
    if text[:1] in {"{", "["}:
        return _json_or_text(text)
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if abs(number) < float("inf") else text
    return text
