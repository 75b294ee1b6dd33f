"""What a chat completion says that it cost."""

from __future__ import annotations

import math
from typing import Any

from convostore.records import Usage


def usage_of(usage: dict[str, Any]) -> Usage:
    """Return what a server tells of the tokens; what it leaves out, or gets wrong, is unknown.

    Source: OpenAI's API reference, "The chat completion object"; OpenRouter adds the cost, and
    DeepSeek has a name of its own for what its cache gave.
    """
    cached = _number(_inner(usage, "prompt_tokens_details").get("cached_tokens"))
    return Usage(
        input_tokens=_number(usage.get("prompt_tokens")),
        output_tokens=_number(usage.get("completion_tokens")),
        cached_tokens=_number(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        reasoning_tokens=_number(
            _inner(usage, "completion_tokens_details").get("reasoning_tokens")
        ),
        cost=_amount(usage.get("cost")),
    )


def _inner(usage: dict[str, Any], name: str) -> dict[str, Any]:
    found = usage.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int | None:
    amount = _amount(value)
    return None if amount is None else int(amount)


def _amount(value: object) -> float | None:
    """Return *value* if it is a number of something; True is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and value >= 0 else None
