"""What is found in one file of text: records of JSON, or a session in YAML."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from convostore.exchange.finding import NothingKnownError, found_in
from convostore.exchange.refusing import conversation_of
from convostore.exchange.streams import SPACE
from convostore.exchange.yaml_values import NoYamlError, yaml_value
from convostore.formats import agents_sessions, aichat, llm_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.exchange.limits import Limits
    from convostore.exchange.streams import Stream
    from convostore.formats.found import Found

_NO_JSON: Final = frozenset({aichat.SOURCE, llm_logs.SOURCE, agents_sessions.SOURCE})
_HEAD_BYTES: Final = 4096
# The first line of a mapping that is no comment and does not begin a document.
_MAPPING: Final = re.compile(rb"(?:[ \t]*(?:#[^\n]*|---)?\r?\n)*[A-Za-z_][A-Za-z_0-9-]*:[ \r\n]")


def found_in_text(
    stream: Stream, name: str | None, limits: Limits, format: str | None
) -> Iterator[Found]:
    """Yield what is found in a file of text.

    Args:
        stream: where to read.
        name: the file's, without its ending: all the id that some formats have. None for one that
            is made of the content.
        limits: how much.
        format: how to read it; None to tell it from its structure.

    Raises:
        NothingKnownError: nothing in it is of a known format; nothing was yielded then.
    """
    head = stream.look(_HEAD_BYTES)
    if head.lstrip(SPACE).startswith((b"{", b"[")) or not head.strip(SPACE):
        if format in _NO_JSON:
            raise NothingKnownError(f"it is JSON, as no export of {format} is")
        yield from found_in(stream, limits, format)
    elif _MAPPING.match(head) and format in {None, aichat.SOURCE}:
        yield _session(stream, name, limits)
    else:
        raise NothingKnownError("it is neither JSON nor JSON Lines nor a session in YAML")


def _session(stream: Stream, name: str | None, limits: Limits) -> Found:
    raw = stream.look(limits.yaml_bytes + 1)
    if len(raw) > limits.yaml_bytes:
        raise NothingKnownError(f"it is YAML of more than {limits.yaml_bytes:,} bytes")
    try:
        value = yaml_value(raw.decode(), limits)
    except UnicodeDecodeError:
        raise NothingKnownError("its text is not UTF-8") from None
    except NoYamlError as error:
        raise NothingKnownError(str(error)) from None
    if not aichat.is_one(value):
        raise NothingKnownError(None)
    name = name or f"session-{hashlib.sha256(raw).hexdigest()[:8]}"
    return conversation_of(name, aichat.SOURCE, partial(aichat.read, name=name), value)
