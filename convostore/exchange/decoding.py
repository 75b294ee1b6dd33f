"""The bytes of one record to a value, as forgiving as can be without guessing."""

from __future__ import annotations

import io
import json
import math
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from convostore.exchange.limits import Limits

_LONE: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_STEPS: Final = {code: 1 if code in b"{[" else -1 for code in b"{[]}"}
_NO_BRACKETS: Final = bytes(code for code in range(256) if code not in _STEPS)


class UndecodableError(ValueError):
    """The bytes are no JSON, or more of it than may be; its text is the reason, in one line."""


def decoded(raw: bytes, limits: Limits) -> tuple[Any, list[str]]:
    """Return the value, and what was mended to get it.

    What other programs write although JSON does not know it is kept as text: NaN, and numbers that
    no float can hold. Halves of surrogate pairs become U+FFFD. Of two keys of the same name the
    last counts.

    Raises:
        UndecodableError: it is no JSON, or deeper than the limit.
    """
    try:
        return msgspec.json.decode(raw), []
    except RecursionError:
        return _deep(raw, limits)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass  # the slower way forgives more, and says better what is wrong
    try:
        return _forgiving(raw)
    except RecursionError:
        return _deep(raw, limits)
    except UnicodeDecodeError:
        raise UndecodableError("its text is not UTF-8") from None
    except ValueError as error:
        raise UndecodableError(f"it is no JSON: {error}") from None


def _forgiving(raw: bytes) -> tuple[Any, list[str]]:
    odd: list[str] = []

    def number(text: str) -> float | str:
        found = float(text)
        if math.isfinite(found):
            return found
        odd.append(text)
        return text

    def constant(text: str) -> str:
        odd.append(text)
        return text

    text = raw.decode()
    value = json.loads(text, strict=False, parse_float=number, parse_constant=constant)
    remarks = []
    if odd:
        remarks.append(f"numbers that are none in JSON, kept as text: {len(odd)}")
    if _ESCAPED_SURROGATE.search(raw):
        whole, replaced = _LONE.subn("\ufffd", json.dumps(value, ensure_ascii=False))
        if replaced:
            value = json.loads(whole, strict=False)
            remarks.append(f"halves of characters that were replaced: {replaced}")
    return value, remarks


def _deep(raw: bytes, limits: Limits) -> tuple[Any, list[str]]:
    """Decode what is too deep for a parser that recurses, with one that does not."""
    import ijson  # few need it

    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS)
    depth = max(accumulate(map(_STEPS.__getitem__, brackets)))
    if depth > limits.depth:
        raise UndecodableError(f"it is nested more than {limits.depth:,} levels deep")
    builder = ijson.ObjectBuilder()
    try:
        for event, value in ijson.basic_parse(io.BytesIO(raw), use_float=True):
            builder.event(event, value)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UndecodableError(f"it is no JSON: {reason}") from None
    return builder.value, []
