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

    if not providers.is_known(name):
        raise UsageError(
            f"there is no provider called {name!r}",
            hint=f"-p takes one of: {', '.join(providers.NAMES)}, or an installed one",
        )
    return providers.make(name, **_options(name, config, proxy=proxy, dialect=dialect))


def _options(
    name: str, config: Config, *, proxy: str | None, dialect: str | None
) -> dict[str, Any]:
    if dialect is not None and name != "playground":
        raise _takes_no(name, "dialect")
    if proxy is not None and name not in {"playground", "openai"}:
        raise _takes_no(name, "proxy")
    if name not in {"playground", "openai"}:
        return {}
    limits = ("connect_timeout_s", "idle_timeout_s", "total_timeout_s")
    options: dict[str, Any] = {limit: getattr(config, limit) for limit in limits}
    if proxy is not None:
        options["proxy"] = proxy
    if name == "openai":
        return options  # where it is, it finds out itself: the environment has names for it
    if dialect not in {None, *DIALECTS}:
        raise UsageError(
            f"the Playground has no dialect {dialect!r}",
            hint=f"-o dialect= takes one of: {', '.join(DIALECTS)}",
        )
    if dialect is not None:
        options["dialect"] = dialect
    return {"base_url": config.playground_url, **options}


def _takes_no(name: str, option: str) -> UsageError:
    return UsageError(
        f"the provider {name} takes no {option}", hint="leave it out, or use -p playground"
    )
