"""Who is asked: what they take, and what of the record is their own."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from convostore.providers.provider import takes_attachments, takes_tools

if TYPE_CHECKING:
    from convostore.providers.provider import Provider
    from convostore.records import Message

_EDITION: Final = re.compile(r"(\.gguf|[-@:](latest|\d{4}(-?\d\d-?\d\d)?))+$")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked.

    Attributes:
        provider: its name.
        model: as asked for; None is the provider's first.
        answers_as: what its answers call the model, where that is known to be another name.
        attachments: it takes them.
        tools: it takes tool calls, their results, and its own reasoning.
    """

    provider: str = ""
    model: str | None = None
    answers_as: str | None = None
    attachments: bool = True
    tools: bool = False

    def made(self, message: Message) -> bool:
        """Tell whether the same provider and model made *message*: what is opaque in it is theirs."""
        return message.provider == self.provider and (
            self.model is None
            or message.model in {None, self.answers_as}
            or _without_edition(message.model) == _without_edition(self.model)
        )


def who_is_asked(provider: Provider, model: str | None, answers_as: str | None = None) -> Asked:
    """Return what a view needs to know of *provider* and the model it is asked for."""
    return Asked(
        provider=provider.name,
        model=model,
        answers_as=answers_as,
        attachments=takes_attachments(provider),
        tools=takes_tools(provider),
    )


@lru_cache(maxsize=256)
def _without_edition(model: str) -> str:
    """Return a model's name as it is asked for: answers name the very edition, with its date."""
    return _EDITION.sub("", model.rsplit("/", 1)[-1].lower())
