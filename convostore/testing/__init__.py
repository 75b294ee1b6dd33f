"""What users test their bots with: a scripted provider, a manual clock, a store, a server.

The names are loaded when they are first used, so that a test that needs no server imports none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convostore.testing.manual_clock import ManualClock
    from convostore.testing.scripted_provider import ScriptedCall, ScriptedProvider
    from convostore.testing.steps import Endless, Fail, Gate, Pause, Silence, Wait

__all__ = [
    "Endless",
    "Fail",
    "Gate",
    "ManualClock",
    "Pause",
    "ScriptedCall",
    "ScriptedProvider",
    "Silence",
    "Wait",
]

_ROOM = {
    "Endless": "steps",
    "Fail": "steps",
    "Gate": "steps",
    "ManualClock": "manual_clock",
    "Pause": "steps",
    "ScriptedCall": "scripted_provider",
    "ScriptedProvider": "scripted_provider",
    "Silence": "steps",
    "Wait": "steps",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use (PEP 562)."""
    if name not in _ROOM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOM[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
