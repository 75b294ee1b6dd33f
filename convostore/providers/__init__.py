"""The far side: what turns a history into deltas.

The providers, and what is needed to write another one, are loaded when first used, so importing
this package stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convostore.providers.echo import Echo as Echo
    from convostore.providers.local import Local as Local
    from convostore.providers.openai import OpenAIProvider as OpenAIProvider
    from convostore.providers.playground import Playground as Playground
    from convostore.providers.provider import ChatMessage as ChatMessage
    from convostore.providers.provider import ChatRequest as ChatRequest
    from convostore.providers.provider import ModelInfo as ModelInfo
    from convostore.providers.provider import Provider as Provider
    from convostore.providers.provider import TakesAttachments as TakesAttachments
    from convostore.providers.provider import TakesTools as TakesTools

_HOME = {
    "Playground": "convostore.providers.playground",
    "Local": "convostore.providers.local",
    "Echo": "convostore.providers.echo",
    "OpenAIProvider": "convostore.providers.openai",
    **dict.fromkeys(
        ("Provider", "ChatRequest", "ChatMessage", "ModelInfo", "TakesAttachments", "TakesTools"),
        "convostore.providers.provider",
    ),
}
_BY_NAME = {
    "playground": "Playground",
    "openai": "OpenAIProvider",
    "local": "Local",
    "echo": "Echo",
}
NAMES = tuple(_BY_NAME)


def __getattr__(name: str) -> Any:
    """Load a class on first use (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'convostore.providers' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def is_known(name: str) -> bool:
    """Tell whether there is a provider of that name: one of `NAMES`, or of an installed package.

    Raises:
        ProviderError: what a package names cannot be read.
    """
    if name in _BY_NAME:
        return True
    from convostore.providers import plugins

    return name in plugins.names()


def make(name: str, **options: Any) -> Provider:
    """Build a provider by its name: playground, openai, local, echo, or an installed package's.

    A package names its provider by an entry point in the group `convostore.providers`.

    Args:
        name: one of `NAMES`, or the name of such an entry point.
        options: the keyword arguments of the provider's class.

    Raises:
        ProviderError: there is no provider of that name, it cannot be loaded, or an option cannot
            work.
    """
    class_name = _BY_NAME.get(name)
    if class_name is not None:
        provider: Provider = __getattr__(class_name)(**options)
        return provider
    from convostore.providers import plugins

    if (installed := plugins.make(name, options)) is not None:
        return installed
    from convostore.errors import ProviderError

    raise ProviderError(
        f"there is no provider called {name!r}",
        provider=name,
        hint=f"use one of: {', '.join((*NAMES, *plugins.names()))}",
    )
