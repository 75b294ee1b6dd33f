"""What users test their bots with: a scripted provider, a manual clock, a store, a server.

The names are loaded when they are first used, so that a test that needs no server imports none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convostore.testing.manual_clock import ManualClock
    from convostore.testing.playground import PlaygroundServer
    from convostore.testing.playground_models import PlaygroundModel
    from convostore.testing.playground_replies import (
        CallTool,
        Cut,
        ErrorObject,
        Raw,
        Think,
        ToolAnswer,
    )
    from convostore.testing.scripted_provider import ScriptedCall, ScriptedProvider
    from convostore.testing.steps import Endless, Fail, Gate, Pause, Silence, Wait
    from convostore.testing.temporary import temporary_store

__all__ = [
    "CallTool",
    "Cut",
    "Endless",
    "ErrorObject",
    "Fail",
    "Gate",
    "ManualClock",
    "Pause",
    "PlaygroundModel",
    "PlaygroundServer",
    "Raw",
    "ScriptedCall",
    "ScriptedProvider",
    "Silence",
    "Think",
    "ToolAnswer",
    "Wait",
    "temporary_store",
]

_ROOM = {
    "CallTool": "playground_replies",
    "Cut": "playground_replies",
    "Endless": "steps",
    "ErrorObject": "playground_replies",
    "Fail": "steps",
    "Gate": "steps",
    "ManualClock": "manual_clock",
    "Pause": "steps",
    "PlaygroundModel": "playground_models",
    "PlaygroundServer": "playground",
    "Raw": "playground_replies",
    "ScriptedCall": "scripted_provider",
    "ScriptedProvider": "scripted_provider",
    "Silence": "steps",
    "Think": "playground_replies",
    "ToolAnswer": "playground_replies",
    "Wait": "steps",
    "temporary_store": "temporary",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in _ROOM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOM[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
