"""Which provider answers, and how it is made from what was typed, stored and configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convostore.errors import UsageError
from convostore.providers.provider import Provider

if TYPE_CHECKING:
    from convostore.cli.typed import Wish
    from convostore.config import Config
    from convostore.records import ConversationRecord

DIALECTS = ("auto", "threads", "stream")  # of the Playground's protocol


class FarSide(msgspec.Struct, frozen=True):
    """Who answers.

    Attributes:
        name: the provider's name.
        model: which of its models; None is its first.
        provider: to be closed by whoever asked for it.
    """

    name: str
    model: str | None
    provider: Provider


def choose(config: Config, wish: Wish, stored: ConversationRecord | None) -> FarSide:
    """Choose as typed, else as stored with the conversation, else as configured.

    A stored or configured model goes only with the provider it was stored or configured for.

    Raises:
        UsageError: there is no such provider, or it takes no such option.
        ConvostoreError: the provider lacks something on this machine.
    """
    known = stored.provider if stored else None
    name = wish.provider or known or config.provider
    model = wish.model
    if model is None and stored and name == known:
        model = stored.model
    if model is None and name == config.provider:
        model = config.model
    return FarSide(name, model, make(name, config, proxy=wish.proxy, dialect=wish.dialect))


def make(
    name: str, config: Config, *, proxy: str | None = None, dialect: str | None = None
) -> Provider:
    """Make the provider called *name*.

    Args:
        name: as typed, stored or configured.
        config: says where the Playground is.
        proxy: the URL of an HTTP proxy to go through.
        dialect: of the Playground's protocol: auto, threads or stream.

    Raises:
        UsageError: there is no such provider, or it takes no such option.
        ConvostoreError: it lacks something on this machine.
    """
    from convostore import providers

    if name not in providers.NAMES:
        raise UsageError(
            f"there is no provider called {name!r}",
            hint=f"-p takes one of: {', '.join(providers.NAMES)}",
        )
    return providers.make(name, **_options(name, config, proxy=proxy, dialect=dialect))


def _options(
    name: str, config: Config, *, proxy: str | None, dialect: str | None
) -> dict[str, Any]:
    typed = {"proxy": proxy, "dialect": dialect}
    options = {key: value for key, value in typed.items() if value is not None}
    if name == "playground":
        if dialect not in {None, *DIALECTS}:
            raise UsageError(
                f"the Playground has no dialect {dialect!r}",
                hint=f"-o dialect= takes one of: {', '.join(DIALECTS)}",
            )
        limits = ("connect_timeout_s", "idle_timeout_s", "total_timeout_s")
        options |= {limit: getattr(config, limit) for limit in limits}
        return {"base_url": config.playground_url, **options}
    for option in options:
        raise UsageError(
            f"the provider {name} takes no {option}", hint="leave it out, or use -p playground"
        )
    return {}
