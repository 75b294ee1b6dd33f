"""The one gate that a caller's text passes before it is stored."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from convostore import clock
from convostore.errors import InvalidTextError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAR_MS = 253_402_300_799_999  # the end of the year 9999: no calendar here goes further
MOST_NAME = 200  # characters of a title, a folder or a tag: a list shows them in one line
MOST_TAGS = 64  # of one conversation: each list reads them all
LONGEST_TITLE = 80  # characters of a first line that becomes the title
MOST_MARK = 1_000  # characters of a key, of a conversation or a message, of an id or an author
# They stand in indexes. Source: PostgreSQL, "B-Tree Indexes": 2,704 bytes of a row fit into one.
MOST_MARK_BYTES = 2_000
MOST_OWNER = 255  # characters of an owner's name
MOST_FILE_NAME = 255  # characters of an attachment's name, as of a file's
MOST_DEEP = 100  # levels of a JSON value: far below what decoders stand
# Source: RFC 6838, "Naming Requirements": a restricted name on either side of the stroke.
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
)
_SECRET = frozenset({"auth", "bearer", "cookie", "cookies", "key", "token"})  # as a whole name
_SECRET_PARTS = (
    *("accesskey", "apikey", "authorization", "credential", "passphrase", "passwd", "password"),
    *("privatekey", "secret", "signingkey", "subscriptionkey"),
)
# Tokens that are pieces of text: stop_token="</s>".
_MARKS_OF_MODELS = frozenset(
    {
        "bos",
        "cls",
        "end",
        "eos",
        "eot",
        "image",
        "mask",
        "pad",
        "sep",
        "start",
        "stop",
        "think",
        "unk",
    }
)
_BEARER = re.compile(r"(?:bearer|basic)\s+\S{8}", re.IGNORECASE)
_URL_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:([^/\s@]+)@", re.IGNORECASE)
MOST_TEXT_BYTES = 16 * 1024 * 1024  # of one message; a longer one is a file, not a message


def gate(text: str, what: str = "the text") -> str:
    """Return *text* if every engine can store it unchanged.

    Raises:
        InvalidTextError: it is no text, holds a NUL or a lone surrogate, or is longer than 16 MiB.
    """
    if not isinstance(text, str):
        raise InvalidTextError(
            f"{what} is no text but {type(text).__name__}", hint="give it as text (str)"
        )
    if "\x00" in text:
        raise InvalidTextError(
            f"{what} holds a NUL character (at {text.index(chr(0))})",
            hint="remove it: no text editor shows it, and databases cut texts there",
        )
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise InvalidTextError(
                f"{what} holds half a character (a lone surrogate, at {error.start})",
                hint="decode the input as UTF-8 before it comes here",
            ) from error
    if size > MOST_TEXT_BYTES:
        raise InvalidTextError(
            f"{what} has {size:,} bytes, more than the {MOST_TEXT_BYTES:,} that one message may have",
            hint="send it in parts",
        )
    return text


def gate_name(text: str, what: str) -> str:
    """Return a name that stands in lists: *text* in one line, without blanks around it.

    Raises:
        InvalidTextError: it is blank, longer than 200 characters, or cannot be stored.
    """
    name = " ".join(gate(text, what).split())
    if not name:
        raise InvalidTextError(f"{what} is blank", hint="give it at least one letter")
    if len(name) > MOST_NAME:
        raise InvalidTextError(
            f"{what} has {len(name):,} characters, more than the {MOST_NAME} that it may have",
            hint="shorten it",
        )
    return name


def gate_key(key: str) -> str:
    """Return *key* if a conversation may be called so.

    Raises:
        InvalidTextError: it is blank, longer than 1,000 characters or 2,000 bytes, or cannot be
            stored.
    """
    if not gate_mark(key, "the key").strip():
        what = "blank" if key else "empty"
        raise InvalidTextError(f"the key is {what}", hint="name one, or leave it out")
    return key


def gate_mark(text: str, what: str) -> str:
    """Return *text* if it can be the name by which programs know something, and is found.

    Raises:
        InvalidTextError: it is longer than 1,000 characters or 2,000 bytes, or cannot be stored.
    """
    size = len(gate(text, what))
    if size > MOST_MARK:
        raise InvalidTextError(
            f"{what} has {size:,} characters, more than the {MOST_MARK:,} that it may have",
            hint="shorten it",
        )
    if (size := len(text.encode())) > MOST_MARK_BYTES:
        raise InvalidTextError(
            f"{what} has {size:,} bytes, more than the {MOST_MARK_BYTES:,} that it may have",
            hint="shorten it",
        )
    return text


def gate_tag(text: str) -> str:
    """Return a tag as it is kept: in small letters, so that it is one tag however it is typed.

    Raises:
        InvalidTextError: as `gate_name`.
    """
    return unicodedata.normalize("NFC", gate_name(text, "the tag")).lower()


def gate_owner(name: str) -> str:
    """Return *name* if an owner may be called so.

    Raises:
        InvalidTextError: it is no text, blank, longer than 255 characters, or holds a control
            character, a line break or a lone surrogate.
    """
    gate(name, "the owner's name")
    if not name.strip():
        raise InvalidTextError("the owner's name is empty", hint="name one, or leave it out")
    if len(name) > MOST_OWNER:
        raise InvalidTextError(
            f"the owner's name has {len(name):,} characters, more than {MOST_OWNER}",
            hint="take a shorter one",
        )
    if (odd := next(filter(_is_control, name), None)) is not None:
        raise InvalidTextError(
            f"the owner's name holds a control character (U+{ord(odd):04X})",
            hint="take it out: nobody could type or see it",
        )
    return name


def gate_file_name(name: str) -> str:
    """Return the name of an attachment as it is kept: without a folder, in one line.

    What cannot be stored or seen becomes U+FFFD, so that any file can be attached.
    """
    name = name.replace("\\", "/").rpartition("/")[2]
    odd = (one for one in set(name) if _is_control(one) or "\ud800" <= one <= "\udfff")
    return name.translate({ord(one): "\ufffd" for one in odd})[-MOST_FILE_NAME:]


def gate_media_type(text: str) -> str:
    """Return a media type in small letters, such as image/png.

    Raises:
        InvalidTextError: it is none.
    """
    if not isinstance(text, str) or not _MEDIA_TYPE.fullmatch(text):
        raise InvalidTextError(f"{text!r} is no media type", hint="one looks like image/png")
    return text.lower()


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or character in "\u2028\u2029"


def gate_object(value: dict[str, Any], what: str) -> dict[str, Any]:
    """Return *value* if it is a JSON object.

    Raises:
        InvalidTextError: it is none, or something in it is no JSON; see `gate_json`.
    """
    if not isinstance(value, dict):
        raise InvalidTextError(
            f"{what} is no JSON object but {type(value).__name__}", hint="give a dict"
        )
    gate_json(value, what)
    return value


def gate_json(value: Any, what: str, deep: int = 0) -> None:
    """See that a JSON text can say *value*, and gives it back unchanged.

    Raises:
        InvalidTextError: something in it is of another kind, a number that JSON does not have, a
            key that is no text, half a character, or more than 100 levels deep.
    """
    if deep > MOST_DEEP:
        raise InvalidTextError(
            f"{what} is more than {MOST_DEEP} levels deep", hint="make it flatter"
        )
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidTextError(
                    f"{what} has a key that is no text but {type(key).__name__}",
                    hint="JSON has text keys only",
                )
            gate_json(key, what, deep)
            gate_json(inner, what, deep + 1)
    elif isinstance(value, list | tuple):
        for inner in value:
            gate_json(inner, what, deep + 1)
    elif isinstance(value, str):
        gate(value.replace("\x00", ""), what)  # JSON writes a NUL by its number
    elif not _is_json_number(value) and value is not None:
        raise InvalidTextError(
            f"{what} holds {_shown(value)}, which JSON does not have",
            hint="give text, finite numbers up to 64 bits, true, false, null, lists and objects",
        )


def gate_settings(value: dict[str, Any], what: str = "the settings") -> dict[str, Any]:
    """Return *value* if it is a JSON object without a key or password: it is stored, and exported.

    Raises:
        InvalidTextError: it is none, or holds what looks like one; what that is, is not repeated.
    """
    gate_object(value, what)
    if (name := secret_in(value)) is not None:
        raise InvalidTextError(
            f"{name} in {what} would be stored with the conversation, and a key must not be",
            hint="give the key with: convostore keys set, or to the provider itself",
        )
    return value


def secret_in(value: Any, *, inside: bool = False) -> str | None:
    """Return the name in settings under which a key or password stands; None if there is none.

    A tool may well have an argument called `password`: its description is an object, and no key.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            plain = re.sub(r"[^a-z]", "", name.lower())
            if _may_be_secret(plain) and _is_secret(plain, inner, inside=inside):
                return str(name)
            if (found := secret_in(inner, inside=True)) is not None:
                return found
    elif isinstance(value, list | tuple):
        return next(filter(None, (secret_in(one, inside=True) for one in value)), None)
    elif isinstance(value, str) and inside and _BEARER.match(value):
        return "a bearer token"
    elif isinstance(value, str) and inside and _URL_WITH_PASSWORD.match(value):
        return "an address with a password"
    return None


def secrets_in(value: Any, *, named: bool = False) -> Iterator[str]:
    """Yield the keys and passwords in a provider's options, so that no error of its repeats one.

    Args:
        value: the options.
        named: it stands under the name of a secret: all texts in it are.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            plain = re.sub(r"[^a-z]", "", str(name).lower())
            is_one = named or (_may_be_secret(plain) and _is_secret(plain, inner, inside=False))
            yield from secrets_in(inner, named=is_one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from secrets_in(one, named=named)
    elif isinstance(value, str) and value and named:
        yield value
    elif isinstance(value, str) and (found := _URL_WITH_PASSWORD.match(value)):
        yield found[1]


def _may_be_secret(plain: str) -> bool:
    if plain.endswith("token"):
        return plain.removesuffix("token") not in _MARKS_OF_MODELS
    return plain in _SECRET or any(part in plain for part in _SECRET_PARTS)


def _is_secret(plain: str, value: object, *, inside: bool) -> bool:
    if plain.endswith("token") and plain != "token":  # max_token=5 is a number of them
        return isinstance(value, str) and bool(value)
    return value not in (None, "", False, True) and not (inside and isinstance(value, dict))


def _is_json_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _shown(value: object) -> str:
    return str(value) if isinstance(value, float) else f"a value of the kind {type(value).__name__}"


def gate_expiry(at_ms: int | None) -> int | None:
    """Return *at_ms*, at which a conversation is to go by itself.

    Raises:
        ValueError: it is no time to come: it would be gone at once.
    """
    if at_ms is None:
        return None
    if not clock.now_ms() < at_ms <= FAR_MS:
        raise ValueError("expires_at_ms is no time to come")
    return int(at_ms)  # time.time() * 1000 is a float


def fallback_title(text: str) -> str | None:
    """Return the first line of a question, cut to 80 characters; None when it is blank."""
    for line in text.splitlines():
        words = " ".join(line.split())
        if words:
            return words if len(words) <= LONGEST_TITLE else words[: LONGEST_TITLE - 1] + "…"
    return None
