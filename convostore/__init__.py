"""convostore: the place where every chat is kept.

The public names are loaded when first used, so `import convostore` stays light.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes as long to load as all the rest of `convostore list`
if TYPE_CHECKING:
    from typing import Any

    from convostore.conversation import Conversation as Conversation
    from convostore.errors import ConvostoreError as ConvostoreError
    from convostore.exchange.importing import Import as Import
    from convostore.exchange.outcomes import ImportReport as ImportReport
    from convostore.exchange.outcomes import ImportResult as ImportResult
    from convostore.records import Message as Message
    from convostore.store import Store as Store
    from convostore.store import open as open  # noqa: A004 - the public verb
    from convostore.turn import Turn as Turn
    from convostore.views.viewing import View as View
    from convostore.views.window import Window as Window

__version__ = "0.1.0"

_HOME = {
    "open": "convostore.store",
    "Store": "convostore.store",
    "Conversation": "convostore.conversation",
    "Turn": "convostore.turn",
    "Message": "convostore.records",
    "ConvostoreError": "convostore.errors",
    "Import": "convostore.exchange.importing",
    "ImportReport": "convostore.exchange.outcomes",
    "ImportResult": "convostore.exchange.outcomes",
    "View": "convostore.views.viewing",
    "Window": "convostore.views.window",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'convostore' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
